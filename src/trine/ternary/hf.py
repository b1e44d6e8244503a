"""The packed layout of Hugging Face BitNet checkpoints: four ternary codes a byte.

A matrix of N x K codes t in {-1, 0, 1} is stored as uint8 [N/4, K]. Byte (r, k) holds the codes
of rows r, r + N/4, r + 2N/4, r + 3N/4 of column k in bits 0-1, 2-3, 4-5, 6-7, each as t + 1, so
that 00 = -1, 01 = 0, 10 = +1; 11 is illegal. Rows are a quarter of the matrix apart so that
unpacking writes four contiguous blocks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trine.errors import CheckpointError

CODES_PER_BYTE = 4
ILLEGAL_CODE = 0b11


def pack_hf(codes: NDArray[np.int8]) -> NDArray[np.uint8]:
    """uint8 [N/4, K] from codes int8 [N, K] in {-1, 0, 1}; N must be a multiple of 4."""
    rows = len(codes)
    if rows % CODES_PER_BYTE:
        raise CheckpointError(
            f"the HF layout packs rows by four, this matrix has {rows}; pad to a multiple of 4"
        )
    return pack_digits((codes + np.int8(1)).view(np.uint8))


def pack_digits(digits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 [N/4, K] from t + 1, uint8 [N, K] of 0, 1, 2; N a multiple of 4."""
    quarters = digits.reshape(CODES_PER_BYTE, -1, digits.shape[1])
    packed: NDArray[np.uint8] = quarters[3] << 2
    for quarter in (2, 1):
        packed |= quarters[quarter]
        packed <<= 2
    packed |= quarters[0]
    return packed


def illegal_codes(packed: NDArray[np.uint8]) -> bool:
    """Whether the illegal code 11 occurs, in any of the layouts of four codes a byte."""
    high = packed >> 1
    high &= packed
    high &= 0b01010101
    return bool(high.any())


def unpack_hf(packed: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Codes int8 [4R, K] from packed uint8 [R, K]; CheckpointError on the illegal code 11."""
    if illegal_codes(packed):
        raise CheckpointError("packed ternary weights contain the illegal code 0b11")
    planes = [(packed >> shift & 0b11).astype(np.int8) - 1 for shift in (0, 2, 4, 6)]
    return np.concatenate(planes, axis=0)
