"""What can go wrong in a job: malformed descriptors, AXI errors, abort, a full ring, no answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hw.units import HEADLINE, OTHER, STALLS, check, descriptor, random_case, settle, start
from trine.errors import HardwareError
from trine.hw.driver import DESCRIPTOR_BYTES, OWNER, PAGE, Driver
from trine.hw.registers import Control, Interrupt, Register, Status
from trine.hw.simulation import Simulation
from trine.hw.sources import Unit
from trine.kernels.reference import accumulate
from trine.ternary.tdpu import pack_tdpu

CASE = random_case(12, 100, 1, seed=2)
LAST = HEADLINE.engines - 1


def broken(word: int, value: int) -> tuple[Simulation, Driver, int]:
    """A unit after one good job and one whose descriptor has `word` replaced; and its status."""
    simulation, driver = start(HEADLINE)
    check(driver, *CASE)
    simulation.write(Register.CONTROL, 0)
    trits, codes = CASE
    layout = driver.layout(*trits.shape)
    job = driver.submit(layout, driver.store(pack_tdpu(trits, layout)), codes)
    at = PAGE + job.index * DESCRIPTOR_BYTES + 4 * word
    simulation.memory[at : at + 4].view(np.uint32)[0] = value
    simulation.write(Register.CONTROL, Control.ENABLE)
    assert simulation.wait(10_000)
    settle(simulation)
    at = PAGE + job.index * DESCRIPTOR_BYTES + 56
    return simulation, driver, int(simulation.memory[at : at + 4].view(np.uint32)[0])


@pytest.mark.parametrize(
    ("word", "value", "code"),
    [
        (0, 2 | 3 << 8, Status.VERSION),
        (0, 1 | 3 << 8 | 1 << 10, Status.FLAGS),
        (0, 1 | 3 << 8 | 1 << 31, Status.FLAGS),
        (2, 0, Status.K),
        (2, HEADLINE.k_max + 1, Status.K),
        (2, 1 << 31, Status.K),
        (3, 0, Status.ROWS),
        (3, 1 << 18, Status.ROWS),
        (4, 0, Status.VECTORS),
        (4, HEADLINE.batch + 1, Status.VECTORS),
        (5, 128, Status.ACTIVATIONS),
        (6, 2048, Status.WEIGHTS),
        (7, 1, Status.WEIGHTS),
        (8, 64, Status.WEIGHTS),
        (9, 1, Status.WEIGHTS),
        (10, 64, Status.ACTIVATIONS),
        (11, 1, Status.ACTIVATIONS),
        (12, 4, Status.RESULTS),
        (13, 1 << 31, Status.RESULTS),
        (14, 0, Status.OWNER),
    ],
)
def test_a_malformed_descriptor_is_refused_with_its_code(
    word: int, value: int, code: Status
) -> None:
    simulation, driver, status = broken(word, value)
    assert status & ~(1 << 30) == code
    assert simulation.read(Register.ERROR) == code
    assert simulation.read(Register.ERROR_ADDRESS) == STALLS.base + PAGE + DESCRIPTOR_BYTES
    simulation.write(Register.IRQ_STATUS, Interrupt.DONE | Interrupt.ERROR)
    check(driver, *CASE)
    # The first error stays until it is cleared.
    assert simulation.read(Register.ERROR) == code
    simulation.write(Register.CONTROL, Control.ENABLE | Control.CLEAR_ERROR)
    assert simulation.read(Register.ERROR) == 0


def test_activations_of_another_length_are_not_reused() -> None:
    _, driver = start(HEADLINE)
    check(driver, *CASE)
    trits, _ = random_case(4, 101, 1, seed=1)
    layout = driver.layout(*trits.shape)
    job = driver.submit(layout, driver.store(pack_tdpu(trits, layout)), None)
    with pytest.raises(HardwareError, match="REUSE"):
        driver.wait(job, clocks=10_000)


def addresses(driver: Driver) -> dict[str, int]:
    """Where the first submitted job of CASE will lie in a fresh driver's memory."""
    trits, codes = CASE
    layout = driver.layout(*trits.shape)
    image = driver.store(pack_tdpu(trits, layout))
    job = driver.submit(layout, image, codes)
    descriptor = driver.backend.memory[PAGE : PAGE + 64].view(np.uint32)
    driver.wait(job, clocks=10_000)
    return {
        "weights of the last port": STALLS.base + image + LAST * layout.stride,
        "activations": int(descriptor[10]),
        "results": STALLS.base + job.results,
        "descriptor": STALLS.base + PAGE,
    }


