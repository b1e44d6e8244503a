"""Section 5: the totals, what to do next, and what hardware could reach (predicted)."""

from __future__ import annotations

from trine.profiling.analysis import StageTable
from trine.profiling.profile import STAGES, Model
from trine.report import quantity as q
from trine.report.content.common import pass_name, some, tokens_per_second
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

# Bytes per second that the outlook is computed for: the usable DDR3 of a Zynq-7020 class part,
# one and two channels of DDR4-3200, two of DDR5-5600.
_BANDWIDTHS = (3.2e9, 25.6e9, 51.2e9, 89.6e9)
# Bits per ternary weight, and bytes per lm_head weight, of the storage forms that are compared.
_FORMS = (
    ("2", "bf16", 2.0, 2),
    ("2", "int8", 2.0, 1),
    ("1.6", "bf16", 1.6, 2),
    ("1.6", "int8", 1.6, 1),
)


def blocks(facts: Facts, words: Words) -> list[Block]:
    """Totals, next steps, outlook."""
    return [
        Heading(2, words("summary.title"), "summary"),
        _totals(facts, words),
        Heading(3, words("next.title"), "next"),
        *_next(facts, words),
        Heading(3, words("outlook.title"), "outlook"),
        *_outlook(facts, words),
    ]


def _totals(facts: Facts, words: Words) -> Table:
    model = facts.profile.model
    peak = max((p.rss_bytes for p in facts.profile.passes), default=model.rss_after_load_bytes)
    made = ".synthetic" if model.synthetic else ""
    load = words(f"total.load.note{made}")
    rows = [
        Row([words("total.load"), q.seconds(model.load_seconds), load]),
        Row(
            [
                words("total.memory"),
                q.size(model.rss_after_load_bytes),
                words(
                    "total.memory.note",
                    before=q.size(model.rss_before_load_bytes),
                    weights=q.size(model.weight_bytes),
                ),
            ]
        ),
        Row([words("total.peak"), q.size(peak), words("total.peak.note")]),
    ]
    shown = [facts.cold[s] for s in STAGES if s in facts.cold]
    shown += [facts.warm[s] for s in STAGES if s in facts.warm and facts.warm[s] not in shown]
    rows += [_stage_row(words, found) for found in shown]
    if layers := [r for r in facts.layers.get(("prefill", "measured"), []) if r.layer >= 1]:
        mean = sum(r.total_ms for r in layers) / len(layers)
        note = words("total.layer.note", n=len(layers))
        rows.append(Row([words("total.layer"), f"{q.ms(mean)} ms", note]))
    for stage in STAGES:
        if found := facts.warm.get(stage):
            rows += _shares(words, found)
    return Table([words("total.metric"), words("total.value"), words("total.meaning")], rows)


def _stage_row(words: Words, found: StageTable) -> Row:
    note = words(
        some(found.passes, "total.pass.note"),
        rate=q.rate(tokens_per_second(found)),
        passes=q.count(found.passes),
        tokens=q.count(found.tokens),
    )
    name = pass_name(words, found.stage, found.state)
    return Row([name, f"{q.ms(found.wall_ms.median)} ms", note])


def _shares(words: Words, found: StageTable) -> list[Row]:
    name = pass_name(words, found.stage, found.state)
    rows = []
    for block in ("mlp", "attention", "lm_head"):
        share = sum(row.share for row in found.rows if row.block == block)
        label = words("total.share", block=words(f"block.{block}"), name=name)
        rows.append(Row([label, q.percent(share), words("total.share.note")]))
    unattributed = found.unattributed_ms / found.wall_ms.median if found.wall_ms.median else None
    label = words("total.share", block=words("row.unattributed"), name=name)
    return [*rows, Row([label, q.percent(unattributed), words("total.share.note")])]


def _next(facts: Facts, words: Words) -> list[Block]:
    """The fixes of the findings, largest effect first; a fix named twice is listed once."""
    steps: dict[str, None] = {}
    for finding in sorted(facts.findings, key=lambda f: -(f.effect_ms or 0.0)):
        fix = words.finding(finding.rule).fix.format(**finding.values)
        if fix:
            steps.setdefault(fix)
    if not steps:
        return [Paragraph(words("next.none"))]
    return [Paragraph(words("next.intro")), Bullets(list(steps), ordered=True)]


def _outlook(facts: Facts, words: Words) -> list[Block]:
    model = facts.profile.model
    measured = facts.roofs.bandwidth.get("DRAM")
    bandwidths = sorted({*_BANDWIDTHS, *([measured] if measured else [])})
    columns = [words("outlook.form"), words("outlook.ternary"), words("outlook.head")]
    columns.append(words("outlook.token"))
    columns += [_bandwidth_title(words, value, measured) for value in bandwidths]
    rows = []
    for bits, head, width, head_bytes in _FORMS:
        ternary = model.ternary_parameters * width / 8
        lm_head = model.vocab_size * model.hidden_size * head_bytes
        token = ternary + lm_head
        cells = [words("outlook.form.value", bits=bits, head=head)]
        cells += [q.size(ternary), q.size(lm_head), q.size(token)]
        cells += [q.rate(value / token) for value in bandwidths]
        rows.append(Row(cells))
    result: list[Block] = [
        Callout("note", words("outlook.prediction"), [Paragraph(words("outlook.label"))]),
        Paragraph(words("outlook.formula", formula=code(_formula(model)))),
        table(columns, rows, note=words("outlook.note", layers=model.layers)),
    ]
    if bound := _amdahl(model):
        result.append(Paragraph(words("outlook.amdahl", **bound)))
    return result


def _formula(model: Model) -> str:
    return (
        f"tok/s = B / ({model.ternary_parameters:,} × bits / 8 + "
        f"{model.vocab_size:,} × {model.hidden_size:,} × e)"
    )


def _bandwidth_title(words: Words, value: float, measured: float | None) -> str:
    key = "outlook.measured" if value == measured else "outlook.bandwidth"
    return words(key, value=f"{value / 1e9:.3g}")


def _amdahl(model: Model) -> dict[str, str] | None:
    """How far the ternary layers alone can help: the bytes of a bf16 head stay."""
    ternary = model.ternary_parameters * 2 / 8
    head = model.vocab_size * model.hidden_size * 2
    if not ternary or not head:
        return None
    return {
        "share": q.percent(head / (ternary + head)),
        "limit": q.rate((ternary + head) / head),
    }
