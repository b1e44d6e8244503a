"""HF directories: every variant gives the same ternary model, damage gives one line."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from hf_directory import write_directory
from trine.checkpoint import open_checkpoint
from trine.checkpoint.synthetic import SyntheticCheckpoint
from trine.errors import CheckpointError, ModelNotFound, TrineError

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


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _other_model(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "llama"}))


def _other_activation(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "silu"}))


def _missing_key(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["hidden_size"]
    (folder / "config.json").write_text(json.dumps(config))


def _zero_heads(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_attention_heads": 0}))


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
        (_no_weights, "holds neither"),
        (_other_model, "model_type is 'llama'"),
        (_other_activation, "hidden_act 'silu'"),
        (_missing_key, "'hidden_size' is missing"),
        (_zero_heads, "wrong type|positive integer"),
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


def test_index_outside_its_directory_is_refused(tmp_path: Path) -> None:
    folder = write_directory(SOURCE, tmp_path / "m", variant="master", shards=2)
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"][UP] = "../elsewhere.safetensors"
    index.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="points outside"):
        open_checkpoint(str(folder))


@pytest.mark.parametrize("scale", [np.nan, 0.0, -1.0])
def test_impossible_scale_is_refused(tmp_path: Path, scale: float) -> None:
    from safetensors.numpy import load_file, save_file

    folder = write_directory(SOURCE, tmp_path / "m", variant="autobitlinear")
    tensors = load_file(folder / "model.safetensors")
    tensors[f"{UP}_scale"] = np.array([scale], dtype=np.float32)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="the scale of"):
        open_checkpoint(str(folder)).ternary(UP)


def test_names_that_are_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelNotFound, match="no model"):
        open_checkpoint("nonsense")
    file = tmp_path / "file.bin"
    file.write_bytes(b"x")
    with pytest.raises(CheckpointError, match="is a file"):
        open_checkpoint(str(file))


def test_unreachable_hub_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    def offline(*_: object, **__: object) -> str:
        raise OSError("cannot reach the hub\nwith details on a second line")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(ModelNotFound, match="cannot reach the hub") as caught:
        open_checkpoint("someone/some-model")
    assert "\n" not in str(caught.value)
