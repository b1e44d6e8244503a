"""Cold against warm: the time of each layer on a log scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from trine.report import quantity as q
from trine.report.language import Words
from trine.report.plots.style import INK, PALETTE, Plot, bare, plot

COLD, WARM = PALETTE["attention"][0], PALETTE["mlp"][0]


@dataclass(frozen=True, slots=True)
class Series:
    """One line: ms by layer."""

    label: str
    colour: str
    time_ms: Mapping[int, float]


def draw(words: Words, fonts: list[str], series: Sequence[Series]) -> Plot:
    """A line per series, the slower first; the largest value of all is written out."""

    def fill(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.set_yscale("log")
        # The first label stands above its line, the others below: warm lines run close together.
        for place, line in enumerate(series):
            layers = sorted(line.time_ms)
            values = [line.time_ms[n] for n in layers]
            ax.plot(layers, values, color=line.colour, linewidth=1.4, marker="o", markersize=2.8)
            ax.annotate(
                line.label,
                (layers[-1], values[-1]),
                xytext=(0, -7 if place else 7),
                textcoords="offset points",
                ha="right",
                va="top" if place else "bottom",
                color=line.colour,
            )
        top = max((ms, n) for line in series for n, ms in line.time_ms.items())
        ax.annotate(
            words("plot.peak", layer=top[1], ms=q.ms(top[0])),
            (top[1], top[0]),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=8.5,
        )
        ax.set_xlabel(words("plot.layer"))
        ax.set_ylabel(words("plot.ms_log"))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        values = [ms for line in series for ms in line.time_ms.values()]
        # Two decades have room for ticks at 2 and 5; more have not.
        subs = (1, 2, 5) if max(values) < 100 * min(values) else (1,)
        ax.yaxis.set_major_locator(LogLocator(subs=subs))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.margins(y=0.16)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        bare(ax, grid="y")

    return plot("cold_warm", 2.3, fonts, fill)
