"""Accumulators of the simulated unit against NumPy; every AXI channel stalls at random."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hw.units import BATCHED, HEADLINE, OTHER, SINGLE, STALLS, WIDE, check, random_case, run, start
from trine.hw.driver import Driver
from trine.hw.registers import Control, Register
from trine.hw.simulation import MemoryModel, Timing
from trine.hw.sources import Unit
from trine.kernels.reference import accumulate
from trine.ternary.tdpu import PAD_BYTE, Layout, pack_tdpu, unpack_tdpu

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
    # Every port meets beats of nothing but +1, and of nothing but -1.
    trits = np.ones((2 * unit.engines, unit.k_max), np.int8)
    trits[unit.engines :] = -1
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


def codes_of(code: int) -> tuple[list[int], list[int]]:
    """The bytes that stand for trits, and the others."""
    if code == 2:
        legal = [byte for byte in range(256) if not byte & byte >> 1 & 0x55]
    else:
        legal = [-(-256 * value // 243) for value in range(243)]
    return legal, sorted(set(range(256)) - set(legal))


def stream_job(unit: Unit, driver: Driver, stream: NDArray[np.uint8]) -> tuple[Layout, int]:
    """Layout and image of rows whose port streams are these bytes: [engines, rows, words, beat]."""
    engines, groups, words, _ = stream.shape
    layout = driver.layout(engines * groups, words * unit.lanes)
    image = np.full(engines * layout.stride, PAD_BYTE[unit.code], np.uint8)
    for engine in range(engines):
        data = stream[engine].reshape(-1)
        image[engine * layout.stride :][: data.size] = data
    return layout, driver.store(image)


@every_unit
def test_every_byte_is_decoded_at_every_place(unit: Unit) -> None:
    _, driver = start(unit)
    legal, _ = codes_of(unit.code)
    words = min(27, unit.k_max // unit.lanes)
    groups = -(-len(legal) // words)
    place = np.arange(unit.engines * unit.beat_bytes).reshape(unit.engines, 1, 1, -1)
    beat = np.arange(groups * words).reshape(1, groups, words, 1)
    stream = np.array(legal, np.uint8)[(beat + 31 * place) % len(legal)]
    layout, weights = stream_job(unit, driver, stream)
    _, codes = random_case(1, layout.columns, unit.batch, seed=6)
    image = driver.backend.memory[weights : weights + layout.size]
    trits = unpack_tdpu(image, layout)
    got = driver.wait(driver.submit(layout, weights, codes), clocks=1_000_000).accumulators
    np.testing.assert_array_equal(got, accumulate(codes, trits))


@every_unit
def test_illegal_codes_act_as_zero_and_are_counted(unit: Unit) -> None:
    _, driver = start(unit)
    legal, illegal = codes_of(unit.code)
    if unit.code == 2:
        # One illegal trit, the other three of the byte legal.
        illegal = [0x24 & ~(3 << 2 * trit) | 3 << 2 * trit for trit in range(4)]
    rng = np.random.default_rng(5)
    shape = (unit.engines, len(illegal), unit.beat_bytes, unit.beat_bytes)
    stream = rng.choice(np.array(legal, np.uint8), shape)
    allowed = stream.copy()
    # In beat b of each row, byte b is illegal.
    for group, byte in enumerate(illegal):
        for beat in range(unit.beat_bytes):
            stream[:, group, beat, beat] = byte
            zero = byte & ~((byte & byte >> 1 & 0x55) << 1)
            allowed[:, group, beat, beat] = zero if unit.code == 2 else PAD_BYTE[3]
    layout, weights = stream_job(unit, driver, allowed)
    image = driver.backend.memory[weights : weights + layout.size]
    trits = unpack_tdpu(image, layout)
    layout, weights = stream_job(unit, driver, stream)
    _, codes = random_case(1, layout.columns, unit.batch, seed=5)
    got = driver.wait(driver.submit(layout, weights, codes), clocks=1_000_000).accumulators
    np.testing.assert_array_equal(got, accumulate(codes, trits))
    counted = unit.engines * len(illegal) * unit.beat_bytes
    assert driver.backend.read(Register.ILLEGAL) == counted
    # One beat of one port.
    allowed[0, 0, 0, 0] = illegal[0]
    layout, weights = stream_job(unit, driver, allowed)
    driver.wait(driver.submit(layout, weights, codes), clocks=1_000_000)
    assert driver.backend.read(Register.ILLEGAL) == counted + 1
    assert PAD_BYTE[unit.code] in legal


def test_the_counter_of_illegal_beats_stays_at_its_end() -> None:
    simulation, driver = start(OTHER)
    most = (1 << OTHER.illegal_bits) - 1
    words = OTHER.k_max // OTHER.lanes
    _, illegal = codes_of(OTHER.code)
    # All ports at once, so the last clock before the end counts more than is left.
    stream = np.full((OTHER.engines, 1, words, OTHER.beat_bytes), illegal[-1], np.uint8)
    layout, weights = stream_job(OTHER, driver, stream)
    _, codes = random_case(1, layout.columns, 1, seed=8)
    counted = 0
    while counted < most + 2 * OTHER.engines * words:
        driver.wait(driver.submit(layout, weights, codes), clocks=1_000_000)
        counted += OTHER.engines * words
        assert simulation.read(Register.ILLEGAL) == min(counted, most)
    simulation.write(Register.CONTROL, Control.ENABLE | Control.CLEAR_COUNTERS)
    assert simulation.read(Register.ILLEGAL) == 0


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
