"""Each stage against float64 on the same integers, with the bounds of docs/fixed-point.md."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trine.errors import UsageError
from trine.hw.fixed import export
from trine.hw.fixed.attention import attend, probabilities
from trine.hw.fixed.cache import Stored, store
from trine.hw.fixed.contract import Contract
from trine.hw.fixed.distance import elements, real
from trine.hw.fixed.gate import gated
from trine.hw.fixed.head import choose, logits
from trine.hw.fixed.integer import Saturations, bit_length, narrow, shift_right
from trine.hw.fixed.linear import add_residual
from trine.hw.fixed.norm import Elements, quantise
from trine.hw.fixed.rope import SINE_BITS, rotate
from trine.hw.fixed.scalar import Scalar

CONTRACT = Contract()
BITS = CONTRACT.scalar_bits
few = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def scalars(*values: float) -> Scalar:
    parts = [export.scalar(value, BITS) for value in values]
    return Scalar(
        np.concatenate([part.mantissa for part in parts]),
        np.concatenate([part.exponent for part in parts]),
        BITS,
    )


@given(st.integers(-(2**60), 2**60), st.integers(0, 70))
def test_shifts_round_half_up(value: int, bits: int) -> None:
    wanted = (value + (1 << bits >> 1)) >> bits
    assert int(shift_right(np.array([value]), bits)[0]) == (wanted if bits < 62 else 0)


@given(st.integers(-(2**62), 2**62))
def test_bit_length_is_pythons(value: int) -> None:
    assert int(bit_length(np.array([value]))[0]) == value.bit_length()


@given(
    st.integers(0, 2**62 - 1), st.integers(-40, 40), st.integers(1, 2**62 - 1), st.integers(-40, 40)
)
def test_scalars_are_right_to_their_last_bit(a: int, ea: int, b: int, eb: int) -> None:
    one, two = Scalar.of(np.array([a]), BITS, ea), Scalar.of(np.array([b]), BITS, eb)
    x, y = real(one)[0], real(two)[0]
    ulp = 2.0 ** (1 - BITS)
    for got, wanted in (
        (one * two, x * y),
        (one / two, x / y),
        (one + two, x + y),
        (two.root(), np.sqrt(y)),
    ):
        assert -ulp * wanted <= real(got)[0] - wanted <= 1e-15 * wanted
        assert got.mantissa[0] == 0 or 2 ** (BITS - 1) <= got.mantissa[0] < 2**BITS


def test_dividing_by_a_zero_scalar_gives_zero() -> None:
    zero = Scalar.of(np.zeros(1, np.int64), BITS)
    assert (scalars(3.0) / zero).mantissa[0, 0] == 0


def residual_elements(values: np.ndarray[Any, Any], point: int) -> Elements:
    return Elements(values, np.zeros((1, 1), np.int64), export.scalar(2.0**-point, BITS))


@few
@given(seeds, st.sampled_from([1, 7, 336, 6912]), st.integers(4, 30), st.sampled_from([127, 32767]))
def test_a_norms_codes_are_float64s_except_at_ties(
    seed: int, size: int, scale: int, levels: int
) -> None:
    random = np.random.default_rng(seed)
    weights = random.normal(1, 0.3, size)
    weights[random.integers(size)] = 1.5  # never all zero
    x = np.rint(random.standard_t(3, (3, size)) * 2.0**scale).astype(np.int64)
    x = np.clip(x, -(2**31), 2**31 - 1)
    eps = 1e-5
    got = quantise(
        residual_elements(x, 20), export.norm_weights(weights, eps, CONTRACT), levels, CONTRACT
    )
    values = np.ldexp(x.astype(float), -20)
    mean = np.square(values).mean(axis=-1, keepdims=True) + eps
    normed = weights * values / np.sqrt(mean)
    largest = np.abs(normed).max(axis=-1, keepdims=True)
    exact = normed * levels / np.where(largest == 0, 1, largest)
    # Alignment and weights, relative to the largest product; then the reciprocal.
    peak = np.abs(weights * values).max(axis=-1, keepdims=True)
    largest_both = np.abs(values).max(axis=-1, keepdims=True) * np.abs(weights).max()
    input_error = largest_both * (2.0**-17 + 2.0**-23) / np.where(peak == 0, 1, peak)
    slack = levels * (2 * input_error + 2.0**-21)
    assert (np.abs(got.codes - exact) <= 0.5 + slack).all()
    assert np.abs(got.codes).max() <= levels
    wanted = largest / levels
    assert np.allclose(real(got.scale), wanted, rtol=2.0**-14, atol=0)


def test_a_norm_of_zeros_is_zero() -> None:
    weights = export.norm_weights(np.ones(8), 1e-5, CONTRACT)
    got = quantise(residual_elements(np.zeros((2, 8), np.int64), 20), weights, 127, CONTRACT)
    assert not got.codes.any()
    assert not got.scale.mantissa.any()


@pytest.mark.parametrize("value", [1, -1, 2**31 - 1, -(2**31)])
def test_a_norms_extremes_keep_their_sign_and_their_largest_code(value: int) -> None:
    weights = export.norm_weights(np.ones(6912), 1e-5, CONTRACT)
    x = np.full((1, 6912), value, np.int64)
    got = quantise(residual_elements(x, 20), weights, 127, CONTRACT)
    assert (got.codes == 127 * np.sign(value)).all()


@few
@given(seeds)
def test_gating_rounds_once(seed: int) -> None:
    random = np.random.default_rng(seed)
    gate, up = random.integers(-(2**20), 2**20 + 1, (2, 4, 50))
    got = gated(gate, up, scalars(*[1.0] * 4), scalars(*[1.0] * 4), CONTRACT)
    wanted = np.square(np.maximum(gate, 0)).astype(object) * up
    error = np.abs(elements(got) - wanted.astype(float))
    assert (error <= np.abs(wanted.astype(float)) * 2.0 ** -(CONTRACT.element_bits - 1)).all()


def test_gating_refuses_accumulators_whose_product_would_not_fit() -> None:
    one = scalars(1.0)
    with pytest.raises(ValueError, match="beyond 2\\^20"):
        gated(np.array([[2**20 + 1]]), np.array([[1]]), one, one, CONTRACT)


@few
@given(seeds, st.sampled_from([56, 128]), st.integers(0, 4095))
def test_rotation_is_within_its_bound(seed: int, dim: int, position: int) -> None:
    tables = export.rope_tables(geometry(dim), CONTRACT)
    heads = np.random.default_rng(seed).integers(-(2**18), 2**18, (1, 3, dim))
    got = rotate(heads, np.array([position]), tables, CONTRACT)
    half = dim // 2
    angle = position * 500000.0 ** -(np.arange(half) / half)
    first, second = heads[..., :half], heads[..., half:]
    cosine, sine = np.cos(angle), np.sin(angle)
    wanted = np.concatenate([first * cosine - second * sine, second * cosine + first * sine], -1)
    step = np.pi / 2 / 2**CONTRACT.rope_table_bits
    # Interpolation, rounding of table and result, and the phase: position * 2^-33 turns.
    wave = step**2 / 8 + 1.5 * 2.0**-SINE_BITS + 4096 * 2.0**-33 * 2 * np.pi
    error = np.abs(np.ldexp(got.astype(float), -CONTRACT.rope_guard_bits) - wanted)
    assert (error <= 2 * 2**18 * wave + 2.0 ** -(CONTRACT.rope_guard_bits + 1)).all()


def geometry(head_dim: int) -> Any:
    return SimpleNamespace(head_dim=head_dim, rope_theta=500000.0)


@few
@given(seeds, st.sampled_from([4, 8, 12]))
def test_a_stored_head_is_off_by_half_a_code(seed: int, bits: int) -> None:
    contract = replace(CONTRACT, kv_bits=bits)
    heads = np.random.default_rng(seed).integers(-(2**24), 2**24, (2, 3, 16))
    got = store(heads, Scalar.of(np.ones((2, 1, 1), np.int64), BITS), contract)
    largest = np.abs(heads).max(axis=-1, keepdims=True)
    assert (np.abs(got.codes).max(axis=-1) == 2 ** (bits - 1) - 1).all()
    half = 0.5 * largest / (2 ** (bits - 1) - 1)
    assert (np.abs(got.codes * real(got.scale) - heads) <= half * 1.001).all()


@given(st.integers(0, 2**20), st.sampled_from([4, 6, 8, 12]))
def test_powers_of_two_are_within_their_bound(below: int, table_bits: int) -> None:
    contract = replace(CONTRACT, exp_table_bits=table_bits)
    got = probabilities(np.array([below]), export.power_table(contract), contract)[0]
    wanted = 2.0 ** (-below / 2**contract.score_frac_bits)
    interpolation = (np.log(2) / 2**table_bits) ** 2 / 8
    one = 2.0**contract.probability_bits
    assert abs(got / one - wanted) <= interpolation + 1.5 / one


def stored(random: np.random.Generator, context: int, spread: float) -> Stored:
    values = random.integers(-127, 128, (context, 2, 8))
    scales = scalars(*np.exp(random.normal(0, spread, 2 * context)) * 0.02)
    shape = (context, 2, 1)
    return Stored(
        values, Scalar(scales.mantissa.reshape(shape), scales.exponent.reshape(shape), BITS)
    )


@few
@given(seeds, st.integers(1, 70), st.sampled_from([0.1, 2.0]), st.sampled_from([1, 8, 32]))
def test_attention_is_within_its_bound(seed: int, context: int, spread: float, chunk: int) -> None:
    random = np.random.default_rng(seed)
    contract = replace(CONTRACT, chunk=chunk)
    tokens = min(context, 3)
    keys, values = stored(random, context, 0.5), stored(random, context, spread)
    query = random.integers(-(2**20), 2**20, (tokens, 4, 8))
    unit = Scalar.of(np.ones((tokens, 1, 1), np.int64), BITS, -22)
    positions = np.arange(context - tokens, context)
    counts = Saturations()
    got = elements(
        attend(query, unit, keys, values, positions, export.power_table(contract), contract, counts)
    ).reshape(tokens, 4, 8)
    assert counts["score"] == 0
    key, value = (np.repeat(s.codes * real(s.scale), 2, axis=1) for s in (keys, values))
    scores = np.einsum("thd,chd->thc", query * real(unit), key)
    scores = np.where((np.arange(context) > positions[:, None])[:, None], -np.inf, scores)
    weights = np.exp2(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    wanted = np.einsum("thc,chd->thd", weights, value)
    # A score is off by its rounding and by half a unit of the query in each product.
    lengths = np.abs(key).sum(axis=-1).max() * np.abs(query * real(unit)).max() * 2.0**-15
    score_error = (lengths + 2.0**-12) * np.log(2)
    largest = np.abs(value).max()
    allowed = largest * (2 * np.expm1(2 * score_error) + context * 2.0**-14)
    assert (np.abs(got - wanted) <= allowed).all()


def test_scores_beyond_their_width_are_clipped_and_counted() -> None:
    random = np.random.default_rng(0)
    keys, values = stored(random, 5, 0.1), stored(random, 5, 0.1)
    counts = Saturations()
    query = np.full((1, 4, 8), 2**20)
    unit = Scalar.of(np.ones((1, 1, 1), np.int64), BITS, 0)
    attend(query, unit, keys, values, np.array([4]), export.power_table(CONTRACT), CONTRACT, counts)
    assert counts["score"] > 0


def test_a_residual_that_does_not_fit_is_clipped_and_counted() -> None:
    counts = Saturations()
    x = np.array([[2**31 - 2, -(2**31), 5]])
    got = add_residual(x, np.array([[3, -3, 3]]), scalars(1.0), 0, CONTRACT, counts)
    assert got.tolist() == [[2**31 - 1, -(2**31), 8]]
    assert counts == {"residual": 2}


def test_the_golden_token_is_the_argmax_over_all_rows_and_a_miss_has_its_rank() -> None:
    random = np.random.default_rng(3)
    rows = random.normal(size=(200, 33))
    contract = replace(CONTRACT, keep=2)
    head = export.head_rows(rows, contract)
    hidden = random.integers(-32767, 32768, (60, 33))
    got = choose(hidden, head, contract)
    brute = (hidden @ head.rows.T) * head.scales
    assert np.array_equal(logits(hidden, head, contract), brute)
    assert np.array_equal(got.token, brute.argmax(axis=-1))
    scan = (narrow(hidden, 8, 8) @ head.trits.T.astype(np.int64)) * head.screen_scales
    golden = np.take_along_axis(scan, got.token[:, None], axis=-1)
    ids = np.arange(200)
    before = (scan > golden) | ((scan == golden) & (ids < got.token[:, None]))
    assert np.array_equal(got.rank, before.sum(axis=-1))
    missed = got.rank >= contract.keep
    assert missed.any()
    assert ((got.screened == got.token) == ~missed).all()


@pytest.mark.parametrize(
    ("name", "value"), [("kv_bits", 2), ("norm_bits", 26), ("chunk", 0), ("keep", 1.5)]
)
def test_an_illegal_contract_is_refused_with_what_is_legal(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"{name} is {value}; integers from \d+ to \d+"):
        Contract(**{name: value})
