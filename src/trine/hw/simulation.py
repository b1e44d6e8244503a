"""The batch simulator as a backend of the driver: registers, memory, clocks."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from trine.hw.build import simulator
from trine.hw.sources import Unit

_NOWHERE = 2**64 - 1


class Timing(IntEnum):
    """How the memory behind the ports answers."""

    IDEAL = 0
    RANDOM = 1
    DDR3 = 2


@dataclass(frozen=True, slots=True)
class MemoryModel:
    """Size in bytes and timing; `docs/tdpu.md` has the figures of DDR3.

    `latency` clocks are added before each burst. RANDOM adds up to 40 more, and lets every channel
    rest in `stall_percent` of the clocks. `cap_gbs` limits all ports together (DDR3). `base` is the
    bus address of its first byte. The beat that holds the bus address `fail_read` is answered with
    an error, as is a burst that writes `fail_write`; reads or writes that are `deaf` are never
    answered. Reads of `late_port` take `late` clocks more.
    """

    size: int = 64 << 20
    timing: Timing = Timing.IDEAL
    seed: int = 1
    stall_percent: int = 30
    latency: int = 0
    clock_khz: int = 100_000
    cap_gbs: float = 0.0
    fail_read: int = _NOWHERE
    fail_write: int = _NOWHERE
    base: int = 0
    deaf_reads: bool = False
    deaf_writes: bool = False
    late_port: int = 0
    late: int = 0


class Simulation:
    """A running `tdpu_top`; `memory` is uint8, starts at `base` and is shared with the unit."""

    def __init__(self, unit: Unit, model: MemoryModel | None = None) -> None:
        """Build if needed and leave reset."""
        model = model or MemoryModel()
        self.base = model.base
        self._library = _load(str(simulator(unit)))
        self._handle = self._library.tdpu_new(
            model.size,
            int(model.timing),
            model.seed,
            model.stall_percent,
            model.latency,
            model.clock_khz,
            model.cap_gbs,
            model.base,
            model.fail_read,
            model.fail_write,
            int(model.deaf_reads),
            int(model.deaf_writes),
            model.late_port,
            model.late,
        )
        pointer = self._library.tdpu_memory(self._handle)
        self.memory: NDArray[np.uint8] = np.ctypeslib.as_array(pointer, (model.size,))

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self._library.tdpu_delete(self._handle)

    def read(self, offset: int) -> int:
        """A register's value."""
        return int(self._library.tdpu_read(self._handle, offset))

    def write(self, offset: int, value: int) -> None:
        """Set a register."""
        self._library.tdpu_write(self._handle, offset, value)

    def wait(self, clocks: int) -> bool:
        """Run until the interrupt is high, at most `clocks`; whether it is."""
        self._library.tdpu_run(self._handle, clocks)
        return bool(self._library.tdpu_interrupt(self._handle))

    def flush(self, start: int, size: int) -> None:
        """Nothing: the unit and the driver see the same bytes."""

    def invalidate(self, start: int, size: int) -> None:
        """Nothing: the unit and the driver see the same bytes."""

    @property
    def clock(self) -> int:
        """Clocks since the start."""
        return int(self._library.tdpu_clock(self._handle))

    @property
    def faults(self) -> int:
        """Bursts that break the AXI rules the memory checks; 0 in a correct unit."""
        return int(self._library.tdpu_faults(self._handle))

    def moved(self, port: int) -> int:
        """Beats taken from a read port; those given to the write port when `port` is ENGINES."""
        return int(self._library.tdpu_moved(self._handle, port))

    def asked(self, port: int) -> int:
        """Beats of all bursts that a read port has offered, whether taken or not."""
        return int(self._library.tdpu_asked(self._handle, port))

    @property
    def page_misses(self) -> tuple[int, int]:
        """(accesses to a closed DRAM page, all accesses) of DDR3 timing."""
        misses = int(self._library.tdpu_page_misses(self._handle))
        return misses, misses + int(self._library.tdpu_page_hits(self._handle))


def _load(path: str) -> ctypes.CDLL:
    library = ctypes.CDLL(path)
    u32, u64, handle = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p
    library.tdpu_new.restype = handle
    library.tdpu_new.argtypes = [
        *(u64, ctypes.c_int, u32, u32, u32, u32, ctypes.c_double, u64, u64, u64),
        *(ctypes.c_int, ctypes.c_int, u32, u32),
    ]
    library.tdpu_memory.restype = ctypes.POINTER(ctypes.c_uint8)
    library.tdpu_write.argtypes = [handle, u32, u32]
    library.tdpu_write.restype = None
    library.tdpu_read.argtypes = [handle, u32]
    library.tdpu_read.restype = u32
    library.tdpu_run.argtypes = [handle, u64]
    library.tdpu_run.restype = u64
    library.tdpu_delete.restype = None
    for name in ("moved", "asked"):
        getattr(library, f"tdpu_{name}").restype = u64
        getattr(library, f"tdpu_{name}").argtypes = [handle, u32]
    for name in ("clock", "faults", "page_hits", "page_misses"):
        getattr(library, f"tdpu_{name}").restype = u64
    for name in ("memory", "delete", "interrupt", "clock", "faults", "page_hits", "page_misses"):
        getattr(library, f"tdpu_{name}").argtypes = [handle]
    return library
