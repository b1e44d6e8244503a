"""Options that several verbs of `trine hw` share."""

from __future__ import annotations

from typing import Annotated

import typer

Engines = Annotated[int, typer.Option(help="engines, one per AXI port (1-4)")]
Code = Annotated[int, typer.Option(help="trit code: 2 (two bits) or 3 (base 3)")]
BeatBits = Annotated[int, typer.Option(help="bits of an AXI beat: 32, 64, 128")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document")]
