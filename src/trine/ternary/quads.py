"""From bytes that hold four codes of one row to bytes that hold a code of four rows, and back.

Every two-bit layout of GGUF is of the first kind, the Hugging Face layout is of the second. The
step between them is a transposition of 4 x 4 fields of two bits, done by exchanging fields and then
halves of bytes (Hacker's Delight, section 7-3): twelve operations for sixteen codes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trine.ternary.hf import CODES_PER_BYTE

Bytes = NDArray[np.uint8]

# Bytes of each of the four operands at a time: they and their temporaries stay in the L2 cache.
_CHUNK = 1 << 15


def quads_to_hf(rows: Bytes, width: int, *, high_first: bool) -> Bytes:
    """uint8 [N/4, K] in the HF layout from uint8 [N, K/4]; N a multiple of 4, K of 4 `width`.

    Byte j of a run of `width` holds the columns j, j + width, j + 2 width, j + 3 width of its 4
    `width` columns, the first one in bits 6-7 with `high_first`, else in bits 0-1.
    """
    n, quarter = rows.shape
    runs = quarter // width
    source = rows.reshape(CODES_PER_BYTE, n // CODES_PER_BYTE, runs, width)
    out = np.empty((n // CODES_PER_BYTE, runs, CODES_PER_BYTE, width), np.uint8)
    for start, stop in _pieces(n // CODES_PER_BYTE, quarter):
        fields = [source[quad, start:stop].copy() for quad in range(CODES_PER_BYTE)]
        _transpose(fields)
        for place, field in enumerate(reversed(fields) if high_first else fields):
            out[start:stop, :, place] = field
    return out.reshape(n // CODES_PER_BYTE, quarter * CODES_PER_BYTE)


def hf_to_quads(packed: Bytes, width: int, *, high_first: bool) -> Bytes:
    """uint8 [N, K/4] from the HF layout, uint8 [N/4, K]: the inverse of `quads_to_hf`."""
    n, k = packed.shape
    runs = k // (CODES_PER_BYTE * width)
    source = packed.reshape(n, runs, CODES_PER_BYTE, width)
    out = np.empty((CODES_PER_BYTE, n, runs, width), np.uint8)
    order = range(CODES_PER_BYTE - 1, -1, -1) if high_first else range(CODES_PER_BYTE)
    for start, stop in _pieces(n, k // CODES_PER_BYTE):
        fields = [source[start:stop, :, place].copy() for place in order]
        _transpose(fields)
        for quad, field in enumerate(fields):
            out[quad, start:stop] = field
    return out.reshape(CODES_PER_BYTE * n, k // CODES_PER_BYTE)


def _pieces(rows: int, columns: int) -> list[tuple[int, int]]:
    step = max(1, _CHUNK // max(1, columns))
    return [(start, min(start + step, rows)) for start in range(0, rows, step)]


def _transpose(fields: list[Bytes]) -> None:
    """In place: bits 2q, 2q+1 of result p become bits 2p, 2p+1 of operand q."""
    for low, high, shift, mask in (
        (0, 1, 2, 0x33),
        (2, 3, 2, 0x33),
        (0, 2, 4, 0x0F),
        (1, 3, 4, 0x0F),
    ):
        swap = fields[low] >> shift
        swap ^= fields[high]
        swap &= mask
        fields[high] ^= swap
        swap <<= shift
        fields[low] ^= swap
