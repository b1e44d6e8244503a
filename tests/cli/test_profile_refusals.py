"""Every refusal of `trine profile`: one line, the right exit code, before any measuring."""

from pathlib import Path

import pytest

from hf_directory import write_directory
from requirements import require_module
from trine import cli
from trine.checkpoint.synthetic import SyntheticCheckpoint

require_module("torch")


@pytest.fixture(autouse=True)
def no_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A refusal that comes too late would reach the run, and fail the test."""
    from trine.profiling import torch_run

    def reached(*_: object, **__: object) -> None:
        raise AssertionError("the run was started")

    monkeypatch.setattr(torch_run, "run", reached)
    monkeypatch.chdir(tmp_path)


def refuse(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.run(["profile", *arguments])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return code, captured.err.strip()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["synthetic:9b"], 2, "no synthetic model 'synthetic:9b'"),
        (["nonsense"], 2, "no model 'nonsense': give a directory"),
        (["synthetic:tiny", "--prompt", "  "], 2, "the prompt is empty"),
        (["synthetic:tiny", "--prompt", "Hi"], 2, "carries no tokenizer"),
        (["synthetic:tiny", "--prompt", "Hi", "--tokens", "3"], 2, "exclude each other"),
        (["synthetic:tiny", "--tokens", "0"], 2, "at least 1"),
        (["synthetic:tiny", "--tokens", "2041"], 2, "exceed the context of 2048"),
        (["synthetic:tiny", "--layers", "0"], 2, "must be 1 to 4, or 'fit'"),
        (["synthetic:tiny", "--layers", "5"], 2, "must be 1 to 4, or 'fit'"),
        (["synthetic:tiny", "--layers", "²"], 2, "must be 1 to 4, or 'fit'"),
        (["synthetic:tiny", "--layers", "many"], 2, "must be 1 to 4, or 'fit'"),
        (["synthetic:tiny", "--threads", "100000"], 2, "more than 16 per core"),
        (["synthetic:tiny", "--out", "taken"], 2, "is a file; --out needs a folder"),
        (["synthetic:tiny", "--out", "taken/below"], 2, "cannot make taken/below"),
        (["synthetic:tiny", "--out", "full"], 2, "already holds report.md"),
    ],
)
def test_one_line_and_exit_code(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("taken").write_text("a file")
    Path("full").mkdir()
    Path("full/report.md").write_text("an earlier report")
    result, error = refuse(capsys, *arguments)
    assert (result, error.count("\n")) == (code, 0)
    assert error.startswith("trine: ") and message in error
    assert Path("full/report.md").read_text() == "an earlier report"
    assert sorted(path.name for path in Path().iterdir()) == ["full", "taken"]


@pytest.mark.parametrize(
    "arguments", [["--threads", "0"], ["--repeat", "0"], ["--mode", "sideways"], ["--tokens", "x"]]
)
def test_option_errors_are_usage_errors(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, error = refuse(capsys, "synthetic:tiny", *arguments)
    assert code == 2 and "Invalid value" in error


def test_more_memory_than_there_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    from trine.profiling import machine

    host = dataclasses.replace(machine.describe(), memory_available_bytes=4_000_000_000)
    monkeypatch.setattr(machine, "describe", lambda: host)
    code, error = refuse(capsys)
    assert code == 1 and "GB and 4.0 GB are free; --layers" in error
    code, error = refuse(capsys, "synthetic:3b", "--mode", "online", "--layers", "20")
    assert code == 1 and "20 layers in online float32 need" in error


def test_a_packed_checkpoint_cannot_run_online(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_directory(
        SyntheticCheckpoint("synthetic:tiny"), tmp_path / "m", variant="autobitlinear"
    )
    monkeypatch.undo()
    code, error = refuse(capsys, str(folder), "--mode", "online", "--out", str(tmp_path / "o"))
    assert code == 2 and "use --mode offline" in error


def test_a_truncated_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = SyntheticCheckpoint("synthetic:tiny")
    folder = write_directory(source, tmp_path / "m", variant="master")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    code, error = refuse(capsys, str(folder))
    assert code == 1 and "truncated" in error and "\n" not in error
