"""The judge of outputs: what is right passes, and every way of being wrong is told."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from trine.checkpoint.synthetic import PRESETS
from trine.kernels import reference
from trine.kernels.reference import Floats
from trine.profiling.numeric_check import (
    BEYOND,
    Call,
    Quantised,
    Ternary,
    check,
    check_ternary,
    sample,
    tolerance,
)
from trine.profiling.profile import Kind, NumericCheck
from trine.ternary import absmax_int8, absmean_ternary

CONFIG = PRESETS["tiny"]
RANDOM = np.random.default_rng(3)
T, K, N, D = 5, 264, 44, CONFIG.head_dim
AT = np.arange(T)


def floats(*shape: int) -> Floats:
    return RANDOM.normal(size=shape).astype(np.float32)


def ternary_call() -> tuple[Call, Ternary]:
    master, x = floats(N, K), floats(T, K)
    trits, scale = absmean_ternary(master)
    codes, _ = absmax_int8(x)
    own = Quantised(codes, trits, reference.accumulate(codes, trits))
    output = reference.bitlinear(x, trits, scale)
    call = Call("q_proj", "bitlinear", AT, (x,), output, quantised=own)
    return call, Ternary(trits, scale, scale, master)


def judged(call: Call, weight: Ternary) -> NumericCheck:
    return check_ternary(call, weight, "decode", 2, 1e-6)


def test_a_right_bitlinear_passes_with_what_was_compared() -> None:
    found = judged(*ternary_call())
    assert found.passed and found.error < 1e-7
    assert (found.stage, found.layer, found.operator, found.kind) == (
        "decode",
        2,
        "q_proj",
        "bitlinear",
    )
    assert (found.rows, found.values) == (T, T * N)
    assert (found.at_ties, found.wrong_codes, found.wrong_sums) == (0, 0, 0)


def test_a_wrong_scale_a_wrong_row_and_no_number_fail() -> None:
    call, weight = ternary_call()
    doubled = dataclasses.replace(call, output=2 * call.output)
    assert judged(doubled, weight).error == pytest.approx(1.0)
    # One wrong number in one row of 44 is enough.
    one = call.output.copy()
    one[3, 7] += 1e-4 * np.abs(one[3]).max()
    assert not judged(dataclasses.replace(call, output=one), weight).passed
    one[3, 7] = np.nan
    assert judged(dataclasses.replace(call, output=one), weight).error == BEYOND
    short = dataclasses.replace(call, output=call.output[:, 1:])
    assert judged(short, weight).error == BEYOND


def test_a_row_that_must_be_zero_is_zero() -> None:
    zero = Call("act_fn", "activation", AT[:1], (np.full((1, 4), -1.0, np.float32),), floats(1, 4))
    assert check(zero, "prefill", 0, CONFIG, 1e-6).error == BEYOND
    right = dataclasses.replace(zero, output=np.zeros((1, 4), np.float32))
    assert check(right, "prefill", 0, CONFIG, 1e-6).error == 0.0


def planted_code(call: Call, at: tuple[int, int], step: int) -> Call:
    """The call of an operator that rounds one activation to a neighbouring code."""
    assert call.quantised is not None
    codes = call.quantised.codes.copy()
    codes[at] += step
    return dataclasses.replace(call, quantised=Quantised(codes))


def test_a_code_may_differ_at_a_tie_and_nowhere_else() -> None:
    call, weight = ternary_call()
    x = call.inputs[0].copy()
    # Row 0: s = 127 / 127 = 1, so x = 10.5 is a tie (to 10), and 10.3 is none.
    x[0] = np.clip(x[0], -3, 3)
    x[0, :3] = 127.0, 10.5, 10.3
    codes, scale = absmax_int8(x)
    assert (codes[0, 1], codes[0, 2]) == (10, 10)
    call = dataclasses.replace(call, inputs=(x,), quantised=Quantised(codes))

    def result(column: int) -> NumericCheck:
        other = planted_code(call, (0, column), 1)
        assert other.quantised is not None
        sums = reference.accumulate(other.quantised.codes, weight.trits)
        output = sums.astype(np.float32) * weight.scale / scale
        return judged(dataclasses.replace(other, output=output), weight)

    tie, wrong = result(1), result(2)
    assert (tie.at_ties, tie.wrong_codes, tie.passed) == (1, 0, True)
    assert (wrong.at_ties, wrong.wrong_codes, wrong.passed) == (0, 1, False)
    two_off = planted_code(call, (0, 1), 2)
    assert judged(two_off, weight).wrong_codes == 1


def test_wrong_trits_and_wrong_sums_are_told() -> None:
    call, weight = ternary_call()
    own = call.quantised
    assert own is not None and own.trits is not None and own.sums is not None
    trits = own.trits.copy()
    where = np.unravel_index(np.abs(weight.master).argmax(), trits.shape)
    trits[where] = 0
    changed = dataclasses.replace(call, quantised=dataclasses.replace(own, trits=trits))
    assert judged(changed, weight).wrong_codes == 1
    sums = own.sums.copy()
    sums[0, 0] += 1
    changed = dataclasses.replace(call, quantised=dataclasses.replace(own, sums=sums))
    assert (judged(changed, weight).wrong_sums, judged(changed, weight).passed) == (1, False)
    unseen = dataclasses.replace(call, quantised=None)
    assert judged(unseen, weight).wrong_sums is None and judged(unseen, weight).passed


def calls() -> list[Call]:
    """One right call of every kind that is not ternary, computed without the judge's help."""
    x, y, weight, head = floats(T, K), floats(T, K), floats(K), floats(N, K)
    heads, keys, values = floats(T, 3, D), floats(3, T, D), floats(3, T, D)
    norm = weight * x / np.sqrt((x**2).mean(-1, keepdims=True) + CONFIG.rms_norm_eps)
    half = D // 2
    angle = AT[:, None] / CONFIG.rope_theta ** (np.arange(half) / half)
    turned = (heads[..., :half] + 1j * heads[..., half:]) * np.exp(1j * angle)[:, None]
    mixed = []
    for t in range(T):
        scores = np.einsum("hd,hcd->hc", heads[t], keys[:, : t + 1]) / np.sqrt(D)
        shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        mixed.append(np.einsum("hc,hcd->hd", shares, values[:, : t + 1]).reshape(-1))
    two = np.concatenate([angle, angle], axis=1)
    cases: list[tuple[str, Kind, tuple[Floats, ...], Any, Floats | None]] = [
        ("embed_tokens", "embedding", (x,), x, None),
        ("kv_update", "kv_update", (heads,), heads, None),
        ("norm", "norm", (x,), norm, weight),
        ("lm_head", "linear", (x,), x @ head.T, head),
        ("act_fn", "activation", (x,), np.where(x > 0, x * x, 0), None),
        ("gate_x_up", "gating", (x, y), x * y, None),
        ("mlp_residual", "residual", (x, y), x + y, None),
        ("rope", "rope", (heads,), np.concatenate([turned.real, turned.imag], -1), None),
        ("rotary_emb", "rope", (), np.stack([np.cos(two), np.sin(two)], 1), None),
        ("attention", "attention", (heads, keys, values), np.stack(mixed), None),
        ("sampling", "sampling", (x,), x.argmax(-1)[:, None], None),
    ]
    return [
        Call(name, kind, AT, inputs, np.asarray(output, np.float32), parameter)
        for name, kind, inputs, output, parameter in cases
    ]


