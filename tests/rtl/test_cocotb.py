"""Protocol tests inside the simulator: one build folder per parameter set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from requirements import require_module, require_package, require_program
from trine.hw.build import verilator_root
from trine.hw.mutate_source import source_mutants
from trine.hw.sources import Unit, files, rtl_folder

HERE = Path(__file__).parent


def run_bench(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    sources: list[Path],
    parameters: Mapping[str, int],
    top: str,
) -> None:
    """Every test of a bench passes, and there are as many as the file has."""
    require_module("verilator")
    require_package("cocotb")
    require_package("cocotbext.axi")
    require_program("make")
    require_program("perl")
    from cocotb_tools.runner import get_runner

    root = verilator_root()
    monkeypatch.setenv("VERILATOR_ROOT", str(root))
    monkeypatch.setenv("PATH", f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}")
    # What runs a while is compiled with some care, what is compiled a while with little.
    monkeypatch.setenv("MAKEFLAGS", "OPT_SLOW=-O0 OPT_GLOBAL=-O0 OPT_FAST=-O1")
    # The runner hands this process's path to the simulator.
    monkeypatch.syspath_prepend(str(HERE))
    runner = get_runner("verilator")
    runner.build(
        sources=[rtl_folder() / "waivers.vlt", *sources],
        hdl_toplevel=top,
        parameters=dict(parameters),
        build_args=["--output-split", "0", "-Wno-fatal"],
        build_dir=folder,
    )
    results = runner.test(
        hdl_toplevel=top,
        test_module=module,
        build_dir=folder,
        test_dir=folder,
        results_xml=str(folder / "results.xml"),
    )
    text = Path(results).read_text()
    wanted = (HERE / f"{module}.py").read_text().count("@cocotb.test()")
    assert text.count("<testcase") == wanted
    assert "<failure" not in text and "<error" not in text


@pytest.mark.parametrize(
    "unit",
    [
        Unit(engines=1, batch=2, code=3, beat_bits=32, k_max=4096),
        Unit(engines=1, batch=1, code=2, beat_bits=64, k_max=4096),
    ],
    ids=["base 3", "two bit"],
)
def test_gemv_streams(unit: Unit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = unit.parameters("tdpu_gemv")
    run_bench(tmp_path, monkeypatch, "cocotb_gemv", files("tdpu_gemv"), parameters, "tdpu_gemv")


@pytest.mark.parametrize(
    "unit",
    [
        Unit(engines=2, batch=3, code=3, beat_bits=32, k_max=200),
        pytest.param(
            Unit(engines=3, batch=2, code=2, beat_bits=64, k_max=300), marks=pytest.mark.hardware
        ),
    ],
    ids=["base 3", "two bit"],
)
def test_core(unit: Unit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = unit.parameters("tdpu_core")
    run_bench(tmp_path, monkeypatch, "cocotb_core", files("tdpu_core"), parameters, "tdpu_core")


@pytest.mark.hardware
@pytest.mark.parametrize(
    "parameters",
    [
        {"CODE": 3, "BEAT_W": 64, "BATCH": 2, "K_MAX": 1000},
        {"CODE": 2, "BEAT_W": 32, "BATCH": 3, "K_MAX": 1000},
    ],
    ids=["base 3", "two bit"],
)
def test_top_between_axi_models(
    parameters: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [*files("tdpu_top"), HERE / "bench_top.sv"]
    run_bench(tmp_path, monkeypatch, "cocotb_top", sources, parameters, "bench_top")


CORE = {"CODE": 3, "BEAT_W": 32, "ENGINES": 2, "BATCH": 3, "K_MAX": 200}
TOP = {"CODE": 3, "BEAT_W": 64, "BATCH": 2, "K_MAX": 1000}


@pytest.mark.hardware
@pytest.mark.parametrize(
    ("bench", "top", "parameters", "why"),
    [
        ("cocotb_core", "tdpu_core", CORE, "a job starts before its activations are there"),
        ("cocotb_core", "tdpu_core", CORE, "TLAST comes with every group"),
        ("cocotb_top", "bench_top", TOP, "the last beat writes words behind the results"),
        ("cocotb_top", "bench_top", TOP, "the ring does not wrap"),
    ],
)
def test_a_bench_notices_a_wrong_unit(
    bench: str,
    top: str,
    parameters: dict[str, int],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (mutant,) = (mutant for mutant in source_mutants() if mutant.why == why)
    changed = tmp_path / mutant.file
    changed.write_text(mutant.apply((rtl_folder() / mutant.file).read_text()))
    sources = files("tdpu_top" if top == "bench_top" else top)
    sources = [changed if path.name == mutant.file else path for path in sources]
    if top == "bench_top":
        sources.append(HERE / "bench_top.sv")
    with pytest.raises((AssertionError, SystemExit)):
        run_bench(tmp_path, monkeypatch, bench, sources, parameters, top)
    # It ran, and a test of it failed.
    assert "<failure" in (tmp_path / "results.xml").read_text()
