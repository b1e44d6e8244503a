"""`trine perplexity`: the figures, their document, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import trine
from text_models import TEXT, write_text_model
from trine import cli
from trine.model import Session
from trine.model.perplexity import perplexity

OPTIONS = ["-t", "1", "--body", "2bit"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_text_model(tmp_path_factory.mktemp("text") / "model")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8", newline="")
    return folder


def run(
    capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str, file: str = "text.txt"
) -> tuple[int, str, str]:
    code = cli.run(["perplexity", str(folder), str(folder / file), *arguments, *OPTIONS])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_figures_are_the_librarys(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    code, out, err = run(capsys, folder, "-c", "40", "--json")
    found: dict[str, Any] = json.loads(out)
    assert (code, err, found["status"]) == (0, "", "complete")
    model = trine.load(str(folder), threads=1, body="2bit", head="float")
    *_, (figures, chunks) = perplexity(model, TEXT, context=40)
    assert found["perplexity"] == figures.perplexity
    assert found["perplexity_per_byte"] == figures.perplexity_per_byte
    assert found["standard_error"] == figures.standard_error
    assert (found["chunks"], found["tokens_scored"]) == (chunks, figures.tokens)
    code, out, err = run(capsys, folder, "-c", "40", "--chunks", "2")
    assert (code, err) == (0, "trine: scoring chunks\n")
    assert "per token" in out and "perplexity_per_byte" in out and "2 chunks of 40" in out


def test_ctrl_c_prints_the_chunks_so_far(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefill, calls = Session.prefill, 0

    def interrupted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return prefill(*arguments)

    monkeypatch.setattr(Session, "prefill", interrupted)
    code, out, err = run(capsys, folder, "-c", "40", "--json")
    found = json.loads(out)
    assert (code, err) == (130, "trine: interrupted\n")
    assert (found["status"], found["chunks"]) == ("interrupted", 2)


@pytest.mark.parametrize(
    ("file", "arguments", "message"),
    [
        ("none.txt", [], "give a text file"),
        (".", [], "is a folder; give a text file"),
        ("model.safetensors", [], "is not UTF-8 (byte"),
        ("config.json", ["-c", "2000"], "tokens, and one chunk needs 2000"),
        ("text.txt", ["-c", "5000"], "--context 5000 is more than the model's 2048"),
        ("text.txt", ["--head", "screened"], "a screened lm_head gives no logit to most tokens"),
    ],
)
def test_refusals_are_one_line(
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    file: str,
    arguments: list[str],
    message: str,
) -> None:
    code, out, err = run(capsys, folder, *arguments, file=file)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
