"""The block diagram: embedding, one decoder layer, head, with shapes and residual additions."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch

from trine.report import quantity as q
from trine.report.language import Words
from trine.report.plots.flow import Flow, Node
from trine.report.plots.style import INK, LINE, PALETTE, PAPER, SOFT, TINT, WIDTH, Plot, plot

# Inches. The axes are scaled so that one unit is one inch; the flow runs down the middle.
_ROW, _BOX, _GAP = 0.4, 0.29, 0.09
_LEFT, _RIGHT = 0.62, 4.38
_CENTRE = (_LEFT + _RIGHT) / 2
_RING = 0.085
_BITLINEAR, _STREAM = PALETTE["mlp"][0], PALETTE["residual"][0]

Steps = list[list[list[Node]]]


def draw(words: Words, fonts: list[str], flow: Flow, layers: int) -> Plot:
    """The diagram of `flow`, whose layer stands for `layers` equal ones."""
    rows = sum(_rows(step) for part in (flow.before, flow.layer, flow.after) for step in part)
    height = _ROW * rows + 0.75

    def fill(figure: Figure) -> None:
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set_xlim(0, WIDTH)
        ax.set_ylim(height, 0)
        ax.axis("off")
        y = _steps(ax, words, flow.before, 0.1, enter=False)
        top = y + 0.06
        if flow.before:
            _arrow(ax, _centre(0, len(flow.before[-1])), y - (_ROW - _BOX), top)
        y = _steps(ax, words, flow.layer, top + 0.3)
        _frame(ax, top, y - 0.02, words("plot.layers", n=layers))
        _steps(ax, words, flow.after, y + 0.12)

    return plot("blocks", height, fonts, fill)


def _rows(step: list[list[Node]]) -> int:
    return max(len(branch) for branch in step)


def _steps(ax: Axes, words: Words, steps: Steps, y: float, *, enter: bool = True) -> float:
    """Draw the steps downwards from `y`; returns where they end.

    `enter` says whether something flows into the first of them.
    """
    stream = y - 0.08
    above: list[float] = []
    for step in steps:
        if enter:
            _connect(ax, above, len(step), y)
        enter = True
        if step[0][0].kind == "residual":
            _residual(ax, words, stream, y + _BOX / 2)
            stream = y + _BOX / 2 + _RING
            above = []
        else:
            above = _branches(ax, step, y)
        y += _rows(step) * _ROW
    return y


def _connect(ax: Axes, above: Sequence[float], branches: int, y: float) -> None:
    """Arrows to the boxes at `y`: one from each end in `above`, one into each of `branches`."""
    into = [_centre(column, branches) for column in range(branches)]
    if len(above) > 1:
        into = [_centre(column, len(above)) for column in range(len(above))]
    starts = above if len(above) == len(into) else [y - (_ROW - _BOX)] * len(into)
    for x, start in zip(into, starts, strict=True):
        _arrow(ax, x, start, y)


def _width(branches: int) -> float:
    return (_RIGHT - _LEFT - _GAP * (branches - 1)) / branches


def _centre(column: int, branches: int) -> float:
    width = _width(branches)
    return _LEFT + column * (width + _GAP) + width / 2


def _branches(ax: Axes, step: list[list[Node]], y: float) -> list[float]:
    """Draw parallel branches; returns the y at which each of them ends."""
    width = _width(len(step))
    ends = []
    for column, branch in enumerate(step):
        centre = _centre(column, len(step))
        for row, node in enumerate(branch):
            at = y + row * _ROW
            if row:
                _arrow(ax, centre, at - (_ROW - _BOX), at)
            _box(ax, node, centre - width / 2, at, width, narrow=len(step) > 1)
        ends.append(y + (len(branch) - 1) * _ROW + _BOX)
    return ends


def _box(ax: Axes, node: Node, x: float, y: float, width: float, *, narrow: bool) -> None:
    ternary = node.kind == "bitlinear"
    ax.add_patch(
        FancyBboxPatch(
            (x, y),
            width,
            _BOX,
            boxstyle="round,pad=0,rounding_size=0.04",
            facecolor=_BITLINEAR if ternary else TINT,
            edgecolor=_BITLINEAR if ternary else LINE,
            linewidth=0.8,
        )
    )
    colour = PAPER if ternary else INK
    # Boxes side by side have no room for the batch dimension, which is 1 in every run.
    outputs = [s[1:] if narrow else s for s in node.outputs[:1]]
    middle = y + _BOX / 2 + 0.005
    ax.text(x + 0.08, middle, node.operator, va="center", fontsize=9, color=colour, weight="bold")
    ax.text(
        x + width - 0.08,
        middle,
        q.shapes(outputs),
        va="center",
        ha="right",
        fontsize=7.5 if narrow else 8.5,
        color=PAPER if ternary else SOFT,
    )


def _residual(ax: Axes, words: Words, start: float, y: float) -> None:
    """The addition, and the line that carries the stream past the block to it."""
    lane = _RIGHT + 0.2
    ax.plot(
        [_CENTRE, lane, lane, _CENTRE + _RING],
        [start, start, y, y],
        color=_STREAM,
        linewidth=1.1,
        solid_joinstyle="round",
    )
    ax.add_patch(Circle((_CENTRE, y), _RING, facecolor=PAPER, edgecolor=_STREAM, linewidth=1.1))
    ax.text(_CENTRE, y, "+", ha="center", va="center_baseline", fontsize=10, color=_STREAM)
    ax.text(
        lane - 0.06,
        y - 0.05,
        words("plot.residual"),
        ha="right",
        va="bottom",
        fontsize=8.5,
        color=_STREAM,
    )


def _frame(ax: Axes, top: float, bottom: float, label: str) -> None:
    ax.add_patch(
        FancyBboxPatch(
            (0.36, top),
            WIDTH - 0.72 + 0.08,
            bottom - top,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor="none",
            edgecolor=SOFT,
            linewidth=0.8,
            linestyle=(0, (4, 3)),
        )
    )
    ax.text(0.22, (top + bottom) / 2, label, rotation=90, ha="center", va="center", color=SOFT)


def _arrow(ax: Axes, x: float, start: float, end: float) -> None:
    ax.annotate(
        "",
        (x, end + 0.005),
        (x, start),
        arrowprops={"arrowstyle": "-|>", "color": SOFT, "linewidth": 0.8, "mutation_scale": 6},
    )
