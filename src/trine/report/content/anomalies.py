"""Sections 4.4 and 4.5: the roofline, then cold against warm and what was compiled."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from trine.profiling.profile import STAGES, Pass, Record, Roof
from trine.report import quantity as q
from trine.report.content.common import pass_name, picture
from trine.report.document import (
    Block,
    Heading,
    Paragraph,
    Row,
    Table,
    code,
    table,
)
from trine.report.facts import Facts
from trine.report.language import Words

# Compile events shown one by one; the rest is summed in one row.
_EVENTS = 10
_COLD_COLUMNS = ("pass", "cold", "warm", "ratio", "compile", "graphs", "hits", "without")
_EVENT_COLUMNS = ("pass", "name", "input", "time", "compile", "graphs", "hits")
_ROOF_COLUMNS = ("level", "isa", "threads", "best", "median", "lowest", "probes")


def blocks(facts: Facts, words: Words) -> list[Block]:
    """The measured roofs with the operators on them, and what set the cold run apart."""
    result: list[Block] = [
        Heading(3, words("roofline.title"), "roofline"),
        Paragraph(words("roofline.intro")),
    ]
    if facts.profile.roofs:
        result += [picture(words, "roofline"), _roofs(facts.profile.roofs, words)]
    else:
        result.append(Paragraph(words("roofline.none")))
    result += [
        Heading(3, words("anomalies.title"), "anomalies"),
        Paragraph(words("anomalies.intro")),
        picture(words, "cold_warm"),
    ]
    if facts.cold:
        result.append(_cold(facts, words))
        result += _compiled(facts, words)
    return result


def _roofs(roofs: Sequence[Roof], words: Words) -> Table:
    groups: dict[tuple[str, int], list[Roof]] = {}
    for roof in roofs:
        groups.setdefault((roof.level, roof.threads), []).append(roof)
    rows = []
    for (level, threads), probes in groups.items():
        values = [probe.value for probe in probes]
        best = max(probes, key=lambda probe: probe.value)
        unit = "GB/s" if best.unit == "B/s" else "GOP/s"
        rows.append(
            Row(
                [
                    f"{level} ({unit})",
                    best.isa,
                    q.count(threads),
                    q.rate(max(values) / 1e9),
                    q.rate(median(values) / 1e9),
                    q.rate(min(values) / 1e9),
                    q.count(len(values)),
                ]
            )
        )
    columns = [words(f"roofline.{name}") for name in _ROOF_COLUMNS]
    return table(columns, rows, text_columns=2, note=words("roofline.note"))


def _cold(facts: Facts, words: Words) -> Table:
    rows = []
    for stage in STAGES:
        if (cold := facts.cold.get(stage)) is None:
            continue
        # The first alone is cold, as in the table beside it.
        passes = [p for _, p in facts.profile.passes_of(stage, "cold")][:1]
        warm = facts.warm[stage].wall_ms.median if facts.warm[stage].state != "cold" else None
        compiled = sum(p.compile_ns for p in passes) / 1e6 / len(passes)
        wall = cold.wall_ms.median
        rows.append(
            Row(
                [
                    words(f"stage.{stage}"),
                    q.ms(wall),
                    q.ms(warm),
                    q.rate(wall / warm if warm else None),
                    q.ms(compiled),
                    q.count(sum(p.graphs_compiled for p in passes)),
                    q.count(sum(p.compile_cache_hits for p in passes)),
                    q.ms(wall - compiled),
                ]
            )
        )
    columns = [words(f"cold.{name}") for name in _COLD_COLUMNS]
    cache = words(f"cache.{facts.profile.run.compile_cache}")
    return table(columns, rows, note=words("cold.note", cache=cache))


def _compiled(facts: Facts, words: Words) -> list[Block]:
    events = [
        (facts.profile.passes[r.pass_index], r)
        for r in facts.profile.records
        if r.graphs_compiled or r.compile_ns
    ]
    if not events:
        return [Paragraph(words("events.none"))]
    late = sum(p.state == "measured" for p, _ in events)
    text = words("events.intro", n=len(events), late=late)
    return [Paragraph(text), _events(events, words)]


def _events(events: Sequence[tuple[Pass, Record]], words: Words) -> Table:
    ranked = sorted(events, key=lambda event: -event[1].compile_ns)
    rows = [
        Row(
            [
                pass_name(words, p.stage, p.state),
                code(r.name.removeprefix("model.")),
                q.shapes(r.input_shapes[:1]),
                q.nanoseconds(r.duration_ns),
                q.nanoseconds(r.compile_ns),
                q.count(r.graphs_compiled),
                q.count(r.compile_cache_hits),
            ]
        )
        for p, r in ranked[:_EVENTS]
    ]
    if rest := [r for _, r in ranked[_EVENTS:]]:
        rows.append(
            Row(
                [
                    words("events.rest", n=len(rest)),
                    "",
                    "",
                    q.nanoseconds(sum(r.duration_ns for r in rest)),
                    q.nanoseconds(sum(r.compile_ns for r in rest)),
                    q.count(sum(r.graphs_compiled for r in rest)),
                    q.count(sum(r.compile_cache_hits for r in rest)),
                ],
                "quiet",
            )
        )
    return table([words(f"events.{n}") for n in _EVENT_COLUMNS], rows, text_columns=3)
