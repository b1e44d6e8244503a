"""The same integer product on this machine's CPU, for a figure beside the unit's."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np

from trine import _native
from trine.hw.vectors import Vectors
from trine.kernels.native import pool
from trine.kernels.registry import choose
from trine.ternary.tiles import BASE3, TILE_ROWS, pack_tiles

# Weights of a token come from memory, not from a cache: copies are visited in turn.
_COPIES_BYTES = 512 << 20
_REPETITIONS = 5


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Median microseconds of one product, `least` and `most` of the rounds; `differing` sums."""

    kernel: str
    threads: int
    microseconds: float
    least: float
    most: float
    differing: int


def time_on_cpu(vectors: Vectors, threads: int) -> CpuTime:
    """Time the native kernel on the vectors, base 3, weights from memory; compare its sums.

    A round visits copies of the weights of 512 MiB in all, of which no cache keeps much.
    """
    kernel, workers = choose(), pool(threads)
    tiles = pack_tiles(vectors.trits, BASE3)
    copies = [tiles.copy() for _ in range(max(1, _COPIES_BYTES // tiles.nbytes))]
    sums = np.zeros(tiles.shape[0] * TILE_ROWS, np.int32)
    sums[: len(vectors.trits)] = vectors.trits.sum(axis=1, dtype=np.int32)
    activations = np.ascontiguousarray(vectors.activations)
    out = np.empty((len(activations), sums.size), np.int32)
    rounds = []
    for _ in range(_REPETITIONS):
        start = time.perf_counter()
        for copy in copies:
            _native.accumulate(kernel, "base3", copy, sums, activations, workers, out)
        rounds.append((time.perf_counter() - start) / len(copies) * 1e6)
    differing = int(np.count_nonzero(out[:, : len(vectors.trits)] != vectors.accumulators))
    return CpuTime(kernel, threads, statistics.median(rounds), min(rounds), max(rounds), differing)
