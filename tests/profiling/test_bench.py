"""The benchmark's arithmetic, with invented clocks and roofs: every figure is known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from trine.profiling import bench
from trine.profiling.bench import Case, Costs, Roofs, Sample, Setting
from trine.profiling.bench_run import compare

COSTS = Costs(
    body=1000, head=300, head_per_token=False, kv_position=8, macs=5000, head_macs=700, max_rows=512
)
SETTING = Setting(1300, "scalar", "2bit", "int8", "int8", "float16", 1)


def test_a_matrix_of_tests_in_order() -> None:
    cases = bench.make_cases([512, 0], [64], [0, 1024], [1, 8])
    assert [case.name for case in cases] == [
        "pp512",
        "tg64",
        "tg64xb8",
        "pp512@d1024",
        "tg64@d1024",
        "tg64xb8@d1024",
    ]
    assert bench.make_cases([0], [0], [0], [1]) == []


@pytest.mark.parametrize(
    ("case", "tokens", "nbytes", "heads"),
    [
        # Step i reads every weight once and the i keys so far.
        (Case("tg", 3), 3, 3 * 1300 + 8 * (1 + 2 + 3), 3),
        (Case("tg", 2, depth=10), 2, 2 * 1300 + 8 * (11 + 12), 2),
        # The sessions of a batch share the weights and have keys of their own.
        (Case("tg", 2, batch=4), 8, 2 * 1300 + 4 * 8 * (1 + 2), 8),
        # Two passes of at most 512 tokens, one row of logits.
        (Case("pp", 600), 600, 2 * 1000 + 300 + 8 * (512 + 600), 1),
    ],
)
def test_the_work_of_a_repetition(case: Case, tokens: int, nbytes: int, heads: int) -> None:
    ops = 2 * (5000 * tokens + 700 * heads)
    assert bench.work_of(case, COSTS) == bench.Work(tokens, nbytes, ops, 2 * 5000 * tokens)


def test_a_screened_head_is_read_for_each_token_of_a_batch() -> None:
    screened = Costs(1000, 300, True, 0, 5000, 700, 512)
    assert bench.work_of(Case("tg", 2, batch=4), screened).nbytes == 2 * (1000 + 4 * 300)


def test_only_the_run_is_timed_and_the_higher_neighbour_counts() -> None:
    now = 0.0
    log: list[str] = []

    def spend(name: str, seconds: float) -> float:
        nonlocal now
        now += seconds
        log.append(name)
        return seconds / 4

    roofs: Iterator[Roofs] = iter([Roofs(10, 1), Roofs(30, 2), Roofs(20, None)])

    def probe() -> Roofs:
        spend("probe", 100)
        return next(roofs)

    samples = bench.repeat(
        lambda: spend("run", 2), lambda: spend("reset", 50), probe, 2, lambda: now
    )
    assert log == ["probe", "run", "reset", "probe", "run", "reset", "probe"]
    assert samples == [Sample(2, Roofs(30, 2), 0.5), Sample(2, Roofs(30, None), 0.5)]


def test_a_ratio_is_taken_within_its_repetition() -> None:
    # A machine that halves its speed in between: rates differ by two, the share does not move.
    samples = [Sample(1.0, Roofs(1000, 4000)), Sample(2.0, Roofs(500, 2000))]
    row = bench.make_row(SETTING, Case("tg", 1), bench.Work(10, 900, 1000), samples, level="DRAM")
    assert row.tokens_per_second.median == pytest.approx(7.5)
    assert row.bytes_per_token == 90
    assert row.bandwidth_share is not None and row.int8_share is not None
    assert (row.bandwidth_share.p10, row.bandwidth_share.p90) == pytest.approx((0.9, 0.9))
    assert row.int8_share.median == pytest.approx(0.25)
    assert row.refused == ""


def test_bitlinears_are_held_against_their_own_time() -> None:
    samples = [Sample(4.0, Roofs(1000, 1000), 1.0), Sample(4.0, Roofs(1000, 500), 2.0)]
    row = bench.make_row(SETTING, Case("pp", 1), bench.Work(1, 9, 1000, 800), samples, level="L3")
    assert row.linear_share is not None and row.int8_share is not None
    assert row.linear_share.median == pytest.approx(0.8)
    without = [samples[0], Sample(4.0, Roofs(1000, 500))]
    row = bench.make_row(SETTING, Case("pp", 1), bench.Work(1, 9, 1000, 800), without, level="L3")
    assert row.linear_share is None


def test_a_share_that_cannot_be_is_refused_by_name() -> None:
    row = bench.make_row(
        SETTING,
        Case("tg", 1),
        bench.Work(1, 1200, 100),
        [Sample(1.0, Roofs(1000, 1000))],
        level="L3",
    )
    assert row.bandwidth_share is None and row.int8_share is not None
    assert row.refused == "1.20 x the L3 roof"


def test_a_roof_that_one_repetition_lacks_gives_no_share() -> None:
    samples = [Sample(1.0, Roofs(1000, 1)), Sample(1.0, Roofs(None, None))]
    row = bench.make_row(SETTING, Case("tg", 1), bench.Work(1, 10, 0), samples, level="DRAM")
    assert (row.bandwidth_share, row.int8_share, row.refused) == (None, None, "")


def test_a_bound_is_the_longer_of_reading_and_computing() -> None:
    # One session: 900 bytes bind (0.9 s of 1); eight: 1,600 OPs bind (1.6 s of 2).
    roofs = Roofs(1000, 1000)
    one = bench.make_row(
        SETTING, Case("tg", 1), bench.Work(1, 900, 200), [Sample(1.0, roofs)], level="DRAM"
    )
    eight = bench.make_row(
        SETTING,
        Case("tg", 1, batch=8),
        bench.Work(8, 900, 1600),
        [Sample(2.0, roofs)],
        level="DRAM",
    )
    assert one.bound_share is not None and one.bound_share.median == pytest.approx(0.9)
    assert eight.bound_share is not None and eight.bound_share.median == pytest.approx(0.8)
    (gain,) = bench.batch_gains([one, eight])
    assert gain.row is eight
    # Four tokens a second for one; the bounds allow 8 / 1.6 for 1 / 0.9.
    assert (gain.measured, gain.allowed) == pytest.approx((4, 4.5))
    assert bench.batch_gains([eight]) == []


def test_agreement_and_divergence_of_known_distributions() -> None:
    exact = np.log(np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]], dtype=np.float32))
    other = exact.copy()
    other[1] = np.log(np.array([0.25, 0.5, 0.25]))
    same, kl = compare(other, exact)
    assert same == 1
    # KL of (1/4, 1/2, 1/4) from (1/2, 1/4, 1/4) is ln 2 / 4; the first state adds nothing.
    assert kl == pytest.approx(np.log(2) / 4 / 2, rel=1e-6)


def test_rows_that_a_head_left_out_cost_their_probability() -> None:
    exact = np.log(np.array([[0.5, 0.25, 0.25]], dtype=np.float32))
    kept = exact.copy()
    kept[0, 2] = -np.inf
    assert compare(kept, exact) == (1, pytest.approx(-np.log(0.75), rel=1e-6))
