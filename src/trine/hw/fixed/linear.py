"""What happens to a BitLinear's accumulators: a scale, and the residual stream."""

from __future__ import annotations

import numpy as np

from trine.hw.fixed.contract import Contract
from trine.hw.fixed.integer import Ints, Saturations, shift_right
from trine.hw.fixed.scalar import Scalar
from trine.kernels.reference import Codes, accumulate


def sums(codes: Ints, trits: Codes) -> Ints:
    """Accumulators [T, N] of int8 codes [T, K] and trits [N, K]: L1, the reference's own."""
    return accumulate(codes.astype(np.int8), trits).astype(np.int64)


def embed(codes: Ints, scale: Scalar, point: int) -> Ints:
    """The residual stream's start [T, H]: codes * scale [T, 1], with `point` fractional bits.

    It fits by the choice of `point` (trine.hw.fixed.export.residual_bound).
    """
    return shift_right(codes * scale.mantissa, -(scale.exponent + point))


def add_residual(
    residual: Ints,
    accumulators: Ints,
    scale: Scalar,
    point: int,
    contract: Contract,
    counts: Saturations,
) -> Ints:
    """Residual [T, N] in 2^-point, plus accumulators * scale [T, 1], saturating."""
    added = shift_right(accumulators * scale.mantissa, -(scale.exponent + point))
    return counts.clip("residual", residual + added, contract.residual_bits)
