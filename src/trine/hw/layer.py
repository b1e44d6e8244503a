"""A whole decoder layer through the simulated unit: seven jobs in the ring, one after another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trine.checkpoint.checkpoint import Checkpoint
from trine.checkpoint.config import LINEARS
from trine.checkpoint.tensors import layer_tensor
from trine.hw.driver import Driver, Job
from trine.hw.registers import Control, Register
from trine.hw.simulation import MemoryModel, Simulation
from trine.hw.sources import Unit
from trine.kernels.reference import Codes, accumulate
from trine.ternary import unpack_hf
from trine.ternary.tdpu import pack_tdpu

# Operators that take the activations of the one before them.
REUSES = ("k_proj", "v_proj", "up_proj")


@dataclass(frozen=True, slots=True)
class LayerReport:
    """Counted in RTL, over all seven operators.

    `beats` a port; `busy` clocks from the first fetch to the last completion, descriptor changes,
    activation loads and result writes included; `running` those between the first and last step
    of each job.
    """

    layer: int
    accumulators: int
    differing: int
    faults: int
    beats: int
    busy: int
    running: int

    @property
    def beats_per_clock(self) -> float:
        """Of a port, over the whole layer."""
        return self.beats / self.busy


def simulate_layer(
    checkpoint: Checkpoint, layer: int, unit: Unit, model: MemoryModel
) -> LayerReport:
    """Queue the operators of a layer on random activation codes (fixed seed) and compare all sums.

    The activations are synthetic: every operator gets codes over the whole range -128..127.
    """
    rng = np.random.default_rng(layer)
    simulation = Simulation(unit, model)
    driver = Driver(simulation)
    codes: Codes = np.zeros((0, 0), np.int8)
    wanted, jobs = [], list[Job]()
    # Jobs are queued while the unit is off, so that no descriptor comes late.
    simulation.write(Register.CONTROL, 0)
    for name in LINEARS:
        trits = unpack_hf(checkpoint.ternary(layer_tensor(layer, name)).packed)
        layout = driver.layout(*trits.shape)
        weights = driver.store(pack_tdpu(trits, layout))
        fresh = name not in REUSES
        if fresh:
            codes = rng.integers(-128, 128, (unit.batch, trits.shape[1])).astype(np.int8)
        given = codes if fresh else None
        jobs.append(driver.submit(layout, weights, given, vectors=unit.batch))
        wanted.append(accumulate(codes, trits))
    simulation.write(Register.CONTROL, Control.ENABLE | Control.CLEAR_COUNTERS)
    results = [driver.wait(job).accumulators for job in jobs]
    return LayerReport(
        layer=layer,
        accumulators=sum(sums.size for sums in wanted),
        differing=sum(
            int(np.count_nonzero(got != sums)) for got, sums in zip(results, wanted, strict=True)
        ),
        faults=simulation.faults,
        beats=simulation.read(Register.STEPS),
        busy=simulation.read(Register.BUSY),
        running=simulation.read(Register.RUNNING),
    )
