"""`fpga_prediction.csv`: the unit's predicted times beside the CPU's measured ones.

Times in ms a pass: the CPU's are medians; the unit's were *predicted* (clocks of simulated RTL with
a modelled memory, at an assumed clock) and are empty for what it does not run.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from trine.profiling.predicted import PredictedRow, PredictedStage
from trine.profiling.prediction import FpgaPrediction

COLUMNS = (
    "Stage",
    "CPU Backend",
    "Operator",
    "Measured CPU (ms)",
    "Predicted FPGA Low (ms)",
    "Predicted FPGA Nominal (ms)",
    "Predicted FPGA High (ms)",
    "Share of Predicted",
    "Terms",
    "Clock (MHz)",
)


def write(stages: Sequence[PredictedStage], fpga: FpgaPrediction, path: Path) -> None:
    """Write every operator of every stage; a term reads "q_proj: counted"."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for stage in stages:
            writer.writerows(_cells(stage, row, fpga) for row in stage.rows)


def _cells(stage: PredictedStage, row: PredictedRow, fpga: FpgaPrediction) -> list[object]:
    times = row.predicted
    return [
        stage.stage,
        stage.backend,
        row.operator,
        row.cpu_ms,
        *((times.low, times.nominal, times.high) if times else (None, None, None)),
        row.share,
        " + ".join(f"{term.operator}: {term.kind}" for term in row.terms),
        fpga.clock_mhz,
    ]
