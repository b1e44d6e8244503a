"""What a pass's wall time consists of: one bar per operator, one panel per stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trine.report import quantity as q
from trine.report.language import Words
from trine.report.plots.style import SOFT, Plot, bare, block_colour, plot

# Bars beyond this many are summed into one; a longer list no longer reads at a glance.
_BARS = 12
_BAR_INCHES = 0.19


@dataclass(frozen=True, slots=True)
class Bar:
    """One operator: its block (colour) and its milliseconds per pass."""

    label: str
    block: str
    time_ms: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One stage; shares are of `whole_ms`."""

    title: str
    bars: Sequence[Bar]
    whole_ms: float


def draw(words: Words, fonts: list[str], panels: Sequence[Panel]) -> Plot:
    """Bars sorted by time, the small ones summed."""
    shown = [_largest(words, panel.bars) for panel in panels]
    heights = [len(bars) for bars in shown]

    def fill(figure: Figure) -> None:
        axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        for ax, panel, bars in zip(axes, panels, shown, strict=True):
            _panel(ax, panel, bars)

    return plot("shares", sum(heights) * _BAR_INCHES + 0.45 * len(panels), fonts, fill)


def _largest(words: Words, bars: Sequence[Bar]) -> list[Bar]:
    ranked = sorted(bars, key=lambda b: -b.time_ms)
    if len(ranked) <= _BARS:
        return ranked
    rest = ranked[_BARS - 1 :]
    total = sum(b.time_ms for b in rest)
    return [*ranked[: _BARS - 1], Bar(words("plot.others", n=len(rest)), "other", total)]


def _panel(ax: Axes, panel: Panel, bars: Sequence[Bar]) -> None:
    positions = range(len(bars))
    ax.barh(positions, [b.time_ms for b in bars], 0.72, color=[block_colour(b.block) for b in bars])
    for y, bar in zip(positions, bars, strict=True):
        share = q.percent(bar.time_ms / panel.whole_ms) if panel.whole_ms else q.MISSING
        ax.annotate(
            f"{share}  {q.ms(bar.time_ms)} ms",
            (max(bar.time_ms, 0), y),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=SOFT,
        )
    ax.set_yticks(positions, [b.label for b in bars])
    ax.set_ylim(len(bars) - 0.4, -0.6)
    ax.set_xlim(0, 1.42 * (max((b.time_ms for b in bars), default=0.0) or 1.0))
    ax.set_xticks([])
    ax.set_title(panel.title)
    bare(ax)
