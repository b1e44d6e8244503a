"""Protocol tests inside the simulator: one build folder per parameter set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from requirements import require_module, require_package, require_program
from trine.hw.build import verilator_root
from trine.hw.sources import Unit, files, rtl_folder

UNITS = [
    Unit(engines=1, batch=2, code=3, beat_bits=32, k_max=4096),
    Unit(engines=1, batch=1, code=2, beat_bits=64, k_max=4096),
]


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_gemv_streams(unit: Unit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_module("verilator")
    require_package("cocotb")
    require_program("make")
    require_program("perl")
    from cocotb_tools.runner import get_runner

    root = verilator_root()
    monkeypatch.setenv("VERILATOR_ROOT", str(root))
    monkeypatch.setenv("PATH", f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}")
    # The runner hands this process's path to the simulator.
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    runner = get_runner("verilator")
    runner.build(
        sources=[rtl_folder() / "waivers.vlt", *files("tdpu_gemv")],
        hdl_toplevel="tdpu_gemv",
        parameters=unit.parameters("tdpu_gemv"),
        build_args=["--output-split", "0", "-Wno-fatal"],
        build_dir=tmp_path,
    )
    results = runner.test(
        hdl_toplevel="tdpu_gemv",
        test_module="cocotb_gemv",
        build_dir=tmp_path,
        test_dir=tmp_path,
        results_xml=str(tmp_path / "results.xml"),
    )
    text = Path(results).read_text()
    assert text.count("<testcase") == 4
    assert "<failure" not in text and "<error" not in text
