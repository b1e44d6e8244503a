"""`trine profile --backend native`: without torch, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trine import cli
from trine.profiling import machine


def test_the_engine_alone_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from trine.cli import run; "
        "sys.exit(run(['profile', 'synthetic:tiny', '--backend', 'native', '--json', '--layers', "
        "'1', '--decode', '1', '--repeat', '1', '--warmup', '0', '--threads', '1']))"
    )
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert child.returncode == 0, child.stderr
    document = json.loads(child.stdout)
    assert document["run"]["backend"] == "native" and document["model"]["layers"] == 1
    assert document["status"] == "complete" and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--backend tensorflow", "unknown 'tensorflow'; there are torch, native, and native,torch"),
        ("--backend native,", "unknown ''"),
        ("--head int8", "--head is the native engine's; add --backend native"),
        ("--backend native --head best", "--head 'best' is unknown; there are float, int8"),
        ("--backend native --cache float64", "there are float16, int8"),
        ("--backend native --body base4", "there are auto, 2bit, base3"),
        ("--backend native --mode offline", "--mode is PyTorch's"),
        ("--backend native --dtype bfloat16", "--dtype is PyTorch's"),
        ("--backend native --compile-cache keep", "--compile-cache is PyTorch's"),
        ("--backend native,torch --verify-fixes", "leave --backend at torch for it"),
        ("--backend native --layers 5", "--layers '5' must be 1 to 4, or 'fit'"),
        ("--backend native --layers 0", "--layers '0' must be 1 to 4, or 'fit'"),
    ],
)
def test_refusals(
    options: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["profile", "synthetic:tiny", *options.split()]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("trine: ") and message in error and error.count("\n") == 0
    assert not list(tmp_path.iterdir())


def test_more_memory_than_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import dataclasses

    host = dataclasses.replace(machine.describe(), memory_available_bytes=1_600_000_000)
    monkeypatch.setattr(machine, "describe", lambda: host)
    monkeypatch.chdir(tmp_path)
    assert cli.run(["profile", "--backend", "native"]) == 1
    assert "MB is free; --layers" in capsys.readouterr().err
