"""The driver over stand-ins: a board whose memory is not coherent until it is flushed, a bench."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hw.units import HEADLINE, check, random_case
from trine.errors import HardwareError, ToolError
from trine.hw.bench import Bench
from trine.hw.board import Board
from trine.hw.driver import Driver
from trine.hw.registers import Register
from trine.hw.simulation import MemoryModel, Simulation
from trine.ternary.tdpu import pack_tdpu

BASE, SIZE, PLACE = 0x20000, 1 << 20, 0x4000_0000
BITSTREAM = Path("tdpu.bit")


class Buffer:
    """A processor's view: bytes move to and from the unit's memory only when told."""

    def __init__(self, cached: NDArray[np.uint8], unit: NDArray[np.uint8], address: int) -> None:
        self.cached, self.unit, self.device_address = cached, unit, address

    def __array__(self, *_: Any, **__: Any) -> NDArray[np.uint8]:
        return self.cached

    def __getitem__(self, part: slice) -> Buffer:
        return Buffer(self.cached[part], self.unit[part], self.device_address + part.start)

    def flush(self) -> None:
        self.unit[:] = self.cached

    def invalidate(self) -> None:
        self.cached[:] = self.unit


class Registers:
    """MMIO: the simulated unit goes on by some clocks at each look at the interrupt."""

    def __init__(self, simulation: Simulation, identity: int | None) -> None:
        self.simulation, self.identity = simulation, identity

    def read(self, offset: int) -> int:
        if offset == Register.ID and self.identity is not None:
            return self.identity
        if offset == Register.IRQ_STATUS:
            self.simulation.wait(1000)
        return self.simulation.read(offset)

    def write(self, offset: int, value: int) -> None:
        self.simulation.write(offset, value)


def fake_pynq(
    monkeypatch: pytest.MonkeyPatch,
    *,
    clock: float = 100.0,
    address: int = BASE,
    identity: int | None = None,
) -> None:
    simulation = Simulation(HEADLINE, MemoryModel(size=4 << 20))
    # What the caches hold has nothing to do with what memory holds.
    cached = np.full(SIZE, 0xA5, np.uint8)

    def mmio(base: int, size: int) -> Registers:
        assert (base, size) == (PLACE, 0x1000)
        return Registers(simulation, identity)

    def allocate(shape: tuple[int], dtype: str) -> Buffer:
        assert (shape, dtype) == ((SIZE,), "u1")
        return Buffer(cached, simulation.memory[BASE : BASE + SIZE], address)

    place = {"phys_addr": PLACE, "addr_range": 0x1000}
    module = SimpleNamespace(
        Overlay=lambda path: SimpleNamespace(ip_dict={"tdpu_0": place}),
        Clocks=SimpleNamespace(fclk0_mhz=clock),
        MMIO=mmio,
        allocate=allocate,
    )
    monkeypatch.setitem(sys.modules, "pynq", module)


def board(**chosen: Any) -> Board:
    return Board(BITSTREAM, clock_mhz=100, memory_bytes=SIZE, **chosen)


def test_a_board_whose_caches_are_not_coherent_gives_exact_sums(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_pynq(monkeypatch)
    driver = Driver(board())
    for seed in range(3):
        check(driver, *random_case(21, 300, 1, seed))


@pytest.mark.parametrize("forgotten", ["flush", "invalidate"])
def test_the_stand_in_notices_a_forgotten_cache_operation(
    monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    fake_pynq(monkeypatch)
    unit = board()
    driver = Driver(unit)
    trits, codes = random_case(21, 300, 1, 0)
    layout = driver.layout(*trits.shape)
    monkeypatch.setattr(unit, forgotten, lambda start, size: None)
    job = driver.submit(layout, driver.store(pack_tdpu(trits, layout)), codes)
    # The unit meets a descriptor of noise, or the driver never sees the status that was written.
    with pytest.raises(HardwareError):
        driver.wait(job, clocks=200_000)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"clock": 142.9}, "142.9 MHz"),
        ({"address": BASE + 64}, "multiple of 4096"),
        ({"address": (1 << 32) - 4096}, "below 4 GiB"),
        ({"identity": 0xDEAD}, "0xdead"),
    ],
)
def test_a_board_that_does_not_match_is_refused_before_a_write(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], told: str
) -> None:
    fake_pynq(monkeypatch, **wrong)
    monkeypatch.setattr(Registers, "write", lambda *_: pytest.fail("a register was written"))
    with pytest.raises(HardwareError, match=told):
        board()


def test_an_unknown_core_is_told_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pynq(monkeypatch)
    with pytest.raises(HardwareError, match="no dma_0; it has tdpu_0"):
        board(core="dma_0")


def test_without_pynq_the_install_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynq", None)
    with pytest.raises(ToolError, match="pip install pynq"):
        board()


def test_a_bench_of_coroutines_gives_exact_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    # cocotb's resume runs a coroutine in the simulator's thread; here in a loop of its own.
    resume = lambda function: lambda *given: asyncio.run(function(*given))  # noqa: E731
    monkeypatch.setitem(sys.modules, "cocotb.task", SimpleNamespace(resume=resume))
    simulation = Simulation(HEADLINE, MemoryModel(size=4 << 20))

    async def read(offset: int) -> int:
        return simulation.read(offset)

    async def write(offset: int, value: int) -> None:
        simulation.write(offset, value)

    async def wait(clocks: int) -> bool:
        return simulation.wait(clocks)

    check(Driver(Bench(simulation.memory, read, write, wait)), *random_case(21, 300, 1, 0))
