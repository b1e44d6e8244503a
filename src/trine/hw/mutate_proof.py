"""Is a mutant the unit as it is? A proof over all time, or a counterexample.

Two copies of a part of the netlist, one with the mutant, get the same inputs; ABC merges what
corresponds (scorr) and decides the rest (property-directed reachability), so "equivalent" is
unbounded: no input sequence from the state with all flip-flops 0 makes the outputs differ. Memories
are cut out of both copies: what is written and the addresses become outputs, what is read becomes
inputs that both copies share.

The part is a window: the cells of the mutant's module, of all instances, with every net that enters
it free and every net that leaves it compared; then those of the modules around it, too. Copies that
agree in a window agree in the unit, since the unit sees no more than its outputs. The other way
round nothing follows: what makes a difference in a window may never enter it, and what leaves it
may never be seen. So there is "equivalent" and "not proved", and no "different".
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from trine.errors import MissingExtra, ToolError
from trine.hw.mutate import TOP, Mutant, Mutation, elaborate_commands
from trine.hw.mutate_source import SourceMutant
from trine.hw.sources import Unit, files, rtl_folder
from trine.hw.yosys import run_yosys

# Modules whose cells make a window when the module alone is not enough.
_AROUND = {
    "tdpu_ram": ("tdpu_fifo", "tdpu_act_store"),
    "tdpu_fifo": ("tdpu_axi_read", "tdpu_queue"),
    "tdpu_queue": ("tdpu_axi_read", "tdpu_axi_write"),
    "tdpu_watchdog": ("tdpu_axi_read", "tdpu_axi_write", "tdpu_queue"),
    "tdpu_axi_read": ("tdpu_fifo", "tdpu_queue", "tdpu_watchdog"),
    "tdpu_axi_write": ("tdpu_queue", "tdpu_watchdog"),
    "tdpu_calc": ("tdpu_sequencer",),
    "tdpu_sequencer": ("tdpu_calc",),
    "tdpu_act_store": ("tdpu_core",),
    "tdpu_core": ("tdpu_array", "tdpu_act_store"),
    "tdpu_array": ("tdpu_core",),
}


def equivalent(mutation: Mutation, mutant: Mutant, *, seconds: int = 60) -> bool:
    """Whether it is proved that no input tells the netlist mutant from the unit.

    Each window gets `seconds`. MissingExtra without pyosys.
    """
    windows = [(mutant.module,), (mutant.module, *_AROUND.get(mutant.module, ()))]
    return any(
        equivalent_within(mutation, mutant, window, seconds=seconds)
        for window in dict.fromkeys(windows)
    )


def equivalent_within(
    mutation: Mutation, mutant: Mutant, window: Sequence[str], *, seconds: int = 60
) -> bool:
    """The same of the cells of these modules, with all that enters them free."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "net.il").write_text(mutation.netlist)
        boxes = _memory_boxes(folder)
        wrong = mutant.command.replace(f"-module {TOP} ", "-module mutated ")
        if mutant.cell in boxes:
            wrong = wrong.replace(f"-cell {mutant.cell} ", f"-cell {boxes[mutant.cell]} ")
        run_yosys(
            [
                f"read_rtlil {folder}/net.il",
                *_cut(folder, boxes),
                # What comes from a mutant has no source and no name: cut first, then mutate.
                "splitnets -ports",
                *(f"select -set {module} c:* a:src=*{module}.sv* %i" for module in window),
                f"select -set window {' '.join('@' + module for module in window)}",
                "submod -name window @window",
                "copy window mutated",
                wrong,
                *_MITER,
                f"write_aiger -zinit {folder}/miter.aig",
            ]
        )
        return _decide(folder / "miter.aig", seconds)


def equivalent_source(unit: Unit, mutant: SourceMutant, *, seconds: int = 300) -> bool:
    """The same of a source mutant and the whole unit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        changed = folder / mutant.file
        changed.write_text(mutant.apply((rtl_folder() / mutant.file).read_text()))
        wrong = [changed if path.name == mutant.file else path for path in files(TOP)]
        boxed = list[str]()
        for module, sources in (("window", files(TOP)), ("mutated", wrong)):
            run_yosys([*elaborate_commands(unit, sources), f"write_rtlil {folder}/net.il"])
            boxes = _memory_boxes(folder)
            run_yosys(
                [
                    f"read_rtlil {folder}/net.il",
                    *_cut(folder, boxes),
                    f"rename {TOP} {module}",
                    f"write_rtlil {folder}/{module}.il",
                ]
            )
            boxed.append(f"read_rtlil {folder}/{module}.il")
        run_yosys([*boxed, *_MITER, f"write_aiger -zinit {folder}/miter.aig"])
        return _decide(folder / "miter.aig", seconds)


# The modules `window` and `mutated` side by side, as gates; their memories' ports become their own.
_MITER = (
    "expose -evert window/t:memory_box* mutated/t:memory_box*",
    # Otherwise each flip-flop without a reset would start as it likes, in each copy.
    "setundef -init -zero",
    "miter -equiv -flatten window mutated miter",
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
)


def _decide(circuit: Path, seconds: int) -> bool:
    """Whether it is proved that the output of the circuit stays 0."""
    found = importlib.util.find_spec("pyosys")
    if found is None or found.origin is None:
        raise MissingExtra("hw", "a proof")
    abc = str(Path(found.origin).parent / "yosys-abc")
    rest = circuit.with_suffix(".scorr.aig")
    script = f"read_aiger {circuit}; strash; scleanup; scorr; print_stats; write_aiger {rest}"
    # pdr calls a circuit undecided in which scorr left no state.
    stateless = re.search(r"lat = +0 ", _run([abc, "-c", script])) is not None
    told = _run([abc, "-c", f"read_aiger {rest}; {'iprove' if stateless else f'pdr -T {seconds}'}"])
    if "Property proved" in told or "UNSATISFIABLE" in told:
        return True
    lower = told.lower()
    if any(word in lower for word in ("was asserted", "satisfiable", "undecided", "timeout")):
        return False
    raise ToolError(f"abc failed: {told.splitlines()[-1] if told else 'no message'}")


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _cut(folder: Path, boxes: dict[str, str]) -> list[str]:
    """Commands that put boxes, of their type's name, in the place of the ports of memories."""
    return [
        f"read_verilog -lib {folder}/box.v",
        f"cd {TOP}",
        # `expose` takes no name that a tool gave, and as a pattern $1 is $procmux$1, too.
        *(f"rename {cell} {box}" for cell, box in boxes.items()),
        *(f"chtype -set {box} {box}" for box in boxes.values()),
        "cd",
        f"delete {TOP}/m:*",
        # Otherwise what is written is written nowhere, and swept away.
        f"setattr -set keep 1 {TOP}/t:memory_box*",
    ]


def _memory_boxes(folder: Path) -> dict[str, str]:
    """Modules (box.v) with the ports of each memory port of net.il; its cell to that module."""
    run_yosys([f"read_rtlil {folder}/net.il", f"write_json {folder}/net.json"])
    cells = json.loads((folder / "net.json").read_text())["modules"][TOP]["cells"]
    boxes = dict[str, str]()
    text = []
    for cell, told in cells.items():
        if not told["type"].startswith("$mem"):
            continue
        boxes[cell] = box = f"memory_box{len(boxes)}"
        ports = [
            f"{told['port_directions'][port]} [{len(bits) - 1}:0] {port}"
            for port, bits in told["connections"].items()
        ]
        text.append(f"module {box}({', '.join(ports)}); endmodule")
    (folder / "box.v").write_text("\n".join(text))
    return boxes
