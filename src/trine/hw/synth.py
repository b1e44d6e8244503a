"""Area on the target part: Yosys (pyosys) for 7-series, counted in cells.

LUTs are LUT1 to LUT6 cells, and the LUTs that memories and shift registers occupy; inverters and
wide multiplexers are apart. Yosys' own "LCs" line is an estimate and is not used. Nothing is placed
or routed: no clock rate comes from here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trine.errors import MissingExtra, ToolError
from trine.hw.sources import Unit, files

# The XC7Z020, data sheet DS190.
PART = {"LUT": 53_200, "flip-flops": 106_400, "BRAM36": 140, "DSP": 220}

# LUTs that a cell occupies as memory or shift register (UG474).
_LUT_MEMORY = {
    "SRL16E": 1,
    "SRLC32E": 1,
    "RAM16X1S": 1,
    "RAM16X1D": 2,
    "RAM32X1S": 1,
    "RAM32X1D": 2,
    "RAM64X1S": 1,
    "RAM64X1D": 2,
    "RAM128X1D": 4,
    "RAM32M": 4,
    "RAM64M": 4,
}

# Runs in a process of its own: Yosys keeps global state, and prints.
_SCRIPT = """
import sys
from pyosys import libyosys
top, part, out, flatten, *rest = sys.argv[1:]
split = rest.index("--")
design = libyosys.Design()
parameters = " ".join("-G " + value for value in rest[:split])
for command in (
    f"read_slang --no-implicit-memories {parameters} --top {top} " + " ".join(rest[split + 1 :]),
    f"synth_xilinx -family {part} {flatten} -noiopad -noclkbuf -top {top}",
    f"tee -q -o {out} stat -json -tech xilinx",
):
    libyosys.run_pass(command, design)
"""


@dataclass(frozen=True, slots=True)
class Area:
    """Cells by type of one synthesis. `flat`: optimised across modules, else each by itself."""

    top: str
    unit: Unit
    flat: bool
    cells: Mapping[str, int]

    def _sum(self, prefix: str) -> int:
        return sum(count for name, count in self.cells.items() if name.startswith(prefix))

    @property
    def lut(self) -> int:
        """LUTs of logic, memory and shift registers."""
        memory = sum(_LUT_MEMORY.get(name, 0) * count for name, count in self.cells.items())
        return self._sum("LUT") + memory

    @property
    def flip_flops(self) -> int:
        """FDRE and its relatives."""
        return self._sum("FD")

    @property
    def bram36(self) -> float:
        """Block RAMs in units of 36 kbit."""
        return self._sum("RAMB36") + self._sum("RAMB18") / 2

    @property
    def dsp(self) -> int:
        """DSP48 blocks; the unit must have none."""
        return self._sum("DSP")

    def shares(self) -> dict[str, dict[str, float]]:
        """Used, available on the XC7Z020 and percent, by resource."""
        used = {
            "LUT": self.lut,
            "flip-flops": self.flip_flops,
            "BRAM36": self.bram36,
            "DSP": self.dsp,
        }
        return {
            name: {"used": value, "of": PART[name], "percent": 100 * value / PART[name]}
            for name, value in used.items()
        }


def synthesise(top: str, unit: Unit, *, flat: bool = True) -> Area:
    """Synthesise one top; MissingExtra without pyosys, ToolError when Yosys refuses."""
    sources = files(top)
    parameters = [f"{key}={value}" for key, value in unit.parameters(top).items()]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "stat.json"
        done = subprocess.run(
            [
                *(sys.executable, "-c", _SCRIPT, top, "xc7", str(out)),
                *("-flatten" if flat else "", *parameters, "--", *map(str, sources)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if "No module named 'pyosys'" in done.stderr:
            raise MissingExtra("hw", "synthesis")
        if done.returncode or not out.is_file():
            lines = (done.stdout + done.stderr).splitlines()
            told = next((line for line in lines if "rror" in line), "no message")
            raise ToolError(f"yosys failed: {told}")
        cells = json.loads(out.read_text())["design"]["num_cells_by_type"]
    return Area(top, unit, flat, cells)
