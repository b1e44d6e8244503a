"""The driver of the unit: one API over any backend that has registers and memory.

Backends: `trine.hw.simulation.Simulation` (the RTL in C++), `trine.hw.bench.Bench` (inside a cocotb
test), `trine.hw.board.Board` (pynq on a Zynq; never run on one). Addresses here count from the
backend's memory; the unit is told bus addresses. What the unit will read is flushed before it is
told, what it wrote is invalidated before it is read: a Zynq's HP ports see no cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trine.errors import HardwareError
from trine.hw.registers import IDENTITY, MAJOR_VERSION, Control, Interrupt, Register, State, Status
from trine.hw.sources import Unit
from trine.ternary.tdpu import Layout

DESCRIPTOR_BYTES = 64
DESCRIPTOR_VERSION = 1
FLAG_IRQ, FLAG_LOAD = 1 << 8, 1 << 9
OWNER, DONE = 1 << 31, 1 << 30
# Activations and results start at a full burst of the widest beat, weights at a page.
BURST_ALIGN, PAGE = 256, 4096
RING_LOG2 = 4


class Backend(Protocol):
    """A unit's registers, memory that it and the driver share, and its interrupt.

    `base` is the bus address of `memory[0]`, a multiple of 4096.
    """

    memory: NDArray[np.uint8]
    base: int

    def read(self, offset: int) -> int:
        """A register's value."""

    def write(self, offset: int, value: int) -> None:
        """Set a register."""

    def wait(self, clocks: int) -> bool:
        """Wait for the interrupt, at most `clocks`; whether it is high."""

    def flush(self, start: int, size: int) -> None:
        """Let the unit see what was written to memory[start : start + size]."""

    def invalidate(self, start: int, size: int) -> None:
        """Let the driver see what the unit wrote to memory[start : start + size]."""


@dataclass(frozen=True, slots=True)
class Job:
    """A submitted job: its place in the ring, its shape, and where its results will lie."""

    index: int
    rows: int
    vectors: int
    results: int


@dataclass(frozen=True, slots=True)
class Result:
    """Accumulators int32 [vectors, rows], and clocks from issue to the last write response."""

    accumulators: NDArray[np.int32]
    clocks: int


