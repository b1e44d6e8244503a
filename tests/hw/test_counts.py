"""Counts that need a long job, or a slow one: rows, and clocks between steps."""

from __future__ import annotations

from dataclasses import replace

from hw.units import HEADLINE, STALLS, check, random_case, run_together, start
from trine.hw.registers import Register
from trine.hw.simulation import MemoryModel, Timing

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
