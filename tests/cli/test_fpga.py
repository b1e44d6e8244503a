"""`trine profile --backend fpga`: predicted times stand beside measured ones, and say so."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from trine.checkpoint.config import LINEARS
from trine.cli import fpga, run
from trine.hw.predict import Evidence, Prediction, Range, Term
from trine.hw.sources import Unit


def prediction() -> Prediction:
    """Every operator takes 1000, 800, 750 clocks; a layer of four."""
    names = (*LINEARS, "lm_head")
    terms = tuple(
        Term(name, count, Range(1000, 800, 750).times(count), "counted", "")
        for name in names
        for count in [1 if name == "lm_head" else 4]
    )
    return Prediction(Unit(), 100.0, Evidence(110.0, 3500), terms)


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


def test_the_profile_shows_predictions_beside_the_cpus_times(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(fpga, "predict_for", lambda checkpoint, *, quiet: prediction())
    short = ["--tokens", "3", "--decode", "1", "--repeat", "1", "--warmup", "0", "--lang", "en"]
    out = ["--out", str(tmp_path / "p")]
    assert run(["profile", "synthetic:tiny", "--backend", "fpga", *short, *out]) == 0
    shown = capsys.readouterr().out
    assert "PREDICTED, not measured" in shown
    assert "110.0 MHz" in shown
    with (tmp_path / "p" / fpga.FILE).open() as file:
        rows = list(csv.DictReader(file))
    nominal = {(r["Stage"], r["Operator"]): float(r["Predicted FPGA Nominal (ms)"]) for r in rows}
    # 8 us a product; q, k and v are one step of four layers, and three tokens are three passes.
    assert nominal["decode", "qkv_proj"] == pytest.approx(3 * 4 * 0.008)
    assert nominal["prefill", "qkv_proj"] == pytest.approx(3 * 3 * 4 * 0.008)
    assert nominal["prefill", "lm_head"] == nominal["decode", "lm_head"] == pytest.approx(0.008)
    assert all(float(r["Measured CPU (ms)"]) > 0 for r in rows)
    assert not {"attention", "rope"} & {r["Operator"] for r in rows}
