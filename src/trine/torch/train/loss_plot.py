"""The loss curve of a run, drawn from its log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from trine.torch.train.state import replacing

# Colours that stay apart in grey and for colour-blind readers.
_COLOURS = {"ternary": "#0072b2", "float": "#d55e00"}


def draw(log: Sequence[dict[str, Any]], path: Path) -> None:
    """Write a PNG: loss by step smoothed and raw, held-out loss as points; nats a token."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    steps = np.array([record["step"] for record in log])
    for name in log[0]["loss"]:
        colour = _COLOURS.get(name)
        losses = np.array([record["loss"][name] for record in log])
        axes.plot(steps, losses, color=colour, alpha=0.15, linewidth=0.6)
        axes.plot(steps, _smooth(losses), color=colour, label=f"{name}, training")
        judged = [record for record in log if record["validation"]]
        axes.plot(
            [record["step"] for record in judged],
            [record["validation"][name] for record in judged],
            "o",
            color=colour,
            markersize=4,
            label=f"{name}, held out",
        )
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats a token)")
    axes.set_ylim(top=float(np.percentile([max(r["loss"].values()) for r in log], 99)) + 0.2)
    axes.grid(alpha=0.3)
    axes.legend()
    with replacing(path) as aside:
        figure.savefig(aside, format="png", dpi=120)


def _smooth(values: NDArray[np.float64], window: int = 25) -> NDArray[np.float64]:
    """The mean over the last `window` steps, fewer at the start."""
    sums = np.cumsum(np.insert(values, 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    means: NDArray[np.float64] = (sums[ends] - sums[starts]) / (ends - starts)
    return means
