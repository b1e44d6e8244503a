"""The two packed layouts of the native kernels: the same bytes on every CPU.

    matrix  = tiles, one after the other; tile t holds rows 16 t .. 16 t + 15
    tile    = lines of 64 bytes, one after the other, along K
    line    = 16 lanes of 4 bytes; lane r holds row 16 t + r
    byte    = byte j of lane r of line l holds several trits of that row:

    2bit      4 trits a byte, line l covers k = 16 l .. 16 l + 15
              bits 2p, 2p+1 = trit(k = 16 l + 4 p + j) + 1            p = 0..3
    base3     5 trits a byte, line l covers k = 20 l .. 20 l + 19
              v = 81 d0 + 27 d1 + 9 d2 + 3 d3 + d4, d_i = trit(k = 20 l + 4 i + j) + 1
              byte = ceil(256 v / 243)

A lane is what one int32 of a vector register sees: its four bytes meet the activations
k .. k + 3, which are one int32 load, so a register of any width works on whole rows and no
horizontal sums are needed. Rows beyond N and k beyond K hold trit 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Code = Literal["2bit", "base3"]

TILE_ROWS = 16
LANE_BYTES = 4
LINE_BYTES = TILE_ROWS * LANE_BYTES


@dataclass(frozen=True, slots=True)
class TileLayout:
    """A layout's name and how many trits of a row one byte holds."""

    code: Code
    trits_per_byte: int

    @property
    def line_k(self) -> int:
        """Trits of one row in a line."""
        return LANE_BYTES * self.trits_per_byte

    def lines(self, k: int) -> int:
        """Lines of a tile with K = `k`."""
        return -(-k // self.line_k)

    def nbytes(self, n: int, k: int) -> int:
        """Bytes of a packed [N, K] matrix."""
        return -(-n // TILE_ROWS) * self.lines(k) * LINE_BYTES


TWO_BIT = TileLayout("2bit", 4)
BASE3 = TileLayout("base3", 5)
LAYOUTS = {layout.code: layout for layout in (TWO_BIT, BASE3)}

_BASE3_WEIGHTS = np.array([81, 27, 9, 3, 1], dtype=np.uint16)


def pack_tiles(codes: NDArray[np.int8], layout: TileLayout) -> NDArray[np.uint8]:
    """Pack trits [N, K] in -1, 0, 1 into uint8 [ceil(N/16), ceil(K/line_k), 64].

    Raises ValueError for another value or an empty matrix.
    """
    n, k = codes.shape
    if codes.size == 0:
        raise ValueError(f"an empty matrix [{n}, {k}] cannot be packed")
    if codes.min() < -1 or codes.max() > 1:
        raise ValueError("trits must be -1, 0 or 1")
    tiles, lines = -(-n // TILE_ROWS), layout.lines(k)
    digits = np.ones((tiles * TILE_ROWS, lines * layout.line_k), dtype=np.uint16)
    digits[:n, :k] = codes + 1
    # [tile, row, line, digit, byte] -> [tile, line, row, byte, digit]
    digits = digits.reshape(tiles, TILE_ROWS, lines, layout.trits_per_byte, LANE_BYTES)
    digits = digits.transpose(0, 2, 1, 4, 3)
    if layout is TWO_BIT:
        packed = (digits << np.array([0, 2, 4, 6], dtype=np.uint16)).sum(axis=-1)
    else:
        packed = ((digits * _BASE3_WEIGHTS).sum(axis=-1) * 256 + 242) // 243
    out: NDArray[np.uint8] = packed.astype(np.uint8).reshape(tiles, lines, LINE_BYTES)
    return out


def unpack_tiles(
    packed: NDArray[np.uint8], shape: tuple[int, int], layout: TileLayout
) -> NDArray[np.int8]:
    """Trits [N, K] of a packed matrix. Raises ValueError when its size is not that of the shape."""
    n, k = shape
    tiles, lines = -(-n // TILE_ROWS), layout.lines(k)
    if packed.shape != (tiles, lines, LINE_BYTES):
        raise ValueError(
            f"a {layout.code} matrix {n} x {k} is {(tiles, lines, LINE_BYTES)}, not {packed.shape}"
        )
    lanes: NDArray[np.uint16] = packed.reshape(tiles, lines, TILE_ROWS, LANE_BYTES).astype(
        np.uint16
    )
    digits = np.empty((tiles, TILE_ROWS, lines, layout.trits_per_byte, LANE_BYTES), dtype=np.int8)
    for i in range(layout.trits_per_byte):
        digit = (lanes >> (2 * i)) & 3 if layout is TWO_BIT else lanes * 3 >> 8
        digits[:, :, :, i, :] = digit.transpose(0, 2, 1, 3)
        if layout is BASE3:
            lanes = (lanes * 3 & 255).astype(np.uint16)
    codes: NDArray[np.int8] = digits.reshape(tiles * TILE_ROWS, lines * layout.line_k) - np.int8(1)
    return codes[:n, :k]
