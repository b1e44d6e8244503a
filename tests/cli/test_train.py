"""`trine train`: refusals in one line, and the way from text to a model and on."""

from __future__ import annotations

import dataclasses
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from requirements import require_module

torch = require_module("torch")

from trine.cli import run  # noqa: E402
from trine.torch.train import loop, recipe  # noqa: E402

SMALL = dataclasses.replace(
    recipe.STORIES,
    vocab_size=300,
    hidden_size=72,
    intermediate_size=76,
    layers=2,
    heads=2,
    kv_heads=1,
    head_dim=36,
    context=32,
)


@pytest.fixture
def books(tmp_path: Path) -> Path:
    folder = tmp_path / "books"
    folder.mkdir()
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("aeioubdgklmnrst"), size=4)) for _ in range(500)]
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(" ".join(random.choice(words, size=1500)))
    return folder


@pytest.fixture(autouse=True)
def small_and_eager(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The shipped geometry would train for minutes; test_smoke.py has it."""
    monkeypatch.setattr(recipe, "STORIES", SMALL)
    with torch.compiler.set_stance("force_eager"):
        yield


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The last line on stderr, after the check that the whole of it is `trine: ...` lines."""
    lines = capsys.readouterr().err.splitlines()
    assert lines and all(line.startswith("trine: ") for line in lines)
    return lines[-1]


def test_a_model_is_trained_stopped_and_resumed(
    books: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "run")
    train = ["train", str(books), "--out", out]
    options = ["--steps", "3", "--batch", "2", "--seed", "5", "--held-out", "b.txt", "--twin"]
    assert run([*train, *options]) == 0
    assert "model in" in one_line(capsys)
    log = [json.loads(line) for line in (tmp_path / "run/training/log.jsonl").open()]
    assert [record["step"] for record in log] == [1, 2, 3]
    assert (tmp_path / "run/training/loss.png").stat().st_size > 1000

    assert run([*train, "--resume"]) == 2
    assert "has done all of its 3 steps" in one_line(capsys)
    assert run([*train, "--resume", "--seed", "6"]) == 2
    assert "cannot change: seed 6 instead of 5" in one_line(capsys)
    assert run([*train, "--resume", "--held-out", "a.txt"]) == 2
    assert "held_out" in one_line(capsys)
    assert run([*train, *options]) == 2
    assert "--resume goes on with it" in one_line(capsys)


@pytest.mark.parametrize(("presses", "saved"), [(1, 2), (2, 0)])
def test_ctrl_c_says_how_to_go_on(
    books: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    presses: int,
    saved: int,
) -> None:
    whole = loop.Run._update

    def pressed(self: loop.Run, *arguments: Any) -> tuple[float, float]:
        # Once ends the step and saves; twice acts at once, and the last checkpoint stays.
        for _ in range(presses if self.step == 1 else 0):
            signal.raise_signal(signal.SIGINT)
        return whole(self, *arguments)

    monkeypatch.setattr(loop.Run, "_update", pressed)
    train = ["train", str(books), "--out", str(tmp_path / "run")]
    assert run([*train, "--steps", "4", "--batch", "1"]) == 130
    lines = capsys.readouterr().err.splitlines()
    assert f"trine: --resume goes on from step {saved} of 4" in lines
    assert lines[-1] == "trine: interrupted"
    presses = 0
    assert run([*train, "--resume"]) == 0
    assert len((tmp_path / "run/training/log.jsonl").read_text().splitlines()) == 4


def test_a_trained_model_is_fine_tuned_by_the_same_command(books: Path, tmp_path: Path) -> None:
    first, second = str(tmp_path / "one"), str(tmp_path / "two")
    assert run(["train", str(books), "--out", first, "--steps", "1", "--batch", "1"]) == 0
    tuning = ["--model", first, "--steps", "2", "--batch", "1", "--lr", "1e-4"]
    assert run(["train", str(books), "--out", second, *tuning]) == 0
    saved = json.loads((tmp_path / "two/training/recipe.json").read_text())
    assert saved["start"] == first
    assert saved["peak_lr"] == 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none", "--out", "run"], "no folder none"),
        (["empty", "--out", "run"], "holds no .txt file to train on"),
        (["books", "--out", "run", "--held-out", "c*"], "'c*' matches no .txt file"),
        (["books", "--out", "run", "--resume"], "holds no checkpoint to resume"),
        (["books", "--out", "books"], "is not empty"),
        (["books", "--out", "books/a.txt"], "is a file"),
        (["books", "--out", "run", "--model", "nowhere"], "no model 'nowhere'"),
        (["books", "--out", "run", "--model", "synthetic:tiny"], "no tokenizer.json"),
        (["books", "--out", "run", "--steps", "0"], "--steps"),
        (["books"], "--out"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    books: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert run(["train", *arguments]) == 2
    assert message in one_line(capsys)
    assert not (tmp_path / "run").exists()
