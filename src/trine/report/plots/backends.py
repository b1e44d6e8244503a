"""Two backends side by side: for each step the time of both, on a log scale."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from trine.profiling.comparison import ComparedRow, ComparedStage
from trine.report import quantity as q
from trine.report.language import Words
from trine.report.plots.style import PALETTE, SOFT, Plot, bare, plot

_ROW_INCHES = 0.3
_TORCH, _NATIVE = PALETTE["other"][0], PALETTE["mlp"][0]


def draw(words: Words, fonts: list[str], stages: Sequence[ComparedStage]) -> Plot:
    """One panel a stage, a pair of bars a step."""
    heights = [len(stage.rows) for stage in stages]

    def fill(figure: Figure) -> None:
        axes = figure.subplots(len(stages), 1, squeeze=False, height_ratios=heights)[:, 0]
        for ax, stage in zip(axes, stages, strict=True):
            _panel(ax, words, stage)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower right", frameon=False, ncols=2)

    return plot("backends", sum(heights) * _ROW_INCHES + 0.6 * len(stages), fonts, fill)


def _panel(ax: Axes, words: Words, stage: ComparedStage) -> None:
    positions = range(len(stage.rows))
    for shift, colour, label, times in (
        (-0.19, _TORCH, "PyTorch", [row.torch_ms for row in stage.rows]),
        (0.19, _NATIVE, words("native.engine"), [row.native_ms for row in stage.rows]),
    ):
        ax.barh([y + shift for y in positions], times, 0.34, color=colour, label=label)
    for y, row in zip(positions, stage.rows, strict=True):
        if row.ratio is not None:
            ax.annotate(
                f"{q.rate(row.ratio.median)}×",
                (max(row.torch_ms, row.native_ms), y),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=SOFT,
            )
    ax.set_xscale("log")
    # Labels without powers: mathematics is switched off in plots (see `style`).
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.margins(x=0.12)
    ax.set_yticks(positions, [_label(words, row) for row in stage.rows])
    ax.set_ylim(len(stage.rows) - 0.4, -0.6)
    ax.set_xlabel(words("plot.ms_log"))
    ax.set_title(words(f"pass.{stage.stage}.measured"))
    bare(ax, grid="x")


def _label(words: Words, row: ComparedRow) -> str:
    known = {"": "native.remainder", "wall": "row.wall"}
    return words(known[row.step]) if row.step in known else row.step
