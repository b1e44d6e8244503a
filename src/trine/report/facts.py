"""What every part of a report draws on, computed once from a Profile.

In: a `Profile`. Out: `Facts` (tables of `trine.profiling.analysis`, findings, module rows).
Next: content modules put it in words, plots draw it, files store it.
"""

from __future__ import annotations

from dataclasses import dataclass

from trine.profiling import analysis
from trine.profiling.analysis import BestRoofs, LayerRow, StageTable
from trine.profiling.comparison import ComparedStage, compare
from trine.profiling.findings import Finding, find
from trine.profiling.predicted import PredictedStage, predicted_stages
from trine.profiling.profile import STAGES, Profile, Record, Stage, State
from trine.report.layer_csv import ModuleRow, module_rows, warm_rows
from trine.report.operator_csv import OperatorFigures, operator_figures

STATES: tuple[State, ...] = ("measured", "warmup", "cold")


@dataclass(frozen=True, slots=True)
class Facts:
    """`warm` is the measured state, or what a partial run got to; `cold` the first pass of each.

    `native` are the facts of the native part of a run of both backends, `compared` its stages
    beside these. `predicted` are the stages of all backends beside the unit in hardware.
    `gaps` names the operators of each stage that are named gaps.
    """

    profile: Profile
    warm: dict[Stage, StageTable]
    cold: dict[Stage, StageTable]
    layers: dict[tuple[Stage, State], list[LayerRow]]
    gaps: dict[Stage, frozenset[str]]
    roofs: BestRoofs
    findings: list[Finding]
    modules: list[ModuleRow]
    operators: list[OperatorFigures]
    compared: list[ComparedStage]
    native: Facts | None
    predicted: list[PredictedStage]

    @property
    def middle_layer(self) -> int:
        """The layer shown beside the first: the middle one, as long as that is not layer 0."""
        return min(max(1, (self.profile.model.layers - 1) // 2), self.profile.model.layers - 1)

    def middle_rows(self) -> list[ModuleRow]:
        """The modules of the middle layer, warm where a warm prefill was measured."""
        warm = warm_rows(self.profile, self.middle_layer)
        return warm or [row for row in self.modules if row.layer == self.middle_layer]

    def example_pass(self) -> list[Record]:
        """The records of one prefill, a measured one if there is one, in order of time."""
        for state in STATES:
            for index, _ in self.profile.passes_of("prefill", state):
                return self.profile.records_by_pass().get(index, [])
        return []


def gather(profile: Profile) -> Facts:
    """Compute the facts; a profile without a single pass yields empty tables."""
    warm: dict[Stage, StageTable] = {}
    cold: dict[Stage, StageTable] = {}
    layers: dict[tuple[Stage, State], list[LayerRow]] = {}
    for stage in STAGES:
        tables = {state: analysis.stage_table(profile, stage, state) for state in STATES}
        if first := tables["cold"]:
            cold[stage] = first
        if best := tables["measured"] or tables["warmup"] or first:
            warm[stage] = best
        for state in STATES:
            if tables[state] is not None:
                layers[stage, state] = analysis.layer_rows(profile, stage, state)
    return Facts(
        profile=profile,
        warm=warm,
        cold=cold,
        layers=layers,
        gaps={stage: _gap_names(profile, stage) for stage in STAGES},
        roofs=analysis.best_roofs(profile),
        findings=find(profile),
        modules=module_rows(profile),
        operators=operator_figures(profile, warm.get("prefill")),
        compared=compare(profile),
        native=None if profile.native is None else gather(profile.native),
        predicted=predicted_stages(profile),
    )


def _gap_names(profile: Profile, stage: Stage) -> frozenset[str]:
    return frozenset(
        r.operator
        for r in profile.records
        if r.source == "gap" and profile.passes[r.pass_index].stage == stage
    )
