"""`trine chat` through a pipe: answers on standard output, commands, refusals."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

import trine
from text_models import write_text_model
from trine import cli
from trine.model import engine

OPTIONS = ["-t", "1", "--body", "2bit", "-n", "6"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_text_model(tmp_path_factory.mktemp("text") / "model"))


class Terminal(io.TextIOWrapper):
    """Standard input that says it is one."""

    def isatty(self) -> bool:
        return True


def chat(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
    lines: str,
    kind: type[io.TextIOWrapper] = io.TextIOWrapper,
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.stdin", kind(io.BytesIO(lines.encode()), "utf-8"))
    code = cli.run(["chat", *arguments, *OPTIONS])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_conversation_remembers_and_is_saved(
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    saved = tmp_path / "talk.json"
    lines = f"the king\n\nand his sons\n/save {saved}\n/reset\nthe king\n/quit\nnever\n"
    code, out, err = chat(monkeypatch, capsys, folder, "--system", "Be brief.", lines=lines)
    model = trine.load(folder, threads=1, body="2bit")
    talk = [{"role": "system", "content": "Be brief."}]
    for text in ("the king", "and his sons"):
        talk.append({"role": "user", "content": text})
        talk.append({"role": "assistant", "content": model.chat(talk, max_tokens=6).text})
    assert json.loads(saved.read_text()) == talk
    answers = [message["content"] for message in talk if message["role"] == "assistant"]
    assert (code, out) == (0, "".join(f"{text}\n" for text in [*answers, answers[0]]))
    assert err.count("text 6 tokens") == 3 and "cached) in" in err
    assert f"5 messages in {saved}" in err and "the conversation is forgotten" in err


def test_help_lists_the_commands(
    folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = chat(monkeypatch, capsys, folder, lines="/help\n")
    assert (code, out) == (0, "")
    assert all(name in err for name in ("/reset", "/save FILE", "/help", "/quit"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("/load x\n", "no command /load; /help lists them"),
        ("/save\n", "/save needs a file name"),
        ("/save {folder}/config.json\n", "config.json exists; choose another name"),
        ("/save {folder}/none/x.json\n", "cannot write"),
        ("king " * 2500 + "\n", "a context of 2048 must hold it"),
    ],
)
def test_what_fails_ends_a_script_with_one_line(
    folder: str,
    lines: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = chat(monkeypatch, capsys, folder, lines=lines.format(folder=folder))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_person_is_told_and_goes_on(
    folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = chat(monkeypatch, capsys, folder, lines="/load x\nthe king\n", kind=Terminal)
    assert code == 0 and "no command /load" in err
    assert "text 6 tokens" in err and out


def test_an_answer_that_is_stopped_stays_and_the_conversation_goes_on(
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    forward, calls = engine.Engine.forward, 0

    def interrupted(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return forward(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(engine.Engine, "forward", interrupted)
    saved = tmp_path / "talk.json"
    lines = f"the king\nand his sons\n/save {saved}\n"
    code, _, err = chat(monkeypatch, capsys, folder, lines=lines)
    assert code == 0 and "text 3 tokens" in err and "interrupted" in err
    assert [m["role"] for m in json.loads(saved.read_text())] == ["user", "assistant"] * 2


def test_a_model_that_was_not_made_to_chat_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = str(write_text_model(tmp_path / "plain", chat=False))
    code, out, err = chat(monkeypatch, capsys, plain, lines="Hi\n")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "has no chat template: it was not made to chat; use trine generate" in err


def test_a_hostile_template_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = write_text_model(tmp_path / "hostile", chat=False)
    (hostile / "chat_template.jinja").write_text("{{ ''.__class__.__mro__ }}")
    code, out, err = chat(monkeypatch, capsys, str(hostile), lines="Hi\n")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "chat template cannot be rendered: SecurityError" in err
