"""Renders one chat template, in a process of its own: `chat.py` runs this file.

A chat template is a program that came with a stranger's weights. Jinja's sandbox keeps it from
Python's internals; nothing in Jinja keeps it from looping or growing, and a process has limits.

Reads a JSON object {template, variables, limits} from standard input and writes one of {text},
{refused: what the template raised}, {failed: why it cannot be rendered}.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any, NoReturn

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment


class _Refusal(Exception):
    """What a template says by `raise_exception`."""


class _Generation(Extension):
    """`{% generation %}` marks what an assistant wrote, which matters in training alone."""

    tags = {"generation"}  # noqa: RUF012 (jinja2's own form)

    def parse(self, parser: Parser) -> list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _raise_exception(message: object) -> NoReturn:
    raise _Refusal(str(message))


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: Any = None,
    sort_keys: bool = False,
) -> str:
    # Jinja's own escapes HTML.
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


def render(template: str, variables: dict[str, Any]) -> str:
    """The text of a template, in the environment that Hugging Face gives it."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment.from_string(template).render(variables)


def _limit(seconds: int, nbytes: int) -> None:
    try:
        import resource
    except ImportError:  # not a POSIX system: there are no limits to set
        return
    # DATA and not AS, which would count mapped files as the locale archive of 200 MB.
    for kind, value in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_DATA, nbytes)):
        _, hard = resource.getrlimit(kind)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (allowed, hard))


def _answer(job: dict[str, Any]) -> dict[str, str]:
    _limit(job["limits"]["seconds"], job["limits"]["bytes"])
    try:
        text = render(job["template"], job["variables"])
    except _Refusal as refusal:
        return {"refused": str(refusal)}
    except MemoryError:
        return {"failed": f"it takes more than {job['limits']['bytes'] >> 20} MB of memory"}
    except RecursionError:
        return {"failed": "it calls itself without an end"}
    except jinja2.TemplateSyntaxError as error:
        return {"failed": f"line {error.lineno}: {error.message}"}
    # Whatever a template can do to Python's operators: TypeError, ZeroDivisionError, OverflowError.
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}
    most = job["limits"]["characters"]
    return (
        {"text": text} if len(text) <= most else {"failed": f"it gives more than {most} characters"}
    )


if __name__ == "__main__":
    json.dump(_answer(json.load(sys.stdin)), sys.stdout)
