"""The unit in hardware beside the CPU, predicted; absent unless a prediction was asked for."""

from __future__ import annotations

from trine.profiling.predicted import PredictedRow, PredictedStage
from trine.profiling.prediction import FpgaPrediction, total
from trine.report import quantity as q
from trine.report.content.common import pass_name, picture
from trine.report.document import Block, Callout, Heading, Paragraph, Row, Table, code, table
from trine.report.facts import Facts
from trine.report.language import Words

_COLUMNS = ("operator", "terms", "cpu", "low", "nominal", "high", "share", "ratio")
_TERM_COLUMNS = ("term", "kind", "formula", "calls", "clocks", "low", "nominal", "high", "share")


def blocks(facts: Facts, words: Words) -> list[Block]:
    """What it is not first, then the evidence, then the operators and the terms they consist of."""
    fpga = facts.profile.fpga
    if fpga is None:
        return []
    # Section 6 is the native engine's, where both backends ran.
    number = 6 if facts.native is None else 7
    warning = Paragraph(words("fpga.warn"))
    result: list[Block] = [
        Heading(2, words("fpga.title", number=number), "fpga"),
        Callout("warning", words("fpga.warn.title"), [warning]),
        Paragraph(introduction(fpga, words)),
    ]
    if facts.predicted:
        result.append(picture(words, "fpga"))
    for part, stage in enumerate(facts.predicted, start=1):
        name = pass_name(words, stage.stage, "measured")
        place = {"number": number, "part": part, "name": name, "backend": stage.backend}
        result += [
            Heading(3, words("fpga.stage", **place), f"fpga-{stage.backend}-{stage.stage}"),
            stage_table(stage, words),
        ]
    last = words("fpga.all_terms", number=number, part=len(facts.predicted) + 1)
    layers = facts.profile.model.layers_total
    return [*result, Heading(3, last, "fpga-terms"), _terms(fpga, layers, words)]


def introduction(fpga: FpgaPrediction, words: Words) -> str:
    """The unit, its clock with the evidence for it, and the memory."""
    return words(
        "fpga.intro",
        part=fpga.part,
        engines=fpga.engines,
        code=words(f"fpga.code.{fpga.code}"),
        batch=fpga.batch,
        clock=q.rate(fpga.clock_mhz),
        device=fpga.device,
        fmax=f"{fpga.fmax_mhz:.1f}",
        logic=f"{fpga.logic_ps / 1e3:.2f}",
        share=q.percent(fpga.logic_ps * fpga.clock_mhz / 1e6),
        low=q.rate(fpga.memory_gbs.low),
        nominal=q.rate(fpga.memory_gbs.nominal),
        high=q.rate(fpga.memory_gbs.high),
    )


def stage_table(stage: PredictedStage, words: Words) -> Table:
    """Every operator of the CPU's pass, then the sum of what the unit runs, then the pass."""
    rows = [_row(row, words) for row in stage.rows]
    predicted = stage.predicted
    rows.append(
        Row(
            [
                words("fpga.sum"),
                "",
                q.ms(stage.cpu_ms),
                *(q.ms(ms) for ms in (predicted.low, predicted.nominal, predicted.high)),
                q.percent(1.0),
                _ratio(stage.cpu_ms, predicted.nominal),
            ],
            "sum",
        )
    )
    for label, ms in (
        (words("fpga.others"), stage.wall_ms - stage.cpu_ms),
        (words("row.wall"), stage.wall_ms),
    ):
        rows.append(Row([label, "", q.ms(ms), *[q.MISSING] * 5], "quiet"))
    columns = [words(f"fpga.{name}") for name in _COLUMNS]
    return table(columns, rows, text_columns=2, note=words("fpga.note"))


def _row(row: PredictedRow, words: Words) -> Row:
    if row.predicted is None:
        return Row([code(row.operator), "", q.ms(row.cpu_ms), *[q.MISSING] * 5], "quiet")
    terms = words("separator").join(
        f"{code(term.operator)} ({words(f'fpga.kind.{term.kind}')})" for term in row.terms
    )
    times = row.predicted
    return Row(
        [
            code(row.operator),
            terms,
            q.ms(row.cpu_ms),
            *(q.ms(ms) for ms in (times.low, times.nominal, times.high)),
            q.percent(row.share),
            _ratio(row.cpu_ms, times.nominal),
        ]
    )


def _ratio(cpu_ms: float, predicted_ms: float) -> str:
    return f"{q.rate(cpu_ms / predicted_ms)}×" if predicted_ms else q.MISSING


def _terms(fpga: FpgaPrediction, layers: int, words: Words) -> Table:
    clocks = total([term.clocks for term in fpga.terms])
    rows = []
    for term in fpga.terms:
        times = term.clocks.times(1e-3 / fpga.clock_mhz)
        rows.append(
            Row(
                [
                    code(term.operator),
                    words(f"fpga.kind.{term.kind}"),
                    code(term.formula),
                    q.count(term.count),
                    q.count(term.clocks.nominal / term.count),
                    *(q.ms(ms) for ms in (times.low, times.nominal, times.high)),
                    q.percent(term.clocks.nominal / clocks.nominal if clocks.nominal else None),
                ]
            )
        )
    times = clocks.times(1e-3 / fpga.clock_mhz)
    sums = [q.ms(ms) for ms in (times.low, times.nominal, times.high)]
    rows.append(Row([words("fpga.total"), "", "", "", "", *sums, q.percent(1.0)], "sum"))
    columns = [words(f"fpga.{name}") for name in _TERM_COLUMNS]
    note = words("fpga.terms.note", layers=layers, batch=fpga.batch)
    return table(columns, rows, text_columns=3, note=note)
