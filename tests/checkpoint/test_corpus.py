"""Every format and variant holds the same model; what is written comes back bit for bit."""

from pathlib import Path

import numpy as np
import pytest

from corpus import ROUNDED, VARIANTS, Corpus
from hf_directory import write_directory
from requirements import require_module
from trine.checkpoint import Checkpoint, TextSource, open_checkpoint
from trine.checkpoint.convert import TARGETS, convert
from trine.checkpoint.hf_writer import hf_document
from trine.checkpoint.tensors import EMBEDDING, is_ternary, tensor_names
from trine.model import Engine
from trine.profiling.native_check import check_engine

SOURCES = {"bitnet": Corpus(), "llama": Corpus(llama=True), "untied": Corpus(tied=False)}
IDS = [1, 17, 300, 511, 42, 8, 9, 250]


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_holds_the_same_model(tmp_path: Path, variant: str, kind: str) -> None:
    source = SOURCES[kind]
    loaded = open_checkpoint(str(VARIANTS[variant](source, tmp_path / variant)))
    assert_same(loaded, source, rounded=variant in ROUNDED)
    for name in tensor_names(source.config):
        if not is_ternary(name):
            assert np.array_equal(
                loaded.dense(name).astype(np.float32), source.dense(name).astype(np.float32)
            ), name


def assert_same(loaded: Checkpoint, source: Checkpoint, *, rounded: bool = False) -> None:
    assert loaded.config == source.config
    for name in tensor_names(source.config):
        if not is_ternary(name):
            continue
        weight, expected = loaded.ternary(name), source.ternary(name)
        assert np.array_equal(weight.packed, expected.packed), name
        if rounded:
            assert weight.scale == np.float32(np.float16(expected.scale))
        elif isinstance(weight.scale, np.float32) and loaded.native_mode == "packed":
            # Stored as 1 / scale: one rounding there and one back.
            assert weight.scale == np.float32(1) / (np.float32(1) / expected.scale)
        else:
            assert weight.scale == expected.scale, name


@pytest.mark.parametrize("variant", ["hf-bitlinear", "trine-gguf-i2_s", "gguf-iq1_bn"])
@pytest.mark.parametrize("kind", SOURCES)
def test_the_native_engine_computes_what_the_file_says(
    tmp_path: Path, variant: str, kind: str
) -> None:
    loaded = open_checkpoint(str(VARIANTS[variant](SOURCES[kind], tmp_path / variant)))
    engine = Engine.from_checkpoint(loaded, threads=1, body="2bit", head="float")
    checks = check_engine(loaded, engine, IDS, cache="float32")
    assert len(checks) > 40
    assert [check for check in checks if not check.passed] == []


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_computes_what_hugging_face_does(
    tmp_path: Path, variant: str, kind: str
) -> None:
    """Teacher-forced, in float32; of a GGUF file against the same model as a directory."""
    require_module("torch")
    from trine.profiling.hf_layers import check_layers

    source = SOURCES[kind]
    file = VARIANTS[variant](source, tmp_path / variant)
    loaded = open_checkpoint(str(file))
    folder = file
    if not file.is_dir():
        model = source.rounded() if variant in ROUNDED else source
        folder = write_directory(
            model, tmp_path / "hf", variant="autobitlinear", document=hf_document(source)
        )
    checks = check_layers(folder, loaded, IDS, layers=2, threads=1, progress=lambda *_: None)
    assert len(checks) == 2 * (2 * 7 + len(source.config.norms) + 1)
    assert [check for check in checks if not check.passed] == []


def test_another_models_layers_are_seen(tmp_path: Path) -> None:
    """The check above can fail: the file holds weights of another seed."""
    require_module("torch")
    from trine.profiling.hf_layers import check_layers

    folder = write_directory(
        Corpus(seed=6), tmp_path / "hf", variant="autobitlinear", document=hf_document(Corpus())
    )
    loaded = open_checkpoint(str(VARIANTS["gguf-tq2_0-block-scales"](Corpus(), tmp_path / "m")))
    checks = check_layers(folder, loaded, IDS, layers=1, threads=1, progress=lambda *_: None)
    failed = {check.operator for check in checks if not check.passed}
    assert {"q_proj", "down_proj", "input_layernorm"} <= failed


@pytest.mark.parametrize("kind", SOURCES)
def test_round_trips_are_bit_exact(tmp_path: Path, kind: str) -> None:
    source = SOURCES[kind]
    at: Checkpoint = source
    targets = ("hf-master", "gguf-i2_s", "gguf-tq1_0", "hf-packed", "gguf-tq2_0", "hf-packed")
    for number, target in enumerate(targets):
        out = tmp_path / f"{number}{'.gguf' if target.startswith('gguf') else ''}"
        convert(at, TextSource(), out, target)
        at = open_checkpoint(str(out))
        assert_same(at, source)
    assert np.array_equal(at.dense(EMBEDDING), source.dense(EMBEDDING).astype(np.float32))
    assert set(targets) == set(TARGETS)


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    for number in range(2):
        convert(SOURCES["bitnet"], TextSource(), tmp_path / f"{number}.gguf", "gguf-tq2_0")
    assert (tmp_path / "0.gguf").read_bytes() == (tmp_path / "1.gguf").read_bytes()