@pytest.mark.parametrize(
    ("what", "code", "port"),
    [
        ("weights of the last port", Status.AXI_READ, LAST),
        ("activations", Status.AXI_READ, 0),
        ("results", Status.AXI_WRITE, 0),
        ("descriptor", Status.AXI_READ, 0),
    ],
)
def test_an_axi_error_is_reported_and_later_jobs_run(what: str, code: Status, port: int) -> None:
    _, probe = start(HEADLINE)
    address = addresses(probe)[what]
    kind = "fail_write" if what == "results" else "fail_read"
    simulation, driver = start(HEADLINE, replace(STALLS, **{kind: address}))
    trits, codes = CASE
    layout = driver.layout(*trits.shape)
    job = driver.submit(layout, driver.store(pack_tdpu(trits, layout)), codes)
    with pytest.raises(HardwareError, match=f"{code.name} on port {port}"):
        driver.wait(job, clocks=10_000)
    assert simulation.read(Register.ERROR) == code | port << 8
    assert simulation.read(Register.ERROR_ADDRESS) == address
    check(driver, *CASE)


def test_a_job_that_reuses_broken_activations_fails_too() -> None:
    _, probe = start(HEADLINE)
    address = addresses(probe)["activations"]
    _, driver = start(HEADLINE, replace(STALLS, fail_read=address))
    trits, codes = CASE
    layout = driver.layout(*trits.shape)
    weights = driver.store(pack_tdpu(trits, layout))
    jobs = [driver.submit(layout, weights, codes), driver.submit(layout, weights, None)]
    for job in jobs:
        with pytest.raises(HardwareError, match=r"AXI_READ|REUSE"):
            driver.wait(job, clocks=10_000)
    check(driver, *CASE)


def test_the_ring_wraps_fills_and_refuses_more() -> None:
    simulation, driver = start(HEADLINE)
    trits, codes = CASE
    layout = driver.layout(*trits.shape)
    weights = driver.store(pack_tdpu(trits, layout))
    for _ in range(3):
        jobs = [driver.submit(layout, weights, codes) for _ in range(16)]
        with pytest.raises(HardwareError, match="16 jobs are queued"):
            for _ in range(16):
                driver.submit(layout, weights, codes)
        for job in jobs:
            got = driver.wait(job, clocks=10_000).accumulators
            np.testing.assert_array_equal(got, accumulate(codes, trits))
        # What was let in while the ring drained.
        settle(simulation)
    tail = simulation.read(Register.TAIL)
    assert tail >= 48
    simulation.write(Register.IRQ_STATUS, Interrupt.DONE | Interrupt.ERROR)
    simulation.write(Register.DOORBELL, tail + 17)
    assert simulation.read(Register.TAIL) == tail
    assert simulation.read(Register.ERROR) == Status.RING
    assert simulation.wait(10)


def test_the_interrupt_is_a_masked_level_cleared_by_writing_one() -> None:
    simulation, driver = start(HEADLINE)
    simulation.write(Register.IRQ_MASK, 0)
    trits, codes = CASE
    layout = driver.layout(*trits.shape)
    job = driver.submit(layout, driver.store(pack_tdpu(trits, layout)), codes)
    assert not simulation.wait(5_000)
    assert simulation.read(Register.IRQ_STATUS) == Interrupt.DONE
    simulation.write(Register.IRQ_MASK, Interrupt.DONE)
    assert simulation.wait(1)
    simulation.write(Register.IRQ_STATUS, Interrupt.ERROR)
    assert simulation.wait(1)
    simulation.write(Register.IRQ_STATUS, Interrupt.DONE)
    assert not simulation.wait(100)
    descriptor = simulation.memory[PAGE + 64 * job.index :][:64].view(np.uint32)
    assert not descriptor[14] & OWNER


def test_a_driver_refuses_what_is_no_unit() -> None:
    class Elsewhere:
        memory = np.zeros(8192, np.uint8)

        def read(self, offset: int) -> int:
            return 0xDEAD

        def write(self, offset: int, value: int) -> None:
            raise AssertionError("a refused unit is left alone")

        def wait(self, clocks: int) -> bool:
            raise AssertionError

    with pytest.raises(HardwareError, match="0xdead"):
        Driver(Elsewhere())


def expected_code(words: NDArray[np.uint32], unit: Unit) -> Status:
    """What the table of descriptor rules says of one that loads."""
    flags, _, k, rows, vectors, stride, *rest = (int(word) for word in words)
    weights, _, wide, _, codes, _, sums, _, status, _ = rest
    high = [int(words[n]) for n in (7, 9, 11, 13)]
    rules = [
        (Status.VERSION, flags & 0xFF == 1),
        (Status.OWNER, status >> 31 == 1),
        (Status.FLAGS, flags >> 10 == 0),
        (Status.K, 1 <= k <= unit.k_max),
        (Status.ROWS, 1 <= rows < 1 << 18),
        (Status.VECTORS, 1 <= vectors & 0xFFFF <= unit.batch),
        (Status.WEIGHTS, not (weights % 4096 or wide % 4096 or high[0] or high[1])),
        (Status.ACTIVATIONS, not (codes % 256 or stride % 256 or high[2])),
        (Status.RESULTS, not (sums % 256 or high[3])),
    ]
    return next((code for code, kept in rules if not kept), Status.OK)


