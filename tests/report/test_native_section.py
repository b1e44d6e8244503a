"""The report of a run of both backends: a real run of the engine, a hand-made one of PyTorch."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest
from rich.console import Console

from profile_builder import build_profile
from small_models import TINY
from trine.profiling import roofs
from trine.profiling.comparison import compare
from trine.profiling.inputs import make_tokens
from trine.profiling.native_run import NativeSettings, run
from trine.profiling.native_steps import REPLACES
from trine.profiling.profile import Agreement, Distance, NumericCheck, Profile
from trine.report import bundle
from trine.report.bundle import write_all
from trine.report.console import print_summary
from trine.report.language import Words
from trine.report.plots import backends
from trine.report.plots.style import fonts_for

AGREEMENT = Agreement(
    [
        Distance("native", 3.1e-7, 5, 5, 4, 4),
        Distance("used", 3.2e-2, 5, 4, 4, 3),
        Distance("cached", 2.5e-7, 3, 3, 3, 3),
        Distance("nudged", 2.2e-7, 5, 5, 4, 4),
    ],
    [7, 8, 9],
    [7, 8, 10],
)


@pytest.fixture(scope="module")
def both() -> Profile:
    torch = build_profile(layers=2, repeat=2, decode=2, warmup=0)
    passed = NumericCheck("decode", 1, "q_proj", "bitlinear", 1, 44, 2e-7, 1e-6)
    settings = NativeSettings(1, 2, 0, 2, 2, "2bit", "int8", "float16", "trine profile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roofs, "measure", lambda *_, **__: torch.roofs[:10])
        tokens = make_tokens(TINY, prompt=None, tokens=3, decode=2)
        native = run(TINY, tokens, settings, lambda *_: None)
    native = dataclasses.replace(native, agreement=AGREEMENT)
    return dataclasses.replace(torch, native=native, checks=[passed])


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes seconds."""
    monkeypatch.setattr(bundle.plots, "draw", lambda *_: {})


@pytest.mark.usefixtures("no_plots")
def test_every_file_has_both(both: Profile, tmp_path: Path) -> None:
    written = {path.name for path in write_all(both, tmp_path)}
    assert "backend_comparison.csv" in written
    with (tmp_path / "backend_comparison.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    steps = [row["Step"] for row in rows if row["Stage"] == "decode"]
    assert steps == [*REPLACES, "remainder", "wall"]
    gate = next(row for row in rows if row["Step"] == "gate_up_proj")
    assert gate["Replaces"] == "gate_proj + act_fn + up_proj + gate_x_up"
    assert float(gate["Ratio"]) > 0 and int(gate["PyTorch OPs"]) == int(gate["Native OPs"])
    english = (tmp_path / "report.md").read_text(encoding="utf-8")
    chinese = (tmp_path / "report.zh.md").read_text(encoding="utf-8")
    assert "## 6. The native engine beside PyTorch" in english
    assert "## 6. 原生引擎与 PyTorch 对比" in chinese
    for text in (english, chinese, (tmp_path / "report.html").read_text(encoding="utf-8")):
        assert "3.2e-02" in text and "7 8 10" in text and "gate_up_proj" in text
    trace = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    assert {event["pid"] for event in trace["traceEvents"]} == {1, 2}
    with (tmp_path / "records.csv").open(encoding="utf-8") as file:
        backends = [row["backend"] for row in csv.DictReader(file)]
    native = both.native
    assert native is not None
    assert backends == ["torch"] * len(both.records) + ["native"] * len(native.records)
    assert Profile.load(tmp_path / "profile.json") == both


@pytest.mark.usefixtures("no_plots")
def test_a_later_run_of_one_backend_leaves_no_comparison(both: Profile, tmp_path: Path) -> None:
    write_all(both, tmp_path, lang="en")
    write_all(dataclasses.replace(both, native=None), tmp_path, lang="en", force=True)
    assert not (tmp_path / "backend_comparison.csv").exists()
    assert "native engine beside" not in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("no_plots")
def test_a_failed_check_refuses_the_ratios(both: Profile, tmp_path: Path) -> None:
    native = both.native
    assert native is not None
    wrong = [
        dataclasses.replace(c, wrong_sums=3) if c.operator == "o_proj" and c.layer == 1 else c
        for c in native.checks
    ]
    failed = dataclasses.replace(both, native=dataclasses.replace(native, checks=wrong))
    write_all(failed, tmp_path, lang="en")
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "Speeds refused" in text
    with (tmp_path / "backend_comparison.csv").open(encoding="utf-8") as file:
        ratios = {row["Step"]: row["Ratio"] for row in csv.DictReader(file)}
    assert {step for step, ratio in ratios.items() if not ratio} == {"o_proj", "remainder", "wall"}


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_plot_has_a_pair_of_bars_a_step(both: Profile, lang: str) -> None:
    plot = backends.draw(Words(lang), fonts_for(lang), compare(both))
    decode = plot.figure.axes[1]
    assert len(decode.patches) == 2 * (len(REPLACES) + 2)
    assert [label.get_text() for label in decode.get_yticklabels()][2] == "qkv_proj"
    assert "gate_up_proj" in plot.svg(lang)


def test_the_engine_alone_has_a_report(both: Profile, tmp_path: Path) -> None:
    native = both.native
    assert native is not None
    written = {path.name for path in write_all(native, tmp_path, lang="en")}
    assert {"report.md", "raw_layer_data.csv", "shares.en.png", "roofline.en.png"} <= written
    assert "backend_comparison.csv" not in written
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "native (ternary kernels)" in text and "native: gate_up_proj" in text
    with (tmp_path / "final_operator_benchmark.csv").open(encoding="utf-8") as file:
        assert "qkv_proj" in {row["Submodule"] for row in csv.DictReader(file)}


@pytest.mark.parametrize(("lang", "word"), [("en", "Ratio"), ("zh", "比值")])
def test_the_terminal_shows_them_side_by_side(both: Profile, lang: str, word: str) -> None:
    console = Console(width=100, record=True, file=None, force_terminal=False)
    with console.capture() as capture:
        print_summary(both, None, lang=lang, console=console)
    assert word in capture.get() and "gate_up_proj" in capture.get()
