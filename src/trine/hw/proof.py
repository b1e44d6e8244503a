"""Proofs about the RTL: Yosys makes a circuit of a property module, ABC's PDR decides it.

Property-directed reachability finds an inductive invariant, so "proved" holds for all time, from
reset, for all inputs that the module's assumptions allow.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trine.errors import MissingExtra, ToolError

# Asserts become outputs that must stay 0, assumes become constraints. In a process of its own:
# Yosys keeps global state, and prints.
_SCRIPT = """
import sys
from pyosys import libyosys
kind, top, folder, *rest = sys.argv[1:]
split = rest.index("--")
parameters = " ".join("-G " + value for value in rest[:split])
drop = "-assert" if kind == "cover" else "-cover"
design = libyosys.Design()
for command in (
    f"read_slang {parameters} --top {top} " + " ".join(rest[split + 1 :]),
    "proc",
    "flatten",
    # Only what the properties see: data paths are gone from here on.
    "opt_clean -purge",
    f"chformal {drop} -remove",
    "chformal -cover2assert" if kind == "cover" else "",
    "memory_map",
    "formalff -clk2ff -ff2anyinit",
    "chformal -lower",
    "async2sync",
    "dffunmap",
    "opt -full",
    "setundef -undriven -anyseq",
    "techmap",
    "simplemap",
    "dffunmap",
    "opt_clean",
    "aigmap",
    f"write_aiger -zinit {folder}/circuit.aig",
):
    if command:
        libyosys.run_pass(command, design)
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`proved`: for all time. Otherwise `trace` is the length in clocks of a counterexample."""

    proved: bool
    trace: int
    message: str


def prove(
    top: str,
    sources: list[Path],
    parameters: Mapping[str, int] | None = None,
    *,
    seconds: int = 120,
) -> Verdict:
    """Decide all asserts of `top`; ToolError when it stays undecided for `seconds`."""
    found = importlib.util.find_spec("pyosys")
    if found is None or found.origin is None:
        raise MissingExtra("hw", "a proof")
    with tempfile.TemporaryDirectory() as folder:
        values = [f"{key}={value}" for key, value in (parameters or {}).items()]
        _run(
            [sys.executable, "-c", _SCRIPT, "prove", top, folder, *values, "--"]
            + [str(path) for path in sources],
            seconds,
        )
        abc = Path(found.origin).parent / "yosys-abc"
        told = _run(
            [str(abc), "-c", f"read_aiger {folder}/circuit.aig; fold; strash; pdr -T {seconds}"],
            2 * seconds,
        )
    if "Property proved" in told:
        return Verdict(True, 0, told)
    asserted = re.search(r"was asserted in frame (\d+)", told)
    if asserted is None:
        raise ToolError(f"{top} is undecided after {seconds} s; give it more, or less state")
    return Verdict(False, int(asserted[1]), told)


def _run(command: list[str], seconds: int) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=max(600, seconds)
    )
    text = done.stdout + done.stderr
    if done.returncode:
        lines = text.splitlines()
        told = next((line for line in lines if "rror" in line), "no message")
        raise ToolError(f"{Path(command[0]).name} failed: {told}")
    return text
