"""The command as a process: what a shell sees when its output has nowhere to go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
# Probes of the roofs take seconds and are not what is tested.
SCRIPT = """
import sys
from trine import cli
from trine.profiling import roofs
roofs.measure = lambda *_, **__: []
sys.argv = ["trine", "info", "--json"]
cli.main()
"""


def info(stdout: int) -> tuple[int, str]:
    child = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return child.returncode, child.stderr


def test_a_full_disk_behind_standard_output_is_one_line() -> None:
    if not FULL.exists():
        pytest.skip("no /dev/full on this system")
    with FULL.open("w") as full:
        code, error = info(full.fileno())
    assert code == 1
    assert error.splitlines() == ["trine: cannot read or write: No space left on device"]


def test_a_reader_that_has_gone_is_no_error_message() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stderr is not None
    child.stdout.close()
    assert (child.wait(), child.stderr.read()) == (1, "")
    child.stderr.close()


FINALISER = """
import signal, sys, time
from trine import cli
from trine.profiling import roofs

class Last:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def measure(*_, **__):
    Last()
    time.sleep(60)
    return []

roofs.measure = measure
sys.argv = ["trine", "info", "--json"]
cli.main()
"""


def test_an_interrupt_within_a_finaliser_still_stops_the_command() -> None:
    """Python prints such a KeyboardInterrupt and goes on; garbage is collected at any time."""
    child = subprocess.run(
        [sys.executable, "-c", FINALISER], capture_output=True, text=True, check=False, timeout=50
    )
    assert (child.returncode, child.stderr.splitlines()) == (130, ["trine: interrupted"])
