"""The Hugging Face plug-in: every kind of BitLinear, loading, saving, generate and pipeline."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from requirements import require_module

torch = require_module("torch")

from transformers import (  # noqa: E402
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    pipeline,
)

import corpus  # noqa: E402
import trine.torch  # noqa: E402
from hf_directory import write_directory  # noqa: E402
from text_models import write_text_model  # noqa: E402
from trine.checkpoint.synthetic import SyntheticCheckpoint  # noqa: E402
from trine.checkpoint.tensors import layer_tensor  # noqa: E402
from trine.errors import CheckpointError, UsageError  # noqa: E402
from trine.kernels import reference  # noqa: E402
from trine.ternary import unpack_hf  # noqa: E402
from trine.torch.linear import NativeBitLinear, native_linear  # noqa: E402
from trine.torch.models import build  # noqa: E402

TINY = SyntheticCheckpoint("synthetic:tiny")
IDS = torch.tensor([[5, 17, 900, 3, 77, 1000, 4]])
VARIANTS = ("master", "autobitlinear", "bitlinear")
DOWN = "model.layers.1.mlp.down_proj"


def small(mode: str, dtype: str = "float32") -> Any:
    return build(TINY, mode=mode, dtype=dtype, layers=2)


def logits(model: Any, ids: Any = IDS) -> Any:
    with torch.no_grad():
        return model(ids).logits.float()


def distance(a: Any, b: Any) -> float:
    return float((a - b).norm() / b.norm())


@pytest.fixture(scope="module", params=VARIANTS)
def folder(request: Any, tmp_path_factory: Any) -> Path:
    return write_directory(TINY, tmp_path_factory.mktemp("hf") / "m", variant=request.param)


@pytest.mark.parametrize("mode", ["online", "offline", "packed"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_each_linear_equals_the_reference(mode: str, dtype: str) -> None:
    model = trine.torch.accelerate(small(mode, dtype), threads=1)
    x = torch.randn(5, 712, generator=torch.Generator().manual_seed(1)).to(model.dtype)
    weight = TINY.ternary(layer_tensor(1, "down_proj"))
    native = model.get_submodule(DOWN)
    expected = reference.bitlinear(x.float().numpy(), unpack_hf(weight.packed), weight.scale)
    got = native(x).float().numpy()
    # A bfloat16 scale and a bfloat16 result are 2^-9 off each.
    allowed = 1e-6 if dtype == "float32" else 4e-3
    assert np.linalg.norm(got - expected) / np.linalg.norm(expected) < allowed


@pytest.mark.parametrize("mode", ["offline", "packed"])
def test_the_whole_model_equals_hugging_face(mode: str) -> None:
    before = logits(model := small(mode))
    assert trine.torch.accelerate(model, threads=2) is model
    # Fewer than two hidden layers' worth of flips: two layers of 264 leave no room for many.
    assert distance(logits(model), before) < 1e-2
    assert not any(type(m).__name__ in ("BitLinear", "AutoBitLinear") for m in model.modules())


def test_both_scale_conventions_survive_and_a_wrong_one_shows(tmp_path: Path) -> None:
    right = write_directory(TINY, tmp_path / "right", variant="bitlinear")
    model = load(right)
    scale = TINY.ternary(f"{DOWN}.weight").scale
    assert model.get_submodule(DOWN).weight_scale.item() == pytest.approx(float(scale), rel=1e-6)
    saved = model.state_dict()[f"{DOWN}.weight_scale"]
    assert saved.item() == pytest.approx(1 / float(scale), rel=1e-6)
    text = (right / "config.json").read_text()
    (right / "config.json").write_text(text.replace('"bitlinear"', '"autobitlinear"'))
    assert distance(logits(load(right)), logits(model)) > 0.1


def load(folder: Path, **options: Any) -> Any:
    config = trine.torch.config(str(folder), threads=1, **options)
    return AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.float32)


def hugging_face(folder: Path) -> Any:
    if folder.parts and "quantization_config" not in (folder / "config.json").read_text():
        return build(TINY, mode="online", dtype="float32", layers=2)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def test_from_pretrained_loads_native_linears(folder: Path) -> None:
    model = load(folder)
    natives = [m for m in model.modules() if isinstance(m, NativeBitLinear)]
    assert len(natives) == 14
    assert distance(logits(model), logits(hugging_face(folder))) < 1e-2


def test_what_is_saved_is_a_packed_checkpoint_for_plain_transformers(
    folder: Path, tmp_path: Path
) -> None:
    model = load(folder)
    model.save_pretrained(tmp_path)
    saved = AutoConfig.from_pretrained(tmp_path).quantization_config
    assert saved["quant_method"] == "bitnet" and saved["quantization_mode"] == "offline"
    plain = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert distance(logits(plain), logits(model)) < 1e-2
    assert torch.equal(logits(load(tmp_path)), logits(model))


def test_state_dict_round_trip_and_what_it_refuses() -> None:
    model = trine.torch.accelerate(small("offline"), threads=1)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    other = trine.torch.accelerate(
        build(SyntheticCheckpoint("synthetic:tiny", 1), mode="offline", dtype="float32", layers=2),
        threads=1,
    )
    assert not torch.equal(logits(other), logits(model))
    other.load_state_dict(dict(state))
    assert torch.equal(logits(other), logits(model))
    broken = dict(state)
    broken[f"{DOWN}.weight"] = broken[f"{DOWN}.weight"][:, :-1]
    with pytest.raises(RuntimeError, match=r"down_proj.weight is torch.uint8 \[66, 711\]"):
        other.load_state_dict(broken)
    del state[f"{DOWN}.weight_scale"]
    with pytest.raises(RuntimeError, match=r"Missing key.*down_proj.weight_scale"):
        other.load_state_dict(state)


def test_another_dtype_leaves_the_scale_alone() -> None:
    model = trine.torch.accelerate(small("packed"), threads=1)
    scale = model.get_submodule(DOWN).weight_scale.clone()
    model.to(torch.bfloat16)
    assert torch.equal(model.get_submodule(DOWN).weight_scale, scale)
    assert logits(copy.deepcopy(model)).isfinite().all()


@pytest.mark.parametrize(("kind", "allowed"), [("float", 1e-6), ("int8", 2e-2), ("screened", 1e-6)])
def test_the_head_on_request(kind: Any, allowed: float) -> None:
    plain = trine.torch.accelerate(small("packed"), threads=1)
    model = trine.torch.accelerate(small("packed"), lm_head=kind, threads=1)
    assert distance(logits(model), logits(plain)) < allowed
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert "lm_head.weight" in model.state_dict()


def test_generate_goes_on_as_the_logits_say(folder: Path) -> None:
    model = load(folder, lm_head="int8")
    out = model.generate(IDS, max_new_tokens=4, min_new_tokens=4, do_sample=False)
    step = IDS
    for _ in range(4):
        step = torch.cat([step, logits(model, step)[:, -1:].argmax(-1)], dim=1)
    assert out.shape == (1, 11) and torch.equal(out, step)


def test_models_that_cannot_be_accelerated_are_refused_by_name(tmp_path: Path) -> None:
    model = trine.torch.accelerate(small("packed"), threads=1)
    with pytest.raises(UsageError, match="BitNetForCausalLM is already accelerated"):
        trine.torch.accelerate(model)
    with pytest.raises(UsageError, match="this Linear has no BitLinear"):
        trine.torch.accelerate(torch.nn.Linear(4, 4))
    with pytest.raises(
        UsageError, match=r"lm_head must be None .* int8, float or screened, not 'fp4'"
    ):
        trine.torch.accelerate(small("packed"), lm_head="fp4")  # type: ignore[arg-type]
    wrong = small("offline")
    wrong.get_submodule(DOWN).weight[0, 0] = 0.5
    with pytest.raises(CheckpointError, match=f"{DOWN}: its offline weights are not -1, 0 and 1"):
        trine.torch.accelerate(wrong, threads=1)
    illegal = small("packed")
    illegal.get_submodule(DOWN).weight[0, 0] = 0b11
    with pytest.raises(CheckpointError, match="illegal code 0b11"):
        trine.torch.accelerate(illegal, threads=1)
    with pytest.raises(UsageError, match="its weight is on meta"):
        native_linear(small("packed").get_submodule(DOWN).to("meta"), code="2bit", threads=1)
    LlamaConfig(num_hidden_layers=1).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="'llama' model without a quantization_config"):
        trine.torch.config(str(tmp_path))


def test_a_mapped_directory_is_untouched_by_letting_its_pages_go(folder: Path) -> None:
    before = (folder / "model.safetensors").read_bytes()
    load(folder)
    assert (folder / "model.safetensors").read_bytes() == before


def test_a_pipeline_writes_what_generate_does(tmp_path: Path) -> None:
    """transformers' own text-generation pipeline, on an accelerated model as it is."""
    folder = write_text_model(tmp_path / "m")
    model, tokenizer = load(folder, lm_head="int8"), AutoTokenizer.from_pretrained(folder)
    writer = pipeline("text-generation", model=model, tokenizer=tokenizer)
    options = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False}
    (found,) = writer("Once upon a time", return_full_text=False, **options)
    ids = tokenizer("Once upon a time", return_tensors="pt")
    expected = model.generate(**ids, **options)[0, ids.input_ids.shape[1] :]
    assert found["generated_text"] == tokenizer.decode(expected, skip_special_tokens=True)


def test_a_llama_style_model_is_loaded_and_accelerated(tmp_path: Path) -> None:
    """Llama3-8B-1.58 and Falcon3-1.58bit: `LlamaForCausalLM` with BitLinears that divide."""
    source = corpus.Corpus(llama=True)
    folder = corpus.VARIANTS["hf-bitlinear"](source, tmp_path / "m")
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    before = logits(plain, IDS % 512)
    model = load(folder)
    assert type(model).__name__ == "LlamaForCausalLM"
    assert sum(isinstance(m, NativeBitLinear) for m in model.modules()) == 14
    assert distance(logits(model, IDS % 512), before) < 1e-2
    assert torch.equal(logits(trine.torch.accelerate(plain), IDS % 512), logits(model, IDS % 512))
