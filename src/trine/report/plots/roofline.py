"""The roofline: operators against the roofs that were measured on this machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from trine.profiling.analysis import BestRoofs, StageTable
from trine.report import quantity as q
from trine.report.language import Words
from trine.report.plots.style import INK, PAPER, SOFT, Plot, bare, block_colour, plot

# Operators below these shares of their pass are left out, or drawn small and without a label.
_SHOW_SHARE = 0.001
_LABEL_SHARE = 0.02
# Points closer than this many decades share one label.
_SAME_DECADES = 0.09
# Points: width and height of the axes, height of a line of a label, mean width of its letters.
_AREA_POINTS, _LINE_POINTS, _LETTER_POINTS = (310.0, 227.0), 10.0, 4.2

# From the left edge of a moved label to its point.
_LEADER = {
    "arrowstyle": "-",
    "color": SOFT,
    "linewidth": 0.5,
    "relpos": (0, 0.5),
    "shrinkA": 0,
    "shrinkB": 3,
}


@dataclass(frozen=True, slots=True)
class _Point:
    label: str
    block: str
    intensity: float
    gops: float
    share: float
    hollow: bool


def draw(
    words: Words, fonts: list[str], tables: Sequence[StageTable], roofs: BestRoofs
) -> Plot | None:
    """The plot, or None when no operator has both OPs and a roof to hold it against.

    Prefill points are filled, decode points hollow; refused speeds are not drawn.
    """
    points = [
        _Point(r.operator, r.block, r.intensity, r.gops, r.share, table.stage == "decode")
        for table in tables
        for r in table.rows
        if r.gops and r.intensity > 0 and r.share >= _SHOW_SHARE
    ]
    if not points or not roofs.bandwidth:
        return None

    def fill(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.set_xscale("log")
        ax.set_yscale("log")
        compute = {"int8": roofs.int8, "fp32": roofs.fp32}
        peaks = {name: value / 1e9 for name, value in compute.items() if value}
        left = min(p.intensity for p in points) / 2
        ridge = max(peaks.values(), default=1.0) / (min(roofs.bandwidth.values()) / 1e9)
        right = max(ridge * 4, max(p.intensity for p in points) * 4)
        bottom = min(p.gops for p in points) / 3
        top = max([*peaks.values(), *(p.gops for p in points)]) * 3
        ax.set_xlim(left, right)
        ax.set_ylim(bottom, top)
        _roofs(ax, words, roofs.bandwidth, peaks)
        _points(ax, points)
        ax.set_xlabel(words("plot.intensity"))
        ax.set_ylabel("GOP/s")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        bare(ax, grid="y")
        _labels(ax, points)

    return plot("roofline", 3.7, fonts, fill)


def _roofs(
    ax: Axes,
    words: Words,
    bandwidth: dict[str, float],
    peaks: dict[str, float],
) -> None:
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    rise = _AREA_POINTS[1] / math.log(top / bottom)
    run = _AREA_POINTS[0] / math.log(right / left)
    ceiling = max(peaks.values(), default=math.inf)
    # The label of the highest roof stands above its line, the others below theirs: two roofs may
    # be so close that nothing fits between them.
    levels = sorted(bandwidth.items(), key=lambda item: -item[1])
    for place, (level, value) in enumerate(levels):
        slope = value / 1e9
        end = min(right, ceiling / slope)
        ax.plot([left, end], [slope * left, slope * end], color=SOFT, linewidth=1.0)
        start = left * (right / left) ** 0.02
        ax.text(
            start,
            slope * start,
            f"{level} {q.rate(slope)} GB/s",
            rotation=math.degrees(math.atan2(rise, run)),
            rotation_mode="anchor",
            va="top" if place else "bottom",
            fontsize=8,
            color=SOFT,
        )
    for place, (name, value) in enumerate(sorted(peaks.items(), key=lambda item: -item[1])):
        start = value / (max(bandwidth.values()) / 1e9)
        ax.plot([start, right], [value, value], color=SOFT, linewidth=1.0)
        ax.annotate(
            words("plot.peak_rate", name=name, gops=q.rate(value)),
            (right, value),
            xytext=(-2, -3 if place else 3),
            textcoords="offset points",
            ha="right",
            va="top" if place else "bottom",
            fontsize=8,
            color=SOFT,
        )


def _points(ax: Axes, points: Sequence[_Point]) -> None:
    for point in points:
        colour = block_colour(point.block)
        ax.plot(
            point.intensity,
            point.gops,
            marker="o",
            markersize=5.5 if point.share >= _LABEL_SHARE else 3,
            markerfacecolor=PAPER if point.hollow else colour,
            markeredgecolor=colour,
            linestyle="none",
        )


def _labels(ax: Axes, points: Sequence[_Point]) -> None:
    """One label for each cluster of important points; a thin line leads to one moved down."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    taken: list[tuple[float, float, float]] = []
    for cluster in _clusters(points):
        head, text = cluster[0], _joint_name(cluster)
        x = math.log(head.intensity / left) / math.log(right / left) * _AREA_POINTS[0]
        at = math.log(head.gops / bottom) / math.log(top / bottom) * _AREA_POINTS[1]
        end = x + _LETTER_POINTS * max(len(line) for line in text.split("\n"))
        height = _LINE_POINTS * len(text.split("\n"))
        y = at
        for start_taken, end_taken, low in taken:
            if x < end_taken and start_taken < end and y > low:
                y = min(y, low)
        taken.append((x, end, y - height))
        ax.annotate(
            text,
            (head.intensity, head.gops),
            xytext=(9, y - at + 3.5),
            textcoords="offset points",
            va="top",
            fontsize=7.5,
            linespacing=1.15,
            color=INK,
            arrowprops=_LEADER if y < at else None,
        )


def _clusters(points: Sequence[_Point]) -> list[list[_Point]]:
    """Important points from the fastest down, those that lie together in one list."""
    clusters: list[list[_Point]] = []
    for point in sorted((p for p in points if p.share >= _LABEL_SHARE), key=lambda p: -p.gops):
        near = next((c for c in clusters if _near(c[0], point)), None)
        if near is None:
            clusters.append([point])
        else:
            near.append(point)
    return clusters


def _joint_name(cluster: Sequence[_Point]) -> str:
    """The names of a cluster; projections are written once: "gate, up, down _proj"."""
    names = [p.label for p in cluster]
    projections = [n.removesuffix("_proj") for n in names if n.endswith("_proj")]
    if len(projections) < 3:
        return "\n".join(names)
    others = [n for n in names if not n.endswith("_proj")]
    return "\n".join([f"{', '.join(projections)} _proj", *others])


def _near(a: _Point, b: _Point) -> bool:
    return (
        a.hollow == b.hollow
        and max(abs(math.log10(a.intensity / b.intensity)), abs(math.log10(a.gops / b.gops)))
        < _SAME_DECADES
    )
