"""HF directories: every variant gives the same ternary model, damage gives one line."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_directory import write_directory
from trine.checkpoint import open_checkpoint
from trine.checkpoint.safetensors import SafetensorsFile
from trine.checkpoint.synthetic import SyntheticCheckpoint
from trine.errors import CheckpointError, ModelNotFound, TrineError
from trine.ternary import absmean_ternary, unpack_hf

SOURCE = SyntheticCheckpoint("synthetic:tiny", 3)
UP = "model.layers.1.mlp.up_proj.weight"


@pytest.mark.parametrize("variant", ["master", "autobitlinear", "bitlinear"])
@pytest.mark.parametrize("shards", [1, 3])
def test_variants_agree(tmp_path: Path, variant: str, shards: int) -> None:
    folder = write_directory(SOURCE, tmp_path / "m", variant=variant, shards=shards)
    loaded = open_checkpoint(str(folder))
    weight, expected = loaded.ternary(UP), SOURCE.ternary(UP)
    assert np.array_equal(weight.packed, expected.packed)
    assert weight.scale == pytest.approx(expected.scale, rel=2e-7)
    assert loaded.config.layers == 2
    assert (
        loaded.native_mode
        == {
            "master": "online",
            "autobitlinear": "offline",
            "bitlinear": "packed",
        }[variant]
    )


def test_tied_lm_head_is_the_embedding(tmp_path: Path) -> None:
    loaded = open_checkpoint(str(write_directory(SOURCE, tmp_path / "m", variant="master")))
    assert np.array_equal(loaded.dense("lm_head.weight"), loaded.dense("model.embed_tokens.weight"))


def test_packed_checkpoint_has_no_master(tmp_path: Path) -> None:
    loaded = open_checkpoint(str(write_directory(SOURCE, tmp_path / "m", variant="bitlinear")))
    assert not loaded.has_master
    with pytest.raises(CheckpointError, match="-bf16 variant"):
        loaded.master(UP)


def _truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def _cut_header(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])


def _empty(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def _huge_header(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**63) + b"{}")


def _not_json(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 4) + b"\xff\xfe{}")


def _negative_offset(folder: Path) -> None:
    header = json.dumps({UP: {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"0" * 8)


def _name_of_two_lines(folder: Path) -> None:
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**40]}
    header = json.dumps({"a\nb": entry}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"0" * 8)


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _missing_key(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["hidden_size"]
    (folder / "config.json").write_text(json.dumps(config))


def _no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _config_garbage(folder: Path) -> None:
    (folder / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_truncate, "truncated"),
        (_cut_header, "truncated or damaged"),
        (_empty, "truncated"),
        (_huge_header, "truncated or damaged"),
        (_not_json, "not JSON"),
        (_negative_offset, "no natural number"),
        (_name_of_two_lines, "is no tensor's name"),  # found by fuzzing
        (_no_weights, "holds neither"),
        (_missing_key, "'hidden_size' is missing"),
        (_no_config, "config.json is missing"),
        (_config_garbage, "cannot be read as JSON"),
    ],
)
def test_damage_is_one_line(tmp_path: Path, damage, message: str) -> None:
    folder = write_directory(SOURCE, tmp_path / "m", variant="autobitlinear")
    damage(folder)
    with pytest.raises(TrineError, match=message) as caught:
        open_checkpoint(str(folder)).ternary(UP)
    assert "\n" not in str(caught.value)


def _edit(folder: Path, **tensors: np.ndarray | None) -> None:
    """Add, replace or (None) take away tensors of the single file."""
    from safetensors.numpy import load_file, save_file

    file = folder / "model.safetensors"
    content = load_file(file) | tensors
    save_file({name: tensor for name, tensor in content.items() if tensor is not None}, file)


NORM = "model.norm.weight"
EMBEDDING = "model.embed_tokens.weight"
BIAS = "model.layers.0.self_attn.q_proj.bias"
THIRD = "model.layers.2.input_layernorm.weight"


@pytest.mark.parametrize(
    ("variant", "tensors", "message"),
    [
        ("master", {BIAS: np.zeros(264, np.float32)}, f"'{BIAS}' has no place"),
        (
            "master",
            {THIRD: np.zeros(264, np.float32)},
            "no place in a BitNet b1.58 model of 2 layers",
        ),
        ("master", {f"{UP}_scale": np.ones(1, np.float32)}, "up_proj.weight_scale' has no place"),
        ("master", {NORM: None}, "the tensor model.norm.weight is missing"),
        ("master", {NORM: np.zeros(3, np.float32)}, r"has shape \[3\], the config says \[264\]"),
        ("master", {UP: np.zeros((178, 264), np.uint8)}, "uint8, and the config's .* says floats"),
        ("bitlinear", {UP: np.zeros((712, 264), np.float32)}, "float32, and .* packed uint8"),
        ("bitlinear", {UP: np.zeros((7, 264), np.uint8)}, r"shape \[7, 264\], the config says"),
        ("bitlinear", {f"{UP}_scale": None}, "up_proj.weight_scale is missing"),
        ("bitlinear", {f"{UP}_scale": np.ones(2, np.float32)}, r"the scale of .* shape \(2,\)"),
        ("master", {"lm_head.weight": np.zeros((1024, 264), np.float32)}, "ties lm_head.weight"),
    ],
)
def test_tensors_that_do_not_fit_the_config_are_named(
    tmp_path: Path, variant: str, tensors: dict[str, np.ndarray | None], message: str
) -> None:
    folder = write_directory(SOURCE, tmp_path / "m", variant=variant)
    _edit(folder, **tensors)
    with pytest.raises(CheckpointError, match=message) as caught:
        open_checkpoint(str(folder))
    assert "\n" not in str(caught.value)


def test_what_follows_from_the_config_may_be_stored_too(tmp_path: Path) -> None:
    folder = write_directory(SOURCE, tmp_path / "m", variant="master")
    embedding = SOURCE.dense(EMBEDDING).astype(np.float32)
    extra = {"lm_head.weight": embedding, "model.rotary_emb.inv_freq": np.ones(22, np.float32)}
    _edit(folder, **extra)
    assert open_checkpoint(str(folder)).config.layers == 2


def test_a_tensor_outside_the_index_is_seen(tmp_path: Path) -> None:
    folder = write_directory(SOURCE, tmp_path / "m", variant="master", shards=2)
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    del content["weight_map"][UP]
    index.write_text(json.dumps(content))
    assert open_checkpoint(str(folder)).master(UP).shape == (712, 264)


@pytest.mark.parametrize(
    ("shard", "message"),
    [
        ("model.safetensors.index.json", "truncated or damaged"),  # the index names itself
        ("loop.safetensors", "cannot read"),  # a link to itself
        ("..", "cannot read"),
        ("/etc/passwd", "points outside"),
        ("a/b.safetensors", "points outside"),
        ("missing.safetensors", "cannot read"),
    ],
)
def test_an_index_that_leads_nowhere_is_one_line(tmp_path: Path, shard: str, message: str) -> None:
    folder = write_directory(SOURCE, tmp_path / "m", variant="master", shards=2)
    (folder / "loop.safetensors").symlink_to(folder / "loop.safetensors")
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"][UP] = shard
    index.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=message) as caught:
        open_checkpoint(str(folder))
    assert "\n" not in str(caught.value)


def test_index_outside_its_directory_is_refused(tmp_path: Path) -> None:
    folder = write_directory(SOURCE, tmp_path / "m", variant="master", shards=2)
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"][UP] = "../elsewhere.safetensors"
    index.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="points outside"):
        open_checkpoint(str(folder))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-4, 2**70) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=4,
)
ENTRY = st.fixed_dictionaries(
    {}, optional={name: JSON for name in ("dtype", "shape", "data_offsets")}
)


@given(st.binary(max_size=40) | st.dictionaries(st.text(max_size=6), ENTRY | JSON))
def test_any_header_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, header: bytes | dict[str, object]
) -> None:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = tmp_path_factory.getbasetemp() / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(content)) + content + bytes(16))
    try:
        file = SafetensorsFile(path)
        for name in file.names():
            file.tensor(name)
    except CheckpointError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("variant", ["autobitlinear", "bitlinear"])
# 1e-39: found by fuzzing, its inverse is no float32.
@pytest.mark.parametrize("scale", [np.nan, 0.0, -1.0, np.inf, 1e-39])
def test_impossible_scale_is_refused(tmp_path: Path, scale: float, variant: str) -> None:
    from safetensors.numpy import load_file, save_file

    folder = write_directory(SOURCE, tmp_path / "m", variant=variant)
    tensors = load_file(folder / "model.safetensors")
    tensors[f"{UP}_scale"] = np.array([scale], dtype=np.float32)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="the scale of"):
        open_checkpoint(str(folder)).ternary(UP)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_masters_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    """Found by fuzzing: their absmean is none, and their codes were anything."""
    folder = write_directory(SOURCE, tmp_path / "m", variant="master")
    master = SOURCE.master(UP).astype(np.float32)
    master[3, 5] = value
    _edit(folder, **{UP: master})
    with pytest.raises(CheckpointError, match=f"{UP} holds values that are no numbers") as caught:
        open_checkpoint(str(folder)).ternary(UP)
    assert str(folder / "model.safetensors") in str(caught.value)


def test_packed_rows_that_are_no_multiple_of_four_are_refused(tmp_path: Path) -> None:
    """4 x 178 rows are stored; two more of 714 would be lost without a word."""
    folder = write_directory(SOURCE, tmp_path / "m", variant="bitlinear")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 714}))
    norms = [f"model.layers.{layer}.mlp.ffn_sub_norm.weight" for layer in range(2)]
    _edit(folder, **dict.fromkeys(norms, np.ones(714, np.float32)))
    with pytest.raises(CheckpointError, match=r"gate_proj\.weight has 714 rows .* multiple of 4"):
        open_checkpoint(str(folder))


def test_a_config_that_does_not_tie_means_a_head_of_its_own(tmp_path: Path) -> None:
    """Hugging Face's default is False, though the checkpoints tie: nothing is assumed."""
    folder = write_directory(SOURCE, tmp_path / "m", variant="master")
    config = json.loads((folder / "config.json").read_text())
    del config["tie_word_embeddings"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"the tensor lm_head\.weight is missing"):
        open_checkpoint(str(folder))
    _edit(folder, **{"lm_head.weight": np.ones((1024, 264), np.float32)})
    loaded = open_checkpoint(str(folder))
    assert not loaded.config.tied_embeddings
    assert (loaded.dense("lm_head.weight") == 1).all()


@pytest.mark.parametrize("variant", ["autobitlinear", "bitlinear"])
def test_weights_that_are_ternary_already_keep_their_scale(tmp_path: Path, variant: str) -> None:
    """Absmean applied to them again would take the share of zeros off it."""
    loaded = open_checkpoint(str(write_directory(SOURCE, tmp_path / "m", variant=variant)))
    weight = loaded.ternary(UP)
    again = absmean_ternary(unpack_hf(weight.packed) * weight.scale)[1]
    assert 0.6 < again / weight.scale < 0.75
    assert weight.scale == pytest.approx(float(SOURCE.ternary(UP).scale), rel=2e-7)


def test_names_that_are_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelNotFound, match="no model"):
        open_checkpoint("nonsense")
    file = tmp_path / "file.bin"
    file.write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"is no \.gguf file"):
        open_checkpoint(str(file))


def test_unreachable_hub_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    def offline(*_: object, **__: object) -> str:
        raise OSError("cannot reach the hub\nwith details on a second line")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(ModelNotFound, match="cannot reach the hub") as caught:
        open_checkpoint("someone/some-model")
    assert "\n" not in str(caught.value)
