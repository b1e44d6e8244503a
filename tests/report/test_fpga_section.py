"""The unit's predicted times in every report: labelled, with shares and terms."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from profile_builder import build_profile
from small_predictions import prediction
from trine.profiling.predicted import predicted_stages
from trine.profiling.profile import Profile
from trine.profiling.schema import json_schema
from trine.report import bundle
from trine.report.bundle import write_all
from trine.report.console import print_summary
from trine.report.language import Words
from trine.report.plots import fpga
from trine.report.plots.style import fonts_for

SAYS = {"en": "Predicted, not measured on a board", "zh": "预测值，未在开发板上测量"}


@pytest.fixture(scope="module")
def predicted() -> Profile:
    plain = build_profile(layers=4, repeat=2, decode=1)
    return dataclasses.replace(plain, fpga=prediction())


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes seconds."""
    monkeypatch.setattr(bundle.plots, "draw", lambda *_: {})


@pytest.mark.usefixtures("no_plots")
def test_every_report_says_that_it_is_predicted(predicted: Profile, tmp_path: Path) -> None:
    names = {path.name for path in write_all(predicted, tmp_path)}
    assert "fpga_prediction.csv" in names
    for name, languages in (
        ("report.md", ["en"]),
        ("report.zh.md", ["zh"]),
        ("report.html", ["en", "zh"]),
    ):
        text = (tmp_path / name).read_text(encoding="utf-8")
        for language in languages:
            words = Words(language)
            assert SAYS[language] in text, name
            assert words("fpga.nominal") in text and words("fpga.kind.assumed") in text, name
            assert words("file.fpga_prediction.csv") in text, name
    saved = json.loads((tmp_path / "profile.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(json_schema()).validate(saved)
    summary = json.loads((tmp_path / "inference_profile_report.json").read_text(encoding="utf-8"))
    assert summary["fpga_predicted"]["measured"] is False

    with (tmp_path / "fpga_prediction.csv").open(encoding="utf-8") as file:
        rows = {(row["Stage"], row["Operator"]): row for row in csv.DictReader(file)}
    head = rows["decode", "lm_head"]
    assert head["Terms"] == "lm_head: counted + rescore: assumed"
    assert float(head["Predicted FPGA Nominal (ms)"]) == pytest.approx(0.01)
    assert rows["decode", "attention"]["Predicted FPGA Nominal (ms)"] == ""

    # Rendered again from the file alone; and a run without it leaves nothing of it behind.
    write_all(Profile.load(tmp_path / "profile.json"), tmp_path, force=True)
    assert SAYS["en"] in (tmp_path / "report.md").read_text(encoding="utf-8")
    write_all(dataclasses.replace(predicted, fpga=None), tmp_path, force=True)
    assert SAYS["en"] not in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert not (tmp_path / "fpga_prediction.csv").exists()


def test_the_terminal_says_it_too(predicted: Profile) -> None:
    console = Console(width=120, file=io.StringIO(), record=True)
    print_summary(predicted, None, console=console)
    text = console.export_text()
    assert text.count("PREDICTED, not measured on a board") == 2
    assert "110.0 MHz" in text


def test_predicted_bars_are_hollow(predicted: Profile) -> None:
    words = Words("en")
    drawn = fpga.draw(words, fonts_for("en"), predicted_stages(predicted))
    for ax in drawn.figure.axes:
        measured, unit = ax.containers
        assert all(bar.get_hatch() is None for bar in measured)
        assert all(bar.get_hatch() and bar.get_facecolor()[3] == 0 for bar in unit)
        assert len(measured) == len(unit) == 9
