"""Integer primitives that fabric has: shifts with rounding, saturation, leading-one detection.

All values are int64. One rounding rule holds everywhere: half up, floor((v + half) / 2^n), which is
one carry-in. Division and square root are floors, as a bit-serial unit gives them.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]

# float64 holds every integer up to 2^53, so a matrix product below it is exact in any order.
_EXACT = 2**53


class Saturations(Counter[str]):
    """Values that did not fit their width, by the stage that clipped them."""

    def clip(self, stage: str, values: Ints, bits: int) -> Ints:
        """`values` in a signed word of `bits`; what is clipped is counted under `stage`."""
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        clipped: Ints = np.clip(values, low, high)
        self[stage] += int(np.count_nonzero(clipped != values))
        return clipped


def shift_right(values: Ints, bits: ArrayLike) -> Ints:
    """Values / 2^bits, rounded half up; a negative `bits` shifts left, exactly.

    A shift of 62 or more leaves 0 of any value below 2^61.
    """
    count = np.asarray(bits, np.int64)
    right = np.clip(count, 0, 62)
    half = np.where(right > 0, np.int64(1) << np.maximum(right - 1, 0), np.int64(0))
    shifted: Ints = ((values + half) >> right) << np.clip(-count, 0, 62)
    return shifted


def bit_length(values: Ints) -> Ints:
    """Bits of |value|: 0 for 0, 1 for 1, 2 for 2 and 3, as a leading-one detector finds them."""
    size = np.abs(values)
    # The exponent of a float64, which holds 53 bits exactly: what is longer is cut to them first.
    long = size >> 53 > 0
    exponents = np.frexp(np.where(long, size >> 11, size).astype(np.float64))[1]
    lengths: Ints = exponents.astype(np.int64) + 11 * long
    return lengths


def narrow(values: Ints, bits: ArrayLike, width: int) -> Ints:
    """`shift_right` to a signed word whose magnitude stays below 2^(width - 1).

    For values that fit before they are rounded: only a carry of the rounding reaches the limit, and
    it is held there (an error below one unit, so it is no saturation).
    """
    limit = (1 << (width - 1)) - 1
    held: Ints = np.clip(shift_right(values, bits), -limit, limit)
    return held


def exact_product(left: Ints, right: Ints, bound: int) -> Ints:
    """The matrix product, where `bound` is a bound of the sum of absolute products.

    Computed in float64, which is exact below 2^53; ValueError beyond.
    """
    if bound >= _EXACT:
        raise ValueError(f"sums of up to {bound} are not exact in float64")
    product: Ints = (left.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)
    return product
