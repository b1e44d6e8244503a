"""Sections 4.1 and 4.2: the operator tables, whose rows add up to the wall time."""

from __future__ import annotations

from collections.abc import Sequence

from trine.profiling.analysis import OperatorRow, StageTable
from trine.profiling.profile import STAGES
from trine.report import quantity as q
from trine.report.content.common import interval, pass_bytes, pass_name, picture, some
from trine.report.document import (
    Block,
    Bullets,
    Heading,
    Paragraph,
    Row,
    Table,
    code,
    table,
)
from trine.report.facts import Facts
from trine.report.language import Words

_COLUMNS = (
    "name",
    "calls",
    "call",
    "time",
    "spread",
    "share",
    "ops",
    "ops_share",
    "gops",
    "gbytes",
    "roof",
    "bound",
    "faults",
    "rss",
)


def blocks(facts: Facts, words: Words) -> list[Block]:
    """One table per stage; stages never mix."""
    result: list[Block] = [
        Heading(2, words("operators.title"), "operators"),
        Paragraph(words("operators.intro")),
        picture(words, "shares"),
    ]
    for number, stage in enumerate(STAGES, start=1):
        if found := facts.warm.get(stage):
            name = pass_name(words, stage, found.state)
            heading = words("operators.stage", number=number, name=name)
            result += [
                Heading(3, heading, f"operators-{stage}"),
                operator_table(facts, words, found),
                *remarks(words, found),
            ]
    return result


def operator_table(facts: Facts, words: Words, found: StageTable) -> Table:
    """Operators by time, then named gaps, then what is left, then the wall time they sum to."""
    gaps = facts.gaps[found.stage]
    attributed = [r for r in found.rows if r.kind != "unattributed"]
    named = sorted((r for r in attributed if r.operator in gaps), key=_slowest)
    operators = sorted((r for r in attributed if r.operator not in gaps), key=_slowest)
    rows = [Row(_cells(words, row)) for row in operators]
    rows += [Row(_cells(words, row, gap=True)) for row in named]
    for label, value in (
        (words("row.unattributed"), found.unattributed_ms),
        (words("row.recorder"), found.recorder_ms),
        (words("row.rest"), found.rest_ms),
    ):
        rows.append(_remainder(label, value, found))
    rows.append(_wall(words, found))
    columns = [words(f"operators.{name}") for name in _COLUMNS]
    passes = words(some(found.passes, "operators.passes"), passes=q.count(found.passes))
    note = words("operators.note", passes=passes)
    return table(columns, rows, note=note)


def _slowest(row: OperatorRow) -> float:
    return -row.time_ms.median


def _cells(words: Words, row: OperatorRow, *, gap: bool = False) -> list[str]:
    name = words("row.gap", name=code(row.operator)) if gap else code(row.operator)
    refused = words("row.refused") if row.refused else None
    many = row.time_ms.n > 1
    return [
        name,
        q.count(row.calls),
        q.ms(row.call_ms.median),
        q.ms(row.time_ms.median),
        interval(row.time_ms.p10, row.time_ms.p90) if many else q.MISSING,
        q.percent(row.share),
        q.ops(row.ops).strip(),
        q.percent(row.ops_share),
        refused or (q.rate(row.gops) if row.ops else q.MISSING),
        refused or (q.rate(row.gbytes_per_second) if row.bytes else q.MISSING),
        q.MISSING if row.roof_share is None else f"{q.percent(row.roof_share)} {row.level}",
        words(f"bound.{row.bound}") if row.roof_share is not None else q.MISSING,
        q.count(row.minor_faults),
        q.size(row.rss_delta_bytes),
    ]


def _remainder(label: str, value: float, found: StageTable) -> Row:
    share = value / found.wall_ms.median if found.wall_ms.median else None
    empty = [""] * (len(_COLUMNS) - 6)
    return Row([label, "", "", q.ms(value), "", q.percent(share), *empty], "quiet")


def _wall(words: Words, found: StageTable) -> Row:
    wall = found.wall_ms
    all_ops = sum(row.ops for row in found.rows)
    valid = bool(wall.median) and not found.wrong
    return Row(
        [
            words("row.wall"),
            "",
            "",
            q.ms(wall.median),
            interval(wall.p10, wall.p90) if wall.n > 1 else q.MISSING,
            q.percent(1.0),
            q.ops(all_ops).strip(),
            q.percent(1.0),
            q.rate(all_ops / wall.median / 1e6 if valid else None),
            q.rate(pass_bytes(found) / wall.median / 1e6 if valid else None),
            "",
            "",
            q.count(_total([row.minor_faults for row in found.rows])),
            q.size(_total([row.rss_delta_bytes for row in found.rows])),
        ],
        "sum",
    )


def _total(values: Sequence[float | None]) -> float | None:
    """The sum; None where nothing was counted."""
    counted = [value for value in values if value is not None]
    return sum(counted) if counted else None


def remarks(words: Words, found: StageTable) -> list[Block]:
    """The largest gaps without a name, and every refused figure with its reason."""
    gaps = sorted((r for r in found.rows if r.kind == "unattributed"), key=_slowest)
    items = []
    if gaps:
        longest = [f"{code(r.operator)} {q.ms(r.time_ms.median)} ms" for r in gaps[:3]]
        names = words("separator").join(longest)
        items.append(words("operators.gaps", n=len(gaps), names=names))
    items += [_refusal(words, row) for row in found.rows if row.refused]
    return [Bullets(items)] if items else []


def _refusal(words: Words, row: OperatorRow) -> str:
    return words("operators.refused", name=code(row.operator), reason=code(row.refused))