def test_descriptors_of_noise_are_refused_with_the_first_rule_they_break() -> None:
    simulation, driver = start(HEADLINE)
    trits, codes = CASE
    rng = np.random.default_rng(21)
    for number in range(96):
        simulation.write(Register.CONTROL, 0)
        layout = driver.layout(*trits.shape)
        job = driver.submit(layout, driver.store(pack_tdpu(trits, layout)), codes)
        words = descriptor(driver, job)
        # All noise, or noise from one word on: the later rules are reached too.
        first = 0 if number < 16 else number % 14
        words[first:] = rng.integers(0, 1 << 32, 16 - first, dtype=np.uint32)
        if number >= 16:
            words[14] |= OWNER
        wanted = expected_code(words, HEADLINE)
        if wanted == Status.OK:
            continue
        asked = words[:14].copy()
        simulation.write(Register.CONTROL, Control.ENABLE | Control.CLEAR_ERROR)
        settle(simulation)
        assert int(words[14]) & 0xFFFF == wanted
        assert simulation.read(Register.ERROR) == wanted
        np.testing.assert_array_equal(words[:14], asked)
    simulation.write(Register.IRQ_STATUS, Interrupt.DONE | Interrupt.ERROR)
    simulation.write(Register.CONTROL, Control.ENABLE)
    check(driver, *CASE)


@pytest.mark.parametrize("unit", [HEADLINE, OTHER], ids=str)
def test_every_single_bit_that_breaks_a_rule_is_seen(unit: Unit) -> None:
    simulation, driver = start(unit)
    trits, codes = random_case(12, 100, 1, seed=2)
    layout = driver.layout(*trits.shape)
    weights = driver.store(pack_tdpu(trits, layout))
    for bit in range(15 * 32):
        simulation.write(Register.CONTROL, 0)
        words = descriptor(driver, driver.submit(layout, weights, codes))
        words[bit // 32] ^= np.uint32(1 << bit % 32)
        wanted = expected_code(words, unit)
        if wanted == Status.OK:
            # It is the driver's again, and not run.
            words[0], wanted = 0, Status.VERSION
        simulation.write(Register.CONTROL, Control.ENABLE | Control.CLEAR_ERROR)
        settle(simulation)
        assert int(words[14]) & 0xFFFF == wanted
        assert simulation.read(Register.ERROR) == wanted


def test_registers_hold_what_is_written() -> None:
    simulation, _ = start(HEADLINE)
    simulation.write(Register.CONTROL, 0)
    widths = {
        Register.RING_BASE: 32,
        Register.RING_SIZE: 4,
        Register.TIMEOUT: 8,
        Register.IRQ_MASK: 2,
    }
    for value in (0x5555_5555, 0xAAAA_AAAA, 0xFFFF_FFFF, 0):
        for register in widths:
            simulation.write(register, value)
        for register, width in widths.items():
            assert simulation.read(register) == value & (1 << width) - 1
    for register in (Register.ID, Register.K_MAX, Register.HEAD, Register.STEPS):
        before = simulation.read(register)
        simulation.write(register, ~before & 0xFFFF_FFFF)
        assert simulation.read(register) == before


def test_an_error_of_the_status_is_reported() -> None:
    place = STALLS.base + PAGE + 56
    simulation, driver = start(HEADLINE, replace(STALLS, fail_write=place))
    trits, codes = CASE
    layout = driver.layout(*trits.shape)
    driver.submit(layout, driver.store(pack_tdpu(trits, layout)), codes)
    settle(simulation)
    assert simulation.read(Register.ERROR) == Status.AXI_WRITE
    beat = HEADLINE.beat_bytes
    assert simulation.read(Register.ERROR_ADDRESS) == place // beat * beat
    simulation.write(Register.IRQ_STATUS, Interrupt.DONE | Interrupt.ERROR)
    check(driver, *CASE)


@pytest.mark.parametrize("log2", range(13))
def test_a_ring_of_every_size_takes_as_many_as_it_holds(log2: int) -> None:
    simulation, _ = start(HEADLINE)
    simulation.write(Register.CONTROL, 0)
    simulation.write(Register.RING_SIZE, log2)
    size = 1 << log2
    simulation.write(Register.DOORBELL, size + 1)
    assert simulation.read(Register.TAIL) == 0
    assert simulation.read(Register.ERROR) == Status.RING
    simulation.write(Register.CONTROL, Control.CLEAR_ERROR)
    simulation.write(Register.DOORBELL, size)
    assert simulation.read(Register.TAIL) == size
    assert simulation.read(Register.ERROR) == 0
