"""What `trine profile` keeps and says when the run itself cannot be finished."""

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
