"""A Zynq board as a backend of the driver, through pynq. NOT TESTED ON A BOARD.

Only its logic was run, against a stand-in for pynq whose memory is not coherent until it is
flushed (`tests/hw/test_driver.py`). It was written after the pynq 3 sources; `docs/zynq-boot.md`
tells how a board gets there.
"""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trine.errors import HardwareError, ToolError
from trine.hw.registers import IDENTITY, Register

# Between two looks at the interrupt register.
_POLL_S = 50e-6
_CLOCK_TOLERANCE = 0.01
_PAGE = 4096


class Board:
    """The unit in a loaded bitstream. Checked before anything is written: clock, memory, identity.

    `clock_mhz` is what the bitstream was built for; `core` names the unit in the block design.
    The bitstream is loaded at once, so a wrong one stops what ran before.
    """

    def __init__(
        self, bitstream: Path, *, clock_mhz: float, memory_bytes: int, core: str = "tdpu_0"
    ) -> None:
        """Load and check; ToolError without pynq, HardwareError for what does not match."""
        pynq = _pynq()
        overlay = pynq.Overlay(str(bitstream))
        self._clock_mhz = clock_mhz
        clock = float(pynq.Clocks.fclk0_mhz)
        if abs(clock - clock_mhz) > _CLOCK_TOLERANCE * clock_mhz:
            raise HardwareError(
                f"FCLK_CLK0 runs at {clock:g} MHz, the bitstream was built for {clock_mhz:g}; "
                f"set pynq.Clocks.fclk0_mhz or build for this clock"
            )
        if core not in overlay.ip_dict:
            raise HardwareError(
                f"{bitstream} has no {core}; it has {', '.join(sorted(overlay.ip_dict))}"
            )
        place = overlay.ip_dict[core]
        self._registers = pynq.MMIO(place["phys_addr"], place["addr_range"])
        # A HardwareError here keeps the driver from writing to something else's registers.
        identity = self.read(Register.ID)
        if identity != IDENTITY:
            raise HardwareError(f"{core} reads {identity:#x} as its identity, not {IDENTITY:#x}")
        self._buffer = pynq.allocate(shape=(memory_bytes,), dtype="u1")
        self.base = int(self._buffer.device_address)
        if self.base % _PAGE or not 0 < self.base <= (1 << 32) - memory_bytes:
            raise HardwareError(
                f"the contiguous memory lies at {self.base:#x}; the unit needs a multiple of "
                f"{_PAGE} below 4 GiB: reserve more CMA memory (cma= in the kernel's arguments)"
            )
        self.memory: NDArray[np.uint8] = np.asarray(self._buffer)

    def read(self, offset: int) -> int:
        """A register's value."""
        return int(self._registers.read(offset))

    def write(self, offset: int, value: int) -> None:
        """Set a register."""
        self._registers.write(offset, int(value))

    def wait(self, clocks: int) -> bool:
        """Poll until the interrupt would be high, at most `clocks` of the fabric."""
        end = time.monotonic() + clocks / (self._clock_mhz * 1e6)
        while True:
            if self.read(Register.IRQ_STATUS) & self.read(Register.IRQ_MASK):
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL_S)

    def flush(self, start: int, size: int) -> None:
        """Write the processor's caches back."""
        self._buffer[start : start + size].flush()

    def invalidate(self, start: int, size: int) -> None:
        """Drop the processor's caches, so that the next read comes from memory."""
        self._buffer[start : start + size].invalidate()


def _pynq() -> Any:
    try:
        return importlib.import_module("pynq")
    except ImportError:
        raise ToolError(
            "pynq is not installed; on the board: pip install pynq (see docs/zynq-boot.md)"
        ) from None
