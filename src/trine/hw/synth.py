"""Area on the target part and the delay of its logic: Yosys for 7-series, counted in cells.

LUTs are LUT1 to LUT6 cells, and the LUTs that memories and shift registers occupy; inverters and
wide multiplexers are apart. Yosys' own "LCs" line is an estimate and is not used. Nothing is placed
or routed: the delay is that of cells alone, a lower bound that shows regressions and is no clock.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trine.errors import ToolError
from trine.hw.build import cache_folder
from trine.hw.sources import Unit, digest, files
from trine.hw.yosys import read_commands, run_yosys

# The data sheet DS190.
PART_NAME = "XC7Z020"
PART = {"LUT": 53_200, "flip-flops": 106_400, "BRAM36": 140, "DSP": 220}

# LUTs that a cell occupies as memory or shift register (UG474).
_SHIFT = {"SRL16E": 1, "SRLC32E": 1}
_MEMORY = {
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

_XC7 = "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf"
_CELLS = "read_verilog -lib -specify +/xilinx/cells_sim.v"


@dataclass(frozen=True, slots=True)
class Area:
    """Cells by type of one synthesis, flattened; `logic_ps` is its longest path without wires.

    `logic_ps` is None where modules were left out.
    """

    top: str
    unit: Unit
    cells: Mapping[str, int]
    logic_ps: int | None

    def _sum(self, prefix: str) -> int:
        return sum(count for name, count in self.cells.items() if name.startswith(prefix))

    def _weighted(self, weights: Mapping[str, int]) -> int:
        return sum(weights.get(name, 0) * count for name, count in self.cells.items())

    @property
    def lut_memory(self) -> int:
        """LUTs that are distributed memory."""
        return self._weighted(_MEMORY)

    @property
    def lut_shift(self) -> int:
        """LUTs that are shift registers."""
        return self._weighted(_SHIFT)

    @property
    def lut(self) -> int:
        """LUTs of logic, memory and shift registers."""
        return self._sum("LUT") + self.lut_memory + self.lut_shift

    @property
    def inverters(self) -> int:
        """INV cells: absorbed by a LUT or a control input on the part, so not counted as LUTs."""
        return self._sum("INV")

    @property
    def wide_multiplexers(self) -> int:
        """MUXF7 and MUXF8: they lie beside the LUTs of a slice."""
        return self._sum("MUXF")

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

    @property
    def lut_per_lane(self) -> float:
        """LUTs a lane and vector: a figure of `tdpu_engine`."""
        return self.lut / (self.unit.lanes * self.unit.batch)

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


def synthesise(
    top: str,
    unit: Unit,
    parameters: Mapping[str, int] | None = None,
    *,
    without: tuple[str, ...] = (),
) -> Area:
    """Synthesise a top or, with `parameters` of its own, any block; `without` leaves modules empty.

    Kept by the hash of the sources: the same netlist is never made twice. MissingExtra without
    pyosys, ToolError when Yosys refuses.
    """
    sources = files("tdpu_top" if parameters is not None else top)
    values = unit.parameters(top) if parameters is None else parameters
    kept = _kept(top, sources, values, without)
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(".part")
        part.write_text(json.dumps(_synthesise(top, sources, values, without)))
        part.replace(kept)
    return _load(kept, top, unit)


def synthesised(top: str, unit: Unit) -> Area | None:
    """The area of a top if these sources were synthesised before, else None."""
    kept = _kept(top, files(top), unit.parameters(top), ())
    return _load(kept, top, unit) if kept.is_file() else None


def _kept(
    top: str, sources: list[Path], parameters: Mapping[str, int], without: tuple[str, ...]
) -> Path:
    name = digest(sources, _XC7, top, repr(sorted(parameters.items())), *without)
    return cache_folder() / f"area-{name[:24]}.json"


def _load(kept: Path, top: str, unit: Unit) -> Area:
    saved = json.loads(kept.read_text())
    return Area(top, unit, saved["cells"], saved["logic_ps"])


def _synthesise(
    top: str, sources: list[Path], parameters: Mapping[str, int], without: tuple[str, ...]
) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make = [
            *read_commands(top, sources, parameters, without),
            f"{_XC7} -top {top}",
            f"tee -q -o {folder}/stat.json stat -json -tech xilinx",
        ]
        # sta reads delays only of cells that a netlist was read back with.
        time = [_CELLS, f"read_verilog {folder}/net.v", f"hierarchy -top {top}"]
        time.append(f"tee -q -o {folder}/sta.txt sta")
        if without:
            run_yosys(make)
            delay = None
        else:
            run_yosys([*make, f"write_verilog -noattr {folder}/net.v"], time)
            found = re.search(r"Latest arrival time .* is (\d+)", (folder / "sta.txt").read_text())
            if found is None:
                raise ToolError("yosys sta found no path")
            delay = int(found[1])
        counts = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
    return {"cells": counts, "logic_ps": delay}
