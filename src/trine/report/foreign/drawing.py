"""Plots of a foreign run: layers, shares, the cold layer."""

from __future__ import annotations

from collections.abc import Sequence

from trine.profiling.analysis import LayerRow
from trine.report import quantity as q
from trine.report.foreign.figures import Shown, block, layer_rows
from trine.report.language import Words
from trine.report.plots import cold_warm, layers, shares
from trine.report.plots.style import Plot, can_show, fonts_for


def draw(shown: Shown, words: Words) -> dict[str, Plot]:
    """The plots that the rows allow: layers, shares, the cold layer."""
    if not can_show(words.lang):
        words = Words("en")
    fonts = fonts_for(words.lang)
    times: dict[str, shares.Bar] = {}
    for row in shown.run.rows:
        before = times[row.operator].time_ms if row.operator in times else 0.0
        times[row.operator] = shares.Bar(row.operator, block(row), before + row.time_ms)
    title = words("foreign.plot.sum", ms=q.ms(shown.sum_ms))
    plots = [shares.draw(words, fonts, [shares.Panel(title, list(times.values()), shown.sum_ms)])]
    rows = layer_rows(shown)
    later: Sequence[LayerRow] = [row for row in rows if row.layer > 0]
    if later:
        plots.append(layers.draw(words, fonts, [(words("foreign.plot.layers"), later)]))
    # A layer without time has no place on a logarithmic scale.
    timed = {layer: ms for layer, ms in shown.per_layer.items() if ms > 0}
    if shown.warm_ms and timed:
        plots.append(cold_warm.draw(words, fonts, _lines(timed, shown.warm_ms, words)))
    return {plot.name: plot for plot in plots}


def _lines(run: dict[int, float], usual_ms: float, words: Words) -> list[cold_warm.Series]:
    usual = dict.fromkeys(run, usual_ms)
    return [
        cold_warm.Series(words("plot.this_run"), cold_warm.COLD, run),
        cold_warm.Series(words("plot.median_others"), cold_warm.WARM, usual),
    ]
