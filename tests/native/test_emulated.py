"""The kernel sets that this machine may lack, run under emulation against the scalar one.

Emulation shows that the code computes the right thing; it says nothing of speed, and the real
instructions are shown by the self-test and the kernel tests where they exist. Arm's code runs
under qemu-user, the 256- and 512-bit x86 code with SIMDe's portable C for every instruction.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from requirements import missing, require_program

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parents[1] / "native"
ISA = NATIVE / "isa"
# As CMake builds them, but for the optimisation.
FLAGS = ["-std=c++17", "-O1", "-ffp-contract=off"]
NEON = "-march=armv8.2-a+dotprod"


def build(compiler: str, tmp_path: Path, isa: Path, ops: str, *flags: str) -> Path:
    """The comparison of `ops`, which the file `isa` defines, with the scalar operators."""
    program = tmp_path / "compare_ops"
    sources = [
        HERE / "compare_ops.cpp",
        NATIVE / "tiles.cpp",
        ISA / "scalar.cpp",
        isa,
    ]
    command = [compiler, *FLAGS, *flags, f"-DTRINE_TESTED_OPS={ops}", "-I", NATIVE, *sources]
    subprocess.run([*command, "-o", program], check=True)
    return program


def run(*command: str | Path) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "0 operators differ\n"), result


def test_neon_under_qemu(tmp_path: Path) -> None:
    compiler = require_program("aarch64-linux-gnu-g++")
    emulator = require_program("qemu-aarch64")
    run(emulator, build(compiler, tmp_path, ISA / "neon.cpp", "kNeonDotprodOps", "-static", NEON))


@pytest.mark.parametrize(
    ("isa", "ops"),
    [
        ("avx_vnni", "kAvxVnniOps"),
        ("avx512", "kAvx512BwOps"),
        ("avx512_vnni", "kAvx512VnniOps"),
    ],
)
def test_x86_with_portable_instructions(isa: str, ops: str, tmp_path: Path) -> None:
    compiler = require_program("g++")
    probe = ["-x", "c++", "-fsyntax-only", "-include", "simde/simde-common.h", "/dev/null"]
    if subprocess.run([compiler, *probe], capture_output=True, check=False).returncode:
        missing("the header simde/simde-common.h (libsimde-dev) is not installed")
    simde = ["-DSIMDE_ENABLE_NATIVE_ALIASES", "-DSIMDE_NO_NATIVE", "-I", str(HERE / "simde"), "-w"]
    run(build(compiler, tmp_path, ISA / f"{isa}.cpp", ops, *simde))


def test_a_difference_is_seen(tmp_path: Path) -> None:
    """The comparison can fail: here another scalar set takes a base 3 digit one too high."""
    source = (ISA / "scalar.cpp").read_text()
    wrong = source.replace("3 * rest.at[j] >> 8", "(3 * rest.at[j] >> 8) + 1")
    assert wrong != source
    broken = tmp_path / "broken.cpp"
    broken.write_text(wrong.replace("kScalarOps", "kAvx2Ops"))
    program = build(require_program("g++"), tmp_path, broken, "kAvx2Ops")
    result = subprocess.run([program], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "gemv base3 differs" in result.stdout
    assert "2bit" not in result.stdout