@pytest.mark.parametrize("call", calls(), ids=lambda call: call.operator)
def test_every_kind_is_judged(call: Call) -> None:
    allowed = tolerance(call.kind, "float32", "offline")
    right = check(call, "prefill", 1, CONFIG, allowed)
    assert right.passed, right
    output = call.output.copy()
    output[-1] *= 1.001
    wrong = check(dataclasses.replace(call, output=output), "prefill", 1, CONFIG, allowed)
    assert not wrong.passed and wrong.error == pytest.approx(1e-3, rel=1e-2)


def test_what_has_no_reference_is_a_programming_error() -> None:
    call = Call("causal_mask", "mask", AT, (), floats(T, 1))
    with pytest.raises(ValueError, match="no reference"):
        check(call, "prefill", 1, CONFIG, 1e-6)


def test_only_packed_bfloat16_may_be_further_off() -> None:
    assert tolerance("bitlinear", "float32", "packed") == 1e-6
    assert tolerance("bitlinear", "bfloat16", "offline") == 4e-3
    assert tolerance("bitlinear", "bfloat16", "packed") == 1.4e-2
    assert tolerance("norm", "bfloat16", "packed") == 4e-3
    assert tolerance("embedding", "bfloat16", "packed") == 0.0


def test_a_sample_has_the_first_and_the_last() -> None:
    assert sample(1, 16).tolist() == [0]
    assert sample(5, 16).tolist() == [0, 1, 2, 3, 4]
    many = sample(1000, 16)
    assert (len(many), many[0], many[-1]) == (16, 0, 999)
