"""Proofs about the RTL: Yosys makes a circuit of a property module, a solver decides it.

`prove` finds an inductive invariant by property-directed reachability (ABC), `induct` checks one
that the module states itself: either way "proved" holds for all time, from reset, for all inputs
that the module's assumptions allow. `reach` searches the first clocks only, for what must be
reachable and for the counterexample of a seeded bug.
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
top, folder, wrong, *rest = sys.argv[1:]
split = rest.index("--")
parameters = " ".join("-G " + value for value in rest[:split])
design = libyosys.Design()
for command in (
    f"read_slang {parameters} --top {top} " + " ".join(rest[split + 1 :]),
    "proc",
    "flatten",
):
    libyosys.run_pass(command, design)
if wrong:
    # The one cell of this module that comes from the same lines and has such bits.
    libyosys.run_pass("bwmuxmap", design)
    libyosys.run_pass("opt_expr", design)
    libyosys.run_pass("opt_clean", design)
    words = wrong.split()[1:]
    options = dict(zip(words[::2], words[1::2]))
    own = [word.split("/")[-1] for option, word in zip(words, words[1:]) if option == "-src"]
    # A net's comes before the cell's.
    own = set(own[1 if "-wire" in options else 0 :])
    bits = max(int(options["-portbit"]), int(options.get("-ctrlbit", 0)))
    cells = [
        name.str()
        for name, cell in design.top_module().cells_.items()
        if {part.split("/")[-1] for part in cell.get_src_attribute().split("|")} == own
        for port, signal in cell.connections_.items()
        if port.str()[1:] == options["-port"] and signal.size() > bits
    ]
    if len(cells) != 1:
        sys.exit(f"ERROR: {len(cells)} cells of {top} may be the mutant's: {cells}")
    kept = [
        f"{key} {options[key]}"
        for key in ("-mode", "-port", "-portbit", "-ctrlbit")
        if key in options
    ]
    libyosys.run_pass(f"mutate -module {top} -cell {cells[0]} " + " ".join(kept), design)
for command in (
    # What has no driver may have any value, in any clock: so a module without a body is a free one.
    "setundef -undriven -anyseq",
    # Only what the properties see: data paths are gone from here on.
    "opt_clean -purge",
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
    libyosys.run_pass(command, design)
with open(f"{folder}/asserts", "w") as file:
    for cell in design.top_module().cells_.values():
        if cell.type.str() == "$assert":
            print(cell.get_src_attribute().split("|")[0].split("/")[-1], file=file)
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`proved`: for all time. Otherwise `trace` is the length in clocks of a counterexample."""

    proved: bool
    trace: int


def prove(
    top: str,
    sources: list[Path],
    parameters: Mapping[str, int] | None = None,
    *,
    seconds: int = 120,
) -> Verdict:
    """Decide all asserts of `top`; ToolError when it stays undecided for `seconds`."""
    with tempfile.TemporaryDirectory() as folder:
        circuit = _circuit(top, sources, parameters or {}, Path(folder))
        return _decide(top, f"read_aiger {circuit}; fold; strash", seconds)


def cover(
    top: str,
    sources: list[Path],
    parameters: Mapping[str, int] | None = None,
    *,
    seconds: int = 120,
) -> list[Verdict]:
    """Decide each assert of `top` with COVER = 1 by itself: its counterexample is a cover trace.

    Those asserts say that a situation never happens, so `proved` means unreachable.
    """
    with tempfile.TemporaryDirectory() as folder:
        covers = {**(parameters or {}), "COVER": 1}
        circuit = _circuit(top, sources, covers, Path(folder))
        # The header: aig M I L O A [B C ...], outputs and bad states are what is covered.
        with circuit.open("rb") as file:
            numbers = [int(field) for field in file.readline().split()[1:]]
        count = numbers[3] + (numbers[5] if len(numbers) > 5 else 0)
        return [
            _decide(top, f"read_aiger {circuit}; fold; cone -O {index}; strash", seconds)
            for index in range(count)
        ]


def induct(
    top: str, sources: list[Path], parameters: Mapping[str, int] | None = None, *, depth: int = 1
) -> str | None:
    """Prove that the asserts of `top` together are inductive: None, or where one is that is not.

    That one may still hold: an assert that says more about the state may be missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        circuit = _circuit(top, sources, parameters or {}, Path(folder))
        told = _search("induct", circuit, depth)
        if told == "holds":
            return None
        _, when, index = told.split()
        places = (Path(folder) / "asserts").read_text().split()
        return f"{places[int(index)]} ({when})"


def reach(
    top: str, sources: list[Path], parameters: Mapping[str, int], clocks: int
) -> list[int | None]:
    """For each assert of `top`, a clock after reset where it can fail, within `clocks`, or None."""
    with tempfile.TemporaryDirectory() as folder:
        circuit = _circuit(top, sources, parameters, Path(folder))
        lines = [line.split() for line in _search("reach", circuit, clocks).splitlines()]
        clock_of: list[int | None] = [None] * int(lines[0][1])
        for _, index, clock in lines[1:]:
            clock_of[int(index)] = int(clock)
        return clock_of


def refute(
    top: str,
    sources: list[Path],
    parameters: Mapping[str, int],
    clocks: int,
    *,
    wrong: str = "",
) -> tuple[str, int] | None:
    """Where an assert of `top` is that can fail within `clocks` after reset, and when; or None.

    `wrong`: a netlist mutant's command, made on the one cell from the same lines; ToolError unless
    there is just one.
    """
    with tempfile.TemporaryDirectory() as folder:
        circuit = _circuit(top, sources, parameters, Path(folder), wrong)
        told = _search("refute", circuit, clocks)
        if told == "holds":
            return None
        _, index, clock = told.split()
        return (Path(folder) / "asserts").read_text().split()[int(index)], int(clock)


def _search(verb: str, circuit: Path, number: int) -> str:
    if importlib.util.find_spec("pysat") is None:
        raise MissingExtra("hw", "a proof by induction")
    command = [sys.executable, "-m", "trine.hw.induction", verb, str(circuit), str(number)]
    return _run(command).strip()


def _circuit(
    top: str, sources: list[Path], parameters: Mapping[str, int], folder: Path, wrong: str = ""
) -> Path:
    if importlib.util.find_spec("pyosys") is None:
        raise MissingExtra("hw", "a proof")
    values = [f"{key}={value}" for key, value in parameters.items()]
    files = [str(path) for path in sources]
    _run([sys.executable, "-c", _SCRIPT, top, str(folder), wrong, *values, "--", *files])
    return folder / "circuit.aig"


def _decide(top: str, commands: str, seconds: int) -> Verdict:
    found = importlib.util.find_spec("pyosys")
    assert found is not None and found.origin is not None
    abc = Path(found.origin).parent / "yosys-abc"
    told = _run([str(abc), "-c", f"{commands}; pdr -T {seconds}"])
    if "Property proved" in told:
        return Verdict(True, 0)
    asserted = re.search(r"was asserted in frame (\d+)", told)
    if asserted is None:
        raise ToolError(f"{top} is undecided after {seconds} s; give it more, or less state")
    return Verdict(False, int(asserted[1]))


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    text = done.stdout + done.stderr
    if done.returncode:
        lines = text.splitlines()
        told = next(
            (line for mark in ("ERROR:", "rror") for line in lines if mark in line), "no message"
        )
        raise ToolError(f"{Path(command[0]).name} failed: {told}")
    return text
