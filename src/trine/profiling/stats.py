"""A median, how far its samples spread, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Stat:
    """A median with its spread over `n` samples.

    `low`..`high` is the 95 % bootstrap interval of the median (seeded). Samples of one repetition
    are not independent (its decode steps share a heap and a neighbour), so whole repetitions are
    drawn; `repetitions` says of how many, and below six of them nothing should be claimed.
    """

    median: float
    p10: float
    p90: float
    low: float
    high: float
    n: int
    repetitions: int


def stat(samples: Sequence[float], repetitions: Sequence[int] | None = None) -> Stat:
    """Median, p10, p90 and the seeded bootstrap interval of the median (1000 resamples).

    `repetitions` names the repetition that each sample belongs to; without it each sample is one
    of its own. The order of the samples has no influence. ValueError when there are none.
    """
    if not samples:
        raise ValueError("a median needs at least one sample")
    values = np.asarray(samples, dtype=np.float64)
    groups: dict[int, list[float]] = {}
    for index, sample in enumerate(samples):
        groups.setdefault(repetitions[index] if repetitions else index, []).append(sample)
    clusters = sorted(sorted(group) for group in groups.values())
    draws = np.random.default_rng(0).integers(0, len(clusters), (_RESAMPLES, len(clusters)))
    low, high = np.percentile(_resampled_medians(clusters, draws), (2.5, 97.5))
    p10, median, p90 = np.percentile(values, (10, 50, 90))
    return Stat(
        median=float(median),
        p10=float(p10),
        p90=float(p90),
        low=float(low),
        high=float(high),
        n=values.size,
        repetitions=len(clusters),
    )


def _resampled_medians(clusters: list[list[float]], draws: NDArray[np.int64]) -> NDArray[Any]:
    """The median of the samples of the clusters in each row of `draws`."""
    if len({len(cluster) for cluster in clusters}) == 1:
        together = np.asarray(clusters)[draws]
        medians: NDArray[Any] = np.median(together.reshape(len(draws), -1), axis=1)
        return medians
    # An operator that some passes lack leaves repetitions of different sizes.
    return np.array([np.median(np.concatenate([clusters[i] for i in row])) for row in draws])
