from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trine.profiling.stats import stat


def test_stat_by_hand() -> None:
    result = stat([5.0, 1.0, 4.0, 2.0, 3.0])
    assert (result.median, result.n) == (3.0, 5)
    assert result.p10 == pytest.approx(1.4) and result.p90 == pytest.approx(4.6)
    assert 1.0 <= result.low <= 3.0 <= result.high <= 5.0


def test_stat_of_one_sample_and_of_none() -> None:
    assert dataclasses.astuple(stat([7.0])) == (7.0, 7.0, 7.0, 7.0, 7.0, 1, 1)
    with pytest.raises(ValueError, match="at least one sample"):
        stat([])


def test_samples_of_one_repetition_are_drawn_together() -> None:
    """Two repetitions of a hundred equal steps are two observations and not two hundred."""
    values, repetitions = [1.0] * 100 + [2.0] * 99, [0] * 100 + [1] * 99
    alone, together = stat(values), stat(values, repetitions)
    assert (alone.n, alone.repetitions) == (199, 199)
    assert (together.n, together.repetitions) == (199, 2)
    assert (together.median, together.low, together.high) == (1.0, 1.0, 2.0)
    # The spread is that of all samples, however they are drawn.
    assert (together.p10, together.p90) == (alone.p10, alone.p90)


samples = st.lists(st.floats(0, 1e6), min_size=1, max_size=30)


@given(samples, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_stat_knows_no_order(values: list[float], shuffle: random.Random) -> None:
    before = stat(values)
    shuffle.shuffle(values)
    assert stat(values) == before


@given(samples)
@settings(max_examples=50)
def test_stat_stays_within_its_samples(values: list[float]) -> None:
    result = stat(values)
    assert min(values) <= result.low <= result.high <= max(values)
    assert result.p10 <= result.median <= result.p90
