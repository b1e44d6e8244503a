"""Fused decoder layers: what they give is what the modules in them give, whoever calls them how."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from requirements import require_module

torch = require_module("torch")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402
from transformers import AutoModelForCausalLM, DynamicCache  # noqa: E402

import corpus  # noqa: E402
import trine.torch  # noqa: E402
from trine.checkpoint.synthetic import SyntheticCheckpoint  # noqa: E402
from trine.model.heads import KEEP  # noqa: E402
from trine.torch import layers  # noqa: E402
from trine.torch.head import LMHead  # noqa: E402
from trine.torch.models import build  # noqa: E402

TINY = SyntheticCheckpoint("synthetic:tiny")
IDS = torch.tensor([[5, 17, 300, 3, 77, 100, 4]])
OPERATORS = ("trine::qkv_rope", "trine::decode_attention", "trine::output_mlp")
WRITE = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False, "pad_token_id": 0}


def bitnet(dtype: str = "float32", **options: Any) -> Any:
    model = build(TINY, mode="packed", dtype=dtype, layers=2)
    return trine.torch.accelerate(model, **{"threads": 2, **options})


@pytest.fixture(scope="module")
def llama_folder(tmp_path_factory: Any) -> Path:
    folder = tmp_path_factory.mktemp("llama") / "m"
    return corpus.VARIANTS["hf-bitlinear"](corpus.Corpus(llama=True), folder)


@pytest.fixture(params=["bitnet", "llama"])
def model(request: Any, llama_folder: Path) -> Any:
    if request.param == "bitnet":
        return bitnet()
    loaded = AutoModelForCausalLM.from_pretrained(llama_folder, dtype=torch.float32)
    return trine.torch.accelerate(loaded, threads=2)


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def unfused(model: Any) -> Any:
    """A twin of the model in which a hook keeps every layer from running fused."""
    twin = copy.deepcopy(model)
    for layer in twin.model.layers:
        layer.mlp.register_forward_hook(lambda *_: None)
    return twin


def operators(run: Any) -> set[str]:
    """The operators of trine in a trace of `run()`."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as trace:
        run()
    return {event.key for event in trace.key_averages() if event.key.startswith("trine::")}


def close(a: Any, b: Any, allowed: float = 1e-2) -> None:
    """A code at a tie may fall the other way, which a wrong model is far from."""
    assert a.shape == b.shape and a.dtype is b.dtype
    assert float((a.float() - b.float()).norm() / b.float().norm()) < allowed


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 5), (2, 150)])
def test_a_pass_gives_what_the_modules_give(model: Any, shape: tuple[int, int]) -> None:
    ids = torch.randint(0, 500, shape, generator=torch.Generator().manual_seed(1))
    twin = unfused(model)
    close(model(ids).logits, twin(ids).logits)
    assert "trine::output_mlp" in operators(lambda: model(ids))
    assert operators(lambda: twin(ids)) == {"trine::bitlinear"}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_activations_are_nearer_to_float32_than_the_modules(dtype: str) -> None:
    """The modules round after each step, a fused layer where it begins, ends and attends."""
    narrow = bitnet().to(getattr(torch, dtype))
    exact = copy.deepcopy(narrow).float()
    ids = torch.randint(0, 500, (8, 30), generator=torch.Generator().manual_seed(1))
    expected = exact(ids).logits
    fused, other = narrow(ids).logits, unfused(narrow)(ids).logits
    assert fused.dtype is other.dtype is getattr(torch, dtype)
    assert (fused.float() - expected).norm() < 1.05 * (other.float() - expected).norm()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_beams": 3},
        {"prompt_lookup_num_tokens": 3},
        {"cache_implementation": "static", "disable_compile": True},
        {"use_cache": False},
        {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
    ],
    ids=lambda options: next(iter(options), "greedy"),
)
def test_generate_writes_what_the_modules_write(model: Any, options: dict[str, Any]) -> None:
    written = model.generate(IDS, **WRITE, **options)
    assert torch.equal(written, unfused(model).generate(IDS, **WRITE, **options))


