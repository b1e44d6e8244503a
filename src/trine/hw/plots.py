"""Pictures of the design space and of the memory model, as SVG or PNG by the file's ending."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trine.hw.explore import Point
from trine.hw.synth import PART
from trine.hw.traffic import Streams

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {2: "tab:blue", 3: "tab:orange"}
_MARKERS = {1: "o", 2: "s", 3: "D", 4: "^"}
DEPTHS = (16, 32, 64, 128, 256, 512)
LATENCIES = (10, 30, 60, 100)


def plot_points(
    points: Sequence[Point], best: Sequence[Point], clock_mhz: float, out: Path
) -> None:
    """Tokens/s against LUTs and block RAMs, each point with its batch; Pareto points are filled."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    figure = _figure(11, 4.5)
    figure.suptitle(
        f"TDPU on xc7: areas composed from Yosys blocks; tokens/s predicted at an assumed "
        f"{clock_mhz:g} MHz (BitLinear body and ternary head, `batch` sequences at once)",
        fontsize=9,
    )
    for axes, limit, name in zip(
        figure.subplots(1, 2), ("LUT", "BRAM36"), (_lut, _bram), strict=True
    ):
        for point in points:
            unit = point.unit
            chosen = point in best
            axes.plot(
                name(point),
                point.batched,
                _MARKERS[unit.engines],
                color=_COLOURS[unit.code],
                fillstyle="full" if chosen else "none",
                markersize=14,
            )
            axes.annotate(
                f"{unit.batch}",
                (name(point), point.batched),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if chosen else "black",
            )
        axes.axvline(PART[limit], color="grey", linestyle="--", linewidth=1)
        axes.set_xlabel(f"{limit} (dashed: XC7Z020)")
        axes.set_ylabel("tokens/s, predicted")
        # Every step of the space is a factor.
        axes.set(xscale="log", yscale="log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            axis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3)
    for code, colour in _COLOURS.items():
        figure.axes[0].plot([], [], "o", color=colour, label="two bits" if code == 2 else "base 3")
    for engines in sorted({point.unit.engines for point in points}):
        label = "1 engine" if engines == 1 else f"{engines} engines"
        figure.axes[0].plot([], [], _MARKERS[engines], color="grey", label=label)
    figure.axes[0].legend(fontsize=7, title="numbers: batch; filled: Pareto", title_fontsize=7)
    _save(figure, out)


def plot_streams(clock_mhz: float, cap_gbs: float, out: Path) -> list[dict[str, float | int]]:
    """Beats a clock against FIFO depth for several latencies; returns what is drawn."""
    figure = _figure(8, 4.8)
    axes = figure.subplots()
    drawn: list[dict[str, float | int]] = []
    for colour, latency in enumerate(LATENCIES):
        for lock_step, style in ((True, "-"), (False, "--")):
            rates = []
            for depth in DEPTHS:
                rate = Streams(
                    clock_khz=round(clock_mhz * 1000),
                    cap_gbs=cap_gbs,
                    latency=latency,
                    fifo_beats=depth,
                    lock_step=lock_step,
                ).beats_per_clock()
                rates.append(rate)
                drawn.append(
                    {
                        "latency": latency,
                        "fifo_beats": depth,
                        "lock_step": int(lock_step),
                        "beats_per_clock": rate,
                    }
                )
            kind = "lock-step" if lock_step else "independent"
            label = f"{latency} clocks, {kind}"
            axes.plot(DEPTHS, rates, style, marker=".", color=f"C{colour}", label=label)
    axes.set_xscale("log", base=2)
    axes.set_xticks(DEPTHS, [str(depth) for depth in DEPTHS])
    axes.set_ylim(0, 1.05)
    axes.set_xlabel("weight FIFO a port, beats")
    axes.set_ylabel("beats a clock and port")
    axes.set_title(
        f"Four 64-bit read streams at {clock_mhz:g} MHz, DDR3 model, at most {cap_gbs:.2f} GB/s",
        fontsize=9,
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    _save(figure, out)
    return drawn


def _lut(point: Point) -> float:
    return point.lut


def _bram(point: Point) -> float:
    return point.bram36


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Figure, out: Path) -> None:
    figure.savefig(out, dpi=150)
