"""Accumulators of the simulated unit against NumPy; every AXI channel stalls at random."""

from __future__ import annotations

import numpy as np
import pytest

from hw.units import BATCHED, HEADLINE, OTHER, SINGLE, STALLS, WIDE, check, random_case, run, start
from trine.hw.registers import Register
from trine.hw.simulation import MemoryModel, Timing
from trine.hw.sources import Unit
from trine.kernels.reference import accumulate
from trine.ternary.tdpu import PAD_BYTE, pack_tdpu

UNITS = [
    HEADLINE,
    OTHER,
    pytest.param(WIDE, marks=pytest.mark.hardware),
    pytest.param(BATCHED, marks=pytest.mark.hardware),
    pytest.param(SINGLE, marks=pytest.mark.hardware),
]
every_unit = pytest.mark.parametrize("unit", UNITS, ids=str)


@every_unit
def test_random_shapes_are_exact(unit: Unit) -> None:
    simulation, driver = start(unit)
    rng = np.random.default_rng(3)
    for seed in range(30):
        columns = int(rng.integers(1, min(unit.k_max, 700)))
        rows, vectors = int(rng.integers(1, 40)), int(rng.integers(1, unit.batch + 1))
        check(driver, *random_case(rows, columns, vectors, seed))
    assert simulation.faults == 0
    assert driver.backend.read(Register.ILLEGAL) == 0


@every_unit
@pytest.mark.parametrize("columns", ["1", "lanes - 1", "lanes", "lanes + 1", "k_max"])
def test_row_lengths_at_the_edges(unit: Unit, columns: str) -> None:
    values = {"lanes": unit.lanes, "k_max": unit.k_max}
    length = eval(columns, {}, values)
    _, driver = start(unit)
    check(driver, *random_case(2 * unit.engines + 1, length, unit.batch, seed=length))


@every_unit
def test_extreme_sums_do_not_overflow(unit: Unit) -> None:
    _, driver = start(unit)
    trits = np.ones((2, unit.k_max), np.int8)
    trits[1] = -1
    codes = np.full((unit.batch, unit.k_max), -128, np.int8)
    codes[-1] = -127
    got = run(driver, trits, codes).accumulators
    np.testing.assert_array_equal(got, accumulate(codes, trits))
    assert abs(got).max() >= 127 * unit.k_max


@every_unit
def test_every_trit_of_every_lane_meets_its_own_activation(unit: Unit) -> None:
    # Row r has one trit, at column r: a swapped lane, slice or word gives another code.
    columns = min(unit.k_max, 3 * unit.lanes)
    trits = np.zeros((2 * columns, columns), np.int8)
    trits[np.arange(columns), np.arange(columns)] = 1
    trits[columns + np.arange(columns), np.arange(columns)] = -1
    codes = np.arange(columns, dtype=np.int64).astype(np.int8) * np.int8(37)
    _, driver = start(unit)
    check(driver, trits, np.stack([codes + vector for vector in range(unit.batch)]).astype(np.int8))


@every_unit
def test_illegal_codes_act_as_zero_and_are_counted(unit: Unit) -> None:
    _, driver = start(unit)
    trits, codes = random_case(unit.engines, 2 * unit.lanes, 1, seed=5)
    layout = driver.layout(*trits.shape)
    legal = {-(-256 * v // 243) for v in range(243)}
    illegal = [0xFF] if unit.code == 2 else sorted(set(range(256)) - legal)
    per_byte = unit.lanes // unit.beat_bytes
    for byte in illegal:
        image = pack_tdpu(trits, layout)
        # The second byte of row 0's first beat.
        image[1] = byte
        expected = trits.copy()
        expected[0, per_byte : 2 * per_byte] = 0
        before = driver.backend.read(Register.ILLEGAL)
        job = driver.submit(layout, driver.store(image), codes)
        got = driver.wait(job, clocks=100_000).accumulators
        np.testing.assert_array_equal(got, accumulate(codes, expected))
        assert driver.backend.read(Register.ILLEGAL) == before + 1
    assert PAD_BYTE[unit.code] not in illegal


@every_unit
def test_activations_are_reused_and_loaded_while_another_job_runs(unit: Unit) -> None:
    _, driver = start(unit)
    cases = [random_case(17, 300, unit.batch, seed) for seed in range(4)]
    jobs, expected = [], []
    for trits, codes in cases:
        layout = driver.layout(*trits.shape)
        weights = driver.store(pack_tdpu(trits, layout))
        jobs.append(driver.submit(layout, weights, codes))
        expected.append(accumulate(codes, trits))
        # The same activations, the matrix upside down.
        flipped = driver.store(pack_tdpu(trits[::-1].copy(), layout))
        jobs.append(driver.submit(layout, flipped, None, vectors=unit.batch))
        expected.append(accumulate(codes, trits[::-1]))
    for job, wanted in zip(jobs, expected, strict=True):
        np.testing.assert_array_equal(driver.wait(job, clocks=1_000_000).accumulators, wanted)


def test_one_beat_a_clock_inside_a_job() -> None:
    simulation, driver = start(HEADLINE, MemoryModel(size=8 << 20, timing=Timing.IDEAL))
    check(driver, *random_case(640, 2560, 1, seed=0))
    steps, running = (simulation.read(r) for r in (Register.STEPS, Register.RUNNING))
    assert steps == -(-640 // HEADLINE.engines) * -(-2560 // HEADLINE.lanes)
    assert steps / running >= 0.99


def test_the_simulation_repeats_itself() -> None:
    clocks = []
    for _ in range(2):
        simulation, driver = start(HEADLINE, STALLS)
        check(driver, *random_case(20, 100, 1, seed=1))
        clocks.append(simulation.clock)
    assert clocks[0] == clocks[1]
