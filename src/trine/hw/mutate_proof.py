"""Is a mutant the unit as it is? A proof over all time, or a counterexample.

Two copies of the netlist, one with the mutant, get the same inputs; ABC merges what corresponds
(scorr) and decides the rest (property-directed reachability), so "equivalent" is unbounded: no
input sequence from the state with all flip-flops 0 makes the outputs differ. Memories are cut out
of both copies: what is written and the addresses become outputs, what is read becomes inputs that
both copies share. That can only make copies differ that are equal, never the other way round.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import tempfile
from pathlib import Path

from trine.errors import MissingExtra, ToolError
from trine.hw.mutate import TOP, Mutant, Mutation, elaborate_commands
from trine.hw.mutate_source import SourceMutant
from trine.hw.sources import Unit, files, rtl_folder
from trine.hw.yosys import run_yosys


def equivalent(mutation: Mutation, mutant: Mutant, *, seconds: int = 300) -> bool | None:
    """Whether no input tells the netlist mutant from the unit; None when undecided in `seconds`.

    MissingExtra without pyosys.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "net.il").write_text(mutation.netlist)
        wrong = mutant.command.replace(f"-module {TOP} ", "-module mutated ")
        return _compare(folder, [f"copy {TOP} mutated", wrong], seconds)


def equivalent_source(unit: Unit, mutant: SourceMutant, *, seconds: int = 300) -> bool | None:
    """The same of a source mutant, for this unit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        changed = folder / mutant.file
        changed.write_text(mutant.apply((rtl_folder() / mutant.file).read_text()))
        wrong = [changed if path.name == mutant.file else path for path in files(TOP)]
        run_yosys(
            [*elaborate_commands(unit, files(TOP)), f"write_rtlil {folder}/net.il"],
            [
                *elaborate_commands(unit, wrong),
                f"rename {TOP} mutated",
                f"write_rtlil {folder}/wrong.il",
            ],
        )
        return _compare(folder, [f"read_rtlil {folder}/wrong.il"], seconds)


def _compare(folder: Path, mutate: list[str], seconds: int) -> bool | None:
    """net.il against the module `mutated` that these commands add to it."""
    found = importlib.util.find_spec("pyosys")
    if found is None or found.origin is None:
        raise MissingExtra("hw", "a proof")
    boxes = _memory_boxes(folder)
    run_yosys(
        [
            f"read_rtlil {folder}/net.il",
            *mutate,
            "setundef -zero",
            "memory_collect",
            f"read_verilog -lib {folder}/box.v",
            *(f"chtype -set {box} {TOP}/{cell} mutated/{cell}" for cell, box in boxes.items()),
            f"expose -evert {TOP}/t:memory_box* mutated/t:memory_box*",
            f"miter -equiv -flatten {TOP} mutated miter",
            "hierarchy -top miter",
            "opt -full",
            "formalff -clk2ff",
            "async2sync",
            "dffunmap",
            "simplemap",
            "techmap",
            "opt_merge -share_all",
            "opt_clean -purge",
            "setundef -zero",
            "dffunmap",
            "aigmap",
            f"write_aiger -zinit {folder}/miter.aig",
        ]
    )
    abc = Path(found.origin).parent / "yosys-abc"
    script = f"read_aiger {folder}/miter.aig; strash; scleanup; scorr; pdr -T {seconds}"
    done = subprocess.run([str(abc), "-c", script], capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    if "Property proved" in told:
        return True
    if "was asserted in frame" in told:
        return False
    if "undecided" in told.lower() or "timeout" in told.lower():
        return None
    raise ToolError(f"abc failed: {told.splitlines()[-1] if told else 'no message'}")


def _memory_boxes(folder: Path) -> dict[str, str]:
    """Modules (box.v) with the ports of each memory of net.il, for `expose`; cell to module."""
    collect = [f"read_rtlil {folder}/net.il", "memory_collect", f"write_json {folder}/net.json"]
    run_yosys(collect)
    cells = json.loads((folder / "net.json").read_text())["modules"][TOP]["cells"]
    boxes = dict[str, str]()
    text = []
    for cell, told in cells.items():
        if told["type"] != "$mem_v2":
            continue
        boxes[cell] = box = f"memory_box{len(boxes)}"
        ports = [
            f"{told['port_directions'][port]} [{len(bits) - 1}:0] {port}"
            for port, bits in told["connections"].items()
        ]
        text.append(f"module {box}({', '.join(ports)}); endmodule")
    (folder / "box.v").write_text("\n".join(text))
    return boxes