class Driver:
    """Submits jobs to a unit and waits for them; allocates in its memory from 4096 up."""

    def __init__(self, backend: Backend) -> None:
        """Refuse what is no unit of this version, then set up an empty ring."""
        self.backend = backend
        identity = backend.read(Register.ID)
        major = backend.read(Register.VERSION) >> 16
        if identity != IDENTITY or major != MAJOR_VERSION:
            raise HardwareError(
                f"register 0 reads {identity:#x} and the version is {major}; a unit of version "
                f"{MAJOR_VERSION} reads {IDENTITY:#x}: check the base address and the bitstream"
            )
        capability = backend.read(Register.CAPABILITY)
        self.unit = Unit(
            engines=capability >> 4 & 15,
            batch=capability >> 8 & 255,
            code=capability & 15,
            beat_bits=8 * (capability >> 16 & 255),
            k_max=backend.read(Register.K_MAX),
        )
        self._free = PAGE
        self._ring = self.allocate(DESCRIPTOR_BYTES << RING_LOG2, PAGE)
        self._tail = 0
        backend.write(Register.CONTROL, Control.RESET)
        while backend.read(Register.STATUS) & State.DRAINING:
            pass
        backend.write(Register.RING_BASE, backend.base + self._ring)
        backend.write(Register.RING_SIZE, RING_LOG2)
        backend.write(Register.IRQ_MASK, Interrupt.DONE | Interrupt.ERROR)
        backend.write(Register.CONTROL, Control.ENABLE)

    def layout(self, rows: int, columns: int) -> Layout:
        """The weight layout this unit reads."""
        return Layout(rows, columns, self.unit.code, self.unit.engines, self.unit.beat_bytes)

    def allocate(self, size: int, align: int = PAGE) -> int:
        """Where `size` free bytes begin in the memory."""
        address = -(-self._free // align) * align
        if address + size > len(self.backend.memory):
            raise HardwareError(
                f"{size} bytes do not fit: {len(self.backend.memory) - address} are left; "
                "give the backend more memory"
            )
        self._free = address + size
        return address

    def store(self, data: NDArray[np.uint8], align: int = PAGE) -> int:
        """Copy bytes to memory, for the unit to read; where they begin."""
        address = self.allocate(data.size, align)
        self.backend.memory[address : address + data.size] = data
        self.backend.flush(address, data.size)
        return address

    def submit(
        self,
        layout: Layout,
        weights: int,
        activations: NDArray[np.int8] | None,
        *,
        vectors: int = 1,
        tag: int = 0,
        scale_index: int = 0,
    ) -> Job:
        """Queue one matrix: `weights` is where its image begins in the memory.

        `activations` int8 [vectors, K]; None takes those of the job before, `vectors` of them.
        HardwareError when the ring is full.
        """
        if self._tail - self.backend.read(Register.HEAD) & 0xFFFF >= 1 << RING_LOG2:
            raise HardwareError(f"{1 << RING_LOG2} jobs are queued already; wait for one")
        address = stride = 0
        if activations is not None:
            vectors = len(activations)
            # The unit reads whole words; what lies behind K meets zero trits.
            stride = -(-layout.words * layout.lanes // BURST_ALIGN) * BURST_ALIGN
            padded = np.zeros((vectors, stride), np.int8)
            padded[:, : layout.columns] = activations
            address = self.store(padded.view(np.uint8).reshape(-1), BURST_ALIGN)
        results = self.allocate(4 * layout.rows * vectors, BURST_ALIGN)
        # A cache line that is dirty now would be written back over them.
        self.backend.flush(results, 4 * layout.rows * vectors)
        flags = FLAG_IRQ | (FLAG_LOAD if activations is not None else 0)
        base = self.backend.base
        words = np.array(
            [
                *(DESCRIPTOR_VERSION | flags, tag, layout.columns, layout.rows),
                *(vectors | scale_index << 16, stride, base + weights, 0, layout.stride, 0),
                *(base + address, 0, base + results, 0, OWNER, 0),
            ],
            dtype=np.uint32,
        )
        slot = self._slot(self._tail)
        self.backend.memory[slot : slot + DESCRIPTOR_BYTES] = words.view(np.uint8)
        self.backend.flush(slot, DESCRIPTOR_BYTES)
        job = Job(self._tail, layout.rows, vectors, results)
        self._tail = self._tail + 1 & 0xFFFF
        self.backend.write(Register.DOORBELL, self._tail)
        return job

    def wait(self, job: Job, clocks: int = 100_000_000) -> Result:
        """The result of a job; HardwareError with its code when it failed or does not end."""
        slot = self._slot(job.index)
        descriptor = self.backend.memory[slot : slot + DESCRIPTOR_BYTES].view(np.uint32)
        while self._is_the_units(slot, descriptor):
            if not self.backend.wait(clocks):
                raise HardwareError(f"job {job.index} is not done after {clocks} clocks")
            pending = self.backend.read(Register.IRQ_STATUS)
            self.backend.write(Register.IRQ_STATUS, pending)
            if pending & Interrupt.ERROR:
                self._stop_if_dead()
        status = int(descriptor[14])
        if status & 0xFF:
            raise HardwareError(
                f"job {job.index} failed with {_name(status & 0xFF)} on port {status >> 8 & 15}; "
                f"error address {self.backend.read(Register.ERROR_ADDRESS):#x}"
            )
        if not status & DONE:
            raise HardwareError(
                f"the unit never saw job {job.index}: its memory is another, or was not flushed"
            )
        size = 4 * job.rows * job.vectors
        self.backend.invalidate(job.results, size)
        words = self.backend.memory[job.results : job.results + size].view(np.int32)
        return Result(words.reshape(job.rows, job.vectors).T.copy(), int(descriptor[15]))

    def abort(self) -> None:
        """Drop all jobs: AXI is drained first, results of dropped jobs are undefined."""
        self.backend.write(Register.CONTROL, Control.ENABLE | Control.ABORT)
        while self.backend.read(Register.STATUS) & State.DRAINING:
            pass

    def _stop_if_dead(self) -> None:
        code = self.backend.read(Register.ERROR) & 0xFF
        if code == Status.TIMEOUT:
            port = self.backend.read(Register.ERROR) >> 8 & 15
            raise HardwareError(f"the memory at port {port} does not answer (timeout)")

    def _is_the_units(self, slot: int, descriptor: NDArray[np.uint32]) -> bool:
        self.backend.invalidate(slot, DESCRIPTOR_BYTES)
        return bool(descriptor[14] & OWNER)

    def _slot(self, index: int) -> int:
        return self._ring + (index & (1 << RING_LOG2) - 1) * DESCRIPTOR_BYTES


def _name(code: int) -> str:
    return Status(code).name if code in set(Status) else f"code {code:#x}"
