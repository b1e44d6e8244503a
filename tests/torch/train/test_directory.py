"""What a run leaves behind: a Hugging Face directory for every command, and its packed form."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from requirements import require_module

torch = require_module("torch")
transformers = require_module("transformers")

from trine.checkpoint import (  # noqa: E402
    Checkpoint,
    builtin,
    open_checkpoint,
)
from trine.checkpoint.tensors import is_ternary, tensor_names  # noqa: E402
from trine.errors import CheckpointError, ModelNotFound, UsageError  # noqa: E402
from trine.hw.fixed.export import absmax_rows  # noqa: E402
from trine.ternary import absmean_ternary, unpack_hf  # noqa: E402
from trine.torch.models import build  # noqa: E402
from trine.torch.train.loop import Run  # noqa: E402
from trine.torch.train.pack import pack  # noqa: E402
from trine.torch.train.prepare import Request, resume_run, start_run  # noqa: E402

IDS = torch.tensor([[0, 7, 30, 99, 255, 299, 1, 2]])


@pytest.fixture
def run(request_: Request) -> Run:
    """A finished run of two steps."""
    finished = start_run(dataclasses.replace(request_, steps=2))
    finished.train(lambda record: None)
    return finished


def logits(model: Any) -> Any:
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits


def test_transformers_loads_the_directory_as_it_was_trained(run: Run, request_: Request) -> None:
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        request_.out, output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    kinds = {type(module).__name__ for module in model.modules()}
    assert "AutoBitLinear" in kinds
    assert torch.equal(logits(model), logits(run.networks["ternary"]))
    tokenizer = transformers.AutoTokenizer.from_pretrained(request_.out)
    assert tokenizer.decode(tokenizer("bana derolu.")["input_ids"]) == "bana derolu."
    assert model.generation_config.eos_token_id == 0


def test_transformers_loads_the_twin_as_floats(run: Run, request_: Request) -> None:
    twin = request_.out / "training" / "twin"
    model = transformers.AutoModelForCausalLM.from_pretrained(twin)
    assert "AutoBitLinear" not in {type(module).__name__ for module in model.modules()}
    assert torch.equal(logits(model), logits(run.networks["float"]))


def test_trine_opens_the_directory(run: Run, request_: Request) -> None:
    checkpoint = open_checkpoint(str(request_.out))
    assert checkpoint.config == request_.model
    assert checkpoint.has_master
    model = build(checkpoint, mode="online", dtype="float32")
    assert torch.equal(logits(model), logits(run.networks["ternary"]))


def test_a_fine_tuning_starts_from_the_checkpoint_and_keeps_its_tokenizer(
    run: Run, request_: Request, tmp_path: Path
) -> None:
    source = open_checkpoint(str(request_.out))
    again = dataclasses.replace(
        request_, out=tmp_path / "tuned", start=source, twin=False, peak_lr=1e-4, seed=9
    )
    tuned = start_run(again)
    assert torch.equal(logits(tuned.networks["ternary"]), logits(run.networks["ternary"]))
    tuned.networks["ternary"].train()
    tuned.train(lambda record: None)
    assert not torch.equal(logits(tuned.networks["ternary"]), logits(run.networks["ternary"]))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (again.out / name).read_text() == (request_.out / name).read_text()
    # The starting checkpoint is not needed to resume.
    source.tokenizer_file.unlink()
    assert resume_run(again.data, again.out, {}).recipe.start == str(request_.out)


def test_a_fine_tuning_has_no_twin(run: Run, request_: Request, tmp_path: Path) -> None:
    start = open_checkpoint(str(request_.out))
    with pytest.raises(UsageError, match="leave out --twin or --model"):
        start_run(dataclasses.replace(request_, out=tmp_path / "b", start=start))


def test_packed_weights_are_refused_for_fine_tuning(
    run: Run, request_: Request, packed: Path, tmp_path: Path
) -> None:
    start = open_checkpoint(str(packed))
    with pytest.raises(UsageError, match="float master weights"):
        start_run(dataclasses.replace(request_, out=tmp_path / "b", start=start, twin=False))


def test_too_little_text_for_the_vocabulary_is_refused(request_: Request) -> None:
    for name in ("one.txt", "three.txt"):
        (request_.data / name).write_text("aaaa " * 200)
    with pytest.raises(UsageError, match=r"yields only \d+ tokens of a vocabulary of 300"):
        start_run(request_)


@pytest.fixture
def packed(run: Run, request_: Request, tmp_path: Path) -> Path:
    """The finished run, packed."""
    out = tmp_path / "builtin" / "stories"
    pack(open_checkpoint(str(request_.out)), request_.out, out)
    return out


def assert_same_ternary(packed: Checkpoint, source: Checkpoint) -> None:
    names = [name for name in tensor_names(source.config) if is_ternary(name)]
    assert len(names) == 7 * source.config.layers
    for name in names:
        codes, scale = absmean_ternary(source.master(name))
        assert np.array_equal(unpack_hf(packed.ternary(name).packed), codes)
        assert packed.ternary(name).scale == scale


def test_packing_keeps_every_ternary_weight(packed: Path, request_: Request) -> None:
    source, shipped = open_checkpoint(str(request_.out)), open_checkpoint(str(packed))
    assert shipped.native_mode == "offline"
    assert not shipped.has_master
    assert_same_ternary(shipped, source)
    norm = "model.layers.1.mlp.ffn_sub_norm.weight"
    assert np.array_equal(shipped.dense(norm), source.dense(norm))


def test_packing_rounds_the_embedding_to_int8_rows(packed: Path, request_: Request) -> None:
    name = "model.embed_tokens.weight"
    trained = open_checkpoint(str(request_.out)).dense(name).astype(np.float64)
    rows = open_checkpoint(str(packed)).dense(name).astype(np.float64)
    levels = np.abs(trained).max(axis=1, keepdims=True) / 127
    assert np.all(np.abs(rows - trained) <= 0.5000001 * levels)
    # An int8 head of these rows is these rows: nothing is rounded twice.
    codes, scales = absmax_rows(rows, 8)
    assert np.allclose(codes * scales[:, None], rows, rtol=1e-6, atol=0)


def test_but_for_the_embedding_the_packed_model_is_the_trained_one(
    packed: Path, request_: Request
) -> None:
    trained = build(open_checkpoint(str(request_.out)), mode="offline", dtype="float32")
    shipped = build(open_checkpoint(str(packed)), mode="offline", dtype="float32")
    with torch.no_grad():
        shipped.get_input_embeddings().weight.copy_(trained.get_input_embeddings().weight)
    assert torch.equal(logits(shipped), logits(trained))


def test_transformers_loads_the_packed_directory(packed: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(packed)
    ours = build(open_checkpoint(str(packed)), mode="offline", dtype="float32")
    assert torch.equal(logits(model), logits(ours))


def test_a_model_with_a_head_of_its_own_is_not_packed(run: Run, request_: Request) -> None:
    checkpoint = open_checkpoint(str(request_.out))
    checkpoint.config = dataclasses.replace(checkpoint.config, tied_embeddings=False)
    with pytest.raises(CheckpointError, match="only a tied one is packed"):
        pack(checkpoint, request_.out, request_.out / "packed")


def test_a_built_in_model_opens_by_its_name(packed: Path) -> None:
    checkpoint = builtin.open_builtin("builtin:stories", packed.parent)
    assert checkpoint.provenance.id == "builtin:stories"
    assert checkpoint.tokenizer_file == packed / "tokenizer.json"
    with pytest.raises(ModelNotFound, match="there is builtin:stories"):
        builtin.open_builtin("builtin:../stories", packed.parent)
    with pytest.raises(ModelNotFound, match="none does"):
        builtin.open_builtin("builtin:stories", packed.parent / "none")
