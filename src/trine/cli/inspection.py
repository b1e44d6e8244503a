"""`trine inspect`: tensors, types, scales and trits of a model or of one file."""

from __future__ import annotations

import dataclasses
import json as json_module
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trine.checkpoint.inspection import Inspection, Tensor, inspect
from trine.cli.progress import Bar

NAME = "inspect"
# Of a table that goes into a file or a pipe: long enough for every tensor's name.
_WIDTH = 130


def command(
    model: Annotated[
        str,
        typer.Argument(help=".gguf or .safetensors file, directory, hub id, synthetic:<preset>"),
    ],
    json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> int:
    """Show what is in a model's files; exit code 1 when trine cannot run it."""
    with Bar(quiet=True) as bar:
        found = inspect(model, lambda done, total: bar("reading tensors", done, total))
    if json:
        print(json_module.dumps(dataclasses.asdict(found), indent=2))
    else:
        _print(found)
    return 1 if _problems(found) else 0


def _problems(found: Inspection) -> list[str]:
    own = [found.problem] if found.problem else []
    return own + [f"{each.name}: {each.problem}" for each in found.tensors if each.problem]


def _print(found: Inspection) -> None:
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console = Console(soft_wrap=True, width=_WIDTH)
    for key, value in found.facts.items():
        console.print(f"{key}: {escape(str(value))}", highlight=False)
    table = Table(title=escape(f"{found.source}: {len(found.tensors)} tensors"))
    for name in ("tensor", "type"):
        table.add_column(name)
    for name in ("shape", "MB", "scale", "-1/0/+1 %"):
        table.add_column(name, justify="right")
    for tensor in found.tensors:
        table.add_row(*_row(tensor))
    console.print(table)
    known = [tensor.nbytes for tensor in found.tensors if tensor.nbytes is not None]
    console.print(f"{sum(known) / 1e6:.1f} MB of tensors", highlight=False)
    for what in found.missing:
        console.print(f"missing: {escape(what)}", highlight=False)
    for problem in _problems(found):
        console.print(f"[red]cannot be run[/red]: {escape(problem)}", highlight=False)


def _row(tensor: Tensor) -> tuple[str, ...]:
    trits = tensor.trits
    return (
        escape(tensor.name),
        tensor.kind,
        " x ".join(map(str, tensor.shape)),
        "?" if tensor.nbytes is None else f"{tensor.nbytes / 1e6:.3f}",
        "" if trits is None else f"{trits.scale:.6g}",
        ""
        if trits is None
        else "/".join(f"{100 * share:.1f}" for share in (trits.minus, trits.zero, trits.plus)),
    )
