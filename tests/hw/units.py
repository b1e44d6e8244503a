"""Units and matrices that the hardware tests share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trine.hw.driver import Driver, Result
from trine.hw.simulation import MemoryModel, Simulation, Timing
from trine.hw.sources import Unit
from trine.kernels.reference import accumulate
from trine.ternary.tdpu import pack_tdpu

# The headline, and one that differs in everything: code, engines, batch, beat.
HEADLINE = Unit(engines=4, batch=1, code=3)
OTHER = Unit(engines=3, batch=4, code=2, beat_bits=32, k_max=1000, fifo_depth=128)
# Only in `make test-hw`.
WIDE = Unit(engines=2, batch=2, code=3, beat_bits=128, k_max=4096)
BATCHED = Unit(engines=4, batch=8, code=3)
SINGLE = Unit(engines=1, batch=1, code=2)

STALLS = MemoryModel(size=8 << 20, timing=Timing.RANDOM, seed=7, stall_percent=40)


def random_case(
    rows: int, columns: int, vectors: int, seed: int
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Trits [rows, columns] and codes [vectors, columns]."""
    rng = np.random.default_rng(seed)
    trits = rng.integers(-1, 2, (rows, columns)).astype(np.int8)
    return trits, rng.integers(-128, 128, (vectors, columns)).astype(np.int8)


def start(unit: Unit, model: MemoryModel = STALLS) -> tuple[Simulation, Driver]:
    simulation = Simulation(unit, model)
    return simulation, Driver(simulation)


def run(driver: Driver, trits: NDArray[np.int8], codes: NDArray[np.int8]) -> Result:
    layout = driver.layout(*trits.shape)
    return driver.wait(
        driver.submit(layout, driver.store(pack_tdpu(trits, layout)), codes), clocks=1_000_000
    )


def check(driver: Driver, trits: NDArray[np.int8], codes: NDArray[np.int8]) -> None:
    got = run(driver, trits, codes).accumulators
    np.testing.assert_array_equal(got, accumulate(codes, trits))
