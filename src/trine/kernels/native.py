"""The C++ kernels for one product at a time, checked: what tests and measurements call.

The engine (`trine.model`) calls them without Python in between.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trine import _native
from trine.errors import CheckpointError, UsageError
from trine.kernels.registry import choose
from trine.ternary.tiles import LAYOUTS, TILE_ROWS, Code, pack_tiles


def pool(threads: int) -> _native.Pool:
    """`threads` workers, the caller being one. Raises UsageError when there cannot be as many."""
    try:
        return _native.Pool(threads)
    except TypeError:
        raise UsageError(f"threads must be a whole number, not {threads!r}") from None
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"{error}") from None


def accumulate(
    activations: NDArray[np.int8],
    weights: NDArray[np.int8],
    *,
    code: Code,
    threads: int = 1,
    kernel: str | None = None,
) -> NDArray[np.int32]:
    """Exact int32 dot products [T, N] of int8 activations [T, K] and trits [N, K].

    Equal to `kernels.reference.accumulate` bit for bit, for every kernel, layout and thread count.
    Raises ValueError for shapes that do not match or K above the kernels' limit.
    """
    (tokens, k), n = activations.shape, weights.shape[0]
    if weights.shape[1] != k:
        raise ValueError(f"activations have K = {k}, weights {weights.shape[1]}")
    tiles = pack_tiles(weights, LAYOUTS[code])
    row_sums = np.zeros(tiles.shape[0] * TILE_ROWS, dtype=np.int32)
    row_sums[:n] = weights.sum(axis=1, dtype=np.int32)
    out = np.empty((tokens, row_sums.size), dtype=np.int32)
    contiguous = np.ascontiguousarray(activations)
    _native.accumulate(choose(kernel), code, tiles, row_sums, contiguous, pool(threads), out)
    return out[:, :n]


def pack_hf(packed: NDArray[np.uint8], *, code: Code, threads: int = 1) -> NDArray[np.uint8]:
    """A layout's tiles from the HF layout uint8 [N/4, K], as `pack_tiles(unpack_hf(...))`.

    Raises CheckpointError on the illegal code 11.
    """
    n, k = 4 * packed.shape[0], packed.shape[1]
    layout = LAYOUTS[code]
    count = -(-n // TILE_ROWS)
    tiles = np.empty((count, layout.lines(k), 64), dtype=np.uint8)
    row_sums = np.empty(count * TILE_ROWS, dtype=np.int32)
    if not _native.pack_hf(code, packed, tiles, row_sums, pool(threads)):
        raise CheckpointError("packed ternary weights contain the illegal code 0b11")
    return tiles
