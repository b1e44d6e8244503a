"""The report's plots, drawn with matplotlib without its global state.

In: `Facts` and `Words`. Out: `Plot`s by name; one without data is absent.
Next: `bundle` saves them as PNG for Markdown and as SVG inside the page.
"""

from __future__ import annotations

from collections.abc import Sequence

from trine.profiling.analysis import StageTable
from trine.profiling.profile import STAGES, Stage, State
from trine.report import quantity as q
from trine.report.facts import Facts
from trine.report.language import Words
from trine.report.plots import backends, blocks, cold_warm, fpga, layers, roofline, shares
from trine.report.plots.flow import flow
from trine.report.plots.style import Plot, can_show, fonts_for


def draw(facts: Facts, words: Words) -> dict[str, Plot]:
    """All plots in the language of `words`, or in English where no font can show it."""
    if not can_show(words.lang):
        words = Words("en")
    fonts = fonts_for(words.lang)
    drawn = (
        _blocks(facts, words, fonts),
        _layers(facts, words, fonts),
        _shares(facts, words, fonts),
        roofline.draw(words, fonts, list(facts.warm.values()), facts.roofs),
        _cold_warm(facts, words, fonts),
        backends.draw(words, fonts, facts.compared) if facts.compared else None,
        fpga.draw(words, fonts, facts.predicted) if facts.predicted else None,
    )
    return {plot.name: plot for plot in drawn if plot is not None}


def _blocks(facts: Facts, words: Words, fonts: list[str]) -> Plot | None:
    records = facts.example_pass()
    if not records:
        return None
    model = facts.profile.model
    return blocks.draw(words, fonts, flow(records, facts.middle_layer), model.layers)


def _layers(facts: Facts, words: Words, fonts: list[str]) -> Plot | None:
    panels = [
        (_title(words, facts.warm[stage]), facts.layers[stage, "measured"])
        for stage in STAGES
        if (stage, "measured") in facts.layers
    ]
    return layers.draw(words, fonts, panels) if panels else None


def _shares(facts: Facts, words: Words, fonts: list[str]) -> Plot | None:
    panels = [_panel(words, facts.warm[stage]) for stage in STAGES if stage in facts.warm]
    return shares.draw(words, fonts, panels) if panels else None


def _panel(words: Words, table: StageTable) -> shares.Panel:
    bars = [
        shares.Bar(row.operator, row.block, row.time_ms.median)
        for row in table.rows
        if row.kind != "unattributed"
    ]
    bars += [
        shares.Bar(words("row.unattributed"), "other", table.unattributed_ms),
        shares.Bar(words("row.recorder"), "other", table.recorder_ms),
    ]
    return shares.Panel(_title(words, table), bars, table.wall_ms.median)


def _cold_warm(facts: Facts, words: Words, fonts: list[str]) -> Plot | None:
    cold = _by_layer(facts, "prefill", "cold")
    warm = _by_layer(facts, "prefill", "measured")
    if not cold or not warm:
        return None
    lines: Sequence[cold_warm.Series] = (
        cold_warm.Series(words("plot.cold"), cold_warm.COLD, cold),
        cold_warm.Series(words("plot.warm"), cold_warm.WARM, warm),
    )
    return cold_warm.draw(words, fonts, lines)


def _by_layer(facts: Facts, stage: Stage, state: State) -> dict[int, float]:
    rows = facts.layers.get((stage, state), [])
    return {row.layer: row.total_ms for row in rows if row.layer >= 0 and row.total_ms > 0}


def _title(words: Words, table: StageTable) -> str:
    name = words(f"pass.{table.stage}.{table.state}")
    return words("plot.share_title", name=name, ms=q.ms(table.wall_ms.median))
