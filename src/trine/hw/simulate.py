"""One operator through the simulated unit: exactness, clocks, and what they would be in time."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from trine.hw.driver import Driver
from trine.hw.registers import Register
from trine.hw.simulation import MemoryModel, Simulation
from trine.hw.sources import Unit
from trine.hw.vectors import Vectors
from trine.ternary.tdpu import pack_tdpu

# Descriptors, activations and results need little beside the weights.
_ROOM = 4 << 20


@dataclass(frozen=True, slots=True)
class Report:
    """What a simulation counted. Clocks are the RTL's; `clock_khz` is an assumption.

    `clocks`: issue to the last write response; `running`: first to last step; `beats` a port.
    `differing`: accumulators that are not those of the reference. `faults`: bursts against the
    AXI rules. `seconds`: of the simulation itself.
    """

    operator: str
    rows: int
    columns: int
    vectors: int
    unit: Unit
    memory: MemoryModel
    accumulators: int
    differing: int
    faults: int
    beats: int
    clocks: int
    running: int
    starved: int
    blocked: int
    seconds: float

    @property
    def beats_per_clock(self) -> float:
        """Of a port, between the first and the last step."""
        return self.beats / self.running

    @property
    def microseconds(self) -> float:
        """Predicted: the clocks at the assumed clock rate."""
        return self.clocks / self.memory.clock_khz * 1e3


def simulate(vectors: Vectors, unit: Unit, model: MemoryModel) -> Report:
    """Run an operator as one job; its vectors must fit the unit's batch and longest row."""
    rows, columns = vectors.trits.shape
    simulation = Simulation(unit, model)
    driver = Driver(simulation)
    layout = driver.layout(rows, columns)
    weights = driver.store(pack_tdpu(vectors.trits, layout))
    start, clock = time.perf_counter(), simulation.clock
    result = driver.wait(driver.submit(layout, weights, vectors.activations))
    elapsed = time.perf_counter() - start
    return Report(
        operator=f"{vectors.model} layer {vectors.layer} {vectors.linear}",
        rows=rows,
        columns=columns,
        vectors=len(vectors.activations),
        unit=unit,
        memory=model,
        accumulators=vectors.accumulators.size,
        differing=int(np.count_nonzero(result.accumulators != vectors.accumulators)),
        faults=simulation.faults,
        beats=simulation.read(Register.STEPS),
        clocks=result.clocks,
        running=simulation.read(Register.RUNNING),
        starved=simulation.read(Register.STARVED),
        blocked=simulation.read(Register.BLOCKED),
        seconds=elapsed if simulation.clock > clock else 0.0,
    )


def memory_for(vectors: Vectors, unit: Unit) -> int:
    """Bytes of memory that one operator needs, images and results included."""
    rows, columns = vectors.trits.shape
    image: int = rows * (-(-columns // unit.lanes) * unit.beat_bytes) + unit.engines * (64 << 10)
    return image + 8 * vectors.accumulators.size + 2 * vectors.activations.size + _ROOM
