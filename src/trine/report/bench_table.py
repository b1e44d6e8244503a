"""A benchmark's rows as a table for people, Markdown, CSV, or one JSON document.

In: a `BenchResult`. Out: text. Nothing is measured here, and nothing is left out of JSON.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from trine.profiling.bench import Agreement, Row, batch_gains
from trine.profiling.profile import Machine
from trine.profiling.stats import Stat
from trine.report import quantity as q

SCHEMA = "trine-bench/1"
# What a terminal that is too narrow for all columns goes without, first to last.
_DROPPED = ("kernel", "95 % of median", "size", "cache", "GOP/s", "GB/s", "MB/token", "p10-p90")
# A pipe has no width; lines there are not broken to fit 80 columns.
_PIPE_WIDTH = 200


@dataclass(slots=True)
class BenchResult:
    """What was measured of one model: complete rows; `status` says whether any are missing."""

    model: str
    synthetic: bool
    parameters: int
    layers: int
    command: str
    machine: Machine
    versions: dict[str, str]
    rows: list[Row]
    agreements: list[Agreement]
    status: Literal["complete", "interrupted", "failed"]


def document(result: BenchResult) -> str:
    """The result as one JSON document; times in s, rates per s, shares of 1."""
    fields: dict[str, Any] = {"schema": SCHEMA, **dataclasses.asdict(result)}
    for row, plain in zip(result.rows, fields["rows"], strict=True):
        plain["test"] = row.case.name
    return json.dumps(fields, indent=2)


def heading(result: BenchResult) -> str:
    """What was run, in one line; that weights are synthetic comes first."""
    random = "SYNTHETIC (random) weights: " if result.synthetic else ""
    return (
        f"{random}{result.model}, {result.layers} layers, "
        f"{q.ops(result.parameters)} parameters, on {result.machine.cpu_model}"
    )


def notes(result: BenchResult) -> list[str]:
    """One line for each thing that the table does not say by itself."""
    lines = [
        f"{a.head} head, rows in {a.head_dtype}, against the exact ones on {a.states} hidden "
        f"states: the same best token in {a.top1}, KL(head || exact) {a.kl:.3g} nats"
        for a in result.agreements
    ]
    lines += [
        f"{row.case.name}: share refused, {row.refused} (a model of bytes or a level is wrong)"
        for row in result.rows
        if row.refused
    ]
    lines += [
        f"{gain.row.case.name}: {gain.measured:.2f} x the tokens a second of one session"
        + (f", of {gain.allowed:.2f} x that the bounds allow" if gain.allowed else "")
        for gain in batch_gains(result.rows)
    ]
    if result.status != "complete":
        lines.append(f"{result.status}: only the rows that were complete by then are shown")
    if any(row.tokens_per_second.repetitions < 6 for row in result.rows):
        lines.append("fewer than 6 repetitions: the interval is no more than an indication")
    return lines


def print_table(result: BenchResult, console: Console | None = None) -> None:
    """The table for a terminal, between heading and notes; fewer columns in a narrow one."""
    console = console or Console()
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    console.print(heading(result), highlight=False, markup=False)
    names = _names(result.rows)
    table = _table(result.rows, names)
    for name in _DROPPED:
        if table.__rich_measure__(console, console.options).maximum <= console.width:
            break
        names = [kept for kept in names if kept != name]
        table = _table(result.rows, names)
    if result.rows:
        console.print(table)
    for line in notes(result):
        console.print(line, highlight=False, markup=False)


def _names(rows: Sequence[Row]) -> list[str]:
    """The columns: that of the certificate only where a head gives one."""
    certificates = any(row.certified is not None for row in rows)
    return [name for name in _cells(rows[0]) if certificates or name != "certified"] if rows else []


def _table(rows: Sequence[Row], names: Sequence[str]) -> Table:
    table = Table()
    for name in names:
        table.add_column(name, justify="left" if name in _TEXTS else "right", no_wrap=True)
    for row in rows:
        cells = _cells(row)
        table.add_row(*(cells[name] for name in names))
    return table


def markdown(result: BenchResult) -> str:
    """The same table in Markdown, all columns."""
    lines = [heading(result), ""]
    if result.rows:
        names = _names(result.rows)
        lines.append("| " + " | ".join(names) + " |")
        marks = ["---" if name in _TEXTS else "---:" for name in names]
        lines.append("| " + " | ".join(marks) + " |")
        for cells in map(_cells, result.rows):
            lines.append("| " + " | ".join(cells[name] for name in names) + " |")
    lines += ["", *(f"- {line}" for line in notes(result))]
    return "\n".join(lines).rstrip()


def comma_separated(result: BenchResult) -> str:
    """One line a row, all digits; an empty cell is a figure that does not exist."""
    out = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in result.rows:
        facts: dict[str, Any] = {
            "model": result.model,
            "layers": result.layers,
            "synthetic": result.synthetic,
        }
        facts |= _flat(row)
        if writer is None:
            writer = csv.DictWriter(out, list(facts), lineterminator="\n")
            writer.writeheader()
        writer.writerow(facts)
    return out.getvalue().rstrip()


_TEXTS = frozenset({"kernel", "body", "head", "cache", "test"})


def _cells(row: Row) -> dict[str, str]:
    """A row's texts by column; a share is named with its level."""
    setting, rate = row.setting, row.tokens_per_second
    return {
        "size": q.size(setting.weight_bytes),
        "kernel": setting.kernel,
        "body": setting.body,
        # The whole of it is below the table for a head that has a dtype of several words.
        "head": f"{setting.head} {setting.head_dtype}" if setting.head == "float" else setting.head,
        "cache": setting.cache,
        "threads": str(setting.threads),
        "test": row.case.name,
        "tok/s": q.rate(rate.median),
        "p10-p90": f"{q.rate(rate.p10)}-{q.rate(rate.p90)}",
        "95 % of median": f"{q.rate(rate.low)}-{q.rate(rate.high)}",
        "MB/token": f"{row.bytes_per_token / 1e6:,.2f}",
        "GB/s": q.rate(row.bytes_per_second / 1e9),
        "of roof": _share(row.bandwidth_share) + (f" {row.level}" if row.bandwidth_share else ""),
        "GOP/s": q.rate(row.ops_per_second / 1e9),
        "of int8": _share(row.int8_share),
        "BitLinears of int8": _share(row.linear_share),
        "of bound": _share(row.bound_share),
        "certified": q.percent(row.certified),
    }


def _share(share: Stat | None) -> str:
    return q.percent(None if share is None else share.median)


def _flat(row: Row) -> dict[str, str | int | float | None]:
    flat: dict[str, str | int | float | None] = dataclasses.asdict(row.setting)
    flat |= {"test": row.case.name, **dataclasses.asdict(row.case)}
    rate = dataclasses.asdict(row.tokens_per_second)
    flat |= {f"tokens_per_second_{name}": value for name, value in rate.items()}
    flat |= {
        "bytes_per_token": row.bytes_per_token,
        "bytes_per_second": row.bytes_per_second,
        "level": row.level,
        "bandwidth_share": None if row.bandwidth_share is None else row.bandwidth_share.median,
        "ops_per_second": row.ops_per_second,
        "int8_share": None if row.int8_share is None else row.int8_share.median,
        "linear_share": None if row.linear_share is None else row.linear_share.median,
        "bound_share": None if row.bound_share is None else row.bound_share.median,
        "refused": row.refused,
        "certified": row.certified,
    }
    return flat
