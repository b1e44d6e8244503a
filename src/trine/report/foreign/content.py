"""The reduced report of a foreign run, through the same document model as a Profile's.

In: `Shown` and `Words`. Out: a `Document`. Next: `bundle.write_reports`.
"""

from __future__ import annotations

from statistics import median

from trine.report import quantity as q
from trine.report.content.common import picture
from trine.report.document import (
    Block,
    Bullets,
    Callout,
    Cards,
    Document,
    Heading,
    Paragraph,
    Row,
    Table,
    code,
    table,
)
from trine.report.foreign.checks import checks
from trine.report.foreign.figures import COLD_FACTOR, Shown, layer_rows, usual_ms
from trine.report.language import Words


def build(shown: Shown, words: Words) -> Document:
    """The reduced report."""
    run = shown.run
    blocks: list[Block] = [
        Paragraph(words("foreign.intro", file=code(run.file), rows=len(run.rows))),
        _limits(shown, words),
        Cards(_cards(shown, words)),
        Heading(2, words("foreign.cold.title"), "cold"),
        *_cold(shown, words),
        Heading(2, words("foreign.blocks.title"), "blocks"),
        picture(words, "layers", "foreign.caption.layers"),
        _blocks(shown, words),
        Heading(2, words("foreign.operators.title"), "operators"),
        picture(words, "shares", "foreign.caption.shares"),
        _operators(shown, words),
        Heading(2, words("foreign.checks.title"), "checks"),
        Paragraph(words("foreign.checks.intro")),
        Bullets(checks(shown, words)),
        Heading(2, words("foreign.next.title"), "next"),
        Paragraph(words("foreign.next")),
    ]
    model = run.summary.model if run.summary else None
    return Document(words.lang, words("foreign.document", name=model or run.file), blocks)


def _limits(shown: Shown, words: Words) -> Callout:
    lines = []
    if shown.run.summary is None or shown.run.summary.total_ms is None:
        lines.append(words("foreign.no_wall"))
    else:
        lines.append(words("foreign.wall", file=code(shown.run.summary.file)))
    lines.append(words("foreign.one_run"))
    if shown.run.mixed_states:
        lines.append(words("foreign.mixed"))
    return Callout("warning", words("foreign.limits"), [Bullets(lines)])


def _cards(shown: Shown, words: Words) -> list[tuple[str, str, str]]:
    wall = shown.run.summary.total_ms if shown.run.summary else None
    cards = [(words("foreign.card.sum"), f"{q.ms(shown.sum_ms)} ms", "")]
    if shown.cold_ms is not None:
        ratio = shown.cold_ms / shown.warm_ms if shown.warm_ms else None
        detail = words("foreign.card.ratio", ratio=q.rate(ratio))
        cards.append((words("foreign.card.cold"), f"{q.ms(shown.cold_ms)} ms", detail))
    if shown.warm_ms is not None:
        detail = words("foreign.card.others", n=sum(layer > 0 for layer in shown.per_layer))
        cards.append((words("foreign.card.warm"), f"{q.ms(shown.warm_ms)} ms", detail))
    if wall is None:
        cards.append((words("foreign.card.wall"), words("foreign.unknown"), ""))
    else:
        share = q.percent((shown.missing_ms or 0.0) / wall if wall else None)
        cards.append((words("foreign.card.wall"), f"{q.ms(wall)} ms", ""))
        detail = words("foreign.card.of_wall", share=share)
        cards.append((words("foreign.card.missing"), f"{q.ms(shown.missing_ms)} ms", detail))
    return cards


def _cold(shown: Shown, words: Words) -> list[Block]:
    if shown.cold_ms is None or shown.warm_ms is None:
        return [Paragraph(words("foreign.cold.one"))]
    key = "foreign.cold.found" if shown.has_cold_layer else "foreign.cold.none"
    text = words(
        key,
        cold=q.ms(shown.cold_ms),
        warm=q.ms(shown.warm_ms),
        ratio=q.rate(shown.cold_ms / shown.warm_ms if shown.warm_ms else None),
        more=q.ms(shown.cold_ms - shown.warm_ms),
        factor=f"{COLD_FACTOR:g}",
    )
    first = [row for row in shown.run.rows if row.layer == 0]
    rows = []
    for row in sorted(first, key=lambda r: usual_ms(shown, r) - r.time_ms):
        usual = usual_ms(shown, row)
        rows.append(
            Row(
                [
                    code(row.operator),
                    row.input_shape,
                    q.ms(row.time_ms),
                    q.ms(usual),
                    q.ms(row.time_ms - usual),
                    q.rate(row.time_ms / usual if usual else None),
                ]
            )
        )
    columns = ("operator", "input", "first", "others", "more", "ratio")
    return [
        Paragraph(text),
        picture(words, "cold_warm", "foreign.caption.cold_warm"),
        table([words(f"foreign.{n}") for n in columns], rows, text_columns=2),
    ]


def _blocks(shown: Shown, words: Words) -> Table:
    rows = [row for row in layer_rows(shown) if row.layer > 0] or layer_rows(shown)
    names = sorted({name for row in rows for name in row.blocks})
    times = {n: sum(row.blocks.get(n, 0.0) for row in rows) / max(1, len(rows)) for n in names}
    whole = sum(times.values())
    body = [
        Row([words(f"block.{n}"), q.ms(ms), q.percent(ms / whole if whole else None)])
        for n, ms in sorted(times.items(), key=lambda item: -item[1])
    ]
    body.append(Row([words("average.layer"), q.ms(whole), q.percent(1.0)], "sum"))
    columns = [words("average.block"), words("average.time"), words("average.share")]
    return table(columns, body, note=words("foreign.blocks.note", n=len(rows)))


def _operators(shown: Shown, words: Words) -> Table:
    """All operators, those outside the layers too; shares are of the sum of all rows."""
    names = list(dict.fromkeys(row.operator for row in shown.run.rows))
    rows: list[tuple[float, Row]] = []
    for name in names:
        calls = [row for row in shown.run.rows if row.operator == name]
        later = [row for row in calls if row.layer != 0] or calls
        total = sum(row.time_ms for row in calls)
        call = median(row.time_ms for row in later)
        ops = later[0].ops
        cells = [
            code(name),
            q.count(len(calls)),
            q.ms(call),
            q.ms(total),
            q.percent(total / shown.sum_ms if shown.sum_ms else None),
            q.ops(ops).strip(),
            q.rate(ops / call / 1e6 if call else None),
        ]
        rows.append((total, Row(cells)))
    body = [row for _, row in sorted(rows, key=lambda item: -item[0])]
    body.append(
        Row([words("foreign.sum"), "", "", q.ms(shown.sum_ms), q.percent(1.0), "", ""], "sum")
    )
    columns = ("operator", "calls", "call", "total", "share", "ops", "gops")
    return table(
        [words(f"foreign.{name}") for name in columns], body, note=words("foreign.operators.note")
    )
