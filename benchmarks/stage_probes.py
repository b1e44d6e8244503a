"""LUT, flip-flops and DSP of each stage's arithmetic on xc7: what trine.hw.budget calls a probe.

    python benchmarks/stage_probes.py [PROBE ...]

The modules in benchmarks/stage_probes are sized, not verified: they hold a stage's operators and
widths, not its control. Needs the hw extra; minutes. Ends with one JSON line.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from trine.hw.sources import Unit
from trine.hw.synth import Area
from trine.hw.yosys import read_commands, run_yosys

FOLDER = Path(__file__).resolve().parent / "stage_probes"


def area(probe: str) -> Area:
    """Cells of one probe."""
    top = f"probe_{probe}"
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "stat.json"
        run_yosys(
            [
                *read_commands(top, [FOLDER / f"{top}.sv"], {}),
                f"synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top {top}",
                f"tee -q -o {out} stat -json -tech xilinx",
            ]
        )
        cells = json.loads(out.read_text())["design"]["num_cells_by_type"]
    return Area(top, Unit(), cells, None)


def main() -> None:
    """Synthesise the probes that were named, or all."""
    names = sys.argv[1:] or sorted(p.stem.removeprefix("probe_") for p in FOLDER.glob("*.sv"))
    results = {}
    for name in names:
        sized = area(name)
        results[name] = {
            "lut": sized.lut,
            "flip_flops": sized.flip_flops,
            "dsp": sized.dsp,
            "bram36": sized.bram36,
        }
        print(name, results[name], flush=True)
    print(json.dumps({"benchmark": "stage_probes", "results": results}))


if __name__ == "__main__":
    main()
