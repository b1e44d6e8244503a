"""Faults to plant in weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from small_models import TINY


def one_trit(name: str) -> NDArray[np.uint8]:
    """A packed matrix of tiny with one trit replaced by another."""
    packed = TINY.ternary(name).packed.copy()
    # Codes 00, 01, 10 are -1, 0, 1: the lowest code of the byte becomes its neighbour.
    packed[3, 5] ^= 1 if packed[3, 5] & 3 != 2 else 3
    return packed
