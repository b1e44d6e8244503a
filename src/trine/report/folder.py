"""Where a report goes: the names of its files, and the folder that takes them.

Without matplotlib, so that a folder can be refused before anything slow is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from trine.errors import OutputExists, UsageError

DATA_FILES = (
    "profile.json",
    "records.csv",
    "raw_layer_data.csv",
    "final_operator_benchmark.csv",
    "linear_operator_stats.csv",
    "nonlinear_operator_stats.csv",
    "inference_profile_report.json",
    "trace.json",
)
# Written beside them when both backends ran.
COMPARISON_FILE = "backend_comparison.csv"
# Written beside them when the unit in hardware was predicted.
PREDICTION_FILE = "fpga_prediction.csv"
MARKDOWN_FILES = {"en": "report.md", "zh": "report.zh.md"}
PAGE_FILE = "report.html"
REPORT_FILES = (*MARKDOWN_FILES.values(), PAGE_FILE)
ALL_FILES = (*DATA_FILES, COMPARISON_FILE, PREDICTION_FILE, *REPORT_FILES)
# The plots of a report, by the names that `plots.draw` and `foreign.drawing` give them.
PLOTS = ("backends", "blocks", "cold_warm", "fpga", "layers", "roofline", "shares")


def prepare(out: Path, names: Iterable[str], *, force: bool) -> None:
    """Make the folder `out`; OutputExists if it holds one of `names` and `force` is not given.

    UsageError when it is a file, cannot be made, or cannot be written to.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; --out needs a folder")
    taken = [name for name in names if (out / name).exists()]
    if taken and not force:
        raise OutputExists(
            f"{out} already holds {taken[0]}; choose another --out, or overwrite with --force"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make {out} ({error.strerror}); choose another --out") from None
    if not os.access(out, os.W_OK | os.X_OK):
        raise UsageError(f"{out} is not writable; choose another --out")


def plot_file(name: str, lang: str) -> str:
    """The place of a plot, relative to the folder and with slashes, as Markdown wants it."""
    return f"plots/{name}.{lang}.png"


def discard_reports(out: Path, keep: Iterable[Path]) -> None:
    """Remove the report files of an earlier run that are not among `keep`; nothing else.

    The data files are no part of it: each run writes all of them, and a report on a foreign table
    may stand beside the very table that it is about.
    """
    drawn = [plot_file(name, lang) for name in PLOTS for lang in MARKDOWN_FILES]
    for path in {out / name for name in (*REPORT_FILES, *drawn)} - set(keep):
        path.unlink(missing_ok=True)
