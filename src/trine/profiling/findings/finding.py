"""What a rule takes and what it gives.

In: a `Case`, a Profile with the tables that several rules read. Out: `Finding`s, numbers only:
the words for them live in `trine.report.texts`, by rule, in every language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from trine.profiling.analysis import OperatorRow, StageTable, stage_table
from trine.profiling.profile import STAGES, Profile, Record, Stage, State

# Below a twentieth of a pass a cure cannot be told from the spread of the repetitions.
WORTH = 0.05
EVIDENCE_LINES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One computed statement about a run.

    `effect_ms`: the time that it accounts for in one warm pass of `stage` (a rule about another
    `state` means that one), None for a fact without a time; effects overlap and do not add up.
    `values`: the figures that the texts of `rule` name (shares as fractions, unit in the name).
    `evidence`: records or passes with their figures, in units and signs only.
    `fix_environment`: the variables that cure it, if that is the cure.
    """

    rule: str
    stage: Stage | None
    state: State | None
    effect_ms: float | None
    values: dict[str, float | int | str]
    evidence: list[str]
    fix_environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """A Profile, its records by pass, and the tables of its measured passes by stage."""

    profile: Profile
    records: Mapping[int, list[Record]]
    warm: Mapping[Stage, StageTable]

    def records_of(self, stage: Stage, state: State = "measured") -> list[list[Record]]:
        """The records of each pass of one (stage, state), in order of time."""
        return [self.records.get(i, []) for i, _ in self.profile.passes_of(stage, state)]


Rule = Callable[[Case], list[Finding]]


def open_case(profile: Profile) -> Case:
    """Compute once what the rules share."""
    tables = {stage: stage_table(profile, stage) for stage in STAGES}
    # Nothing has a share of a stage that took no time.
    warm = {s: table for s, table in tables.items() if table and table.wall_ms.median > 0}
    return Case(profile, profile.records_by_pass(), warm)


def row_of(table: StageTable, operator: str) -> OperatorRow | None:
    """The row of one operator, if the stage ran it."""
    return next((row for row in table.rows if row.operator == operator), None)


def time_of(rows: list[OperatorRow]) -> float:
    """Median ms per pass of several operators together."""
    return sum(row.time_ms.median for row in rows)


def largest(rows: list[OperatorRow]) -> list[OperatorRow]:
    """The rows that took the most time, as many as a finding shows."""
    return sorted(rows, key=lambda row: -row.time_ms.median)[:EVIDENCE_LINES]


def names(rows: list[OperatorRow]) -> str:
    """Operators in a list, in the order given."""
    return ", ".join(row.operator for row in rows)
