"""How every plot looks: palette, type, frame, and the two forms it is saved in.

A figure is drawn once, in the light palette. As PNG it keeps that palette on white paper. As SVG
its colours are exchanged for CSS variables (`--plot-ink` ...), so that a page can set them for
light and dark, and its text stays text in a font stack of its own.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# name -> (light, dark). Every colour is unique, because the SVG is recoloured by value.
PALETTE = {
    "ink": ("#1d2430", "#e4e8ee"),
    "soft": ("#5d6675", "#a2acba"),
    "line": ("#d5dae1", "#38414d"),
    "paper": ("#fefefe", "#14181e"),
    "tint": ("#f1f4f8", "#1e252e"),
    "mlp": ("#3b6ea5", "#6ea3dd"),
    "attention": ("#c9812f", "#e3a862"),
    "lm_head": ("#84589c", "#b991d1"),
    "norm": ("#4f9272", "#7fc3a2"),
    "residual": ("#b5574f", "#e08c83"),
    "other": ("#98a1ad", "#75808e"),
}
INK, SOFT, LINE, PAPER, TINT = (PALETTE[n][0] for n in ("ink", "soft", "line", "paper", "tint"))

# Any of these shows Chinese; the first that is installed is used.
CJK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Heiti SC",
    "SimHei",
    "Noto Sans CJK JP",
)
# For the other languages; matplotlib brings DejaVu Sans along, which ends every list.
LATIN_FONTS = (
    "Inter",
    "Source Sans 3",
    "Noto Sans",
    "Noto Sans CJK SC",
    "Arial",
    "Liberation Sans",
)
# A phone shows the figure at about three quarters of this width, where 9 pt is still readable.
WIDTH = 5.0
DPI = 200


@dataclass(frozen=True, slots=True)
class Plot:
    """A finished figure; `name` is its file stem and its key in a document."""

    name: str
    figure: Figure
    fonts: list[str]

    def save_png(self, path: Path) -> None:
        """Write the light form, `WIDTH` x `DPI` pixels wide."""
        with matplotlib.rc_context(_settings(self.fonts)):
            self.figure.savefig(path, format="png", dpi=DPI, facecolor=PAPER)

    def svg(self, scope: str) -> str:
        """An `<svg>` element for a page that defines the `--plot-*` variables.

        Its ids begin with `scope`, because one page may show the plot in two languages.
        """
        buffer = io.StringIO()
        with matplotlib.rc_context({**_settings(self.fonts), "svg.hashsalt": self.name}):
            self.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        return _page_form(buffer.getvalue(), f"{scope}-{self.name}")


def block_colour(block: str) -> str:
    """The colour of an operator block (`analysis.block_of`)."""
    return PALETTE.get(block, PALETTE["other"])[0]


def can_show(lang: str) -> bool:
    """Whether a plot can be labelled in `lang`: Chinese needs a font that has the glyphs."""
    return lang != "zh" or _first_installed(CJK_FONTS) is not None


def fonts_for(lang: str) -> list[str]:
    """The font families of a plot in `lang`, best first."""
    best = _first_installed(CJK_FONTS if lang == "zh" else LATIN_FONTS)
    return [best, "DejaVu Sans"] if best else ["DejaVu Sans"]


def plot(name: str, height: float, fonts: list[str], draw: Callable[[Figure], None]) -> Plot:
    """A new figure of `WIDTH` x `height` inches, filled by `draw` with the house style active."""
    with matplotlib.rc_context(_settings(fonts)):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure)
        # The layout is computed at the first drawing and has to see these fonts. A figure that
        # places its axes itself (the block diagram) has none.
        if figure.get_axes()[0].get_subplotspec() is not None:
            figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return Plot(name, figure, fonts)


def bare(axes: Axes, *, grid: str = "") -> None:
    """Strip the frame; `grid` "x" or "y" keeps hairlines across that axis's ticks."""
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    if grid:
        axes.grid(axis="x" if grid == "x" else "y", color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """`positions` (ascending) moved upwards as little as keeps them `gap` apart."""
    placed: list[float] = []
    for position in positions:
        placed.append(max(position, placed[-1] + gap) if placed else position)
    return placed


def _first_installed(names: Sequence[str]) -> str | None:
    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    return next((name for name in names if name in installed), None)


def _settings(fonts: list[str]) -> dict[Any, Any]:
    return {
        "font.family": fonts,
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlecolor": INK,
        "axes.labelsize": 8.5,
        "axes.labelcolor": SOFT,
        "axes.edgecolor": LINE,
        "axes.facecolor": "none",
        "axes.unicode_minus": False,
        "text.color": INK,
        # A foreign name with two dollar signs is a name and no formula.
        "text.parse_math": False,
        "xtick.color": SOFT,
        "ytick.color": SOFT,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "svg.fonttype": "none",
    }


def _page_form(svg: str, prefix: str) -> str:
    """Inline form of a matplotlib SVG: no prolog, metadata or sheet, own ids, CSS colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # The sheet would reach every other SVG of the page; the page has the same rule for all.
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    head, rest = svg.split(">", 1)
    head = re.sub(r' (?:width|height|version|xmlns(?::xlink)?)="[^"]*"', "", head)
    svg = f"{head}>{rest}".replace("xlink:href", "href")
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    svg = re.sub(
        r' id="([^"]+)"',
        lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "",
        svg,
    )
    svg = re.sub(r'(url\(#|href="#)', rf"\1{prefix}-", svg)
    svg = re.sub(r'font-family: [^;"]*', "font-family: var(--plot-font)", svg)
    for token, (light, _) in PALETTE.items():
        svg = svg.replace(light, f"var(--plot-{token})")
    return svg
