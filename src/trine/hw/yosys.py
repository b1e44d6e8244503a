"""Yosys (pyosys) in a process of its own: it keeps global state and shares no heap with torch."""

from __future__ import annotations

import importlib.util
import json
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
        told = next((line for line in lines if "rror" in line), f"exit code {done.returncode}")
        raise ToolError(f"yosys failed: {told}")


def read_command(
    top: str, sources: list[Path], parameters: Mapping[str, int], without: tuple[str, ...] = ()
) -> str:
    """The command that elaborates `top`; modules named in `without` stay empty."""
    words = ["read_slang", "--no-implicit-memories", "--top", top]
    words += [f"-G {name}={value}" for name, value in parameters.items()]
    words += [f"--blackboxed-module {name}" for name in without]
    return " ".join([*words, *map(str, sources)])
