"""Numbers that exist once a vector, head or position: m * 2^e with a normalised mantissa.

A serial unit computes them, one bit a clock: multiplying, dividing and taking roots of `bits`-bit
mantissas. Every operation truncates, so its relative error lies in (-2^(1 - bits), 0].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from trine.hw.fixed.integer import Ints, bit_length


@dataclass(frozen=True, slots=True)
class Scalar:
    """`mantissa` in [2^(bits-1), 2^bits), or 0 with exponent 0; arrays of one shape."""

    mantissa: Ints
    exponent: Ints
    bits: int

    @classmethod
    def of(cls, values: Ints, bits: int, exponent: int | Ints = 0) -> Self:
        """Values * 2^exponent of integers >= 0, truncated to `bits`."""
        shift = bit_length(values) - bits
        mantissa = (values >> np.maximum(shift, 0)) << np.maximum(-shift, 0)
        return cls(mantissa, np.where(values == 0, 0, shift + exponent).astype(np.int64), bits)

    def __mul__(self, other: Self) -> Self:
        return self.of(self.mantissa * other.mantissa, self.bits, self.exponent + other.exponent)

    def __truediv__(self, other: Self) -> Self:
        """0 where the divisor is 0."""
        divisor = np.maximum(other.mantissa, 1)
        quotient = np.where(other.mantissa == 0, 0, (self.mantissa << self.bits) // divisor)
        return self.of(quotient, self.bits, self.exponent - other.exponent - self.bits)

    def __add__(self, other: Self) -> Self:
        """The smaller one is shifted to the larger one's exponent, with `bits` more below it."""
        guard = self.bits
        # A zero has exponent 0, which must not decide the common one.
        mine = np.where(self.mantissa == 0, other.exponent, self.exponent)
        theirs = np.where(other.mantissa == 0, self.exponent, other.exponent)
        top = np.maximum(mine, theirs)
        total = sum(
            (mantissa << guard) >> np.clip(top - exponent, 0, 62)
            for mantissa, exponent in ((self.mantissa, mine), (other.mantissa, theirs))
        )
        return self.of(np.asarray(total, np.int64), self.bits, top - guard)

    def root(self) -> Self:
        """The square root, bit by bit from the top."""
        odd = (self.exponent - self.bits) & 1
        square = self.mantissa << (self.bits - odd)
        root = np.zeros_like(square)
        for bit in range(self.bits, -1, -1):
            tried = root | (np.int64(1) << bit)
            root = np.where(tried * tried <= square, tried, root)
        return self.of(root, self.bits, (self.exponent - self.bits + odd) >> 1)

    def shifted(self, exponent: int | Ints) -> Self:
        """Times 2^exponent."""
        moved = np.where(self.mantissa == 0, 0, self.exponent + exponent)
        return type(self)(self.mantissa, moved.astype(np.int64), self.bits)