def test_a_batch_of_padded_prompts_writes_what_each_writes_alone(model: Any) -> None:
    short = IDS[:, 3:]
    batch = torch.cat([IDS, torch.nn.functional.pad(short, (3, 0))])
    mask = torch.ones_like(batch)
    mask[1, :3] = 0
    written = model.generate(batch, attention_mask=mask, **WRITE)[:, IDS.shape[1] :]
    for row, prompt in zip(written, (IDS, short), strict=True):
        assert torch.equal(row, model.generate(prompt, **WRITE)[0, prompt.shape[1] :])


def test_a_text_goes_on_from_its_cache_and_from_a_shortened_one(model: Any) -> None:
    cache = DynamicCache(config=model.config)
    model(IDS[:, :3], past_key_values=cache)
    steps = [model(IDS[:, i : i + 1], past_key_values=cache).logits[:, -1] for i in (3, 4)]
    whole = model(IDS).logits
    close(steps[-1], whole[:, 4])
    cache.crop(-1)
    close(model(IDS[:, 4:], past_key_values=cache).logits, whole[:, 4:])
    assert cache.get_seq_length() == IDS.shape[1]


def test_recorded_results_and_a_fused_pass_after_them(model: Any) -> None:
    twin = unfused(model)
    for got, expected in zip(
        model(IDS, output_hidden_states=True).hidden_states,
        twin(IDS, output_hidden_states=True).hidden_states,
        strict=True,
    ):
        close(got, expected)
    assert "trine::output_mlp" in operators(lambda: model(IDS))
    model.set_attn_implementation("eager")
    twin.set_attn_implementation("eager")
    close(model(IDS).logits, twin(IDS).logits)
    given = model(IDS, output_attentions=True).attentions
    assert len(given) == 2 and given[0].shape[-2:] == (7, 7)
    assert "trine::output_mlp" in operators(lambda: model(IDS))


INNER = ("self_attn", "self_attn.q_proj", "mlp", "mlp.act_fn", "mlp.down_proj", "input_layernorm")


@pytest.mark.parametrize("name", INNER)
def test_a_hook_inside_sees_its_module_run(model: Any, name: str) -> None:
    before, seen = model(IDS).logits, []
    inner = model.model.layers[1].get_submodule(name)
    for register in (inner.register_forward_hook, inner.register_forward_pre_hook):
        handle = register(lambda module, *_: seen.append(module))
        close(model(IDS).logits, before)
        handle.remove()
        assert seen.pop() is inner
    assert torch.equal(model(IDS).logits, before)
    assert not seen


def test_a_hook_for_all_modules_sees_them(model: Any) -> None:
    seen: set[str] = set()
    handle = torch.nn.modules.module.register_module_forward_hook(
        lambda module, *_: seen.add(type(module).__name__)
    )
    model(IDS)
    handle.remove()
    assert "NativeBitLinear" in seen


class Adapter(torch.nn.Module):
    """What an adapter library puts in a linear's place."""

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.base = base

    def forward(self, x: Any) -> Any:
        return self.base(x) + 1.0


@pytest.mark.parametrize("name", ["self_attn.v_proj", "mlp.up_proj", "self_attn", "mlp"])
def test_a_module_of_another_kind_is_run(model: Any, name: str) -> None:
    before = model(IDS).logits
    layer = model.model.layers[0]
    inner = layer.get_submodule(name)
    if name.count("."):
        layer.set_submodule(name, Adapter(inner))
        assert (model(IDS).logits - before).norm() > 0
    else:  # a forward of the instance's own
        inner.forward = lambda *a, **k: type(inner).forward(inner, *a, **k)
        close(model(IDS).logits, before)
    assert "trine::bitlinear" in operators(lambda: model(IDS))


