"""Reports on a `raw_layer_data.csv` that another program wrote.

In: the CSV, its `inference_profile_report.json`, or the folder that holds them.
Out: `report.md`, `report.zh.md` and `report.html` of reduced outline.
Next: a person reads what the rows show, and what they cannot show.
"""

from __future__ import annotations

from pathlib import Path

from trine.report.bundle import write_reports
from trine.report.folder import REPORT_FILES, prepare
from trine.report.foreign.content import build
from trine.report.foreign.drawing import draw
from trine.report.foreign.figures import examine
from trine.report.foreign.reader import ForeignRun, is_foreign, read
from trine.report.language import Words, languages

__all__ = ["is_foreign", "read", "write_foreign"]


def write_foreign(
    run: ForeignRun, out: Path, *, lang: str = "both", force: bool = False
) -> list[Path]:
    """Report on what `read` found into `out`; returns the files written.

    OutputExists for an earlier report without `force`, UsageError for a folder that cannot be.
    """
    wanted = languages(lang)
    prepare(out, REPORT_FILES, force=force)
    shown = examine(run)
    return write_reports(
        [(build(shown, Words(language)), draw(shown, Words(language))) for language in wanted],
        out,
    )
