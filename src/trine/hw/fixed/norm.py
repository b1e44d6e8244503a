"""RMSNorm and absmax quantisation in two passes over a vector, as one stage.

The root mean square divides every element alike, so it cancels in the codes: they are
rint(levels * x w / max|x w|) and need one division a vector. The root enters the scale only.

    while the vector is written: the top bit of its largest element
    pass 1: align to norm_bits, z = x * w, max|z|, sum of squares
    once:   levels / max|z|; the scale, which needs a root and two divisions
    pass 2: z again, code = z * (levels / max|z|)

An all-zero vector has codes 0 and scale 0. Hugging Face's floor of 1e-5 under max|n| is left out:
it acts only where every |x| is below 1e-5 * sqrt(eps) / max|w| or so, and makes coarser codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trine.hw.fixed.contract import Contract
from trine.hw.fixed.integer import Ints, bit_length, narrow
from trine.hw.fixed.scalar import Scalar


@dataclass(frozen=True, slots=True)
class Elements:
    """A vector a row: mantissa [T, K] * 2^exponent (broadcast to it) * unit [T, 1], a real number.

    The residual stream has exponent 0; gate x up and attention's output an exponent an element.
    """

    mantissa: Ints
    exponent: Ints
    unit: Scalar


@dataclass(frozen=True, slots=True)
class NormWeights:
    """Constants of one norm of K weights.

    weights     int64 [K]
    gain        unit of a weight * sqrt(K), a scalar [1, 1]
    floor       K * eps, likewise
    """

    weights: Ints
    gain: Scalar
    floor: Scalar


@dataclass(frozen=True, slots=True)
class Quantised:
    """Codes [T, K] and the real value [T, 1] of a code of 1."""

    codes: Ints
    scale: Scalar


def to_elements(values: Ints, bits: int, exponent: Ints | int = 0) -> tuple[Ints, Ints]:
    """Values * 2^exponent as mantissas of `bits` (sign included) and exponents, an element each."""
    shift = np.maximum(bit_length(values) - (bits - 1), 0)
    return narrow(values, shift, bits), np.asarray(shift + exponent, np.int64)


def quantise(elements: Elements, norm: NormWeights, levels: int, contract: Contract) -> Quantised:
    """Codes in -levels..levels of RMSNorm(x) * w, with their scale."""
    mantissa = elements.mantissa
    exponent = np.broadcast_to(elements.exponent, mantissa.shape)
    length = bit_length(mantissa) + exponent
    # A zero has no top bit; an all-zero vector is given any.
    top = np.where(mantissa == 0, np.iinfo(np.int64).min, length).max(axis=-1, keepdims=True)
    top = np.where((mantissa == 0).all(axis=-1, keepdims=True), 0, top)
    magnitude = contract.norm_bits - 1
    x = narrow(mantissa, top - magnitude - exponent, contract.norm_bits)
    squared = narrow(x, contract.norm_bits - contract.square_bits, contract.square_bits)
    squares = np.square(squared).sum(axis=-1, keepdims=True)

    product = x * norm.weights
    spread = np.abs(product).max(axis=-1, keepdims=True)
    aligned = bit_length(spread) - magnitude
    z = narrow(product, aligned, contract.norm_bits)
    largest = np.abs(z).max(axis=-1, keepdims=True)
    # levels / largest < 2^reciprocal_bits, since largest has `magnitude` bits.
    place = magnitude - 1 + contract.reciprocal_bits - levels.bit_length()
    reciprocal = np.where(largest == 0, 0, (levels << place) // np.maximum(largest, 1))
    codes = narrow(z * reciprocal, place, levels.bit_length() + 1)

    bits = contract.scalar_bits
    peak = Scalar.of(largest, bits, aligned + top - magnitude)
    rest = norm.floor / (elements.unit * elements.unit)
    sums = Scalar.of(squares, bits, 2 * (top - contract.square_bits + 1)) + rest
    count = Scalar.of(np.full_like(largest, levels), bits)
    return Quantised(codes, norm.gain * peak / (sums.root() * count))
