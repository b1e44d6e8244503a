"""The memory model alone: read streams against it, and its efficiency against published figures.

The same C++ that stands behind the simulated unit (`rtl/sim/memory.h`, `ddr3.h`), without the unit:
fast enough to sweep FIFO depth and latency, and free of any figure that was fitted.
"""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from trine.errors import ToolError
from trine.hw.build import cache_folder
from trine.hw.sources import digest, rtl_folder
from trine.ternary.tdpu import BANK_STEP

PEAK_GBS = 8 * 4 / (4 * 1.875)  # eight transfers of four bytes in four clocks of 1.875 ns
_REGION = 64 << 20


@dataclass(frozen=True, slots=True)
class Streams:
    """Read streams of `beats` beats through FIFOs of `fifo_beats`, at `clock_khz` of the ports.

    `latency` clocks of port and interconnect before a burst reaches the controller; `cap_gbs` of
    all ports together, 0 for what DDR3 gives. `lock_step`: a beat is taken from all streams in the
    same clock, or from none. `staggered`: neighbours start in different banks.
    """

    ports: int = 4
    beat_bytes: int = 8
    clock_khz: int = 100_000
    cap_gbs: float = 0.0
    latency: int = 30
    fifo_beats: int = 512
    lock_step: bool = True
    staggered: bool = True
    beats: int = 50_000

    def beats_per_clock(self) -> float:
        """Of one port, from the first request to the last beat."""
        stride = _REGION + (BANK_STEP if self.staggered else 0)
        clocks = _library().tdpu_stream_clocks(
            self.ports,
            self.beat_bytes,
            self.clock_khz,
            self.cap_gbs,
            self.latency,
            self.fifo_beats,
            int(self.lock_step),
            stride,
            self.beats,
        )
        return float(self.beats / clocks)

    def megabytes_per_second(self) -> float:
        """Of all ports together (10^6 bytes)."""
        return self.beats_per_clock() * self.ports * self.beat_bytes * self.clock_khz / 1e3


def ddr_efficiency(
    *, writes: tuple[int, int] = (0, 1), random: bool = False, burst_bytes: int = 128
) -> float:
    """Share of the peak for four masters who always ask; `writes`: so many of so many write."""
    share, of = writes
    return float(_library().tdpu_ddr_efficiency(4, burst_bytes, share, of, int(random), 100_000))


@functools.cache
def _library() -> ctypes.CDLL:
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler) is None:
        raise ToolError(f"{compiler} is missing; on Debian: apt-get install g++")
    folder = rtl_folder() / "sim"
    sources = [folder / name for name in ("traffic.cpp", "memory.h", "ddr3.h")]
    path = cache_folder() / f"traffic-{digest(sources, compiler)[:24]}.so"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as made:
            built = Path(made) / "traffic.so"
            done = subprocess.run(
                [
                    compiler,
                    "-O2",
                    "-std=c++17",
                    "-shared",
                    "-fPIC",
                    str(sources[0]),
                    "-o",
                    str(built),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise ToolError(f"{compiler} failed: {done.stderr.splitlines()[0]}")
            built.replace(path)
    library = ctypes.CDLL(str(path))
    u32, u64 = ctypes.c_uint32, ctypes.c_uint64
    library.tdpu_stream_clocks.restype = u64
    library.tdpu_stream_clocks.argtypes = [
        *(u32, u32, u32, ctypes.c_double, u32, u32, ctypes.c_int, u64, u64),
    ]
    library.tdpu_ddr_efficiency.restype = ctypes.c_double
    library.tdpu_ddr_efficiency.argtypes = [u32, u32, u32, u32, ctypes.c_int, u64]
    return library
