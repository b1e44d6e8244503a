"""The native engine beside PyTorch, operator by operator: a pure function of one Profile.

In: a `Profile` whose `native` part ran in the same repetitions. Out: `ComparedStage`s.

A row is one step of the engine and all operators of PyTorch whose work it does
(`native_steps.REPLACES`). Ratios are taken between passes of the same repetition and step, which
lie next to each other in time, and their median is given; a ratio of medians would mix what the
machine did in different minutes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from trine.profiling.analysis import OperatorRow, stage_table
from trine.profiling.native_steps import REPLACES
from trine.profiling.profile import NS_PER_MS, STAGES, Pass, Profile, Record, Stage
from trine.profiling.stats import Stat, stat


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One step; times in ms per pass, `ratio` = PyTorch's time over the engine's.

    `step` is "" for what remains of a pass (what lies between the operators, and the recorder)
    and "wall" for all of it. `refused` says that no ratio is given, since one of the two outputs
    failed its numeric check or was not checked. `row` is the engine's operator, if there is one.
    """

    step: str
    replaces: tuple[str, ...]
    torch_ms: float
    native_ms: float
    ratio: Stat | None
    torch_bytes: int
    native_bytes: int
    torch_ops: int
    native_ops: int
    row: OperatorRow | None
    refused: bool


@dataclass(frozen=True, slots=True)
class ComparedStage:
    """Rows in the order of execution, then what remains, then the whole pass."""

    stage: Stage
    passes: int
    rows: list[ComparedRow]


@dataclass(frozen=True, slots=True)
class _Work:
    ns: int
    bytes: int
    ops: int

    def plus(self, other: _Work) -> _Work:
        return _Work(self.ns + other.ns, self.bytes + other.bytes, self.ops + other.ops)


_NOTHING = _Work(0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Timed:
    wall: Pass
    totals: Mapping[str, _Work]


def compare(profile: Profile) -> list[ComparedStage]:
    """The measured stages that both backends ran; empty without a native part."""
    if profile.native is None:
        return []
    found = [_stage(profile, profile.native, stage) for stage in STAGES]
    return [stage for stage in found if stage is not None]


def _stage(torch: Profile, native: Profile, stage: Stage) -> ComparedStage | None:
    ours, theirs = _side(native, stage), _side(torch, stage)
    keys = sorted(ours.keys() & theirs.keys())
    table, torch_table = stage_table(native, stage), stage_table(torch, stage)
    if not keys or table is None or torch_table is None:
        return None
    wrong = {*table.wrong, *torch_table.wrong}
    unchecked = not native.checks or not torch.checks
    repetitions = [repetition for repetition, _ in keys]

    def row(step: str, torch_work: list[_Work], native_work: list[_Work], bad: bool) -> ComparedRow:
        pairs = [t.ns / n.ns for t, n in zip(torch_work, native_work, strict=True) if n.ns and t.ns]
        told = not bad and not unchecked and len(pairs) == len(keys)
        return ComparedRow(
            step=step,
            replaces=REPLACES.get(step, ()),
            torch_ms=median(work.ns for work in torch_work) / NS_PER_MS,
            native_ms=median(work.ns for work in native_work) / NS_PER_MS,
            ratio=stat(pairs, repetitions) if told else None,
            torch_bytes=round(median(work.bytes for work in torch_work)),
            native_bytes=round(median(work.bytes for work in native_work)),
            torch_ops=round(median(work.ops for work in torch_work)),
            native_ops=round(median(work.ops for work in native_work)),
            row=row_of.get(step),
            refused=bad or unchecked,
        )

    row_of = {found.operator: found for found in table.rows}
    rows = []
    for step, replaces in REPLACES.items():
        if step in row_of:
            theirs_work = [_sum(theirs[key].totals, replaces) for key in keys]
            ours_work = [_sum(ours[key].totals, (step,)) for key in keys]
            rows.append(row(step, theirs_work, ours_work, bool(wrong & {step, *replaces})))
    known = tuple(operator for replaces in REPLACES.values() for operator in replaces)
    for step, left_out in (("", True), ("wall", False)):
        work = [
            [_pass_work(side[key], named if left_out else ()) for key in keys]
            for side, named in ((theirs, known), (ours, tuple(REPLACES)))
        ]
        rows.append(row(step, work[0], work[1], bool(wrong)))
    return ComparedStage(stage, len(keys), rows)


def _side(profile: Profile, stage: Stage) -> dict[tuple[int, int], _Timed]:
    """The measured passes of a stage by repetition and step."""
    by_pass = profile.records_by_pass()
    return {
        (pass_.repetition, pass_.step): _Timed(pass_, _totals(by_pass.get(index, [])))
        for index, pass_ in profile.passes_of(stage, "measured")
    }


def _totals(records: Sequence[Record]) -> dict[str, _Work]:
    totals: dict[str, _Work] = {}
    for r in records:
        before = totals.get(r.operator, _NOTHING)
        totals[r.operator] = before.plus(_Work(r.duration_ns, r.bytes, r.ops))
    return totals


def _sum(totals: Mapping[str, _Work], operators: Sequence[str]) -> _Work:
    found = _NOTHING
    for operator in operators:
        found = found.plus(totals.get(operator, _NOTHING))
    return found


def _pass_work(timed: _Timed, without: Sequence[str]) -> _Work:
    """All of a pass, the recorder's time in it, less what some operators did."""
    everything, named = _sum(timed.totals, list(timed.totals)), _sum(timed.totals, without)
    return _Work(
        timed.wall.duration_ns - named.ns,
        everything.bytes - named.bytes,
        everything.ops - named.ops,
    )
