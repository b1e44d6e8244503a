"""A short summary for the terminal: key figures, the slowest operators, one line a finding.

In: a `Profile`. Out: rich renderables, as wide as the terminal allows. Next: the full report.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from trine.profiling.analysis import OperatorRow, StageTable, speed_limit
from trine.profiling.comparison import ComparedStage
from trine.profiling.findings import Finding
from trine.profiling.predicted import PredictedStage
from trine.profiling.profile import STAGES, Profile
from trine.report import quantity as q
from trine.report.content.common import (
    ceiling,
    effect,
    interval,
    pass_name,
    tokens_per_second,
)
from trine.report.content.fpga import introduction
from trine.report.content.head import warnings, what_was_run
from trine.report.content.native import ratio_text, step_label
from trine.report.facts import Facts, gather
from trine.report.language import Words

# Operators listed one by one; the others are one row.
_OPERATORS = 8
# Below these widths the tables drop their less important columns.
_WIDE, _MEDIUM = 100, 72


def print_summary(
    profile: Profile, folder: Path | None, *, lang: str = "en", console: Console | None = None
) -> None:
    """Print the summary of `profile`, and where its report is if it was written."""
    console = console or Console()
    console.print(summary(gather(profile), Words(lang), console.width))
    if folder is not None:
        console.print(Words(lang)("console.files", folder=escape(str(folder))), highlight=False)


def summary(facts: Facts, words: Words, width: int) -> RenderableType:
    """The summary for a terminal of `width` columns."""
    parts: list[RenderableType] = [Text(_plain(what_was_run(facts.profile, words)))]
    for title, text in warnings(facts.profile, words):
        parts.append(Text(words("console.warning", title=title, text=_plain(text)), style="yellow"))
    parts += ["", _passes(facts, words, width)]
    for stage in STAGES:
        if found := facts.warm.get(stage):
            parts += ["", _operators(words, found, width)]
    for compared in facts.compared:
        parts += ["", _compared(words, compared)]
    if facts.profile.fpga is not None:
        parts += ["", Text(introduction(facts.profile.fpga, words))]
    for predicted in facts.predicted:
        parts += ["", _predicted(words, predicted)]
    parts += ["", Text(words("console.findings"), style="bold")]
    parts += [_finding(facts, words, finding) for finding in facts.findings]
    if not facts.findings:
        parts.append(words("findings.none"))
    return Group(*parts)


def _passes(facts: Facts, words: Words, width: int) -> Table:
    table = _table(words, ["key.pass"], ["key.median"])
    if width >= _MEDIUM:
        table.add_column(words("key.p10_p90"), justify="right")
    for name in ("rate", "ceiling"):
        table.add_column(words(f"key.{name}"), justify="right")
    for found in (*facts.warm.values(), *facts.cold.values()):
        wall = found.wall_ms
        cells = [pass_name(words, found.stage, found.state), q.ms(wall.median)]
        if width >= _MEDIUM:
            cells.append(interval(wall.p10, wall.p90) if wall.n > 1 else q.MISSING)
        limit = speed_limit(facts.profile, found)
        cells += [q.rate(tokens_per_second(found)), ceiling(limit, words)]
        table.add_row(*cells)
    return table


def _operators(words: Words, found: StageTable, width: int) -> Table:
    table = _table(words, ["operators.name"], ["operators.time", "operators.share"])
    table.title = pass_name(words, found.stage, found.state)
    speeds = ["gops", "gbytes"] if width >= _MEDIUM else []
    limits = ["roof", "bound"] if width >= _WIDE else []
    for name in (*speeds, *limits):
        table.add_column(words(f"operators.{name}"), justify="right")
    rows = sorted(
        (r for r in found.rows if r.kind != "unattributed"), key=lambda r: -r.time_ms.median
    )
    for row in rows[:_OPERATORS]:
        cells = [row.operator, q.ms(row.time_ms.median), q.percent(row.share)]
        cells += _speeds(words, row)[: len(speeds)] + _limits(words, row)[: len(limits)]
        table.add_row(*cells)
    wall = found.wall_ms.median
    rest = rows[_OPERATORS:]
    for label, ms in (
        (words("console.top", n=len(rest)), sum(r.time_ms.median for r in rest)),
        (words("row.unattributed"), found.unattributed_ms),
        (words("row.recorder"), found.recorder_ms),
        (words("row.rest"), found.rest_ms),
        (words("row.wall"), wall),
    ):
        table.add_row(label, q.ms(ms), q.percent(ms / wall if wall else None), style="dim")
    return table


def _compared(words: Words, stage: ComparedStage) -> Table:
    table = _table(words, ["native.step"], ["native.torch", "native.native", "native.ratio"])
    table.title = words("native.console", name=pass_name(words, stage.stage, "measured"))
    for row in stage.rows:
        label = _plain(step_label(row, words))
        cells = [label, q.ms(row.torch_ms), q.ms(row.native_ms), ratio_text(row, words)]
        table.add_row(*cells, style="" if row.row is not None else "dim")
    return table


def _predicted(words: Words, stage: PredictedStage) -> Table:
    """The operators that the unit would run, and their sum."""
    columns = [f"fpga.{name}" for name in ("cpu", "low", "nominal", "high")]
    table = _table(words, ["fpga.operator"], columns)
    name = pass_name(words, stage.stage, "measured")
    table.title = words("fpga.console", backend=stage.backend, name=name)
    lines = [(r.operator, r.cpu_ms, r.predicted, "") for r in stage.rows if r.predicted is not None]
    lines.append((words("fpga.sum"), stage.cpu_ms, stage.predicted, "dim"))
    for label, cpu_ms, times, style in lines:
        cells = [cpu_ms, times.low, times.nominal, times.high]
        table.add_row(label, *map(q.ms, cells), style=style)
    return table


def _speeds(words: Words, row: OperatorRow) -> list[str]:
    if row.refused:
        return [words("row.refused")] * 2
    return [q.rate(row.gops), q.rate(row.gbytes_per_second)]


def _limits(words: Words, row: OperatorRow) -> list[str]:
    if row.roof_share is None:
        return [q.MISSING] * 2
    return [f"{q.percent(row.roof_share)} {row.level}", words(f"bound.{row.bound}")]


def _finding(facts: Facts, words: Words, finding: Finding) -> Text:
    """One line: what, how much, what to do. The terminal wraps it where it must."""
    text = words.finding(finding.rule)
    line = Text("• ").append(_plain(text.title.format(**finding.values)), style="bold")
    if finding.effect_ms is not None:
        line.append(words("console.effect", text=effect(facts, words, finding)))
    fix = _plain(text.fix.format(**finding.values))
    return line.append(words("console.fix", text=fix), style="green")


def _table(words: Words, texts: list[str], numbers: list[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", title_justify="left")
    for key in texts:
        table.add_column(words(key), no_wrap=True)
    for key in numbers:
        table.add_column(words(key), justify="right")
    return table


def _plain(text: str) -> str:
    """A text without the inline marks of documents."""
    return text.replace("**", "").replace("`", "")
