"""The command line: one file a verb, registered by `VERBS`; the only place that prints or exits.

In: argv. Out: text for people on stderr and stdout, one JSON document on stdout with --json.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 after Ctrl-C.
"""

from __future__ import annotations

import sys

import typer
import typer.exceptions

from trine.cli import (
    bench,
    chat,
    convert,
    generate,
    hw,
    info,
    inspection,
    perplexity,
    profile,
    report,
    train,
    verify,
)
from trine.cli.interrupt import keep_interrupts
from trine.errors import TrineError

VERBS = (
    generate,
    chat,
    perplexity,
    verify,
    profile,
    bench,
    report,
    train,
    convert,
    inspection,
    info,
)
FAILED = 1
USAGE = 2
INTERRUPTED = 130


def main() -> None:
    """Entry point of the `trine` command."""
    keep_interrupts()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    app = typer.Typer(
        name="trine",
        help="BitNet b1.58 from PyTorch to silicon: profile, run, accelerate.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for verb in VERBS:
        app.command(verb.NAME)(verb.command)
    app.add_typer(hw.app, name=hw.NAME)
    try:
        # Without standalone mode typer returns a command's value, and 130 after Ctrl-C.
        code = app(arguments, prog_name="trine", standalone_mode=False)
        # Here, where a full disk behind a redirection can still be reported.
        sys.stdout.flush()
    except TrineError as error:
        print(f"trine: {error}", file=sys.stderr)
        return error.exit_code
    except typer.exceptions.TyperException as error:
        print(f"trine: {error.format_message()} (see trine --help)", file=sys.stderr)
        return USAGE
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        print(f"trine: cannot read or write{where}: {error.strerror or error}", file=sys.stderr)
        return FAILED
    if code == INTERRUPTED:
        print("trine: interrupted", file=sys.stderr)
    return code if isinstance(code, int) else 0
