"""trine inspect: what is in a file, whether or not trine can run it."""

import json
from pathlib import Path

import pytest

from corpus import VARIANTS, Corpus, gguf_entries, gguf_metadata
from gguf_builder import Entry, gguf
from trine.cli import run
from trine.ternary.gguf import I2_S

SOURCE = Corpus()
UP = "blk.1.ffn_up.weight"


def inspect(capsys: pytest.CaptureFixture[str], name: object, code: int = 0) -> dict:
    assert run(["inspect", str(name), "--json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("variant", ["hf-bitlinear", "hf-master-float16", "gguf-iq2_bn_r4"])
def test_scales_and_trits_are_those_of_the_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], variant: str
) -> None:
    found = inspect(capsys, VARIANTS[variant](SOURCE, tmp_path / "m"))
    assert found["problem"] is None
    trits = [tensor["trits"] for tensor in found["tensors"] if tensor["trits"]]
    assert len(trits) == 14
    for each in trits:
        assert each["minus"] + each["zero"] + each["plus"] == pytest.approx(1)
        assert 0.2 < each["zero"] < 0.5
    name = UP if variant.startswith("gguf") else "model.layers.1.mlp.up_proj.weight"
    up = next(tensor for tensor in found["tensors"] if tensor["name"] == name)
    expected = SOURCE.ternary("model.layers.1.mlp.up_proj.weight").scale
    assert up["trits"]["scale"] == pytest.approx(float(expected), rel=1e-6)
    assert "chat template" in found["missing"]


def write(path: Path, entries: list[Entry], arch: str = "bitnet-25") -> Path:
    path.write_bytes(gguf(gguf_metadata(SOURCE, arch), entries))
    return path


def test_a_model_of_another_kind_is_listed_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [Entry("token_embd.weight", 2, (32, 32), bytes(576))]
    found = inspect(capsys, write(tmp_path / "m.gguf", entries, "gemma3"), code=1)
    assert found["tensors"][0]["kind"] == "type 2"
    assert found["tensors"][0]["nbytes"] is None
    assert "ggml" in found["problem"] or "gemma3" in found["problem"]


def test_a_damaged_tensor_is_named_beside_the_good_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = gguf_entries(SOURCE, I2_S)
    for entry in entries:
        if entry.name == UP:
            entry.data = b"\xff" + entry.data[1:]
    found = inspect(capsys, write(tmp_path / "m.gguf", entries), code=1)
    bad = [tensor for tensor in found["tensors"] if tensor["problem"]]
    assert [tensor["name"] for tensor in bad] == [UP]
    assert "0b11" in bad[0]["problem"]
    assert "its weights tell" in found["facts"]["I2_S blocks"]


@pytest.mark.parametrize(
    ("suffix", "value", "message"),
    [("_scale", b"\x00\x00\xc0\x7f", "is nan"), ("", b"\xff", "codes are the illegal 0b11")],
)
def test_a_damaged_tensor_of_a_directory_is_named_beside_the_good_ones(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    suffix: str,
    value: bytes,
    message: str,
) -> None:
    name = "model.layers.1.mlp.up_proj.weight"
    folder = VARIANTS["hf-bitlinear"](SOURCE, tmp_path / "m")
    damage(folder / "model.safetensors", name + suffix, value)
    found = inspect(capsys, folder, code=1)
    bad = {tensor["name"]: tensor["problem"] for tensor in found["tensors"] if tensor["problem"]}
    assert list(bad) == [name] and message in bad[name]
    assert len(found["tensors"]) == 24
    # And when it is run, the one line names file and tensor.
    assert run(["generate", str(folder), "--tokens", "1", "--max-tokens", "1"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert str(folder) in error and name in error


def damage(file: Path, tensor: str, value: bytes) -> None:
    """Overwrite the first bytes of a tensor of a safetensors file."""
    content = bytearray(file.read_bytes())
    length = int.from_bytes(content[:8], "little")
    place = json.loads(content[8 : 8 + length])[tensor]["data_offsets"][0] + 8 + length
    content[place : place + len(value)] = value
    file.write_bytes(content)


def test_the_table_names_every_tensor_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(write(tmp_path / "m.gguf", gguf_entries(SOURCE, I2_S)))]) == 0
    printed = capsys.readouterr().out
    assert "blk.0.attn_sub_norm.weight" in printed
    assert "missing: vocabulary" in printed


def test_a_single_safetensors_file_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = VARIANTS["hf-bitlinear"](SOURCE, tmp_path / "m")
    found = inspect(capsys, folder / "model.safetensors", code=1)
    assert len(found["tensors"]) == 38
    assert "give the directory" in found["problem"]
