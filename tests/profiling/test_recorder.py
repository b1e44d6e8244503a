"""The recorder with a fake clock and a fake probe: exact numbers, and the failures it must see."""

import dataclasses
from collections.abc import Iterator

import pytest

from profile_builder import build_profile
from trine.errors import ProfileError
from trine.profiling.profile import Profile
from trine.profiling.recorder import Gap, GapContext, Operator, Recorder, Sample, Scope

ZERO: Sample = (0,) * 10


class Clock:
    """Returns the next scripted reading, then counts on by one."""

    def __init__(self, readings: list[int]) -> None:
        self._readings: Iterator[int] = iter(readings)
        self.now = 0

    def __call__(self) -> int:
        self.now = next(self._readings, self.now + 1)
        return self.now


def operator(name: str) -> Operator:
    return Operator(f"m.{name}", name, "norm", "module", "Norm", 0, "float32", 4, 4)


A, B = operator("a"), operator("b")
SCOPE = Scope("m", "mlp", 0)
X = [[1, 2, 8]]


def recorder(clock: Clock, samples: list[Sample] | None = None) -> Recorder:
    feed = iter(samples or [])

    def name_gap(context: GapContext) -> Gap | None:
        if (context.before, context.after) == ("a", "b"):
            return Gap("between", "gating", X, X)
        return None

    return Recorder(
        clock=clock,
        probe=lambda: next(feed, ZERO),
        name_gap=name_gap,
        dtype="float32",
        itemsize=4,
    )


def run_two(made: Recorder) -> None:
    made.begin_pass("prefill", "measured", 0, 0, 2, 2)
    made.enter(A)
    made.leave(A, lambda: (X, X))
    made.enter(B)
    made.leave(B, lambda: (X, X))
    made.end_pass()


# zero; then (arrived, departed) of: begin, enter A, leave A, enter B, leave B, end
READINGS = [0, 90, 100, 110, 115, 215, 220, 250, 260, 300, 310, 330, 999]


def test_exact_times() -> None:
    made = recorder(Clock(READINGS))
    run_two(made)
    (pass_,) = made.passes
    assert (pass_.start_ns, pass_.duration_ns, pass_.recorder_ns) == (100, 230, 5 + 5 + 10 + 10)
    assert [(r.operator, r.start_ns, r.duration_ns, r.source) for r in made.records] == [
        ("pass: start → a", 100, 10, "gap"),
        ("a", 115, 100, "module"),
        ("between", 220, 30, "gap"),
        ("b", 260, 40, "module"),
        ("pass: b → end", 310, 20, "gap"),
    ]
    assert sum(r.duration_ns for r in made.records) + pass_.recorder_ns == pass_.duration_ns


def test_a_named_gap_has_kind_shapes_and_cost() -> None:
    made = recorder(Clock(READINGS))
    run_two(made)
    gap = made.records[2]
    assert (gap.kind, gap.type, gap.input_shapes) == ("gating", "a → b", X)
    assert (gap.ops, gap.activation_bytes) == (16, 3 * 16 * 4)


def test_counters_are_signed_differences() -> None:
    begin, enter, leave = (
        ZERO,
        (5000, 1, 0, 10, 20, 0, 1, 0, 0, 0),
        (4000, 8, 0, 70, 21, 0, 0, 2, 0, 9),
    )
    made = recorder(Clock(READINGS), [begin, enter, leave])
    run_two(made)
    record = made.records[1]
    assert (record.rss_bytes, record.rss_delta_bytes) == (4000, -1000)
    assert (record.minor_faults, record.user_ns, record.system_ns) == (7, 60, 1)
    assert (record.graphs_compiled, record.compile_ns, record.involuntary_switches) == (2, 9, -1)


def test_scopes_name_the_gaps_inside_them() -> None:
    made = recorder(Clock([]))
    made.begin_pass("decode", "cold", 0, 3, 1, 7)
    made.enter(SCOPE)
    made.enter(A)
    made.leave(A, lambda: (X, X))
    made.leave(SCOPE)
    made.end_pass()
    assert [r.name for r in made.records] == [
        "pass: start → mlp",
        "m.mlp: start → a",
        "m.a",
        "m.mlp: a → end",
        "pass: mlp → end",
    ]
    assert made.records[1].layer == 0 and made.records[0].layer == -1


def test_outside_a_pass_nothing_is_recorded() -> None:
    made = recorder(Clock([]))
    made.enter(A)
    made.leave(A, lambda: (X, X))
    assert made.records == [] and made.passes == []


def test_overlapping_operators_fail() -> None:
    made = recorder(Clock([]))
    made.begin_pass("prefill", "measured", 0, 0, 2, 2)
    made.enter(A)
    made.enter(B)
    made.leave(B, lambda: (X, X))
    made.leave(A, lambda: (X, X))
    with pytest.raises(ProfileError, match="must not overlap"):
        made.end_pass()


def test_a_negative_gap_fails() -> None:
    backwards = [0, 90, 100, 110, 115, 215, 220, 210, 260, 300, 310, 330, 999]
    made = recorder(Clock(backwards))
    with pytest.raises(ProfileError, match="between lasts -10 ns: the clock ran backwards"):
        run_two(made)


def test_a_failed_pass_leaves_no_records() -> None:
    made = recorder(Clock([]))
    made.begin_pass("prefill", "measured", 0, 0, 2, 2)
    made.enter(A)
    made.abandon_pass()
    made.leave(A, lambda: (X, X))
    assert made.records == [] and made.passes == []
    with pytest.raises(ProfileError, match="without begin_pass"):
        made.end_pass()


def test_an_unbalanced_scope_fails() -> None:
    made = recorder(Clock([]))
    made.begin_pass("prefill", "measured", 0, 0, 2, 2)
    made.leave(SCOPE)
    with pytest.raises(ProfileError, match="left but not entered"):
        made.end_pass()


def test_the_profile_document_accepts_what_the_recorder_makes() -> None:
    made = recorder(Clock(READINGS))
    run_two(made)
    base = build_profile()
    profile = dataclasses.replace(
        base, passes=made.passes, records=made.records, experiments=[], overhead=None
    )
    profile.check()
    assert Profile.from_json(profile.to_json()) == profile


def test_shapes_are_taken_outside_the_interval() -> None:
    clock = Clock([])
    made = recorder(clock)
    made.begin_pass("prefill", "measured", 0, 0, 2, 2)
    made.enter(A)

    def slow_shapes() -> tuple[list[list[int]], list[list[int]]]:
        clock.now += 1000
        return X, X

    made.leave(A, slow_shapes)
    pass_ = made.end_pass()
    assert made.records[1].duration_ns == 1
    assert pass_.recorder_ns >= 1000


def test_records_of_a_pass_that_did_not_end_are_dropped() -> None:
    made = recorder(Clock(READINGS))
    run_two(made)
    complete = len(made.records)
    made.records.append(dataclasses.replace(made.records[0], pass_index=1))
    assert len(made.complete_records()) == complete
