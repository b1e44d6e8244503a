"""The shipped geometry through the real command, compiled kernels included, killed and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from requirements import require_module

require_module("torch")

STEPS = 6
KILLED_AT = 3
# A generous limit for a busy machine; it ends a hang and judges no speed.
HANG_SECONDS = 500


def write_book(path: Path) -> None:
    """Enough different words for a vocabulary of 2048."""
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("aeiouslnrtdmkbgp"), size=n)) for n in [3, 5, 7] * 900]
    path.write_text(" ".join(random.choice(words, size=9000)), encoding="utf-8")


# The command as it is, but saving after every step, so that a kill at any moment finds a state.
PROGRAM = """
import sys
from trine.cli import run
from trine.torch.train.loop import Run
Run.train.__kwdefaults__["save_every"] = 0.0
sys.exit(run(sys.argv[1:]))
"""


def start(books: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    arguments = ["train", str(books), "--out", str(out), *options]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        # One thread, so that sums have one order.
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, errors


def losses(out: Path) -> list[dict[str, float]]:
    lines = (out / "training" / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def test_a_killed_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    books = tmp_path / "books"
    books.mkdir()
    write_book(books / "book.txt")
    new = ["--steps", str(STEPS), "--batch", "1", "--twin"]

    finish(start(books, tmp_path / "whole", *new))

    killed = start(books, tmp_path / "killed", *new)
    log = tmp_path / "killed" / "training" / "log.jsonl"
    deadline = time.monotonic() + HANG_SECONDS
    while not (log.is_file() and len(log.read_text().splitlines()) >= KILLED_AT):
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert len(losses(tmp_path / "killed")) < STEPS

    finish(start(books, tmp_path / "killed", "--resume"))
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    whole, resumed = (tmp_path / name / "model.safetensors" for name in ("whole", "killed"))
    assert resumed.read_bytes() == whole.read_bytes()
