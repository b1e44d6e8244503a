"""Clocks of jobs in the simulated RTL, for predictions: counted once and kept.

The clocks of a job do not depend on its data, so the memory stays zero and no sum is compared;
`trine.hw.layer` does that.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import numpy as np

from trine.hw.build import cache_folder
from trine.hw.driver import Driver
from trine.hw.simulation import MemoryModel, Simulation, Timing
from trine.hw.sources import Unit, digest, files, rtl_folder
from trine.kernels.reference import Codes

Shape = tuple[int, int]  # rows, columns

# Clocks of the port and the interconnect before a burst reaches the controller: assumed.
PORT_LATENCY = 30


def group_clocks(
    unit: Unit,
    groups: Sequence[Sequence[Shape]],
    *,
    cap_gbs: float,
    clock_khz: int,
    staggered: bool = True,
) -> list[list[int]]:
    """Clocks of every matrix, with the DDR3 model, from the doorbell to the interrupt.

    The matrices of a group take the same activations and are queued together; a group waits for
    the one before, as its activations depend on that one's results.
    """
    # Everything but the harness's C++ and the sources is in the repr.
    settings = repr((unit, groups, cap_gbs, clock_khz, staggered, PORT_LATENCY))
    sim = rtl_folder() / "sim"
    sources = [*files("tdpu_top"), *(sim / name for name in ("top.cpp", "memory.h", "ddr3.h"))]
    kept = cache_folder() / f"clocks-{digest(sources, settings)[:24]}.json"
    if not kept.is_file():
        counted = _count(unit, groups, cap_gbs, clock_khz, staggered)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(counted))
    found: list[list[int]] = json.loads(kept.read_text())
    return found


def _count(
    unit: Unit,
    groups: Sequence[Sequence[Shape]],
    cap_gbs: float,
    clock_khz: int,
    staggered: bool,
) -> list[list[int]]:
    trits = sum(rows * (columns + unit.lanes) for group in groups for rows, columns in group)
    results = sum(8 * rows * unit.batch for group in groups for rows, _ in group)
    size = trits // unit.lanes * unit.beat_bytes + results + (16 << 20)
    model = MemoryModel(
        size, Timing.DDR3, latency=PORT_LATENCY, clock_khz=clock_khz, cap_gbs=cap_gbs
    )
    simulation = Simulation(unit, model)
    driver = Driver(simulation)
    counted = []
    for group in groups:
        start, ends = simulation.clock, []
        codes: Codes | None = np.zeros((unit.batch, group[0][1]), np.int8)
        jobs = []
        for rows, columns in group:
            layout = dataclasses.replace(driver.layout(rows, columns), staggered=staggered)
            weights = driver.allocate(layout.stride * unit.engines)
            jobs.append(driver.submit(layout, weights, codes, vectors=unit.batch))
            codes = None
        for job in jobs:
            driver.wait(job)
            ends.append(simulation.clock)
        counted.append([end - begin for begin, end in zip([start, *ends], ends, strict=False)])
    return counted
