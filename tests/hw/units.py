"""Units and matrices that the hardware tests share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trine.hw.driver import BURST_ALIGN, DESCRIPTOR_BYTES, PAGE, RING_LOG2, Driver, Job, Result
from trine.hw.registers import Control, Register, State
from trine.hw.simulation import MemoryModel, Simulation, Timing
from trine.hw.sources import Unit
from trine.kernels.reference import accumulate
from trine.ternary.tdpu import pack_tdpu

Case = tuple[NDArray[np.int8], NDArray[np.int8]]

# The headline, and one that differs in everything: code, engines, batch, beat.
HEADLINE = Unit(engines=4, batch=1, code=3)
OTHER = Unit(engines=3, batch=4, code=2, beat_bits=32, k_max=1000, fifo_depth=128, illegal_bits=12)
# Only in `make test-hw`.
WIDE = Unit(engines=2, batch=2, code=3, beat_bits=128, k_max=4096)
BATCHED = Unit(engines=4, batch=8, code=3)
SINGLE = Unit(engines=1, batch=1, code=2)

# Both bases together set and clear every address bit above the memory's own.
STALLS = MemoryModel(size=8 << 20, timing=Timing.RANDOM, seed=7, stall_percent=40, base=0x5A5A_A000)
HIGH = MemoryModel(size=8 << 20, timing=Timing.RANDOM, seed=8, stall_percent=10, base=0xFF80_0000)
# What memory holds before anyone writes it.
NOISE = 0xA5


def random_case(rows: int, columns: int, vectors: int, seed: int) -> Case:
    """Trits [rows, columns] and codes [vectors, columns]."""
    rng = np.random.default_rng(seed)
    trits = rng.integers(-1, 2, (rows, columns)).astype(np.int8)
    return trits, rng.integers(-128, 128, (vectors, columns)).astype(np.int8)


def start(unit: Unit, model: MemoryModel = STALLS) -> tuple[Simulation, Driver]:
    simulation = Simulation(unit, model)
    simulation.memory[:] = NOISE
    return simulation, Driver(simulation)


def submit(driver: Driver, trits: NDArray[np.int8], codes: NDArray[np.int8] | None) -> Job:
    layout = driver.layout(*trits.shape)
    return driver.submit(layout, driver.store(pack_tdpu(trits, layout)), codes)


def descriptor(driver: Driver, job: Job) -> NDArray[np.uint32]:
    """The 16 words of a job's descriptor, as they lie in memory."""
    at = PAGE + (job.index & (1 << RING_LOG2) - 1) * DESCRIPTOR_BYTES
    words: NDArray[np.uint32] = driver.backend.memory[at : at + DESCRIPTOR_BYTES].view(np.uint32)
    return words


def run(driver: Driver, trits: NDArray[np.int8], codes: NDArray[np.int8]) -> Result:
    """One job; the unit writes its results, the status and nothing else."""
    job = submit(driver, trits, codes)
    asked = descriptor(driver, job)[:14].copy()
    end = job.results + 4 * job.rows * job.vectors
    # The driver gives what follows up to here to nobody.
    behind = driver.backend.memory[end : -(-end // BURST_ALIGN) * BURST_ALIGN]
    behind[:] = NOISE
    result = driver.wait(job, clocks=1_000_000)
    np.testing.assert_array_equal(descriptor(driver, job)[:14], asked)
    assert np.all(behind == NOISE)
    return result


def check(driver: Driver, trits: NDArray[np.int8], codes: NDArray[np.int8]) -> None:
    got = run(driver, trits, codes).accumulators
    np.testing.assert_array_equal(got, accumulate(codes, trits))


def settle(simulation: Simulation) -> None:
    """Go on until nothing is in the unit."""
    while simulation.read(Register.STATUS) & State.BUSY:
        pass


def run_together(
    unit: Unit,
    cases: Sequence[tuple[NDArray[np.int8], NDArray[np.int8] | None]],
    model: MemoryModel = STALLS,
    patches: Sequence[tuple[int, int, int]] = (),
) -> tuple[Simulation, Driver, list[Job]]:
    """Jobs that are queued while the unit is off, then run one behind the other until it is idle.

    Codes None: those of the job before. A patch (job, word, value) changes a descriptor before the
    unit sees it.
    """
    simulation, driver = start(unit, model)
    simulation.write(Register.CONTROL, 0)
    jobs = []
    vectors = 1
    for trits, codes in cases:
        layout = driver.layout(*trits.shape)
        vectors = vectors if codes is None else len(codes)
        weights = driver.store(pack_tdpu(trits, layout))
        jobs.append(driver.submit(layout, weights, codes, vectors=vectors))
    for job, word, value in patches:
        descriptor(driver, jobs[job])[word] = value
    simulation.write(Register.CONTROL, Control.ENABLE)
    settle(simulation)
    return simulation, driver, jobs


def statuses(driver: Driver, jobs: Sequence[Job]) -> list[int]:
    """The status codes of finished jobs; 256 where the unit does not say that it is done."""
    words = [int(descriptor(driver, job)[14]) for job in jobs]
    return [word & 0xFF if word >> 30 == 1 else 256 for word in words]


def results(driver: Driver, job: Job) -> NDArray[np.int32]:
    """Accumulators [vectors, rows] in memory, whatever the job's status."""
    words = driver.backend.memory[job.results :][: 4 * job.rows * job.vectors].view(np.int32)
    return words.reshape(job.rows, job.vectors).T
