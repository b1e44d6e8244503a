"""Memory that answers late, or never: a timeout is told when it is due, once, and hides nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hw.units import HEADLINE, check, random_case, start, submit
from trine.errors import HardwareError
from trine.hw.registers import Control, Interrupt, Register, State, Status
from trine.hw.simulation import MemoryModel, Timing

# Clocks of a tick.
TICK = 1024
IDEAL = MemoryModel(size=8 << 20, timing=Timing.IDEAL)
CASE = random_case(12, 100, 1, seed=2)


@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("direction", ["deaf_reads", "deaf_writes"])
def test_a_memory_that_never_answers_is_reported_in_time(direction: str, limit: int) -> None:
    simulation, driver = start(HEADLINE, replace(IDEAL, **{direction: True}))
    simulation.write(Register.TIMEOUT, limit)
    begin = simulation.clock
    job = submit(driver, *CASE)
    with pytest.raises(HardwareError, match="port 0 does not answer"):
        driver.wait(job, clocks=10 * TICK)
    # Up to a tick early, since the first one was under way; a job's clocks late.
    assert (limit - 1) * TICK < simulation.clock - begin < limit * TICK + 600
    assert simulation.read(Register.ERROR) == Status.TIMEOUT
    simulation.write(Register.CONTROL, Control.ABORT)
    assert simulation.read(Register.STATUS) & State.DRAINING
    simulation.wait(2 * TICK)
    assert simulation.read(Register.STATUS) & State.DRAINING


def test_a_timeout_of_writes_names_the_burst_that_is_not_answered() -> None:
    # Its bursts are taken, but answered after two ticks.
    simulation, driver = start(HEADLINE, replace(IDEAL, latency=2 * TICK + 100))
    simulation.write(Register.TIMEOUT, 4)
    job = submit(driver, *random_case(400, 1, 1, seed=10))
    while simulation.moved(HEADLINE.engines) < 3 * 16:
        simulation.wait(50)
    simulation.write(Register.TIMEOUT, 1)
    assert simulation.wait(2 * TICK)
    assert simulation.read(Register.ERROR) == Status.TIMEOUT
    assert simulation.read(Register.ERROR_ADDRESS) == simulation.base + job.results


@pytest.mark.parametrize("longest", [8, 255])
@pytest.mark.parametrize("port", range(HEADLINE.engines + 1))
def test_every_port_counts_its_own_time(port: int, longest: int) -> None:
    # The last port is that of writes.
    model = replace(IDEAL, late_port=port, late=300 * TICK)
    if port == HEADLINE.engines:
        model = replace(IDEAL, deaf_writes=True)
    simulation, driver = start(HEADLINE, model)
    # A while without work counts for nothing; and ticks come at even and at odd clocks of the wait.
    simulation.wait(3 * TICK + TICK // 2 + longest % 2)
    begin = simulation.clock
    submit(driver, *random_case(HEADLINE.engines, 100, 1, seed=2))
    told = port if port < HEADLINE.engines else 0
    for limit in (1, 2, 4, 8, 16, 32, 64, 128, 255):
        if limit > longest:
            break
        simulation.write(Register.TIMEOUT, limit)
        assert simulation.wait(limit * TICK + 600)
        assert (limit - 1) * TICK < simulation.clock - begin < limit * TICK + 600
        assert simulation.read(Register.ERROR) == Status.TIMEOUT | told << 8
        simulation.write(Register.CONTROL, Control.ENABLE | Control.CLEAR_ERROR)
        simulation.write(Register.IRQ_STATUS, Interrupt.ERROR)
    # The count stays at its end, where a limit of 0 must not find it.
    simulation.write(Register.TIMEOUT, 0)
    assert not simulation.wait(3 * TICK)


def test_a_timeout_while_a_reset_drains_is_kept() -> None:
    simulation, driver = start(HEADLINE, replace(IDEAL, deaf_reads=True))
    simulation.write(Register.TIMEOUT, 2)
    submit(driver, *CASE)
    simulation.wait(100)
    simulation.write(Register.CONTROL, Control.ENABLE | Control.RESET)
    assert simulation.wait(3 * TICK)
    assert simulation.read(Register.STATUS) & State.DRAINING
    assert simulation.read(Register.ERROR) == Status.TIMEOUT


def test_an_answer_in_time_is_no_timeout() -> None:
    simulation, driver = start(HEADLINE, replace(IDEAL, latency=TICK - 60))
    simulation.write(Register.TIMEOUT, 2)
    begin = simulation.clock
    check(driver, *random_case(40, 2000, 1, seed=3))
    assert simulation.clock - begin > 6 * TICK
    assert simulation.read(Register.ERROR) == 0


def test_a_timeout_is_told_once_and_never_without_a_limit() -> None:
    simulation, driver = start(HEADLINE, replace(IDEAL, deaf_reads=True))
    simulation.write(Register.TIMEOUT, 3)
    begin = simulation.clock
    submit(driver, *CASE)
    assert simulation.wait(4 * TICK)
    simulation.write(Register.CONTROL, Control.ENABLE | Control.CLEAR_ERROR)
    simulation.write(Register.IRQ_STATUS, Interrupt.ERROR)
    # Ticks are counted up to 255, where they stay; none of them is told.
    simulation.write(Register.TIMEOUT, 0)
    assert not simulation.wait(258 * TICK + begin - simulation.clock)
    simulation.write(Register.TIMEOUT, 3)
    assert not simulation.wait(10 * TICK)
    assert simulation.read(Register.ERROR) == 0
