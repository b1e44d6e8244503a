"""The model's own chat template: messages to the text that it was trained to continue."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trine.errors import CheckpointError, UsageError

# {"role": "system", "user" or "assistant", "content": text}; a template may know more keys.
Message = Mapping[str, Any]

_WORKER = Path(__file__).with_name("template_worker.py")
# Real templates take milliseconds of CPU time and a few MB; a context holds far fewer characters.
_LIMITS = {"seconds": 3, "bytes": 256 << 20, "characters": 4_000_000}
_LONGEST_REASON = 200


class ChatTemplate:
    """Jinja source and the special tokens it may name (bos_token, eos_token and so on)."""

    def __init__(self, source: str, special: Mapping[str, str]) -> None:
        self._source, self._special = source, special

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        """The text of a conversation, up to where the model's answer begins.

        It is what Hugging Face's `apply_chat_template` gives. The template runs in a sandbox in a
        process of its own with 3 s of CPU time and 256 MB.

        Raises UsageError for messages that are malformed or that the template refuses,
        CheckpointError for a template that fails or takes more than that.
        """
        _judge(messages)
        job = {
            "template": self._source,
            "variables": {
                **self._special,
                "messages": [dict(message) for message in messages],
                "tools": None,
                "documents": None,
                "add_generation_prompt": add_generation_prompt,
            },
            "limits": _LIMITS,
        }
        try:
            question = json.dumps(job)
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"messages must be what JSON can hold: {error}") from None
        # -I: neither the caller's environment nor the current folder decide what is imported.
        child = subprocess.run(
            [sys.executable, "-I", str(_WORKER)],
            input=question,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        return _text_of(child)


def no_template(name: str) -> UsageError:
    """What to say when a model without a chat template is asked to chat."""
    return UsageError(
        f"{name} has no chat template: it was not made to chat; use trine generate, which "
        f"continues a text"
    )


def _text_of(child: subprocess.CompletedProcess[str]) -> str:
    try:
        answer = json.loads(child.stdout)
    except ValueError:
        if child.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            reason = f"it takes more than {_LIMITS['seconds']} s of CPU time"
        else:
            reason = (child.stderr.strip().splitlines() or ["its process died"])[-1]
        raise CheckpointError(f"the chat template cannot be rendered: {_line(reason)}") from None
    if "refused" in answer:
        raise UsageError(f"the chat template refuses the messages: {_line(answer['refused'])}")
    if "failed" in answer:
        raise CheckpointError(f"the chat template cannot be rendered: {_line(answer['failed'])}")
    text: str = answer["text"]
    return text


def _judge(messages: Sequence[Message]) -> None:
    if not messages:
        raise UsageError("there are no messages to answer")
    for message in messages:
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise UsageError(
                f"a message must be an object with role and content, not {message!r}"[
                    :_LONGEST_REASON
                ]
            )


def _line(foreign: str) -> str:
    """A stranger's text as one short line that cannot steer a terminal."""
    shown = "".join(c if c.isprintable() else " " for c in foreign)
    return " ".join(shown.split())[:_LONGEST_REASON]
