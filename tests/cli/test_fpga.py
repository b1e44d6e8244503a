"""`trine profile --backend fpga`: predicted times stand beside measured ones, and say so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from small_predictions import prediction
from trine.cli import fpga, run


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("fpga", ("native", True)),
        ("native,torch,fpga", ("native,torch", True)),
        ("torch", ("torch", False)),
    ],
)
def test_fpga_stands_beside_a_backend_that_runs(given: str, wanted: tuple[str, bool]) -> None:
    assert fpga.split_backend(given) == wanted


def test_a_profile_with_fpga_shows_and_keeps_the_prediction(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(fpga, "predict_for", lambda checkpoint, *, quiet: prediction())
    short = ["--tokens", "3", "--decode", "1", "--repeat", "1", "--warmup", "0", "--lang", "en"]
    out = tmp_path / "p"
    assert run(["profile", "synthetic:tiny", "--backend", "fpga", *short, "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "PREDICTED, not measured on a board" in shown
    assert "110.0 MHz" in shown
    saved = json.loads((out / "profile.json").read_text())["fpga"]
    assert saved["clock_mhz"] == 100 and len(saved["terms"]) == 9
    assert (out / "fpga_prediction.csv").is_file()
    assert (out / "plots" / "fpga.en.png").is_file()
    assert "Predicted, not measured on a board" in (out / "report.md").read_text()
