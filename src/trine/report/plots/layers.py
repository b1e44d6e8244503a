"""Time per decoder layer, stacked by block: one panel per stage."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trine.profiling.analysis import LayerRow
from trine.report.language import Words
from trine.report.plots.style import PAPER, Plot, bare, block_colour, plot, spread

# From the bottom up: the large blocks first, so that their edges can be compared across layers.
_ORDER = ("mlp", "attention", "norm", "residual", "other")
# A thinner block than this share of the tallest layer gets no label of its own.
_LABEL_SHARE = 0.012


def draw(words: Words, fonts: list[str], panels: Sequence[tuple[str, Sequence[LayerRow]]]) -> Plot:
    """`panels`: title and the rows of one stage; layer -1 (outside the layers) is not drawn."""

    def fill(figure: Figure) -> None:
        axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for ax, (title, rows) in zip(axes, panels, strict=True):
            _panel(ax, words, title, [row for row in rows if row.layer >= 0])
        axes[-1].set_xlabel(words("plot.layer"))

    return plot("layers", 2.35 * len(panels), fonts, fill)


def _panel(ax: Axes, words: Words, title: str, rows: Sequence[LayerRow]) -> None:
    bottoms = [0.0] * len(rows)
    names = [n for n in _ORDER if n != "other"]
    labels: list[tuple[float, str, str]] = []
    for name in _ORDER:
        heights = [
            sum(v for k, v in row.blocks.items() if k not in names)
            if name == "other"
            else row.blocks.get(name, 0.0)
            for row in rows
        ]
        colour = block_colour(name)
        layers = [row.layer for row in rows]
        ax.bar(layers, heights, 0.86, bottoms, color=colour, edgecolor=PAPER, linewidth=0.3)
        if heights and max(heights) > _LABEL_SHARE * max(row.total_ms for row in rows):
            labels.append((bottoms[-1] + heights[-1] / 2, words(f"block.{name}"), colour))
        bottoms = [b + h for b, h in zip(bottoms, heights, strict=True)]
    ax.set_title(title)
    ax.set_ylabel("ms")
    ax.margins(x=0.01)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    bare(ax, grid="y")
    top = ax.get_ylim()[1]
    for y, (_, label, colour) in zip(
        spread([y for y, *_ in labels], 0.085 * top), labels, strict=True
    ):
        ax.annotate(
            label,
            (1.01, y),
            xycoords=("axes fraction", "data"),
            va="center",
            color=colour,
            fontsize=8.5,
        )
