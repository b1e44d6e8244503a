"""What `trine profile` keeps and says when the run itself cannot be finished."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from requirements import require_module
from trine import cli
from trine.profiling.profile import Profile


def test_without_torch_the_install_command_is_named(tmp_path: Path) -> None:
    # A process of its own: here torch may be imported already.
    code = (
        "import sys; sys.modules['torch'] = None; from trine.cli import run; "
        f"sys.exit(run(['profile', 'synthetic:tiny', '--out', {str(tmp_path / 'o')!r}]))"
    )
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert child.returncode == 1 and "Traceback" not in child.stderr
    assert 'pip install "trine[torch]"' in child.stderr
    assert not (tmp_path / "o").exists()


def test_without_a_compiler_nothing_is_measured(tmp_path: Path) -> None:
    """torch.compile would fail in the first pass; the refusal comes before the weights."""
    require_module("torch")
    child = subprocess.run(
        [sys.executable, "-m", "trine", "profile", "synthetic:tiny", "--out", str(tmp_path / "o")],
        env=os.environ | {"CXX": str(tmp_path / "no-such-compiler")},
        capture_output=True,
        text=True,
        check=False,
    )
    last = child.stderr.strip().splitlines()[-1]
    assert child.returncode == 1 and "Traceback" not in child.stderr
    assert last.startswith("trine: torch.compile needs a C++ compiler") and "apt-get" in last
    assert "making weights" not in child.stderr and not (tmp_path / "o").exists()


def test_a_failed_run_keeps_what_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    require_module("torch")
    from trine.profiling import torch_run

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("planted\nwith a second line")

    monkeypatch.setattr(torch_run, "run_experiments", fail)
    options = "--mode offline --decode 1 --repeat 1 --compile-cache keep --lang en"
    code = cli.run(["profile", "synthetic:tiny", *options.split(), "--out", str(tmp_path / "o")])
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == 1
    assert last.startswith("trine: the run failed during the experiments: RuntimeError: planted;")
    saved = Profile.load(tmp_path / "o" / "profile.json")
    assert saved.status == "partial" and len(saved.passes) == 6
