"""All files of one profile, written into one folder.

In: a `Profile` and a folder. Out: the paths written. Nothing is measured and nothing needs torch.
A folder that already holds any of the files is refused before anything is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from trine.profiling.profile import Profile
from trine.report import (
    comparison_csv,
    fpga_csv,
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
from trine.report.folder import (
    ALL_FILES,
    COMPARISON_FILE,
    DATA_FILES,
    MARKDOWN_FILES,
    PAGE_FILE,
    PREDICTION_FILE,
    discard_reports,
    plot_file,
    prepare,
)
from trine.report.language import Words, languages
from trine.report.plots.style import Plot


def write_all(
    profile: Profile, out: Path, *, lang: str = "both", force: bool = False
) -> list[Path]:
    """Write every file of `profile` into `out` and return their paths.

    `lang` is "en", "zh" or "both". OutputExists if `out` holds an earlier result and `force` is
    not given; UsageError for a bad language or a folder that cannot be written.
    """
    wanted = languages(lang)
    prepare(out, ALL_FILES, force=force)
    # The measurement is safe before anything is computed from it.
    profile.save(out / "profile.json")
    facts = gather(profile)
    records_csv.write(profile, out / "records.csv")
    layer_csv.write(facts.modules, out / "raw_layer_data.csv")
    operator_csv.write_all(facts.operators, out)
    summary_json.write(facts, out / "inference_profile_report.json")
    perfetto.write(profile, out / "trace.json")
    written = [out / name for name in DATA_FILES]
    # Where this run has none, what an earlier one left in the folder goes.
    comparison, prediction = out / COMPARISON_FILE, out / PREDICTION_FILE
    comparison.unlink(missing_ok=True)
    prediction.unlink(missing_ok=True)
    if facts.compared:
        comparison_csv.write(facts.compared, comparison)
        written.append(comparison)
    if profile.fpga is not None:
        fpga_csv.write(facts.predicted, profile.fpga, prediction)
        written.append(prediction)
    reports = [
        (build(facts, Words(language)), plots.draw(facts, Words(language))) for language in wanted
    ]
    return written + write_reports(reports, out)


def write_reports(reports: Iterable[tuple[Document, Mapping[str, Plot]]], out: Path) -> list[Path]:
    """Write Markdown with its plots for each document, and one page with all of them.

    Report files of an earlier run that these do not replace are removed: they would describe
    other data than those beside them.
    """
    written: list[Path] = []
    pages: list[tuple[Document, dict[str, str]]] = []
    for document, drawn in reports:
        images = {name: plot_file(name, document.lang) for name in drawn}
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
    written.append(out / PAGE_FILE)
    discard_reports(out, keep=written)
    return written
