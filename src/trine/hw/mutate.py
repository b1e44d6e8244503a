"""Netlist mutants of `tdpu_top`: one bit of one cell made wrong, many in one simulator.

Yosys elaborates the unit to word-level cells, each with the source line it comes from, chooses
mutants evenly over the bits of a module's cells, and puts all of them into one netlist: mutant n is
active while the added input `mutant_i` is n, and 0 is the unit as it is. So one build carries
hundreds, and the netlist's own correctness is checked by running it with 0.

Clock pins are left alone: a unit without a clock, or on its other edge, is no single wrong bit. So
is what leaves the netlist as it was: a constant bit set to its own value, an output bit that
nothing reads.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from trine.errors import ToolError
from trine.hw.build import library
from trine.hw.sources import Unit, files
from trine.hw.yosys import read_commands, run_yosys

PORT, PORT_BITS = "mutant_i", 16
TOP = "tdpu_top"
# What `write_verilog` does not write by itself, and what no reader of a netlist wants to see.
_ELABORATE = ("proc", "bwmuxmap", "opt_expr", "opt_clean")
# Verilator's complaints about a netlist's style; UNOPTFLAT costs speed only.
_LINT = "".join(
    f"/* verilator lint_off {rule} */\n"
    for rule in ("WIDTHTRUNC", "WIDTHEXPAND", "CASEOVERLAP", "UNOPTFLAT")
)
# More than are wanted, since some are dropped.
_SPARE = 2
_CONSTANT = {"const0": "0", "const1": "1"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """Mutant `index` (from 1): what Yosys does to bit `bit` of `port` of `cell`.

    `mode`: inv, const0, const1, or cnot0 and cnot1 (inverted while another bit of the port is 0 or
    1). `place` is file:line.column of the cell, `module` the file's.
    """

    index: int
    module: str
    mode: str
    cell: str
    port: str
    bit: int
    place: str
    command: str

    def __str__(self) -> str:
        return f"{self.place} {self.mode} of bit {self.bit} of {self.port} of {self.cell}"


@dataclass(frozen=True, slots=True)
class Mutation:
    """A unit's chosen mutants, cells by module, and the netlist (RTLIL text) they belong to."""

    unit: Unit
    cells: Mapping[str, int]
    mutants: tuple[Mutant, ...]
    netlist: str

    def simulator(self) -> Path:
        """The shared library in which `tdpu_mutate` chooses one of the mutants."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "net.il").write_text(self.netlist)
            verilog = folder / "net.v"
            run_yosys(
                [
                    f"read_rtlil {folder}/net.il",
                    *(
                        f"{mutant.command} -ctrl {PORT} {PORT_BITS} {mutant.index}"
                        for mutant in self.mutants
                    ),
                    f"write_verilog -noattr {verilog}",
                ]
            )
            verilog.write_text(_LINT + verilog.read_text())
            return library(self.unit, [verilog], {}, defines=("TDPU_MUTANT_PORT",), quick=True)


def modules() -> list[str]:
    """The hand-written modules of `tdpu_top` that have hardware."""
    names = [path.stem for path in files(TOP) if path.parent.name != "generated"]
    return [name for name in names if name not in ("tdpu_pkg", "tdpu_check")]


def shares(cells: Mapping[str, int], count: int, least: int) -> dict[str, int]:
    """How many of `count` mutants each module gets: by its cells, but at least `least`."""
    total = sum(cells.values())
    return {name: max(least, round(count * own / total)) for name, own in cells.items() if own}


def elaborate_commands(unit: Unit, sources: list[Path]) -> list[str]:
    """The Yosys commands that make word-level cells of a unit's sources."""
    return [*read_commands(TOP, sources, unit.parameters()), *_ELABORATE]


def choose_mutants(unit: Unit, count: int, *, seed: int, least: int = 8) -> Mutation:
    """About `count` mutants of a unit, by `shares`; MissingExtra without pyosys."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        elaborate = elaborate_commands(unit, files(TOP))
        elaborate += [f"write_rtlil {folder}/net.il", f"write_json {folder}/net.json"]
        for module in modules():
            elaborate += [
                f"select -set {module} c:* a:src=*{module}.sv* %i",
                f"tee -q -o {folder}/{module}.cells select -list @{module}",
                f"mutate -list {round(count * _SPARE)} -seed {seed} "
                f"-o {folder}/{module}.mutants @{module}",
            ]
        run_yosys(elaborate)
        cells = {
            module: len((folder / f"{module}.cells").read_text().split()) for module in modules()
        }
        bits = _Bits(folder / "net.json")
        mutants: list[Mutant] = []
        for module, share in shares(cells, count, least).items():
            lines = (folder / f"{module}.mutants").read_text().splitlines()
            wrong = (_parse(module, line) for line in lines)
            mutants += [mutant for mutant in wrong if bits.changed_by(mutant)][:share]
        mutants = [replace(mutant, index=index) for index, mutant in enumerate(mutants, 1)]
        return Mutation(unit, cells, tuple(mutants), (folder / "net.il").read_text())


class _Bits:
    """What the bits of a netlist are connected to."""

    def __init__(self, path: Path) -> None:
        module = json.loads(path.read_text())["modules"][TOP]
        self.cells = module["cells"]
        self.read = {bit for port in module["ports"].values() for bit in port["bits"]}
        for cell in self.cells.values():
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] == "input":
                    self.read.update(bits)

    def changed_by(self, mutant: Mutant) -> bool:
        """Whether the netlist with the mutant is another one, and its clocks are the same."""
        cell = self.cells[mutant.cell.removeprefix("\\")]
        port = mutant.port.removeprefix("\\")
        bit = cell["connections"][port][mutant.bit]
        if port.endswith("CLK") or bit == _CONSTANT.get(mutant.mode):
            return False
        return cell["port_directions"][port] == "input" or bit in self.read


def _parse(module: str, line: str) -> Mutant:
    """A line of `mutate -list`: mutate -mode M -module X -cell C -port P -portbit B ... -src S."""
    words = line.split()
    options: dict[str, str] = {}
    for option, value in zip(words[1::2], words[2::2], strict=True):
        # Of several sources the last is the cell's own.
        options[option] = value
    own = [word for word in words if f"{module}.sv:" in word]
    if not own:
        raise ToolError(f"yosys gave {line}, which is not in {module}.sv")
    return Mutant(
        0,
        module,
        options["-mode"],
        options["-cell"],
        options["-port"],
        int(options["-portbit"]),
        own[-1].split("/")[-1].split("|")[0].split("-")[0],
        line,
    )
