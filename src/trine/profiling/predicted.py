"""The unit's predicted times beside the measured ones: pure functions of one Profile.

In: a `Profile` that carries an `FpgaPrediction`. Out: a `PredictedStage` for each measured stage of
each backend. The predicted times were not measured on a board.
"""

from __future__ import annotations

from dataclasses import dataclass

from trine.profiling.analysis import StageTable, stage_table
from trine.profiling.native_steps import REPLACES
from trine.profiling.prediction import (
    HEAD,
    RESCORE,
    FpgaPrediction,
    PredictedTerm,
    Range,
    total,
)
from trine.profiling.profile import STAGES, Profile, Stage


@dataclass(frozen=True, slots=True)
class PredictedRow:
    """One operator of a pass: the CPU's median, and the prediction for what `terms` name.

    Times in ms a pass, `share` of all that is predicted with nominal memory. `terms` is empty,
    `predicted` and `share` None, for what the unit does not run.
    """

    operator: str
    calls: int
    cpu_ms: float
    terms: tuple[PredictedTerm, ...]
    predicted: Range | None
    share: float | None


@dataclass(frozen=True, slots=True)
class PredictedStage:
    """A stage of one backend: rows in the order of execution.

    `cpu_ms` and `predicted` sum the rows that the unit runs; `wall_ms` is the CPU's whole pass.
    """

    stage: Stage
    backend: str
    tokens: int
    rows: list[PredictedRow]
    cpu_ms: float
    predicted: Range
    wall_ms: float


def predicted_stages(profile: Profile) -> list[PredictedStage]:
    """Every measured stage of every backend; empty without a prediction."""
    if profile.fpga is None:
        return []
    parts = (profile, *([profile.native] if profile.native is not None else []))
    tables = [(part, stage_table(part, stage)) for part in parts for stage in STAGES]
    return [_stage(profile.fpga, part, table) for part, table in tables if table is not None]


def _stage(fpga: FpgaPrediction, part: Profile, table: StageTable) -> PredictedStage:
    times = {row.operator: _of(fpga, row.operator, table) for row in table.rows}
    calls = {row.operator: row.calls for row in table.rows}
    all_of_it = total([each.times(calls[name]) for name, each in times.items() if each is not None])
    nominal, rows = all_of_it.nominal, []
    for row in table.rows:
        if row.kind == "unattributed":
            continue
        each = times[row.operator]
        predicted = None if each is None else each.times(row.calls)
        names = _names(row.operator)
        rows.append(
            PredictedRow(
                operator=row.operator,
                calls=row.calls,
                cpu_ms=row.time_ms.median,
                terms=tuple(term for term in fpga.terms if term.operator in names),
                predicted=predicted,
                share=predicted.nominal / nominal if predicted is not None and nominal else None,
            )
        )
    return PredictedStage(
        stage=table.stage,
        backend=part.run.backend,
        tokens=table.tokens,
        rows=rows,
        cpu_ms=sum(row.cpu_ms for row in rows if row.predicted is not None),
        predicted=all_of_it,
        wall_ms=table.wall_ms.median,
    )


def _names(operator: str) -> tuple[str, ...]:
    """The terms that an operator, or a step of the native engine, takes on the unit."""
    names = REPLACES.get(operator, (operator,))
    return (*names, RESCORE) if HEAD in names else names


def _of(fpga: FpgaPrediction, operator: str, table: StageTable) -> Range | None:
    """One call in ms; the head scores the last token of a prompt only."""
    names = _names(operator)
    tokens = 1 if HEAD in names else table.tokens
    found = [fpga.milliseconds(name, tokens) for name in names]
    times = [time for time in found if time is not None]
    return total(times) if times else None
