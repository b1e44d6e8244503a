"""The CPU's measured times beside the unit's predicted ones, for what the unit would run."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from trine.profiling.predicted import PredictedRow, PredictedStage
from trine.profiling.prediction import Range
from trine.report.language import Words
from trine.report.plots.style import INK, PALETTE, Plot, bare, plot

_ROW_INCHES = 0.34
_CPU, _UNIT = PALETTE["mlp"][0], PALETTE["lm_head"][0]

# A row of a panel: label, measured ms, predicted ms.
_Bar = tuple[str, float, Range]


def draw(words: Words, fonts: list[str], stages: Sequence[PredictedStage]) -> Plot:
    """One panel a stage and backend: a pair of bars an operator, then their sum."""
    panels = [[*map(_bar, _run(stage)), _sum(words, stage)] for stage in stages]
    heights = [len(panel) for panel in panels]

    def fill(figure: Figure) -> None:
        axes = figure.subplots(len(stages), 1, squeeze=False, height_ratios=heights)[:, 0]
        for ax, stage, panel in zip(axes, stages, panels, strict=True):
            _panel(ax, words, stage, panel)

    return plot("fpga", sum(heights) * _ROW_INCHES + 1.1 * len(stages), fonts, fill)


def _run(stage: PredictedStage) -> list[PredictedRow]:
    return [row for row in stage.rows if row.predicted is not None]


def _bar(row: PredictedRow) -> _Bar:
    assert row.predicted is not None
    return row.operator, row.cpu_ms, row.predicted


def _sum(words: Words, stage: PredictedStage) -> _Bar:
    return words("fpga.sum"), stage.cpu_ms, stage.predicted


def _panel(ax: Axes, words: Words, stage: PredictedStage, bars: Sequence[_Bar]) -> None:
    positions = range(len(bars))
    cpu = [ms for _, ms, _ in bars]
    nominal = [times.nominal for _, _, times in bars]
    ax.barh(
        [y - 0.19 for y in positions],
        cpu,
        0.34,
        color=_CPU,
        label=words("fpga.bar.cpu", backend=stage.backend),
    )
    # Hatched and hollow: a bar that was not measured must not look like one that was.
    ax.barh(
        [y + 0.19 for y in positions],
        nominal,
        0.34,
        facecolor="none",
        edgecolor=_UNIT,
        hatch="////",
        label=words("fpga.bar"),
    )
    ax.hlines(
        [y + 0.19 for y in positions],
        [times.high for _, _, times in bars],
        [times.low for _, _, times in bars],
        color=INK,
        linewidth=1,
    )
    ax.set_xscale("log")
    # Labels without powers: mathematics is switched off in plots (see `style`).
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.margins(x=0.05)
    ax.set_yticks(positions, [label for label, _, _ in bars])
    ax.set_ylim(len(bars) - 0.4, -0.6)
    ax.set_xlabel(words("plot.ms_log"))
    ax.set_title(words(f"pass.{stage.stage}.measured"))
    ax.legend(loc="upper right", fontsize=7)
    bare(ax, grid="x")