def test_layers_that_are_not_plain_are_left_alone(llama_folder: Path) -> None:
    loaded = AutoModelForCausalLM.from_pretrained(llama_folder, dtype=torch.float32)
    own = type("Own", (type(loaded.model.layers[0]),), {})
    loaded.model.layers[0].__class__ = own
    seen: list[Any] = []
    loaded.model.layers[1].register_forward_hook(lambda *_: seen.append(1))
    trine.torch.accelerate(loaded)
    assert type(loaded.model.layers[0]) is own
    loaded(IDS)
    assert seen == [1]


def test_with_gradients_the_modules_run_and_refuse_them(model: Any) -> None:
    close(model(IDS).logits, unfused(model)(IDS).logits)
    with torch.enable_grad():
        loss = model.requires_grad_()(IDS).logits.sum()
        with pytest.raises(RuntimeError, match="no autograd formula"):
            loss.backward()
        model.requires_grad_(False)
        assert "trine::output_mlp" in operators(lambda: model(IDS))


def test_names_copies_and_types(model: Any) -> None:
    assert sum(name.endswith("proj.weight") for name in model.state_dict()) == 14
    twin = copy.deepcopy(model)
    assert twin.state_dict().keys() == model.state_dict().keys()
    assert torch.equal(twin(IDS).logits, model(IDS).logits)
    for layer in twin.model.layers:
        assert isinstance(layer, layers.FusedBitNetLayer | layers.FusedLlamaLayer)
    # A norm that is another tensor now is the one that is used.
    twin.model.layers[0].input_layernorm.weight.data = torch.full((model.config.hidden_size,), 3.0)
    assert not torch.equal(twin(IDS).logits, model(IDS).logits)


def test_the_operators_are_in_a_trace_of_generate(model: Any) -> None:
    assert set(OPERATORS) <= operators(lambda: model.generate(IDS, **WRITE))


def test_flops_are_those_of_the_modules(model: Any) -> None:
    def flops(run: Any) -> int:
        with FlopCounterMode(display=False) as counter:
            run(IDS, use_cache=False)
        return int(counter.get_total_flops())

    assert flops(model) == flops(unfused(model))


def test_compiled_whole(model: Any) -> None:
    expected = model(IDS, use_cache=False).logits
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    close(compiled(IDS, use_cache=False).logits, expected, 1e-6)


def screened(**options: Any) -> tuple[Any, Any]:
    """A screened head over 9,000 rows, and the rows."""
    linear = torch.nn.Linear(64, 9000, bias=False).requires_grad_(False)
    linear.weight.copy_(torch.randn(9000, 64, generator=torch.Generator().manual_seed(3)))
    return LMHead(linear, "screened", tied=False, threads=2, **options), linear


@pytest.mark.parametrize("code", ["2bit", "base3"])
def test_a_screened_head_gives_the_likeliest_rows_exactly(code: Any) -> None:
    head, linear = screened(code=code)
    x = torch.randn(2, 1, 64, generator=torch.Generator().manual_seed(4))
    got, exact = head(x), linear(x)
    assert got.shape == exact.shape and got.isfinite().all()
    assert torch.equal(got.argmax(-1), exact.argmax(-1))
    same = torch.isclose(got, exact, rtol=1e-4, atol=1e-4).sum(-1)
    assert (same >= KEEP).all()
    # The scores that stand for the others are no noise.
    assert np.corrcoef(got.flatten().numpy(), exact.flatten().numpy())[0, 1] > 0.9
    assert head.nbytes < linear.weight.nbytes


def test_a_screened_head_gives_more_states_exactly() -> None:
    head, linear = screened()
    x = torch.randn(3, 64, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(head(x), linear(x), rtol=1e-4, atol=1e-4)
    assert head.state_dict().keys() == {"weight"}


def test_generate_with_a_screened_head_writes_what_exact_rows_write() -> None:
    written = bitnet(lm_head="screened").generate(IDS, **WRITE)
    assert torch.equal(written, bitnet(lm_head="float").generate(IDS, **WRITE))
