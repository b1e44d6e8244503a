"""The KV cache: signed codes of kv_bits with one scale a head and position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from trine.hw.fixed.contract import Contract
from trine.hw.fixed.integer import Ints, narrow
from trine.hw.fixed.scalar import Scalar


@dataclass(frozen=True, slots=True)
class Stored:
    """Codes [T, KV, D] and scales [T, KV, 1] of T positions."""

    codes: Ints
    scale: Scalar

    def then(self, other: Self) -> Self:
        """These positions, followed by others."""
        scale = Scalar(
            np.concatenate([self.scale.mantissa, other.scale.mantissa]),
            np.concatenate([self.scale.exponent, other.scale.exponent]),
            self.scale.bits,
        )
        return type(self)(np.concatenate([self.codes, other.codes]), scale)


def store(heads: Ints, unit: Scalar, contract: Contract) -> Stored:
    """Absmax codes of heads [T, KV, D], whose real value is heads * unit [T, 1, 1].

    code = rint(heads * levels / max|heads|): one division a head.
    """
    levels = (1 << (contract.kv_bits - 1)) - 1
    largest = np.abs(heads).max(axis=-1, keepdims=True)
    peak = Scalar.of(largest, contract.scalar_bits)
    count = Scalar.of(np.full_like(largest, levels), contract.scalar_bits)
    reciprocal = count / peak
    codes = narrow(heads * reciprocal.mantissa, -reciprocal.exponent, contract.kv_bits)
    return Stored(codes, unit * peak / count)
