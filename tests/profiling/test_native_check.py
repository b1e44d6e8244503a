"""The teacher-forced check of the native engine: what is right passes, a planted fault is named."""

from __future__ import annotations

import numpy as np
import pytest

from small_models import TINY, Changed, engine_of, tokens
from trine.model import Engine
from trine.profiling.native_check import check_engine
from trine.profiling.profile import NumericCheck
from trine.ternary.tiles import LAYOUTS
from wrong_weights import one_trit

IDS = tokens(37).tolist()
STEPS = (
    "input_layernorm",
    "qkv_proj",
    "rope",
    "attention",
    "attn_sub_norm",
    "o_proj",
    "post_attention_layernorm",
    "gate_up_proj",
    "ffn_sub_norm",
    "down_proj",
)


def failed(checks: list[NumericCheck]) -> set[tuple[str, int, str]]:
    return {(c.stage, c.layer, c.operator) for c in checks if not c.passed}


@pytest.mark.parametrize("body", LAYOUTS)
@pytest.mark.parametrize(("head", "cache"), [("float", "float32"), ("int8", "float16")])
def test_every_step_of_every_layer_passes(body, head, cache) -> None:
    done = []
    engine = engine_of(body=body, head=head)
    found = check_engine(
        TINY, engine, IDS, cache=cache, progress=lambda at, of: done.append((at, of))
    )
    assert not failed(found)
    outside = {(-1, name) for name in ("embed_tokens", "norm", "lm_head", "sampling")}
    inside = {(layer, step) for layer in range(engine.layers) for step in STEPS}
    for stage in ("prefill", "decode"):
        assert {(c.layer, c.operator) for c in found if c.stage == stage} == outside | inside
    summed = {c.operator for c in found if c.wrong_sums is not None}
    assert summed == {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"}
    assert done == [(n + 1, engine.layers) for n in range(engine.layers)]


def test_an_int8_cache_and_a_screened_head_pass_too() -> None:
    assert not failed(check_engine(TINY, engine_of(head="screened"), IDS, cache="int8"))


def test_without_decode_only_the_prefill_is_checked() -> None:
    assert {c.stage for c in check_engine(TINY, engine_of(), IDS, decode=False)} == {"prefill"}


@pytest.mark.parametrize(
    ("module", "step"),
    [
        ("self_attn.k_proj", "qkv_proj"),
        ("self_attn.o_proj", "o_proj"),
        ("mlp.gate_proj", "gate_up_proj"),
        ("mlp.up_proj", "gate_up_proj"),
        ("mlp.down_proj", "down_proj"),
    ],
)
def test_one_wrong_trit_is_found_in_its_step_and_no_other(module, step) -> None:
    name = f"model.layers.1.{module}.weight"
    wrong = Changed(**{name.replace(".", "__"): one_trit(name)})
    found = check_engine(TINY, engine_of(wrong), IDS)
    assert failed(found) >= {("prefill", 1, step)}
    assert {(layer, operator) for _, layer, operator in failed(found)} == {(1, step)}
    assert any(c.wrong_sums for c in found)


@pytest.mark.parametrize(
    ("tensor", "failing"),
    [
        ("model.layers.0.post_attention_layernorm.weight", (0, "post_attention_layernorm")),
        ("model.norm.weight", (-1, "norm")),
    ],
)
def test_a_wrong_norm_is_found(tensor, failing) -> None:
    weight = np.array(TINY.dense(tensor), copy=True)
    weight[7] *= 1.01
    wrong = Changed(**{tensor.replace(".", "__"): weight})
    found = failed(check_engine(TINY, engine_of(wrong), IDS))
    assert {(layer, operator) for _, layer, operator in found} == {failing}


def test_a_wrong_head_is_found() -> None:
    class Doubled:
        """A head that says twice what it should."""

        def __init__(self, head) -> None:
            self.kind, self._head = head.kind, head

        def logits(self, hidden):
            return 2 * self._head.logits(hidden)

    engine: Engine = engine_of()
    engine.head = Doubled(engine.head)
    found = failed(check_engine(TINY, engine, IDS))
    assert {(layer, operator) for _, layer, operator in found} == {(-1, "lm_head")}
