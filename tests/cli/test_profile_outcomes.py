"""`trine profile` after the measuring: what is written, shown and kept, whatever comes then."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from hf_directory import write_directory
from profile_builder import build_profile
from requirements import require_module
from trine import cli
from trine.checkpoint.synthetic import SyntheticCheckpoint
from trine.profiling.profile import Profile
from trine.report import bundle

require_module("torch")

PROFILE = build_profile(repeat=3)


@pytest.fixture(autouse=True)
def finished_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, ...]]:
    """The measuring itself, replaced by its result; the arguments of each call are kept."""
    from trine.profiling import torch_run

    calls: list[tuple[Any, ...]] = []

    def run(*arguments: Any) -> Profile:
        calls.append(arguments)
        return PROFILE

    monkeypatch.setattr(torch_run, "run", run)
    monkeypatch.chdir(tmp_path)
    return calls


@pytest.fixture(autouse=True)
def no_plots(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Drawing takes seconds; a test that looks at the plots asks for `drawn`."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(bundle.plots, "draw", lambda *_: {})


@pytest.fixture
def drawn() -> None:
    """Draw the plots."""


def fail_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """A finding whose fix is tried, in a child process that ends with an error."""
    from trine.profiling import verify
    from trine.profiling.findings import Finding

    finding = Finding(
        rule="page_fault_storm",
        effect_ms=1.0,
        stage="prefill",
        state="measured",
        evidence=[],
        values={},
        fix_environment={"MALLOC_TOP_PAD_": "1"},
    )
    monkeypatch.setattr(verify, "find", lambda _: [finding])
    monkeypatch.setattr(sys, "executable", "/bin/false")


@pytest.mark.parametrize("options", [["--out", "o"], ["--json"]])
def test_a_failing_verification_keeps_the_measurement(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_the_child(monkeypatch)
    code = cli.run(["profile", "synthetic:tiny", "--verify-fixes", "--lang", "en", *options])
    captured = capsys.readouterr()
    last = captured.err.strip().splitlines()[-1]
    assert code == 1 and "Traceback" not in captured.err
    assert last.startswith("trine: the run with {'MALLOC_TOP_PAD_': '1'} ended with exit code 1")
    if options == ["--json"]:
        assert Profile.from_json(captured.out) == PROFILE
    else:
        assert Profile.load(Path("o/profile.json")) == PROFILE
        assert Path("o/report.md").is_file() and "Report: o" in captured.out


def test_ctrl_c_in_the_verification_keeps_the_measurement(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from trine.profiling import verify

    def interrupt(*_: Any) -> Profile:
        raise KeyboardInterrupt

    monkeypatch.setattr(verify, "verify", interrupt)
    command = ["profile", "synthetic:tiny", "--verify-fixes", "--lang", "en", "--out", "o"]
    assert cli.run(command) == 130
    assert "Report: o" in capsys.readouterr().out
    assert Profile.load(Path("o/profile.json")) == PROFILE


def test_a_full_disk_is_one_line_after_the_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", "o/trace.json")

    monkeypatch.setattr(bundle.perfetto, "write", full)
    code = cli.run(["profile", "synthetic:tiny", "--out", "o"])
    captured = capsys.readouterr()
    assert code == 1 and "warm prefill" in captured.out
    assert captured.err.splitlines()[-1] == (
        "trine: cannot write o/trace.json: No space left on device; make room, or choose another "
        "--out"
    )
    assert Profile.load(Path("o/profile.json")) == PROFILE


@pytest.mark.usefixtures("drawn")
def test_force_leaves_no_report_of_an_earlier_run() -> None:
    assert cli.run(["profile", "synthetic:tiny", "--out", "o"]) == 0
    for name in ("report.zh.notes.md", "plots/mine.zh.png"):
        (Path("o") / name).write_text("mine")
    assert Path("o/report.zh.md").is_file() and Path("o/plots/shares.zh.png").is_file()
    assert cli.run(["profile", "synthetic:tiny", "--out", "o", "--force", "--lang", "en"]) == 0
    assert not Path("o/report.zh.md").exists()
    assert [path.name for path in Path("o/plots").glob("*.zh.png")] == ["mine.zh.png"]
    assert Path("o/report.zh.notes.md").read_text() == "mine"
    assert Path("o/report.md").is_file() and Path("o/plots/shares.en.png").is_file()


def test_json_is_one_document_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["profile", "synthetic:tiny", "--json", "--out", "o", "--lang", "en"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["schema_version"] == PROFILE.schema_version
    assert captured.err == ""


def test_each_long_step_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["profile", "synthetic:tiny", "--out", "o", "--lang", "en"]) == 0
    assert capsys.readouterr().err.splitlines() == ["trine: writing the report"]


def test_a_prompt_goes_through_the_models_tokenizer(
    tmp_path: Path, finished_run: list[tuple[Any, ...]]
) -> None:
    source = SyntheticCheckpoint("synthetic:tiny")
    folder = write_directory(source, tmp_path / "m", variant="autobitlinear")
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "Microsoft": 7, "is": 9}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    command = ["profile", str(folder), "--prompt", "Microsoft is", "--json", "--decode", "2"]
    assert cli.run(command) == 0
    ((checkpoint, tokens, settings, *_),) = finished_run
    assert (tokens.ids, tokens.prompt) == ([7, 9], "Microsoft is")
    assert (checkpoint.config.layers, settings.mode, settings.layers) == (2, "offline", 2)
