"""`trine generate`: text on standard output, everything else beside it, every refusal one line."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hub_server import serve
from text_models import write_text_model
from trine import cli
from trine.model import Model, engine

FAST = ["-t", "1", "--body", "2bit"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_text_model(tmp_path_factory.mktemp("text") / "model"))


def generate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.run(["generate", *arguments, *FAST])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    code, out, err = generate(capsys, *arguments, "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_the_text_and_nothing_else_is_on_standard_output(
    capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    options = [folder, "Once upon", "-n", "20", "--temperature", "1", "--seed", "7"]
    code, out, err = generate(capsys, *options)
    found = document(capsys, *options)
    assert (code, out) == (0, found["text"] + "\n")
    assert err.count("\n") == 1
    assert err.startswith("trine: prompt ") and "text 20 tokens" in err
    assert err.endswith("cut at --max-tokens; seed 7\n")


def test_the_document_says_how_it_was_made(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    found = document(capsys, folder, "Once", "-n", "4", "--logprobs", "2", "--head", "float")
    assert found["synthetic"] is False and found["finish_reason"] == "length"
    assert len(found["tokens"]) == len(found["logprobs"]) == 4
    assert all(len(each["top"]) == 2 and each["logprob"] < 0 for each in found["logprobs"])
    # Greedy: each token is its own likeliest.
    assert [each["top"][0][0] for each in found["logprobs"]] == found["tokens"]
    assert found["engine"]["head"] == "float" and found["engine"]["threads"] == 1
    assert found["timings"]["decode_tokens_per_second"] > 0


def test_a_prompt_from_standard_input_loses_its_last_newline(
    capsys: pytest.CaptureFixture[str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = document(capsys, folder, "Été\n\nOnce", "-n", "3")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("Été\n\nOnce\n".encode())))
    assert document(capsys, folder, "-", "-n", "3")["tokens"] == given["tokens"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    code, _, err = generate(capsys, folder, "-")
    assert (code, err) == (2, "trine: standard input is not valid UTF-8; check its encoding\n")


def test_stop_strings_and_ids_may_be_repeated(
    capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    whole = document(capsys, folder, "Once", "-n", "30", "--temperature", "1", "--seed", "1")
    end = str(whole["tokens"][5])
    options = ["-n", "30", "--temperature", "1", "--seed", "1"]
    cut = document(capsys, folder, "Once", *options, "--stop-id", "0", "--stop-id", end)
    assert cut["finish_reason"] == "stop" and len(cut["tokens"]) <= 5
    stops = ["--stop", "\x07", "--stop", whole["text"][3:6]]
    found = document(capsys, folder, "Once", *options, *stops)
    assert found["text"] == whole["text"][: whole["text"].index(whole["text"][3:6])]


def test_a_synthetic_model_continues_ids_and_says_that_it_is_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = generate(capsys, "synthetic:tiny", "--tokens", "1, 2,3", "-n", "3")
    assert code == 0 and len(out.strip().split(",")) == 3
    assert err.startswith("trine: SYNTHETIC (random) weights: synthetic:tiny\n")
    found = document(capsys, "synthetic:tiny", "--tokens", "1,2,3", "-n", "3")
    assert found["tokens"] == [int(word) for word in out.split(",")]
    assert (found["text"], found["synthetic"]) == ("", True)


def test_ctrl_c_prints_what_was_written_and_exits_130(
    capsys: pytest.CaptureFixture[str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = document(capsys, folder, "Once", "-n", "30")
    forward, calls = engine.Engine.forward, 0

    def interrupted(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 9:
            raise KeyboardInterrupt
        return forward(*arguments, **options)

    monkeypatch.setattr(engine.Engine, "forward", interrupted)
    code, out, err = generate(capsys, folder, "Once", "-n", "30", "--json")
    found = json.loads(out)
    assert (code, err) == (130, "trine: interrupted\n")
    assert (found["finish_reason"], found["tokens"]) == ("interrupted", whole["tokens"][:8])
    calls = 0
    code, out, err = generate(capsys, folder, "Once", "-n", "30")
    assert (code, out) == (130, found["text"] + "\n")
    assert err.splitlines()[0].endswith("; interrupted")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a prompt, or --tokens instead of one"),
        (["Hi", "--tokens", "1"], "give a prompt, or --tokens"),
        (["--tokens", "1,x"], "'x' is no token id; give ids as 1,2,3"),
        (["--tokens", ""], "'' is no token id"),
        (["Hi", "--logprobs", "2"], "--logprobs are printed with --json"),
        (["Hi", "--top-k", "5"], "temperature 0 takes the likeliest"),
        (["Hi", "--temperature", "-1"], "temperature must be 0 or more"),
        (["Hi", "--head", "int4"], "--head: unknown 'int4'; there are float, int8, screened"),
        (["Hi", "--cache", "float8"], "--cache: unknown 'float8'"),
        (["Hi", "--context", "4096"], "--context 4096 is more than the model's 2048"),
        (["Hi", "-n", "0"], "Invalid value"),
        (["\ud8ff"], "not valid UTF-8"),
    ],
)
def test_refusals_are_one_line(
    capsys: pytest.CaptureFixture[str], folder: str, arguments: list[str], message: str
) -> None:
    code, out, err = generate(capsys, folder, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_text_for_a_model_without_a_tokenizer_is_refused_before_it_is_loaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(*_: object, **__: object) -> Model:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("trine.model.load", reached)
    code, out, err = generate(capsys, "synthetic:tiny", "Hi")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "synthetic:tiny has no tokenizer" in err and "--tokens 1,2,3" in err


def test_a_long_prompt_names_the_context(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    code, _, err = generate(capsys, folder, "king " * 50, "--context", "16")
    assert code == 2 and "and a context of 16 must hold it" in err


def test_a_terminal_of_another_encoding_gets_question_marks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from trine.cli import language_model

    written = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", written)
    language_model.show("naïve 😀")
    assert written.buffer.getvalue() == b"na?ve ?"  # type: ignore[attr-defined]


def test_damaged_text_files_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_text_model(tmp_path / "model")
    (folder / "tokenizer.json").write_text("{")
    code, _, err = generate(capsys, str(folder), "Hi")
    assert code == 1 and err.startswith("trine: tokenizer.json is damaged") and err.count("\n") == 1


def test_a_hub_model_is_fetched_with_its_text(tmp_path: Path, folder: str) -> None:
    with serve({"someone/model": Path(folder)}) as hub:
        child = subprocess.run(
            [sys.executable, "-m", "trine", "generate", "someone/model", "Once", "-n", "3", *FAST],
            env=hub.environment(tmp_path / "home"),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
    assert child.returncode == 0, child.stderr
    lines = child.stderr.splitlines()
    assert lines[0] == "trine: fetching someone/model"
    assert len(lines) == 2 and "text 3 tokens" in lines[1]
    assert hub.fetched()[-1] == "model.safetensors"
