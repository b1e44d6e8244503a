"""Section 6: the native engine beside PyTorch, in the same repetitions; absent without it."""

from __future__ import annotations

from trine.profiling.comparison import ComparedRow, ComparedStage
from trine.profiling.profile import Agreement
from trine.report import quantity as q
from trine.report.content.appendix import check_summary, overhead_summary
from trine.report.content.common import effect, pass_name, picture
from trine.report.content.operators import operator_table, remarks
from trine.report.document import (
    Block,
    Bullets,
    Callout,
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
    "step",
    "replaces",
    "torch",
    "native",
    "ratio",
    "spread",
    "torch_bytes",
    "native_bytes",
    "roof",
    "bound",
)


def blocks(facts: Facts, words: Words) -> list[Block]:
    """Trust first (checks, end to end), then the speeds side by side, then the engine's own."""
    native = facts.native
    if native is None:
        return []
    options = native.profile.run.options
    result: list[Block] = [
        Heading(2, words("native.title"), "native"),
        Paragraph(
            words(
                "native.intro",
                **{name: code(value) for name, value in options.items()},
                threads=native.profile.run.threads,
                size=q.size(native.profile.model.weight_bytes),
                load=q.seconds(native.profile.model.load_seconds),
            )
        ),
        Bullets([check_summary(native.profile.checks, words), *overhead_summary(native, words)]),
        Heading(3, words("native.agreement"), "native-agreement"),
        *_agreement(native.profile.agreement, words),
    ]
    if any(row.refused for stage in facts.compared for row in stage.rows):
        text = Paragraph(words("native.refused"))
        result.append(Callout("warning", words("native.refused.title"), [text]))
    if facts.compared:
        result.append(picture(words, "backends"))
    for number, stage in enumerate(facts.compared, start=2):
        name = pass_name(words, stage.stage, "measured")
        heading = words("native.stage", number=number, name=name)
        result += [
            Heading(3, heading, f"native-{stage.stage}"),
            comparison_table(stage, words),
        ]
    for found in native.warm.values():
        name = pass_name(words, found.stage, found.state)
        result += [
            Heading(4, words("native.own", name=name), f"native-own-{found.stage}"),
            operator_table(native, words, found),
            *remarks(words, found),
        ]
    return [*result, *_findings(native, words)]


def comparison_table(stage: ComparedStage, words: Words) -> Table:
    """A row a step; the ratio is of neighbouring passes."""
    columns = [words(f"native.{name}") for name in _COLUMNS]
    rows = [_row(row, words) for row in stage.rows]
    note = words("native.note", passes=q.count(stage.passes))
    return table(columns, rows, text_columns=2, note=note)


def step_label(row: ComparedRow, words: Words) -> str:
    """The step's name, or in words what the two last rows are."""
    if row.step == "wall":
        return words("row.wall")
    return code(row.step) if row.step else words("native.remainder")


def ratio_text(row: ComparedRow, words: Words) -> str:
    """How many times as long PyTorch takes; the word for a refusal."""
    if row.ratio is None:
        return words("row.refused") if row.refused else q.MISSING
    return f"{q.rate(row.ratio.median)}×"


def _row(row: ComparedRow, words: Words) -> Row:
    ratio, own = row.ratio, row.row
    roof = own.roof_share if own is not None and not row.refused else None
    cells = [
        step_label(row, words),
        words("separator").join(code(name) for name in row.replaces if name != row.step),
        q.ms(row.torch_ms),
        q.ms(row.native_ms),
        ratio_text(row, words),
        f"{q.rate(ratio.p10)} – {q.rate(ratio.p90)}" if ratio and ratio.n > 1 else q.MISSING,
        q.size(row.torch_bytes) if row.torch_bytes else q.MISSING,
        q.size(row.native_bytes) if row.native_bytes else q.MISSING,
        f"{q.percent(roof)} {own.level}" if own is not None and roof is not None else q.MISSING,
        words(f"bound.{own.bound}") if own is not None and roof is not None else q.MISSING,
    ]
    return Row(cells, "sum" if row.step == "wall" else "" if row.step else "quiet")


def _agreement(found: Agreement | None, words: Words) -> list[Block]:
    if found is None:
        return [Paragraph(words("native.no_agreement"))]
    rows = [
        Row(
            [
                words(f"native.distance.{d.name}"),
                f"{d.deviation:.1e}",
                words("native.of", part=d.same, whole=d.positions),
                words("native.of", part=d.same_decided, whole=d.decided),
            ]
        )
        for d in found.distances
    ]
    columns = [words(f"native.{n}") for n in ("distance", "deviation", "same", "same_decided")]
    tokens = words(
        "native.tokens",
        hf=code(" ".join(map(str, found.hf_tokens))),
        native=code(" ".join(map(str, found.native_tokens))),
    )
    return [
        Paragraph(words("native.agreement.intro")),
        table(columns, rows, note=words("native.agreement.note")),
        Paragraph(tokens),
    ]


def _findings(native: Facts, words: Words) -> list[Block]:
    """One line a finding about the engine itself."""
    lines = []
    for finding in native.findings:
        title = words.finding(finding.rule).title.format(**finding.values)
        amount = effect(native, words, finding)
        lines.append(f"{title} ({amount})" if amount else title)
    return (
        [Heading(4, words("native.findings"), "native-findings"), Bullets(lines)] if lines else []
    )
