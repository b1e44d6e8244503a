"""Jobs beside each other: whose error, whose clocks, what is counted, what interrupts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hw.units import (
    HEADLINE,
    HIGH,
    OTHER,
    STALLS,
    check,
    descriptor,
    random_case,
    results,
    run_together,
    settle,
    start,
    statuses,
    submit,
)
from trine.hw import driver as driver_module
from trine.hw.driver import DESCRIPTOR_BYTES, DONE, FLAG_LOAD, PAGE
from trine.hw.registers import Control, Interrupt, Register, Status
from trine.hw.simulation import MemoryModel, Timing
from trine.hw.sources import Unit
from trine.kernels.reference import accumulate

IDEAL = MemoryModel(size=8 << 20, timing=Timing.IDEAL)
LONG, SHORT = random_case(40, 600, 1, seed=1), random_case(3, 50, 1, seed=2)
# Words of a descriptor.
FLAGS, VECTORS, WEIGHTS, STRIDE, CODES, RESULTS = 0, 4, 6, 8, 10, 12


def beats(unit: Unit, rows: int, columns: int) -> int:
    """Of one port's weight stream."""
    return -(-rows // unit.engines) * -(-columns // unit.lanes)


@pytest.mark.parametrize("wrong", [0, 1])
@pytest.mark.parametrize("what", [CODES, WEIGHTS, RESULTS])
def test_an_error_is_blamed_on_its_own_job(what: int, wrong: int) -> None:
    cases = [LONG, random_case(41, 610, 1, seed=3)]
    _, probe, jobs = run_together(HEADLINE, cases)
    words = descriptor(probe, jobs[wrong])
    kind = "fail_write" if what == RESULTS else "fail_read"
    for port in range(HEADLINE.engines if what == WEIGHTS else 1):
        address = int(words[what]) + port * int(words[STRIDE])
        simulation, driver, jobs = run_together(HEADLINE, cases, replace(STALLS, **{kind: address}))
        code = Status.AXI_WRITE if what == RESULTS else Status.AXI_READ
        expected = [0, 0]
        expected[wrong] = code
        assert statuses(driver, jobs) == expected
        assert simulation.read(Register.ERROR) == code | port << 8
        assert simulation.read(Register.ERROR_ADDRESS) == address
        trits, codes = cases[1 - wrong]
        np.testing.assert_array_equal(results(driver, jobs[1 - wrong]), accumulate(codes, trits))


@pytest.mark.parametrize("model", [STALLS, HIGH], ids=["low", "high"])
@pytest.mark.parametrize("unit", [HEADLINE, OTHER], ids=str)
def test_an_error_of_any_port_has_the_address_of_its_burst(unit: Unit, model: MemoryModel) -> None:
    case = random_case(20 * unit.engines, min(unit.k_max, 2560), 1, seed=17)
    _, probe, jobs = run_together(unit, [case], model)
    words = descriptor(probe, jobs[0])
    # Of each port two bursts, whose addresses differ in all bits of their place.
    bursts = [3 + 20 * port for port in range(unit.engines)]
    for port, burst in [*enumerate(bursts), *enumerate(63 - burst for burst in bursts)]:
        address = int(words[WEIGHTS]) + port * int(words[STRIDE]) + burst * 16 * unit.beat_bytes
        wrong = replace(model, fail_read=address + 7 * unit.beat_bytes)
        simulation, driver, jobs = run_together(unit, [case], wrong)
        assert statuses(driver, jobs) == [Status.AXI_READ]
        assert int(descriptor(driver, jobs[0])[14]) >> 8 & 15 == port
        assert simulation.read(Register.ERROR) == Status.AXI_READ | port << 8
        assert simulation.read(Register.ERROR_ADDRESS) == address


@pytest.mark.parametrize("unit", [HEADLINE, OTHER], ids=str)
def test_an_error_in_any_beat_of_a_descriptor_refuses_it(unit: Unit) -> None:
    _, probe, jobs = run_together(unit, [SHORT, SHORT])
    assert statuses(probe, jobs) == [0, 0]
    begin = STALLS.base + PAGE
    for beat in range(2 * DESCRIPTOR_BYTES // unit.beat_bytes):
        wrong = replace(STALLS, fail_read=begin + beat * unit.beat_bytes)
        simulation, driver, jobs = run_together(unit, [SHORT, SHORT], wrong)
        expected = [0, 0]
        expected[beat * unit.beat_bytes // DESCRIPTOR_BYTES] = Status.AXI_READ
        assert statuses(driver, jobs) == expected
        address = begin + beat * unit.beat_bytes // DESCRIPTOR_BYTES * DESCRIPTOR_BYTES
        assert simulation.read(Register.ERROR_ADDRESS) == address


def test_the_first_of_many_errors_stays() -> None:
    # The streams of ports 1 and up lie outside the memory: every burst of them fails.
    far = 1 << 30
    simulation, driver, jobs = run_together(HEADLINE, [LONG], patches=[(0, STRIDE, far)])
    word = int(descriptor(driver, jobs[0])[14])
    port = word >> 8 & 15
    assert statuses(driver, jobs) == [Status.AXI_READ]
    assert 1 <= port < HEADLINE.engines
    assert simulation.read(Register.ERROR) == Status.AXI_READ | port << 8
    address = int(descriptor(driver, jobs[0])[WEIGHTS]) + port * far
    assert simulation.read(Register.ERROR_ADDRESS) == address & 0xFFFF_FFFF
    check(driver, *SHORT)


def test_an_error_of_the_results_does_not_hide_one_of_the_activations() -> None:
    _, probe, jobs = run_together(HEADLINE, [SHORT])
    words = descriptor(probe, jobs[0])
    both = replace(STALLS, fail_read=int(words[CODES]), fail_write=int(words[RESULTS]))
    simulation, driver, jobs = run_together(HEADLINE, [SHORT], both)
    assert statuses(driver, jobs) == [Status.AXI_READ]
    assert simulation.read(Register.ERROR) == Status.AXI_READ


@pytest.mark.parametrize("unit", [HEADLINE, OTHER], ids=str)
@pytest.mark.parametrize("burst", [0, 1, 6, 11])
def test_an_error_of_the_results_names_the_burst_that_failed(unit: Unit, burst: int) -> None:
    # The responses are late, so the bursts behind it are on their way, too.
    late = replace(IDEAL, latency=900)
    case = random_case(400, 1, 1, seed=10)
    _, probe, jobs = run_together(unit, [case], late)
    address = int(descriptor(probe, jobs[0])[RESULTS]) + burst * 16 * unit.beat_bytes
    wrong = replace(late, fail_write=address + 5 * unit.beat_bytes)
    simulation, driver, jobs = run_together(unit, [case], wrong)
    assert statuses(driver, jobs) == [Status.AXI_WRITE]
    assert simulation.read(Register.ERROR) == Status.AXI_WRITE
    assert simulation.read(Register.ERROR_ADDRESS) == address


def test_a_refused_job_changes_nothing_of_those_in_flight() -> None:
    cases = [LONG, random_case(41, 610, 1, seed=3), SHORT, SHORT]
    _, driver, jobs = run_together(HEADLINE, cases, patches=[(2, FLAGS, 2)])
    assert statuses(driver, jobs) == [0, 0, Status.VERSION, 0]
    for number in (0, 1, 3):
        trits, codes = cases[number]
        np.testing.assert_array_equal(results(driver, jobs[number]), accumulate(codes, trits))


@pytest.mark.parametrize(("held", "asked"), [(1, 2), (2, 2), (OTHER.batch, OTHER.batch)])
def test_no_more_vectors_are_reused_than_are_held(held: int, asked: int) -> None:
    trits, codes = random_case(5, 60, held, seed=4)
    patches = [(1, VECTORS, asked)]
    _, driver, jobs = run_together(OTHER, [(trits, codes), (trits, None)], patches=patches)
    assert statuses(driver, jobs) == [0, Status.REUSE if asked > held else 0]


@pytest.mark.parametrize("timing", [Timing.IDEAL, Timing.RANDOM])
def test_a_job_waiting_to_reuse_hears_of_late_errors(timing: Timing) -> None:
    # Port 1 brings the second vector late, and its last beat with an error, when the job that will
    # reuse it was checked already.
    cases = [
        random_case(2 * OTHER.engines, 1000, 2, seed=5),
        (random_case(7, 1000, 1, seed=6)[0], None),
        random_case(9, 80, 2, seed=7),
    ]
    late = replace(IDEAL, timing=timing, stall_percent=60, late_port=1, late=600)
    _, probe, jobs = run_together(OTHER, cases, late)
    assert statuses(probe, jobs) == [0, 0, 0]
    words = descriptor(probe, jobs[0])
    end = -(-1000 // OTHER.lanes) * OTHER.lanes
    address = int(words[CODES]) + int(words[5]) + end - OTHER.beat_bytes
    simulation, driver, jobs = run_together(OTHER, cases, replace(late, fail_read=address))
    assert statuses(driver, jobs) == [Status.AXI_READ, Status.REUSE, 0]
    assert simulation.read(Register.ERROR) == Status.AXI_READ | 1 << 8
    trits, codes = cases[2]
    assert codes is not None
    np.testing.assert_array_equal(results(driver, jobs[2]), accumulate(codes, trits))


@pytest.mark.parametrize(
    "model",
    [STALLS, HIGH, replace(STALLS, stall_percent=90)],
    ids=["stalls", "high addresses", "slow"],
)
@pytest.mark.parametrize("unit", [HEADLINE, OTHER], ids=str)
def test_jobs_of_any_length_follow_each_other(unit: Unit, model: MemoryModel) -> None:
    rng = np.random.default_rng(9)
    cases = []
    for seed in range(12):
        columns = int(rng.choice([1, 2, unit.lanes, unit.lanes + 1, 3 * unit.lanes, 400, 1000]))
        rows = int(rng.choice([1, unit.engines, 2 * unit.engines + 1, 30]))
        trits, codes = random_case(rows, columns, int(rng.integers(1, unit.batch + 1)), seed)
        cases.append((trits, codes))
    # A burst of weights, and a burst and one beat.
    cases += [random_case(n * unit.engines, 1, unit.batch, seed=n) for n in (16, 17)]
    simulation, driver, jobs = run_together(unit, cases, model)
    assert statuses(driver, jobs) == [0] * len(jobs)
    for (trits, codes), job in zip(cases, jobs, strict=True):
        np.testing.assert_array_equal(results(driver, job), accumulate(codes, trits))
    assert simulation.faults == 0


def test_a_memory_slow_to_write_holds_the_results() -> None:
    cases = [random_case(400, 1, 1, seed=10), random_case(300, HEADLINE.lanes, 1, seed=11)]
    model = replace(STALLS, stall_percent=93)
    simulation, driver, jobs = run_together(HEADLINE, cases, model)
    for (trits, codes), job in zip(cases, jobs, strict=True):
        np.testing.assert_array_equal(results(driver, job), accumulate(codes, trits))
    assert simulation.read(Register.BLOCKED) > 1000
    assert simulation.faults == 0
    # Late responses: as many bursts are under way as there may be.
    simulation, driver, jobs = run_together(HEADLINE, cases, replace(IDEAL, latency=900))
    for (trits, codes), job in zip(cases, jobs, strict=True):
        np.testing.assert_array_equal(results(driver, job), accumulate(codes, trits))


def test_a_job_that_reuses_is_not_blamed_for_the_load_behind_it() -> None:
    # The second job still computes, on the first one's activations, when the third one's come.
    cases = [SHORT, (random_case(120, 50, 1, seed=16)[0], None), LONG]
    _, probe, jobs = run_together(HEADLINE, cases)
    assert statuses(probe, jobs) == [0, 0, 0]
    address = int(descriptor(probe, jobs[2])[CODES])
    _, driver, jobs = run_together(HEADLINE, cases, replace(STALLS, fail_read=address))
    assert statuses(driver, jobs) == [0, 0, Status.AXI_READ]


@pytest.mark.parametrize("unit", [HEADLINE, OTHER], ids=str)
def test_the_unit_reads_and_writes_what_it_needs_and_no_more(unit: Unit) -> None:
    cases = [random_case(17, 500, 1, seed=12), random_case(5, 90, unit.batch, seed=13)]
    simulation, driver, jobs = run_together(unit, cases, IDEAL)
    expected = np.zeros(unit.engines + 1, int)
    expected[0] += len(jobs) * DESCRIPTOR_BYTES // unit.beat_bytes
    for trits, codes in cases:
        rows, columns = trits.shape
        expected[:-1] += beats(unit, rows, columns)
        for vector in range(len(codes)):
            loads = -(-columns // unit.lanes) * unit.lanes // unit.beat_bytes
            expected[vector % unit.engines] += loads
        expected[-1] += -(-4 * rows * len(codes) // unit.beat_bytes) + max(8 // unit.beat_bytes, 1)
    assert [simulation.moved(port) for port in range(unit.engines + 1)] == list(expected)
    assert simulation.read(Register.STEPS) == sum(beats(unit, *trits.shape) for trits, _ in cases)
    assert statuses(driver, jobs) == [0, 0]


def test_clocks_are_counted_from_the_jobs_own_issue() -> None:
    before = 2000
    simulation, driver, jobs = run_together(HEADLINE, [LONG, SHORT, LONG], IDEAL)
    long, short, again = (int(descriptor(driver, job)[15]) for job in jobs)
    steps = beats(HEADLINE, *LONG[0].shape)
    assert steps < long < steps + 300
    # Issued while the one before ran; done soon after it.
    assert 20 < short < long + 300
    assert steps < again < steps + 300
    assert steps + before > simulation.read(Register.BUSY) - 2 * steps > 0


def test_clocks_of_a_slow_job_are_counted_with_all_their_bits() -> None:
    rest = set()
    for late in (*range(200, 800, 37), 140_000):
        simulation, driver = start(HEADLINE, replace(IDEAL, latency=late))
        simulation.write(Register.TIMEOUT, 0)
        begin = simulation.clock
        # What is read comes together so much later, the response to the results once more.
        rest.add(driver.wait(submit(driver, *SHORT)).clocks - 2 * late)
        # Besides: the descriptor before, the response to the status after.
        assert 4 * late < simulation.clock - begin < 4 * late + 600
    assert len(rest) == 1
    assert 0 < rest.pop() < 200


@pytest.mark.parametrize("words", range(1, 12))
def test_a_port_asks_for_as_many_weights_as_fit_and_no_more(words: int) -> None:
    # No result is taken, so the steps end, somewhere in a burst.
    simulation, driver = start(HEADLINE, replace(IDEAL, deaf_writes=True))
    simulation.write(Register.IRQ_MASK, 0)
    groups = 150 + 2 * HEADLINE.fifo_depth // words
    submit(driver, *random_case(groups * HEADLINE.engines, words * HEADLINE.lanes, 1, seed=words))
    simulation.wait(4000)
    steps = simulation.read(Register.STEPS)
    held = simulation.asked(HEADLINE.engines - 1) - steps
    assert simulation.read(Register.STEPS) == steps > 0
    assert HEADLINE.fifo_depth - 16 < held <= HEADLINE.fifo_depth


@pytest.mark.parametrize(
    ("base", "ring"), [(0x5555_0000, 0x5540), (0xAAAA_0000, 0xAA80), (0x5555_0000, 0x5540)]
)
def test_the_ring_may_lie_anywhere(base: int, ring: int) -> None:
    simulation, driver = start(HEADLINE, replace(IDEAL, size=1 << 20, base=base))
    driver._ring, driver._free = ring, 0x10000
    simulation.write(Register.RING_BASE, base + ring)
    for _ in range(17):
        check(driver, *SHORT)
    simulation.write(Register.CONTROL, 0)
    job = submit(driver, *SHORT)
    place = ring + (job.index & 15) * DESCRIPTOR_BYTES
    simulation.memory[place] = 0
    simulation.write(Register.CONTROL, Control.ENABLE)
    settle(simulation)
    assert simulation.read(Register.ERROR) == Status.VERSION
    assert simulation.read(Register.ERROR_ADDRESS) == base + place


def test_waits_are_counted_as_what_they_are() -> None:
    # The load of the activations is neither, weights come faster than they are used, results leave
    # at once: a few clocks in the beginning are starved.
    wide = random_case(4, HEADLINE.k_max if HEADLINE.k_max < 3000 else 2560, 1, seed=14)
    simulation, _, _ = run_together(HEADLINE, [wide], IDEAL)
    assert simulation.read(Register.BLOCKED) == 0
    assert 0 < simulation.read(Register.STARVED) < 50
    assert simulation.read(Register.RUNNING) >= simulation.read(Register.STEPS)
    simulation.write(Register.CONTROL, Control.ENABLE | Control.CLEAR_COUNTERS)
    for register in ("ILLEGAL", "STEPS", "RUNNING", "STARVED", "BLOCKED", "BUSY"):
        assert simulation.read(Register[register]) == 0
    # A beat a row: the next row waits for the results of the one before.
    simulation, _, _ = run_together(HEADLINE, [random_case(200, 1, 1, seed=15)], IDEAL)
    assert simulation.read(Register.BLOCKED) > 100


def test_only_a_job_that_asks_or_fails_interrupts() -> None:
    quiet = 1 | FLAG_LOAD
    simulation, driver, jobs = run_together(HEADLINE, [SHORT], patches=[(0, FLAGS, quiet)])
    assert descriptor(driver, jobs[0])[14] == DONE
    assert simulation.read(Register.IRQ_STATUS) == 0
    patches = [(0, FLAGS, quiet), (0, 5, 1)]
    simulation, driver, jobs = run_together(HEADLINE, [SHORT], patches=patches)
    assert statuses(driver, jobs) == [Status.ACTIVATIONS]
    assert simulation.read(Register.IRQ_STATUS) == Interrupt.DONE | Interrupt.ERROR


def test_the_masks_are_the_interrupts_own() -> None:
    simulation, driver = start(HEADLINE)
    simulation.write(Register.IRQ_MASK, Interrupt.DONE)
    simulation.write(Register.DOORBELL, 1000)
    assert simulation.read(Register.IRQ_STATUS) == Interrupt.ERROR
    assert not simulation.wait(10)
    simulation.write(Register.IRQ_STATUS, Interrupt.ERROR)
    simulation.write(Register.IRQ_MASK, Interrupt.ERROR)
    submit(driver, *SHORT)
    settle(simulation)
    assert simulation.read(Register.IRQ_STATUS) == Interrupt.DONE
    assert not simulation.wait(10)


def test_no_interrupt_is_lost_between_completion_and_clear() -> None:
    simulation, driver = start(HEADLINE, IDEAL)
    first = simulation.clock
    submit(driver, *SHORT)
    assert simulation.wait(10_000)
    needs = simulation.clock - first
    for early in range(12):
        simulation.write(Register.IRQ_STATUS, Interrupt.DONE)
        job = submit(driver, *SHORT)
        simulation.write(Register.IRQ_MASK, 0)
        simulation.wait(needs - 20 + early)
        # Clears whatever is there, about when the job completes.
        simulation.write(Register.IRQ_STATUS, Interrupt.DONE)
        done = descriptor(driver, job)[14] & DONE
        settle(simulation)
        simulation.write(Register.IRQ_MASK, Interrupt.DONE)
        assert simulation.wait(10) or done


@pytest.mark.parametrize("log2", [0, 1, 3])
def test_a_ring_of_any_size_wraps(log2: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "RING_LOG2", log2)
    simulation, driver = start(HEADLINE)
    for _ in range(5):
        jobs = [submit(driver, *SHORT) for _ in range(1 << log2)]
        for job in jobs:
            got = driver.wait(job, clocks=10_000).accumulators
            np.testing.assert_array_equal(got, accumulate(SHORT[1], SHORT[0]))
    assert simulation.read(Register.HEAD) == 5 << log2


def test_the_rings_counters_wrap_at_16_bits() -> None:
    simulation, driver = start(HEADLINE)
    simulation.write(Register.RING_SIZE, 15)
    # An abort takes the head to the tail, so nothing runs until the last steps.
    for tail in (0x5555, 0xAAAA, 0xFFFE):
        simulation.write(Register.CONTROL, 0)
        simulation.write(Register.DOORBELL, tail)
        assert simulation.read(Register.TAIL) == tail
        simulation.write(Register.CONTROL, Control.ABORT)
        settle(simulation)
        assert simulation.read(Register.HEAD) == tail
    simulation.write(Register.CONTROL, Control.ENABLE)
    simulation.write(Register.RING_SIZE, driver_module.RING_LOG2)
    simulation.write(Register.IRQ_STATUS, Interrupt.DONE | Interrupt.ERROR)
    driver._tail = 0xFFFE
    for _ in range(4):
        check(driver, *SHORT)
    assert simulation.read(Register.HEAD) == 2
