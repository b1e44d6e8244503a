"""`final_operator_benchmark.csv` and its two halves: one row per operator of a decoder layer.

Figures are per call, averaged over layers 1 and up (layer 0 alone when there is no other), and
the median of that average over the measured prefills. `Time Ratio` and `OPs Ratio` are of the sum
of all operators listed in `final_operator_benchmark.csv`, in all three files; lm_head and what
runs outside the modules is in neither, so `Share of Wall` beside them is of the whole prefill.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from trine.profiling.analysis import StageTable, block_of
from trine.profiling.profile import Kind, Profile, Record, State
from trine.report.layer_csv import MIB

COLUMNS = (
    "Submodule",
    "Time (ms)",
    "OPs",
    "Mem Delta (MB)",
    "Category",
    "Effective GOPS",
    "Time Ratio (%)",
    "OPs Ratio (%)",
)
ADDED_COLUMNS = (
    "State",
    "Ratio Base",
    "Calls Per Pass",
    "Share of Wall (%)",
    "Modelled Bytes",
    "GB/s",
    "Minor Faults",
)
RATIO_BASE = "sum of this operator list, one layer"


@dataclass(frozen=True, slots=True)
class OperatorFigures:
    """One operator per call. `gops` and `gbytes_per_second` are None when a roof refuses them."""

    operator: str
    kind: Kind
    block: str
    state: State
    calls: int
    time_ms: float
    ops: float
    bytes: float
    rss_delta_bytes: float
    minor_faults: float
    time_ratio: float
    ops_ratio: float
    wall_share: float
    refused: bool

    @property
    def linear(self) -> bool:
        """Whether it is a matrix product, ternary or not."""
        return self.kind in ("linear", "bitlinear")

    def cells(self) -> dict[str, str | int | float | None]:
        """The row by column name; a refused speed is an empty cell."""
        speed = not self.refused and self.time_ms > 0
        values = (
            self.operator,
            self.time_ms,
            self.ops,
            self.rss_delta_bytes / MIB,
            "linear" if self.linear else "nonlinear",
            self.ops / self.time_ms / 1e6 if speed else None,
            self.time_ratio * 100,
            self.ops_ratio * 100,
            self.state,
            RATIO_BASE,
            self.calls,
            self.wall_share * 100,
            self.bytes,
            self.bytes / self.time_ms / 1e6 if speed else None,
            self.minor_faults,
        )
        return dict(zip(COLUMNS + ADDED_COLUMNS, values, strict=True))


def operator_figures(profile: Profile, table: StageTable | None) -> list[OperatorFigures]:
    """The operators of a decoder layer, slowest first; `table` is that prefill's operator table."""
    if table is None:
        return []
    groups = profile.records_by_pass()
    passes = [
        _by_operator(groups.get(index, []))
        for index, _ in profile.passes_of("prefill", table.state)
    ]
    refused = {row.operator for row in table.rows if row.refused}
    times = {
        name: median(_mean(p[name], "duration_ns") for p in passes if name in p) / 1e6
        for name in passes[0]
    }
    ops = {name: _mean(calls, "ops") for name, calls in passes[0].items()}
    all_time, all_ops = sum(times.values()), sum(ops.values())
    wall = table.wall_ms.median
    figures = []
    for name, calls in passes[0].items():
        every = [p[name] for p in passes if name in p]
        figures.append(
            OperatorFigures(
                operator=name,
                kind=calls[0].kind,
                block=block_of(calls[0].name, name, calls[0].kind),
                state=table.state,
                calls=len(calls),
                time_ms=times[name],
                ops=ops[name],
                bytes=_mean(calls, "bytes"),
                rss_delta_bytes=median(_mean(c, "rss_delta_bytes") for c in every),
                minor_faults=median(_mean(c, "minor_faults") for c in every),
                time_ratio=times[name] / all_time if all_time else 0.0,
                ops_ratio=ops[name] / all_ops if all_ops else 0.0,
                wall_share=times[name] * len(calls) / wall if wall else 0.0,
                refused=name in refused,
            )
        )
    return sorted(figures, key=lambda f: -f.time_ms)


def write_all(figures: Sequence[OperatorFigures], out: Path) -> list[Path]:
    """The three files, in the order and with the sorting that they always had."""
    by_name = sorted(figures, key=lambda f: f.operator)
    files = {
        "final_operator_benchmark.csv": list(figures),
        "linear_operator_stats.csv": [f for f in by_name if f.linear],
        "nonlinear_operator_stats.csv": [f for f in by_name if not f.linear],
    }
    for name, rows in files.items():
        with (out / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS + ADDED_COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(row.cells() for row in rows)
    return [out / name for name in files]


def _by_operator(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Module calls of layers 1 and up by operator; of layer 0 if that is the only layer."""
    modules = [r for r in records if r.source in ("module", "step") and r.layer >= 0]
    later = [r for r in modules if r.layer >= 1]
    calls: dict[str, list[Record]] = {}
    for record in later or modules:
        calls.setdefault(record.operator, []).append(record)
    return calls


def _mean(records: Sequence[Record], field: str) -> float:
    return fmean(getattr(record, field) for record in records)
