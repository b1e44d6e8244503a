"""Yosys (pyosys) in a process of its own: it keeps global state and shares no heap with torch."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from trine.errors import MissingExtra, ToolError

_SCRIPT = """
import json, sys
from pyosys import libyosys
for commands in json.load(sys.stdin):
    design = libyosys.Design()
    for command in commands:
        libyosys.run_pass(command, design)
"""


_CONSTANT = re.compile(r"\b(?:parameter|localparam|genvar)\b[^=;\n]*?(\w+)\s*=")


def run_yosys(*designs: list[str]) -> None:
    """Run lists of commands, each in an empty design.

    MissingExtra without pyosys, ToolError with what Yosys said when it refuses.
    """
    if importlib.util.find_spec("pyosys") is None:
        raise MissingExtra("hw", "synthesis")
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        input=json.dumps(designs),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        told = next(
            (line for line in lines if "ERROR:" in line or " error: " in line), "no message"
        )
        raise ToolError(f"yosys failed: {told}")


def read_commands(
    top: str, sources: list[Path], parameters: Mapping[str, int], without: tuple[str, ...] = ()
) -> list[str]:
    """The commands that elaborate `top`; modules named in `without` stay empty."""
    words = ["read_slang", "--no-implicit-memories", "--top", top]
    words += [f"-G {name}={value}" for name, value in parameters.items()]
    words += [f"--blackboxed-module {name}" for name in without]
    commands = [" ".join([*words, *map(str, sources)])]
    for source in sources:
        if source.stem in without:
            # An empty module has no parameters, but its instances still carry every constant of it.
            names = set(_CONSTANT.findall(source.read_text()))
            unset = " ".join(f"-unset {name}" for name in sorted(names))
            commands.append(f"setparam {unset} t:{source.stem}")
    return commands
