"""`backend_comparison.csv`: the steps of the native engine beside what they replace in PyTorch.

Times are ms per pass, medians over the passes that both ran; the ratio is the median over pairs
of passes, empty where a numeric check refuses it. The step "wall" is the whole pass.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from trine.profiling.comparison import ComparedRow, ComparedStage

COLUMNS = (
    "Stage",
    "Step",
    "Replaces",
    "PyTorch (ms)",
    "Native (ms)",
    "Ratio",
    "Ratio p10",
    "Ratio p90",
    "PyTorch Bytes",
    "Native Bytes",
    "PyTorch OPs",
    "Native OPs",
    "Native GB/s",
    "Native GOPS",
    "Share of Roof",
    "Roof Level",
    "Bound By",
    "Passes",
)


def write(stages: Sequence[ComparedStage], path: Path) -> None:
    """Write all rows of all stages."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for stage in stages:
            writer.writerows(_cells(stage, row) for row in stage.rows)


def _cells(stage: ComparedStage, row: ComparedRow) -> list[object]:
    ratio, own = row.ratio, row.row
    return [
        stage.stage,
        row.step or "remainder",
        " + ".join(row.replaces),
        row.torch_ms,
        row.native_ms,
        *((ratio.median, ratio.p10, ratio.p90) if ratio else (None, None, None)),
        row.torch_bytes,
        row.native_bytes,
        row.torch_ops,
        row.native_ops,
        *((own.gbytes_per_second, own.gops, own.roof_share) if own else (None, None, None)),
        *((own.level, own.bound) if own and own.roof_share is not None else ("", "")),
        stage.passes,
    ]
