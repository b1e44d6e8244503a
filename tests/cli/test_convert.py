"""trine convert: whole or not at all, and readable by the libraries that own the formats."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from corpus import Corpus, gguf_entries, gguf_metadata
from gguf_builder import gguf
from hf_directory import write_directory
from hf_text_files import TEMPLATE, write_text
from requirements import require_module
from trine.checkpoint import open_checkpoint
from trine.checkpoint.hf_writer import hf_document
from trine.cli import run
from trine.ternary.gguf import I2_S

SOURCE = Corpus()


def model(tmp_path: Path, *, text: bool = False, variant: str = "master") -> Path:
    folder = write_directory(SOURCE, tmp_path / "in", variant=variant, document=hf_document(SOURCE))
    if text:
        write_text(folder)
    return folder


def convert(*arguments: object) -> int:
    return run(["convert", *map(str, arguments)])


@pytest.mark.parametrize("target", ["gguf-i2_s", "gguf-tq2_0"])
def test_text_and_config_come_along_and_back(tmp_path: Path, target: str) -> None:
    source, file, back = model(tmp_path, text=True), tmp_path / "m.gguf", tmp_path / "back"
    assert convert(source, file, "--to", target) == 0
    assert convert(file, back, "--to", "hf-packed") == 0
    for name in ("tokenizer.json", "chat_template.jinja"):
        assert (back / name).read_bytes() == (source / name).read_bytes()
    for name in ("tokenizer_config.json", "generation_config.json"):
        assert json.loads((back / name).read_text()) == json.loads((source / name).read_text())
    assert open_checkpoint(str(back)).config == open_checkpoint(str(source)).config


def test_a_directory_keeps_its_own_config(tmp_path: Path) -> None:
    assert convert(model(tmp_path, text=True), tmp_path / "out", "--to", "hf-packed") == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["of_the_user"] == "kept"
    assert config["quantization_config"]["quantization_mode"] == "offline"


def test_the_vocabulary_in_ggmls_keys_reads_the_same_text(tmp_path: Path) -> None:
    """As a program reads it that does not know tokenizer.huggingface.json."""
    from trine.checkpoint import TextSource
    from trine.model.tokenizer import Tokenizer

    file = tmp_path / "m.gguf"
    assert convert(model(tmp_path, text=True), file, "--to", "gguf-i2_s") == 0
    text = open_checkpoint(str(file)).text
    assert text.chat_template == TEMPLATE
    keys = {k: v for k, v in text.gguf.items() if k != "tokenizer.huggingface.json"}
    assert len(keys["tokenizer.ggml.tokens"]) == SOURCE.config.vocab_size
    assert keys["tokenizer.ggml.pre"] == "gpt-2"
    assert keys["tokenizer.ggml.add_bos_token"] is True
    assert keys["tokenizer.ggml.token_type"][261:] == [3, 3, 4, *[5] * 248]
    whole = Tokenizer.of(text, SOURCE.config.vocab_size)
    rebuilt = Tokenizer.of(TextSource(gguf=keys), SOURCE.config.vocab_size)
    for sample in ("hello world", " 世界 <own></s>", "don't  12345\n"):
        assert rebuilt.encode(sample) == whole.encode(sample)
        assert rebuilt.decode(rebuilt.encode(sample)) == whole.decode(whole.encode(sample))


def test_a_foreign_gguf_vocabulary_becomes_a_tokenizer_json(tmp_path: Path) -> None:
    given = tmp_path / "given.gguf"
    assert convert(model(tmp_path, text=True), given, "--to", "gguf-i2_s") == 0
    keys = dict(open_checkpoint(str(given)).text.gguf)
    del keys["tokenizer.huggingface.json"]
    metadata = gguf_metadata(SOURCE, "bitnet-b1.58") | keys
    foreign = tmp_path / "foreign.gguf"
    foreign.write_bytes(gguf(metadata, gguf_entries(SOURCE, I2_S)))
    assert convert(foreign, tmp_path / "out", "--to", "hf-packed") == 0
    transformers = require_module("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    expected = transformers.AutoTokenizer.from_pretrained(tmp_path / "in")
    assert theirs("hello world").input_ids == expected("hello world").input_ids
    assert theirs.bos_token == "<s>"


def test_what_is_there_is_kept_without_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = model(tmp_path), tmp_path / "out"
    assert convert(source, out, "--to", "hf-packed") == 0
    assert convert(source, out, "--to", "hf-packed") == 2
    assert "exists; --force replaces it" in capsys.readouterr().err
    assert convert(source, out, "--to", "hf-packed", "--force") == 0
    assert convert(source, out, "--to", "gguf-i2_s", "--force") == 2
    assert "is a directory, and a file is to be written" in capsys.readouterr().err
    other = tmp_path / "photos"
    other.mkdir()
    (other / "cat.jpg").write_bytes(b"cat")
    assert convert(source, other, "--to", "hf-packed", "--force") == 2
    assert (other / "cat.jpg").exists()
    assert convert(source, source, "--to", "hf-packed", "--force") == 0
    assert open_checkpoint(str(source)).native_mode == "offline"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["synthetic:tiny", "x.gguf", "--to", "gguf-i2_s"], "rows of a multiple of 128"),
        (["synthetic:tiny", "x.gguf", "--to", "gguf-tq1_0"], "rows of a multiple of 256"),
        (["synthetic:tiny", "x", "--to", "onnx"], "'onnx' is unknown; there are hf-packed"),
        (["nothing", "x", "--to", "hf-packed"], "no model 'nothing'"),
        (["synthetic:tiny", "no/such/place", "--to", "hf-packed"], "cannot write"),
        (["{packed}", "x", "--to", "hf-master"], "cannot be had back"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    packed = model(tmp_path, variant="autobitlinear")
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir(tmp_path))  # noqa: PTH208 (hidden leftovers, too)
    assert convert(*(each.replace("{packed}", str(packed)) for each in arguments)) in (1, 2)
    lines = [line for line in capsys.readouterr().err.splitlines() if "writing tensors" not in line]
    assert len(lines) == 1
    assert message in lines[0]
    assert sorted(os.listdir(tmp_path)) == before  # noqa: PTH208


@pytest.mark.parametrize(("target", "out"), [("hf-packed", "x"), ("gguf-i2_s", "x.gguf")])
def test_a_full_disk_is_one_line_and_keeps_the_old_result(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    out: str,
) -> None:
    source = model(tmp_path)
    assert convert(source, tmp_path / out, "--to", target) == 0
    before = sorted(tmp_path.rglob("*"))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert convert(source, tmp_path / out, "--to", target, "--force") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "No space left on device; nothing was changed" in error
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("llama", [False, True])
@pytest.mark.parametrize("target", ["hf-packed", "hf-master"])
def test_transformers_loads_what_is_written(tmp_path: Path, target: str, llama: bool) -> None:
    """And computes what the native engine does, as far as HF agrees with itself."""
    torch, transformers = require_module("torch"), require_module("transformers")
    from trine.checkpoint import TextSource
    from trine.checkpoint.convert import convert as write
    from trine.model import Engine

    write(Corpus(llama=llama), TextSource(), tmp_path / "m", target)
    ids = [1, 17, 300, 511, 42]
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "m", dtype=torch.float32
    ).eval()
    # Compiling takes a minute here and changes no number that counts.
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        expected = theirs(torch.tensor([ids])).logits[0].numpy()
    engine = Engine.from_checkpoint(
        open_checkpoint(str(tmp_path / "m")), threads=1, body="2bit", head="float"
    )
    found = engine.session(cache="float32").all_logits(ids)
    spread = expected.std()
    # Codes flip at ties; formats.md: 6e-2 of the spread on 30 layers, these are two.
    assert np.abs(found - expected).max() < 0.1 * spread
    assert np.abs(found - expected).mean() < 0.01 * spread


def test_gguf_py_reads_what_it_knows(tmp_path: Path) -> None:
    library = require_module("gguf")
    source = model(tmp_path, text=True)
    assert convert(source, tmp_path / "m.gguf", "--to", "gguf-tq1_0") == 0
    reader = library.GGUFReader(tmp_path / "m.gguf")
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    up = tensors["blk.1.ffn_up.weight"]
    assert up.tensor_type == library.GGMLQuantizationType.TQ1_0
    values = library.quants.dequantize(up.data, up.tensor_type)
    weight = SOURCE.ternary("model.layers.1.mlp.up_proj.weight")
    from trine.ternary import unpack_hf

    assert np.array_equal(values, unpack_hf(weight.packed))
    assert tensors["blk.1.ffn_up.scale"].data[0] == weight.scale
    assert reader.get_field("general.architecture").contents() == "bitnet"
    assert len(reader.get_field("tokenizer.ggml.tokens").contents()) == 512
