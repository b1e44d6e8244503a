"""Counts that need a long job, or a slow one: rows, and clocks between steps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hw import units
from hw.units import (
    HEADLINE,
    STALLS,
    check,
    descriptor,
    random_case,
    run_together,
    settle,
    start,
    submit,
)
from trine.hw import driver as driver_module
from trine.hw.driver import DESCRIPTOR_BYTES, PAGE, Driver
from trine.hw.registers import Control, Interrupt, Register
from trine.hw.simulation import MemoryModel, Simulation, Timing

IDEAL = MemoryModel(size=8 << 20, timing=Timing.IDEAL)


def test_clocks_between_the_first_step_and_the_last_are_counted_whatever_happens_in_them() -> None:
    case = random_case(40 * HEADLINE.engines, 600, 1, seed=18)
    simulation, _, _ = run_together(HEADLINE, [case], replace(STALLS, stall_percent=70))
    names = ("STEPS", "STARVED", "BLOCKED", "RUNNING")
    steps, starved, blocked, running = (simulation.read(Register[name]) for name in names)
    assert starved + blocked > steps
    # Less what the first step waited for.
    assert running < steps + starved + blocked < running + 150


def test_a_job_of_very_many_rows_is_exact() -> None:
    _, driver = start(HEADLINE, IDEAL)
    check(driver, *random_case(0x2AAAB, 1, 1, seed=19))


def test_the_largest_ring_is_used_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "RING_LOG2", 12)
    simulation, driver = start(HEADLINE, IDEAL)
    case = random_case(3, 50, 1, seed=2)
    for tail in (0x0AAA, 0x1555, 0x1FFE):
        # An abort takes the head to the tail, so nothing runs before.
        simulation.write(Register.CONTROL, 0)
        simulation.write(Register.DOORBELL, tail)
        simulation.write(Register.CONTROL, Control.ABORT)
        settle(simulation)
        simulation.write(Register.CONTROL, Control.ENABLE)
        simulation.write(Register.IRQ_STATUS, Interrupt.DONE | Interrupt.ERROR)
        driver._tail = tail
        simulation.memory[PAGE : PAGE + (DESCRIPTOR_BYTES << 12)] = 0
        for _ in range(3):
            check(driver, *case)


@pytest.mark.parametrize("log2", range(1, 12))
def test_a_ring_of_every_size_wraps(monkeypatch: pytest.MonkeyPatch, log2: int) -> None:
    for module in (driver_module, units):
        monkeypatch.setattr(module, "RING_LOG2", log2)
    simulation, driver = start(HEADLINE, IDEAL)
    # An abort takes the head to the tail: the next job is the last of the ring.
    tail = (1 << log2) - 1
    simulation.write(Register.CONTROL, 0)
    simulation.write(Register.DOORBELL, tail)
    simulation.write(Register.CONTROL, Control.ABORT)
    settle(simulation)
    simulation.write(Register.CONTROL, Control.ENABLE)
    simulation.write(Register.IRQ_STATUS, Interrupt.DONE | Interrupt.ERROR)
    driver._tail = tail
    for _ in range(2):
        check(driver, *random_case(3, 50, 1, seed=2))


def test_waits_of_any_length_are_counted() -> None:
    rest = set()
    for late in (*range(300, 900, 37), 140_000):
        # The weights of one port come later than all else.
        model = replace(IDEAL, late_port=HEADLINE.engines - 1, late=late)
        simulation, driver = start(HEADLINE, model)
        simulation.write(Register.TIMEOUT, 0)
        begin = simulation.clock
        check(driver, *random_case(HEADLINE.engines, 50, 1, seed=2))
        starved, busy = simulation.read(Register.STARVED), simulation.read(Register.BUSY)
        rest.add((starved - late, busy - late))
        assert late < busy < simulation.clock - begin < late + 600
    assert len(rest) == 1


def timed(simulation: Simulation, driver: Driver) -> None:
    """A small job, and the clocks that its descriptor says it took."""
    begin = simulation.clock
    job = submit(driver, *random_case(HEADLINE.engines, 50, 1, seed=2))
    driver.wait(job, clocks=10_000)
    assert 20 < int(descriptor(driver, job)[15]) < simulation.clock - begin


@pytest.mark.parametrize("bit", [19, pytest.param(24, marks=pytest.mark.hardware)])
def test_a_job_is_timed_across_a_carry_of_the_clock(bit: int) -> None:
    simulation, driver = start(HEADLINE, replace(IDEAL, latency=200))
    assert not simulation.wait((1 << bit) - 400 - simulation.clock)
    timed(simulation, driver)
    assert simulation.clock > 1 << bit


def test_jobs_of_both_slots_are_timed() -> None:
    simulation, driver = start(HEADLINE)
    for _ in range(40):
        timed(simulation, driver)
