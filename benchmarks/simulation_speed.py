"""How fast the simulators run: clocks of the unit a second of CPU time.

    python benchmarks/simulation_speed.py

CPU time of this process, not the wall clock: the simulators have one thread, and a machine may be
shared. `tdpu_gemv` (base 3, batch 1) on full streams, `tdpu_top` (4 engines, base 3, batch 1) with
the DDR3 model; every sum is compared. The best of ROUNDS, with all of them; ends with a JSON line.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np

from trine.hw.driver import Driver
from trine.hw.gemv import run_gemv
from trine.hw.simulation import MemoryModel, Simulation, Timing
from trine.hw.sources import Unit
from trine.kernels.reference import accumulate
from trine.ternary.tdpu import pack_tdpu

ROUNDS = 5
ROWS, COLUMNS = 2560, 2560
RNG = np.random.default_rng(1)
TRITS = RNG.integers(-1, 2, (ROWS, COLUMNS)).astype(np.int8)
CODES = RNG.integers(-128, 128, (1, COLUMNS)).astype(np.int8)
SUMS = accumulate(CODES, TRITS)


def gemv() -> tuple[int, float]:
    """Clocks and seconds of a matrix on `tdpu_gemv`, packing included."""
    before = time.process_time()
    result = run_gemv(Unit(engines=1), TRITS, CODES)
    seconds = time.process_time() - before
    np.testing.assert_array_equal(result.accumulators, SUMS)
    return result.clocks, seconds


def top() -> tuple[int, float]:
    """Clocks and seconds of a job on `tdpu_top`, from the doorbell to the interrupt."""
    simulation = Simulation(Unit(), MemoryModel(timing=Timing.DDR3, latency=30, cap_gbs=3.2))
    driver = Driver(simulation)
    layout = driver.layout(ROWS, COLUMNS)
    weights = driver.store(pack_tdpu(TRITS, layout))
    clocks, before = simulation.clock, time.process_time()
    result = driver.wait(driver.submit(layout, weights, CODES))
    seconds = time.process_time() - before
    np.testing.assert_array_equal(result.accumulators, SUMS)
    return simulation.clock - clocks, seconds


def main() -> None:
    """Measure in turn, print a table and a JSON line."""
    runs: dict[str, Callable[[], tuple[int, float]]] = {"tdpu_gemv": gemv, "tdpu_top": top}
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()  # builds, if it must
    for _ in range(ROUNDS):
        for name, run in runs.items():
            clocks, seconds = run()
            speeds[name].append(clocks / seconds)
    for name, found in speeds.items():
        rounds = ", ".join(f"{speed / 1e3:,.0f}" for speed in found)
        print(f"{name}: {max(found) / 1e3:,.0f} thousand clocks a CPU second (rounds: {rounds})")
    print(json.dumps({name: round(max(found)) for name, found in speeds.items()}))


if __name__ == "__main__":
    main()
