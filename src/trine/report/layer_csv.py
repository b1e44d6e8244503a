"""`raw_layer_data.csv`: one row per module, one prefill.

Layer 0 and what lies outside the layers are the cold prefill, as a first inference shows them;
the other layers are the median of the measured prefills. The column `State` says which, since
the two must not be averaged together. Times are ms; memory is MiB of the resident set, signed,
under the column names that scripts already know.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from trine.profiling.profile import Kind, Profile, Record, State

MIB = 1024 * 1024
COLUMNS = (
    "Layer Name",
    "Layer Num",
    "Submodule",
    "Type",
    "Category",
    "Time (ms)",
    "OPs",
    "Mem Delta (MB)",
    "Abs Mem (MB)",
    "Input Shape",
)
ADDED_COLUMNS = (
    "State",
    "Passes",
    "Output Shape",
    "Dtype",
    "Modelled Bytes",
    "Minor Faults",
    "Major Faults",
    "Compile (ms)",
)
# The words of the `Category` column; a kind of its own keeps its own name.
_CATEGORIES: dict[Kind, str] = {"bitlinear": "linear"}


@dataclass(frozen=True, slots=True)
class ModuleRow:
    """One module in one prefill: ms, bytes, counts. `state` says what the figures are of."""

    name: str
    layer: int
    operator: str
    type: str
    kind: Kind
    state: State
    passes: int
    time_ms: float
    ops: int
    bytes: int
    rss_delta_bytes: float
    rss_bytes: float
    minor_faults: float
    major_faults: float
    compile_ms: float
    input_shape: list[int]
    output_shape: list[int]
    dtype: str

    def cells(self) -> dict[str, str | int | float]:
        """The row by column name."""
        values = (
            self.name,
            self.layer,
            self.operator,
            self.type,
            _CATEGORIES.get(self.kind, self.kind),
            self.time_ms,
            self.ops,
            self.rss_delta_bytes / MIB,
            self.rss_bytes / MIB,
            json.dumps(self.input_shape),
            self.state,
            self.passes,
            json.dumps(self.output_shape),
            self.dtype,
            self.bytes,
            self.minor_faults,
            self.major_faults,
            self.compile_ms,
        )
        return dict(zip(COLUMNS + ADDED_COLUMNS, values, strict=True))


def module_rows(profile: Profile) -> list[ModuleRow]:
    """The rows in the order of execution; a partial run without a warm prefill is all cold."""
    groups = profile.records_by_pass()
    samples: dict[State, list[dict[str, list[Record]]]] = {"cold": [], "measured": []}
    for state, passes in samples.items():
        for index, _ in profile.passes_of("prefill", state):
            passes.append(_by_module(groups.get(index, [])))
    cold, measured = samples["cold"], samples["measured"]
    first = (cold or measured or [{}])[0]
    rows = []
    for name, records in first.items():
        outside_or_first = records[0].layer < 1
        if cold and (outside_or_first or not measured):
            rows.append(_row(name, "cold", [records]))
        else:
            rows.append(_row(name, "measured", [p[name] for p in measured if name in p]))
    return rows


def warm_rows(profile: Profile, layer: int) -> list[ModuleRow]:
    """The medians of the measured prefills for the modules of one layer; empty without any."""
    groups = profile.records_by_pass()
    passes = [
        _by_module([r for r in groups.get(index, []) if r.layer == layer])
        for index, _ in profile.passes_of("prefill", "measured")
    ]
    names = passes[0] if passes else {}
    return [_row(name, "measured", [p[name] for p in passes if name in p]) for name in names]


def write(rows: Sequence[ModuleRow], path: Path) -> None:
    """Write `rows` with their header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS + ADDED_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.cells() for row in rows)


def _by_module(records: Sequence[Record]) -> dict[str, list[Record]]:
    calls: dict[str, list[Record]] = {}
    for record in records:
        if record.source in ("module", "step"):
            calls.setdefault(record.name, []).append(record)
    return calls


def _row(name: str, state: State, passes: Sequence[Sequence[Record]]) -> ModuleRow:
    """One module's calls, summed within a pass; medians over the passes."""
    first = passes[0][0]
    return ModuleRow(
        name=name,
        layer=first.layer,
        operator=first.operator,
        type=first.type,
        kind=first.kind,
        state=state,
        passes=len(passes),
        time_ms=median(sum(r.duration_ns for r in p) for p in passes) / 1e6,
        ops=sum(r.ops for r in passes[0]),
        bytes=sum(r.bytes for r in passes[0]),
        rss_delta_bytes=median(sum(r.rss_delta_bytes for r in p) for p in passes),
        rss_bytes=median(p[-1].rss_bytes for p in passes),
        minor_faults=median(sum(r.minor_faults for r in p) for p in passes),
        major_faults=median(sum(r.major_faults for r in p) for p in passes),
        compile_ms=median(sum(r.compile_ns for r in p) for p in passes) / 1e6,
        input_shape=first.input_shapes[0] if first.input_shapes else [],
        output_shape=first.output_shapes[0] if first.output_shapes else [],
        dtype=first.dtype,
    )
