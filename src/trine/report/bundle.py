"""All files of one profile, written into one folder.

In: a `Profile` and a folder. Out: the paths written. Nothing is measured and nothing needs torch.
A folder that already holds any of the files is refused before anything is computed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from trine.errors import OutputExists, UsageError
from trine.profiling.profile import Profile
from trine.report import (
    layer_csv,
    markdown,
    operator_csv,
    perfetto,
    plots,
    records_csv,
    summary_json,
    webpage,
)
from trine.report.content.report import build
from trine.report.document import Document
from trine.report.facts import gather
from trine.report.language import Words, languages
from trine.report.plots.style import Plot

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
MARKDOWN_FILES = {"en": "report.md", "zh": "report.zh.md"}
PAGE_FILE = "report.html"
REPORT_FILES = (*MARKDOWN_FILES.values(), PAGE_FILE)


def write_all(
    profile: Profile, out: Path, *, lang: str = "both", force: bool = False
) -> list[Path]:
    """Write every file of `profile` into `out` and return their paths.

    `lang` is "en", "zh" or "both". OutputExists if `out` holds an earlier result and `force` is
    not given; UsageError for a bad language or a folder that cannot be written.
    """
    wanted = languages(lang)
    prepare(out, (*DATA_FILES, *REPORT_FILES), force=force)
    # The measurement is safe before anything is computed from it.
    profile.save(out / "profile.json")
    facts = gather(profile)
    records_csv.write(profile, out / "records.csv")
    layer_csv.write(facts.modules, out / "raw_layer_data.csv")
    operator_csv.write_all(facts.operators, out)
    summary_json.write(facts, out / "inference_profile_report.json")
    perfetto.write(profile, out / "trace.json")
    written = [out / name for name in DATA_FILES]
    reports = [
        (build(facts, Words(language)), plots.draw(facts, Words(language))) for language in wanted
    ]
    return written + write_reports(reports, out)


def write_reports(reports: Iterable[tuple[Document, Mapping[str, Plot]]], out: Path) -> list[Path]:
    """Write Markdown with its plots for each document, and one page with all of them."""
    written: list[Path] = []
    pages: list[tuple[Document, dict[str, str]]] = []
    for document, drawn in reports:
        images = {name: f"plots/{name}.{document.lang}.png" for name in drawn}
        for name, plot in drawn.items():
            path = out / images[name]
            path.parent.mkdir(exist_ok=True)
            plot.save_png(path)
            written.append(path)
        path = out / MARKDOWN_FILES[document.lang]
        path.write_text(markdown.render(document, images), encoding="utf-8")
        written.append(path)
        pages.append((document, {name: plot.svg(document.lang) for name, plot in drawn.items()}))
    (out / PAGE_FILE).write_text(webpage.render(pages), encoding="utf-8")
    return [*written, out / PAGE_FILE]


def prepare(out: Path, names: Iterable[str], *, force: bool) -> None:
    """Make the folder `out`; OutputExists if it holds one of `names` and `force` is not given."""
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
