"""Rotary embedding without a table of angles: a phase accumulator and a quarter sine wave.

A pair's angle at position p is p * step modulo a turn, in 2^32 parts: the step is a constant, the
product wraps by itself. Sine and cosine come from 2^rope_table_bits values of a quarter wave with
linear interpolation. Accumulators are rotated: their scale is the same for the whole vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trine.hw.fixed.contract import Contract
from trine.hw.fixed.integer import Ints, shift_right

PHASE_BITS = 32
# Of a sine: 1.0 is 2^16, which fits a signed word of 18 bits.
SINE_BITS = 16


@dataclass(frozen=True, slots=True)
class RopeTables:
    """`steps` [D / 2]: turns a position, in 2^-32; `quarter` [2^n + 1]: sines of 0 to a quarter."""

    steps: Ints
    quarter: Ints


def sine(phase: Ints, quarter: Ints) -> Ints:
    """Sine of phase / 2^32 turns, in 2^-16."""
    within = PHASE_BITS - 2
    quadrant, rest = (phase >> within) & 3, phase & ((1 << within) - 1)
    # Odd quadrants run backwards; their start is the quarter's end.
    rest = np.where(quadrant & 1, (1 << within) - rest, rest)
    fraction_bits = within - (len(quarter) - 1).bit_length() + 1
    index = np.minimum(rest >> fraction_bits, len(quarter) - 2)
    # Sixteen bits of the way between two entries suffice: they differ by less than 2^15.
    dropped = max(fraction_bits - 16, 0)
    way = (rest - (index << fraction_bits)) >> dropped
    low = quarter[index]
    value = low + shift_right((quarter[index + 1] - low) * way, fraction_bits - dropped)
    signed: Ints = np.where(quadrant >= 2, -value, value)
    return signed


def rotate(heads: Ints, positions: Ints, tables: RopeTables, contract: Contract) -> Ints:
    """Accumulators [T, H, D] at positions [T], rotated, in units of 2^-rope_guard_bits."""
    mask = (1 << PHASE_BITS) - 1
    phase = (positions[:, None] * tables.steps) & mask
    sines = sine(phase, tables.quarter)[:, None]
    cosines = sine((phase + (1 << (PHASE_BITS - 2))) & mask, tables.quarter)[:, None]
    half = heads.shape[-1] // 2
    first, second = heads[..., :half], heads[..., half:]
    turned = np.concatenate(
        [first * cosines - second * sines, second * cosines + first * sines], axis=-1
    )
    return shift_right(turned, SINE_BITS - contract.rope_guard_bits)
