"""Abort and reset at any clock: AXI is drained by the rules, the unit works again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hw.units import HEADLINE, OTHER, STALLS, check, random_case, start
from trine.hw.driver import PAGE, Driver
from trine.hw.registers import Control, Interrupt, Register, State, Status
from trine.hw.simulation import MemoryModel, Simulation, Timing
from trine.hw.sources import Unit
from trine.ternary.tdpu import pack_tdpu

IDEAL = MemoryModel(size=8 << 20, timing=Timing.IDEAL)

# Clocks from the end of a register write to the last one in which a burst is begun.
LAST_BURST = 1


def queue(driver: Driver, unit: Unit, jobs: int) -> None:
    """Jobs that load, reuse and are refused."""
    trits, codes = random_case(12, 100, unit.batch, seed=2)
    layout = driver.layout(*trits.shape)
    weights = driver.store(pack_tdpu(trits, layout))
    for number in range(jobs):
        given = None if number % 3 == 2 else codes
        driver.submit(layout, weights, given, vectors=unit.batch)


def drained(simulation: Simulation, driver: Driver) -> None:
    """Nothing is read or written from the end of the abort on."""
    ports = range(driver.unit.engines + 1)
    moved = [simulation.moved(port) for port in ports]
    before = simulation.memory.copy()
    simulation.write(Register.IRQ_MASK, 0)
    simulation.wait(100)
    assert [simulation.moved(port) for port in ports] == moved
    np.testing.assert_array_equal(simulation.memory, before)
    assert not simulation.read(Register.STATUS) & (State.BUSY | State.DRAINING)


@pytest.mark.parametrize("control", [Control.ABORT, Control.RESET])
@pytest.mark.parametrize(
    ("unit", "model", "clocks"),
    [
        (HEADLINE, STALLS, range(0, 1300, 29)),
        (HEADLINE, replace(STALLS, stall_percent=85, seed=3), range(5, 4000, 131)),
        (OTHER, IDEAL, range(0, 700, 13)),
    ],
    ids=["stalls", "slow", "ideal"],
)
def test_abort_and_reset_at_any_clock_leave_a_working_unit(
    unit: Unit, model: MemoryModel, clocks: range, control: Control
) -> None:
    simulation, driver = start(unit, replace(model, size=1 << 20))
    case = random_case(7, 90, unit.batch, seed=4)
    for number, after in enumerate(clocks):
        if control == Control.RESET or number % 8 == 0:
            driver = Driver(simulation)
            assert simulation.read(Register.HEAD) == simulation.read(Register.TAIL) == 0
            assert simulation.read(Register.STEPS) == 0
        simulation.write(Register.IRQ_MASK, 0)
        tail = simulation.read(Register.TAIL)
        queue(driver, unit, 5)
        simulation.wait(after)
        if control == Control.ABORT:
            driver.abort()
            head = simulation.read(Register.HEAD)
            assert head == simulation.read(Register.TAIL) == tail + 5
        else:
            simulation.write(Register.CONTROL, Control.RESET)
            while simulation.read(Register.STATUS) & State.DRAINING:
                pass
        if number % 10 == 0:
            drained(simulation, driver)
        if number % 4 == 3:
            if control == Control.RESET:
                driver = Driver(simulation)
            simulation.write(Register.IRQ_STATUS, Interrupt.DONE | Interrupt.ERROR)
            simulation.write(Register.IRQ_MASK, Interrupt.DONE | Interrupt.ERROR)
            check(driver, *case)
        assert simulation.faults == 0


def asked(simulation: Simulation) -> list[int]:
    return [simulation.asked(port) for port in range(HEADLINE.engines)]


def test_no_burst_is_begun_after_an_abort() -> None:
    # One clock after the response to the write no port begins a burst, and until then all do.
    model = replace(IDEAL, latency=20, size=1 << 20)
    simulation, driver = start(HEADLINE, model)
    simulation.write(Register.IRQ_MASK, 0)
    queue(driver, HEADLINE, 3)
    begin = simulation.clock
    undisturbed = []
    for _ in range(260):
        undisturbed.append(asked(simulation))
        simulation.wait(1)
    for after in range(40, 200, 2):
        simulation, driver = start(HEADLINE, model)
        simulation.write(Register.IRQ_MASK, 0)
        queue(driver, HEADLINE, 3)
        simulation.wait(after)
        simulation.write(Register.CONTROL, Control.ENABLE | Control.ABORT)
        stopped = simulation.clock - begin
        while simulation.read(Register.STATUS) & State.DRAINING:
            pass
        assert asked(simulation) == undisturbed[stopped + LAST_BURST]
        assert [simulation.moved(port) for port in range(HEADLINE.engines)] == asked(simulation)


def test_a_second_abort_waits_with_the_first() -> None:
    simulation, driver = start(HEADLINE, replace(IDEAL, latency=300, size=1 << 20))
    queue(driver, HEADLINE, 3)
    simulation.wait(50)
    for _ in range(2):
        simulation.write(Register.CONTROL, Control.ENABLE | Control.ABORT)
        assert simulation.read(Register.STATUS) & State.DRAINING
    driver.abort()
    simulation.write(Register.IRQ_STATUS, Interrupt.DONE | Interrupt.ERROR)
    check(driver, *random_case(7, 90, HEADLINE.batch, seed=4))


@pytest.mark.parametrize("control", [Control.ABORT, Control.RESET])
def test_a_doorbell_while_the_unit_drains_is_refused(control: Control) -> None:
    simulation, driver = start(HEADLINE, replace(IDEAL, latency=300, size=1 << 20))
    queue(driver, HEADLINE, 2)
    simulation.wait(50)
    simulation.write(Register.CONTROL, Control.ENABLE | control)
    simulation.write(Register.DOORBELL, 3)
    assert simulation.read(Register.STATUS) & State.DRAINING
    assert simulation.read(Register.ERROR) == Status.RING
    assert simulation.read(Register.IRQ_STATUS) & Interrupt.ERROR
    while simulation.read(Register.STATUS) & State.DRAINING:
        pass
    tail = 2 if control == Control.ABORT else 0
    assert simulation.read(Register.TAIL) == simulation.read(Register.HEAD) == tail
    assert simulation.read(Register.ERROR) == Status.RING
    simulation.write(Register.CONTROL, Control.ENABLE | Control.CLEAR_ERROR)
    simulation.write(Register.IRQ_STATUS, Interrupt.DONE | Interrupt.ERROR)
    if control == Control.RESET:
        driver = Driver(simulation)
    check(driver, *random_case(7, 90, HEADLINE.batch, seed=4))
    assert simulation.read(Register.ERROR) == 0


def test_a_reset_leaves_no_error_of_what_it_dropped() -> None:
    # At every clock of a descriptor that is refused, and of one that is cut off.
    simulation, driver = start(HEADLINE, replace(IDEAL, size=1 << 20))
    for after in range(90):
        simulation.write(Register.CONTROL, 0)
        queue(driver, HEADLINE, 1)
        simulation.memory[PAGE] = 0
        simulation.write(Register.CONTROL, Control.ENABLE)
        simulation.write(Register.IRQ_MASK, 0)
        simulation.wait(after)
        simulation.write(Register.CONTROL, Control.RESET)
        while simulation.read(Register.STATUS) & State.DRAINING:
            pass
        assert simulation.read(Register.ERROR) == simulation.read(Register.ERROR_ADDRESS) == 0
        driver = Driver(simulation)


@pytest.mark.parametrize("port", range(HEADLINE.engines))
def test_an_abort_waits_for_every_port(port: int) -> None:
    model = replace(IDEAL, late_port=port, late=2000, size=1 << 20)
    simulation, driver = start(HEADLINE, model)
    simulation.write(Register.IRQ_MASK, 0)
    queue(driver, HEADLINE, 1)
    # The first port is asked for the descriptor before.
    simulation.wait(2500 if port == 0 else 400)
    simulation.write(Register.CONTROL, Control.ENABLE | Control.ABORT)
    while simulation.read(Register.STATUS) & State.DRAINING:
        pass
    assert simulation.clock > 2000
    for each in range(HEADLINE.engines):
        assert simulation.moved(each) == simulation.asked(each) > 0


@pytest.mark.parametrize("rows", [(1 << 18) - 1, 0x2AAAA, 0x15555, 0x2AAAA])
def test_a_job_of_very_many_rows_is_aborted_like_any_other(rows: int) -> None:
    # All bits of the counts are used; the memory ends long before the weights do.
    simulation, driver = start(HEADLINE, replace(IDEAL, size=1 << 20))
    simulation.write(Register.IRQ_MASK, 0)
    simulation.write(Register.CONTROL, 0)
    queue(driver, HEADLINE, 1)
    words = simulation.memory[PAGE : PAGE + 64].view(np.uint32)
    words[2], words[3] = HEADLINE.k_max, rows
    simulation.write(Register.CONTROL, Control.ENABLE)
    simulation.wait(3000)
    driver.abort()
    simulation.write(Register.IRQ_STATUS, Interrupt.DONE | Interrupt.ERROR)
    simulation.write(Register.IRQ_MASK, Interrupt.DONE | Interrupt.ERROR)
    check(driver, *random_case(7, 90, HEADLINE.batch, seed=4))
    assert simulation.faults == 0
