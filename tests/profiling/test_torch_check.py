"""The numeric check on real models: every operator of a layer, in each mode, and planted errors."""

import pytest

from requirements import require_module

torch = require_module("torch")

from profile_builder import build_profile  # noqa: E402
from trine.checkpoint.synthetic import SyntheticCheckpoint  # noqa: E402
from trine.profiling.profile import NumericCheck  # noqa: E402
from trine.profiling.torch_check import run_checks  # noqa: E402
from trine.torch.models import build  # noqa: E402

CHECKPOINT = SyntheticCheckpoint("synthetic:tiny")
LAYERS = 2
# What a profile records and has no figures of its own to be wrong.
UNCHECKED = {"causal_mask"}


def checks(model, mode: str, tokens: int = 20, decode: bool = True) -> list[NumericCheck]:
    ids = torch.arange(tokens)[None] * 37 % CHECKPOINT.config.vocab_size
    return run_checks(model, CHECKPOINT, ids, decode=decode, mode=mode, progress=lambda *_: None)


def make(mode: str, dtype: str = "float32"):
    return build(CHECKPOINT, mode=mode, dtype=dtype, layers=LAYERS)


def wrong(found: list[NumericCheck]) -> set[tuple[str, str]]:
    return {(c.stage, c.operator) for c in found if not c.passed}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("mode", ["online", "offline", "packed"])
def test_hugging_face_is_right_in_every_mode(mode: str, dtype: str) -> None:
    found = checks(make(mode, dtype), mode)
    assert not wrong(found), [c for c in found if not c.passed]
    recorded = {
        r.operator for r in build_profile(layers=1).records if r.kind != "unattributed"
    } - UNCHECKED
    for stage in ("prefill", "decode"):
        assert {c.operator for c in found if c.stage == stage} == recorded
    assert {c.layer for c in found} == {-1, LAYERS // 2}
    assert {c.rows for c in found if c.stage == "prefill"} == {16, 1}


def test_without_decode_only_the_prefill_is_checked() -> None:
    assert {c.stage for c in checks(make("offline"), "offline", decode=False)} == {"prefill"}


def scale(model) -> None:
    model.model.layers[1].mlp.up_proj.weight_scale *= 1.01


def weight(model) -> None:
    parameter = model.model.layers[1].self_attn.q_proj.weight
    parameter[3, 5] = -1 if parameter[3, 5] == 1 else 1


def epsilon(model) -> None:
    model.model.layers[1].mlp.ffn_sub_norm.variance_epsilon = 0.1


def activation(model) -> None:
    model.model.layers[1].mlp.act_fn = torch.nn.SiLU()


def theta(model) -> None:
    model.model.rotary_emb.inv_freq *= 1.5


def order(model) -> None:
    layer = model.model.layers[1].self_attn
    layer.register_forward_hook(lambda _, args, out: (2 * out[0], *out[1:]))


@pytest.mark.parametrize(
    ("plant", "operators"),
    [
        (scale, {"up_proj"}),
        (weight, {"q_proj"}),
        (epsilon, {"ffn_sub_norm"}),
        (activation, {"act_fn"}),
        (theta, {"rotary_emb", "rope"}),
        (order, {"attn_residual"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_planted_error_is_found_in_its_operator_and_no_other(plant, operators) -> None:
    model = make("offline")
    with torch.no_grad():
        plant(model)
    found = wrong(checks(model, "offline"))
    # Teacher-forced: what follows computes rightly on a wrong input. At position 0 RoPE turns
    # nothing, but a decode step is never there.
    assert found == {(stage, name) for stage in ("prefill", "decode") for name in operators}


def test_the_model_is_left_as_it_was() -> None:
    model = make("offline")
    before = model.config._attn_implementation
    checks(model, "offline")
    assert model.config._attn_implementation == before
    assert not any(m._forward_hooks for m in model.modules())
