"""`trine chat`: a conversation in the terminal, or through a pipe, one message a line."""

from __future__ import annotations

import contextlib
import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trine.checkpoint import open_checkpoint
from trine.cli import language_model as lm
from trine.errors import OutputExists, TrineError, UsageError

if TYPE_CHECKING:
    from trine.model import Model

NAME = "chat"
_HELP = """\
/reset       forget the conversation (a system message stays)
/save FILE   write the conversation as JSON, a list of role and content
/help        this list
/quit        leave, as Ctrl-D does; Ctrl-C stops an answer"""


def command(
    model: lm.ModelName,
    system: Annotated[str | None, typer.Option(help="a system message before the first")] = None,
    max_tokens: Annotated[
        int | None, typer.Option("-n", "--max-tokens", min=1, help="most tokens of an answer")
    ] = None,
    temperature: lm.Temperature = None,
    top_k: lm.TopK = None,
    top_p: lm.TopP = None,
    min_p: lm.MinP = None,
    repetition_penalty: lm.Penalty = None,
    seed: lm.Seed = None,
    stop: lm.Stop = None,
    threads: lm.Threads = None,
    body: lm.Body = "auto",
    head: lm.Head = "int8",
    cache: lm.Cache = "float16",
    context: lm.Context = None,
) -> int:
    """Talk to a model that has a chat template; /help lists the commands."""
    sampling: dict[str, Any] = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
    }
    checkpoint = open_checkpoint(model)
    lm.judge(checkpoint, sampling, text=True, chat=True)
    loaded = lm.load_model(
        checkpoint, threads=threads, body=body, head=head, cache=cache, context=context, quiet=False
    )
    options = {**sampling, "max_tokens": max_tokens, "stop": stop or ()}
    conversation = Conversation(loaded, system, options)
    interactive = sys.stdin.isatty()
    if interactive:
        with contextlib.suppress(ImportError):  # not on every system
            import readline  # noqa: F401 (line editing and history in input())
        lm.tell("/help lists the commands, Ctrl-D leaves")
    # Standard output may go to a file, which is for the answers.
    prompt = "> " if interactive and sys.stdout.isatty() else ""
    while True:
        try:
            line = input(prompt).strip()
        except EOFError:
            if interactive:
                print(file=sys.stderr)
            return 0
        except UnicodeDecodeError:
            raise UsageError("standard input is not valid UTF-8; check its encoding") from None
        if line == "/quit":
            return 0
        try:
            conversation.take(line)
        except TrineError as error:
            # A script must learn of it; a person can go on.
            if not interactive:
                raise
            lm.tell(str(error))


class Conversation:
    """The messages so far; `take` does what one line of input asks for."""

    def __init__(self, model: Model, system: str | None, options: dict[str, Any]) -> None:
        self._model, self._options = model, options
        self._start = [] if system is None else [{"role": "system", "content": system}]
        self.messages = list(self._start)

    def take(self, line: str) -> None:
        """Answer a message, or follow a command. Nothing is remembered of what fails."""
        name, _, rest = line.partition(" ")
        if not line:
            return
        if not line.startswith("/"):
            self._answer(line)
        elif name == "/reset":
            self.messages = list(self._start)
            lm.tell("the conversation is forgotten")
        elif name == "/save":
            self._save(rest.strip())
        elif name == "/help":
            print(_HELP, file=sys.stderr)
        else:
            raise UsageError(f"no command {name}; /help lists them")

    def _answer(self, text: str) -> None:
        question = [*self.messages, {"role": "user", "content": text}]
        stream = self._model.stream_chat(question, **self._options)
        lm.play(stream, visible=True)
        generation = stream.result()
        print()
        lm.tell(lm.speed_line(generation))
        if generation.finish_reason == "context":
            lm.tell("/reset forgets the conversation and makes room")
        # What was stopped by Ctrl-C was said, so it stays.
        self.messages = [*question, {"role": "assistant", "content": generation.text}]

    def _save(self, name: str) -> None:
        if not name:
            raise UsageError("/save needs a file name")
        path = Path(name).expanduser()
        try:
            with path.open("x", encoding="utf-8") as file:
                json_module.dump(self.messages, file, indent=2, ensure_ascii=False)
                file.write("\n")
        except FileExistsError:
            raise OutputExists(f"{path} exists; choose another name") from None
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from None
        lm.tell(f"{len(self.messages)} messages in {path}")
