"""RTL as text: lint, generated files, constants that Python repeats."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from requirements import require_module, require_package, require_program
from trine.hw.build import verilator_root
from trine.hw.registers import Control, Interrupt, Register, State, Status
from trine.hw.sources import TOPS, files, rtl_folder

RTL = rtl_folder()
OWN = sorted(path for path in RTL.glob("tdpu_*.sv"))


@pytest.mark.parametrize("top", TOPS)
def test_verilator_finds_nothing(top: str) -> None:
    require_module("verilator")
    root = verilator_root()
    done = subprocess.run(
        [
            *(str(root / "bin" / "verilator_bin"), "--lint-only", "-Wall"),
            *(str(RTL / "waivers.vlt"), "--top", top, *map(str, files(top))),
        ],
        env=os.environ | {"VERILATOR_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# In a process of its own: native packages of this size do not share one with torch.
SLANG = """
import sys

import pyslang

driver = pyslang.driver.Driver()
driver.addStandardArgs()
good = driver.parseCommandLine(sys.argv[1]) and driver.processOptions()
good = good and driver.parseAllSources()
if good:
    driver.reportCompilation(driver.createCompilation(), False)
sys.exit(not (good and driver.reportDiagnostics(True)))
"""


@pytest.mark.parametrize("top", TOPS)
def test_slang_finds_nothing(top: str) -> None:
    require_package("pyslang")
    command = f"slang --top {top} " + " ".join(map(str, files(top)))
    done = subprocess.run(
        [sys.executable, "-c", SLANG, command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_verible_finds_nothing() -> None:
    done = subprocess.run(
        [
            require_program("verible-verilog-lint"),
            *("--rules_config", str(RTL / "verible.rules"), *map(str, OWN)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_one_module_a_file_of_its_name_and_no_primitive(path: Path) -> None:
    text = path.read_text()
    units = re.findall(r"^(?:module|package) (\w+)", text, re.MULTILINE)
    assert units == [path.stem]
    assert not re.search(r"\b(LUT6|CARRY4|DSP48\w*|RAMB\d+\w*|FDRE)\b", text)


def test_generated_registers_are_those_of_the_rdl(tmp_path: Path) -> None:
    require_module("peakrdl_regblock")
    rdl = str(RTL / "tdpu_regs.rdl")
    block = ["-o", str(tmp_path), "--cpuif=axi4-lite-flat", "--default-reset=rst_n"]
    for command in (["regblock", rdl, *block], ["c-header", rdl, "-o", f"{tmp_path}/tdpu_regs.h"]):
        subprocess.run([sys.executable, "-m", "peakrdl", *command], check=True, capture_output=True)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(path.name for path in (RTL / "generated").iterdir())
    for name in names:
        assert (tmp_path / name).read_text() == (RTL / "generated" / name).read_text(), name


def test_python_repeats_the_registers() -> None:
    header = (RTL / "generated" / "tdpu_regs.h").read_text()
    body = header[header.index("typedef struct __attribute__ ((__packed__))") :]
    fields = [name for name in re.findall(r"uint32_t (\w+);", body) if "reserved" not in name]
    assert {name.upper(): 4 * index for index, name in enumerate(fields)} == {
        register.name: register.value for register in Register
    }
    masks = {name: int(value, 16) for name, value in re.findall(r"define (\w+)_bm (\w+)", header)}
    for register, flags in (("CONTROL", Control), ("STATUS", State), ("IRQ_STATUS", Interrupt)):
        for flag in flags:
            assert masks[f"TDPU_REGS__{register}__{flag.name}"] == flag.value


def test_python_repeats_the_status_codes() -> None:
    package = (RTL / "tdpu_pkg.sv").read_text()
    codes = {
        re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper(): int(value, 16)
        for name, value in re.findall(r"Status(\w+) = 8'h(\w+)", package)
    }
    assert codes == {status.name: status.value for status in Status}


@pytest.mark.parametrize(
    ("parameter", "sentence"),
    [
        ("BEAT_W=48", "BEAT_W is the width of an AXI data bus"),
        ("CODE=4", "CODE is 2"),
        ("ENGINES=5", "ENGINES is 1 to 4"),
        ("BATCH=17", "BATCH is 1 to 16"),
        ("K_MAX=65536", "K_MAX is 1 to 65535"),
        ("FIFO_DEPTH=64", "FIFO_DEPTH is at least 128"),
    ],
)
def test_an_illegal_parameter_stops_elaboration_with_a_sentence(
    parameter: str, sentence: str
) -> None:
    require_module("verilator")
    root = verilator_root()
    done = subprocess.run(
        [
            *(str(root / "bin" / "verilator_bin"), "--lint-only", f"-G{parameter}"),
            *(str(RTL / "waivers.vlt"), "--top", "tdpu_top", *map(str, files("tdpu_top"))),
        ],
        env=os.environ | {"VERILATOR_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert sentence in done.stderr
