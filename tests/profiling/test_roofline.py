from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trine.profiling.caches import Caches
from trine.profiling.roofline import REFUSE_ABOVE, Ceilings, blend, judge, level_of

# Ridge at 200e9 / 20e9 = 10 OP per byte.
DRAM = Ceilings("DRAM", "DRAM", 20e9, 20e9, 200e9, exact=True)


@pytest.mark.parametrize(
    ("working_set", "level"),
    [(0, "L2"), (1000, "L2"), (1001, "L3"), (8000, "L3"), (8001, "DRAM")],
)
def test_the_smallest_level_that_holds_it(working_set: int, level: str) -> None:
    assert level_of(working_set, Caches(500, 1, 8000, 1), threads=2) == level


def test_an_unknown_cache_size_means_the_next_level() -> None:
    assert level_of(1, Caches(0, 1, 8000, 1), 1) == "L3"
    assert level_of(1, Caches(0, 1, 0, 0), 1) == "DRAM"


def test_below_the_ridge_memory_bounds() -> None:
    # 1 OP per byte: at most 20 GOPS; 10e9 bytes in a second are half of that.
    verdict = judge(10_000_000_000, 10_000_000_000, 1.0, DRAM)
    assert (verdict.gops, verdict.gbytes_per_second) == (10.0, 10.0)
    assert (verdict.roof_share, verdict.bound, verdict.refused) == (0.5, "memory", "")


def test_above_the_ridge_compute_bounds() -> None:
    verdict = judge(100_000_000_000, 1_000_000_000, 1.0, DRAM)
    assert (verdict.roof_share, verdict.bound) == (0.5, "compute")


def test_without_ops_the_bandwidth_alone_counts() -> None:
    verdict = judge(0, 15_000_000_000, 1.0, DRAM)
    assert (verdict.gops, verdict.roof_share, verdict.bound) == (0.0, 0.75, "memory")


def test_far_below_both_roofs_is_overhead() -> None:
    verdict = judge(1_000_000_000, 1_000_000_000, 1.0, DRAM)
    assert (verdict.roof_share, verdict.bound) == (0.05, "overhead")


def test_a_rate_above_the_bandwidth_is_refused_with_figure_level_and_roof() -> None:
    verdict = judge(0, 24_000_000_000, 1.0, DRAM)
    assert verdict.refused == "24.0 GB/s > 1.15 × 20.0 GB/s (DRAM)"
    assert (verdict.gops, verdict.gbytes_per_second, verdict.roof_share) == (None, None, None)


def test_a_rate_above_the_peak_is_refused() -> None:
    verdict = judge(231_000_000_000, 1_000_000_000, 1.0, DRAM)
    assert verdict.refused == "231.0 GOPS > 1.15 × 200.0 GOPS"


def test_the_margin_itself_is_not_refused() -> None:
    assert not judge(0, round(REFUSE_ABOVE * 20e9), 1.0, DRAM).refused


@pytest.mark.parametrize(
    "ceilings",
    [
        Ceilings("DRAM", "DRAM", None, None, 200e9, exact=True),
        Ceilings("DRAM", "DRAM", 20e9, 20e9, None, exact=True),
    ],
)
def test_without_a_probe_there_is_no_share(ceilings: Ceilings) -> None:
    verdict = judge(10_000_000_000, 10_000_000_000, 1.0, ceilings)
    assert (verdict.gops, verdict.roof_share, verdict.bound) == (10.0, None, "")


def test_without_any_probe_nothing_is_refused() -> None:
    assert not judge(
        10**18, 10**18, 1.0, Ceilings("DRAM", "DRAM", None, None, None, exact=True)
    ).refused


def test_a_compute_probe_that_is_only_a_floor_refuses_nothing_and_bounds_nothing() -> None:
    floor = Ceilings("DRAM", "DRAM", 20e9, 20e9, 200e9, exact=False)
    above = judge(400_000_000_000, 1_000_000_000, 1.0, floor)
    assert (above.gops, above.roof_share, above.bound, above.refused) == (400.0, None, "", "")
    assert judge(10_000_000_000, 10_000_000_000, 1.0, floor).roof_share == 0.5


def test_nothing_is_said_about_no_time() -> None:
    assert judge(1, 1, 0.0, DRAM).gops is None


def test_work_that_is_not_modelled_has_no_share() -> None:
    verdict = judge(0, 0, 1.0, DRAM)
    assert (verdict.gops, verdict.roof_share, verdict.bound) == (0.0, None, "")


@given(
    ops=st.integers(0, 10**12),
    moved=st.integers(0, 10**12),
    seconds=st.floats(1e-9, 1e3),
)
def test_what_is_printed_never_exceeds_a_roof(ops: int, moved: int, seconds: float) -> None:
    verdict = judge(ops, moved, seconds, DRAM)
    if verdict.refused:
        assert verdict.gops is None and verdict.roof_share is None
        return
    assert verdict.gbytes_per_second is not None and verdict.gops is not None
    assert verdict.gbytes_per_second <= REFUSE_ABOVE * 20 * (1 + 1e-12)
    assert verdict.gops <= REFUSE_ABOVE * 200 * (1 + 1e-12)
    assert verdict.roof_share is None or 0 <= verdict.roof_share <= REFUSE_ABOVE * (1 + 1e-12)


def test_a_call_that_streams_and_reuses_attains_a_rate_in_between() -> None:
    # 10 bytes at 2 B/s and 10 at 10 B/s: 20 bytes in 6 s.
    assert blend(10, 10, streams_from=2, stays_in=10) == pytest.approx(20 / 6)
    assert blend(10, 0, streams_from=2, stays_in=10) == 2
    assert blend(0, 10, streams_from=2, stays_in=10) == 10


def test_refusal_looks_at_the_limit_and_the_share_at_the_attainable_bandwidth() -> None:
    reused = Ceilings("DRAM", "L3", limit=100e9, bandwidth=20e9, compute=200e9, exact=True)
    verdict = judge(1, 40_000_000_000, 1.0, reused)
    assert not verdict.refused and verdict.gbytes_per_second == 40.0
    # Faster than the level it was thought to stream from: the rate is real, the share is not.
    assert (verdict.roof_share, verdict.bound) == (None, "")
    assert judge(1, 116_000_000_000, 1.0, reused).refused
