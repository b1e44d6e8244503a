"""Scores, online softmax and the mix of values: integers, base 2, rescaling by shifts alone.

Scores are in units of log2, so a softmax weight is 2^(score - m). The running maximum m is a
whole number (rounded up), so that a larger one costs a shift of what was summed, not a
multiplication. m changes between chunks of positions only. Values have a scale a position: the sums
of values carry the largest exponent seen so far, and shift when it grows.
"""

from __future__ import annotations

import numpy as np

from trine.hw.fixed.cache import Stored
from trine.hw.fixed.contract import Contract
from trine.hw.fixed.integer import Ints, Saturations, bit_length, exact_product, narrow, shift_right
from trine.hw.fixed.norm import Elements, to_elements
from trine.hw.fixed.scalar import Scalar

# One bit above what a probability of probability_bits needs, for the interpolation.
EXP_EXTRA = 1
_NEVER = -(1 << 40)


def attend(
    query: Ints,
    unit: Scalar,
    keys: Stored,
    values: Stored,
    positions: Ints,
    powers: Ints,
    contract: Contract,
    counts: Saturations,
) -> Elements:
    """Elements [T, H * D] of grouped-query attention for queries [T, H, D] at `positions` [T].

    `unit` [T, 1, 1] is the real value of a query of 1 times log2(e) / sqrt(D); keys and values hold
    positions 0.. ; `powers` is the table of 2^-f.
    """
    tokens, heads, dim = query.shape
    kv_heads = keys.codes.shape[1]
    group = heads // kv_heads
    # One exponent a head: a shift, no division.
    shift = bit_length(np.abs(query).max(axis=-1, keepdims=True)) - (contract.query_bits - 1)
    small = narrow(query, shift, contract.query_bits)
    sigma = unit.shifted(shift)  # [T, H, 1]
    bound = dim << (contract.query_bits + contract.kv_bits - 2)

    def per_head(scale: Scalar, place: slice) -> tuple[Ints, Ints]:
        """Scales [C, KV, 1] of a chunk as [1, H, C]."""
        parts = (scale.mantissa, scale.exponent)
        mantissa, exponent = (np.repeat(part[place, :, 0].T, group, axis=0)[None] for part in parts)
        return mantissa, exponent

    peak = np.full((tokens, heads, 1), _NEVER, np.int64)
    span = np.full((tokens, heads, 1), _NEVER, np.int64)
    weight = np.zeros((tokens, heads, 1), np.int64)
    mixed = np.zeros((tokens, heads, dim), np.int64)
    for start in range(0, int(positions.max()) + 1, contract.chunk):
        place = slice(start, start + contract.chunk)
        key, value = keys.codes[place], values.codes[place]
        seen = (start + np.arange(len(key)) <= positions[:, None])[:, None]  # [T, 1, C]
        # [KV, T * G, D] @ [KV, D, C]
        stacked = small.reshape(tokens, kv_heads, group, dim).swapaxes(0, 1)
        dots = exact_product(
            stacked.reshape(kv_heads, tokens * group, dim), key.transpose(1, 2, 0), bound
        )
        dots = dots.reshape(kv_heads, tokens, group, -1).swapaxes(0, 1)
        scores = _scores(
            dots.reshape(tokens, heads, -1), sigma, per_head(keys.scale, place), contract, counts
        )
        scores = np.where(seen, scores, _NEVER << contract.score_frac_bits)

        whole = -((-scores.max(axis=-1, keepdims=True)) >> contract.score_frac_bits)
        mantissa, exponent = per_head(values.scale, place)
        # A head of zeros has no scale that could decide the common one.
        exponent = np.where(seen & (mantissa > 0), exponent, _NEVER)
        higher = np.maximum(peak, whole)
        wider = np.maximum(span, exponent.max(axis=-1, keepdims=True))
        rise, widening = higher - peak, wider - span
        weight = shift_right(weight, rise)
        mixed = shift_right(mixed, rise + widening)
        peak, span = higher, wider

        p = probabilities((peak << contract.score_frac_bits) - scores, powers, contract)
        p = np.where(seen, p, 0)
        weight = weight + p.sum(axis=-1, keepdims=True)
        below = np.where(exponent == _NEVER, 0, span - exponent)
        scaled = shift_right(p * mantissa, contract.scalar_bits + below)
        stacked = scaled.reshape(tokens, kv_heads, group, -1).swapaxes(0, 1)
        added = exact_product(
            stacked.reshape(kv_heads, tokens * group, -1),
            value.swapaxes(0, 1),
            len(key) << (contract.probability_bits + contract.kv_bits - 1),
        )
        mixed += added.reshape(kv_heads, tokens, group, dim).swapaxes(0, 1).reshape(mixed.shape)

    bits = contract.scalar_bits
    inverse = Scalar.of(np.ones_like(weight), bits) / Scalar.of(weight, bits)
    mantissa, exponent = to_elements(mixed, contract.element_bits)
    mantissa, exponent = to_elements(
        mantissa * inverse.mantissa,
        contract.element_bits,
        exponent + inverse.exponent + span + bits,
    )
    shape = (tokens, heads * dim)
    ones = np.ones((tokens, 1), np.int64)
    return Elements(mantissa.reshape(shape), exponent.reshape(shape), Scalar.of(ones, bits))


def _scores(
    dots: Ints,
    sigma: Scalar,
    key_scale: tuple[Ints, Ints],
    contract: Contract,
    counts: Saturations,
) -> Ints:
    """Dots [T, H, C] * sigma [T, H, 1] * key scale [1, H, C], in log2 with score_frac_bits."""
    factor = Scalar.of(sigma.mantissa * key_scale[0], sigma.bits)
    exponent = factor.exponent + sigma.exponent + key_scale[1]
    scores = shift_right(dots * factor.mantissa, -(exponent + contract.score_frac_bits))
    return counts.clip("score", scores, contract.score_int_bits + contract.score_frac_bits)


def probabilities(below: Ints, powers: Ints, contract: Contract) -> Ints:
    """2^(-below / 2^score_frac_bits) for below >= 0, with probability_bits of fraction."""
    fraction_bits = contract.score_frac_bits
    whole, fraction = below >> fraction_bits, below & ((1 << fraction_bits) - 1)
    table_bits = (len(powers) - 1).bit_length() - 1
    between = fraction_bits - table_bits
    if between > 0:
        index = fraction >> between
        way = fraction - (index << between)
        value = powers[index] - shift_right((powers[index] - powers[index + 1]) * way, between)
    else:
        value = powers[fraction << -between]
    return shift_right(value, np.minimum(whole, 61) + EXP_EXTRA)
