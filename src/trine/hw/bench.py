"""A unit inside a cocotb test as a backend of the driver.

The driver is plain Python that waits; it runs in a thread of its own (`cocotb.task.bridge`), and
what it asks for is done by coroutines in the simulator's (`cocotb.task.resume`).
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable

import numpy as np
from numpy.typing import NDArray

Read = Callable[[int], Awaitable[int]]
Write = Callable[[int, int], Awaitable[None]]
Wait = Callable[[int], Awaitable[bool]]


class Bench:
    """`read`, `write` and `wait` are the test's coroutine functions; `memory` what its ports serve.

    Make it and the driver inside a function that `cocotb.task.bridge` runs.
    """

    base = 0

    def __init__(self, memory: NDArray[np.uint8], read: Read, write: Write, wait: Wait) -> None:
        """Needs cocotb, and a running simulator at the first call."""
        resume = importlib.import_module("cocotb.task").resume
        self.memory = memory
        self._read, self._write, self._wait = resume(read), resume(write), resume(wait)

    def read(self, offset: int) -> int:
        """A register's value."""
        return int(self._read(offset))

    def write(self, offset: int, value: int) -> None:
        """Set a register."""
        self._write(offset, int(value))

    def wait(self, clocks: int) -> bool:
        """Wait for the interrupt, at most `clocks`; whether it is high."""
        return bool(self._wait(clocks))

    def flush(self, start: int, size: int) -> None:
        """Nothing: the ports serve the same bytes."""

    def invalidate(self, start: int, size: int) -> None:
        """Nothing: the ports serve the same bytes."""
