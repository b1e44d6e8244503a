# Long because the simulator imports one module, in which a test bench and its tests are together.
"""tdpu_top between AXI models: the driver drives, a monitor of the read channels feeds the model.

Driver: `trine.hw.driver` over AXI4-Lite (`trine.hw.bench`). Memory: three AXI slaves on one array,
which pause at random on every channel and answer chosen addresses with errors. Monitor: what was
really read, beat by beat, and what was asked for. Model: descriptors, weights and activations are
taken from the monitored beats alone, in the order in which they were asked for. Checker: what was
written, byte by byte, is the model's accumulators; a channel keeps its offer until it is taken.

Runs inside the simulator; `test_cocotb.py` starts it.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Iterator

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge
from cocotb.triggers import ReadOnly, RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiReadBus,
    AxiSlaveRead,
    AxiSlaveWrite,
    AxiWriteBus,
)

from trine.errors import HardwareError
from trine.hw.bench import Bench
from trine.hw.driver import PAGE, Driver
from trine.hw.registers import Control, Interrupt, Register, Status
from trine.kernels.reference import accumulate
from trine.ternary.tdpu import Layout, pack_tdpu, unpack_tdpu

SIZE = 1 << 20
ENGINES = 2
DESCRIPTOR = np.dtype(
    [
        *(("flags", "<u4"), ("tag", "<u4"), ("k", "<u4"), ("rows", "<u4")),
        *(("vectors", "<u2"), ("scale", "<u2"), ("act_stride", "<u4")),
        *(("weights", "<u8"), ("stride", "<u8"), ("codes", "<u8"), ("results", "<u8")),
        *(("status", "<u4"), ("clocks", "<u4")),
    ]
)


class Memory:
    """Bytes behind all ports; an access that holds one of `broken` fails."""

    def __init__(self) -> None:
        self.bytes = np.full(SIZE, 0xA5, np.uint8)
        self.broken: set[int] = set()
        self.written = Counter[int]()

    async def read(self, address: int, length: int) -> bytes:
        if any(address <= place < address + length for place in self.broken):
            raise ValueError("broken")
        return self.bytes[address : address + length].tobytes()

    async def write(self, address: int, data: bytes) -> None:
        if any(address <= place < address + len(data) for place in self.broken):
            raise ValueError("broken")
        self.bytes[address : address + len(data)] = np.frombuffer(data, np.uint8)
        self.written.update(range(address, address + len(data)))


class Monitor:
    """What crosses the channels, and that every offer stays until it is taken."""

    def __init__(self, dut) -> None:
        self.dut = dut
        self.read: list[dict[int, bytes]] = [{} for _ in range(ENGINES)]
        self.descriptors: list[int] = []
        self.asked = [deque[int]() for _ in range(ENGINES)]
        self.stalls = Counter[str]()
        cocotb.start_soon(self.watch())

    def channel(self, name: str, *fields: str) -> tuple[bool, bool, tuple[int, ...]]:
        valid, ready = (int(getattr(self.dut, name + end).value) for end in ("valid", "ready"))
        payload = tuple(int(getattr(self.dut, field).value) for field in fields)
        return bool(valid), bool(ready), payload

    async def watch(self) -> None:
        dut = self.dut
        beat_bytes = len(dut.p0_rdata) // 8
        channels = {
            **{f"p{p}_ar": (f"p{p}_araddr", f"p{p}_arlen") for p in range(ENGINES)},
            **{f"p{p}_r": (f"p{p}_rdata", f"p{p}_rlast") for p in range(ENGINES)},
            "wr_aw": ("wr_awaddr", "wr_awlen"),
            "wr_w": ("wr_wdata", "wr_wstrb", "wr_wlast"),
            "wr_b": ("wr_bresp",),
            "s_axil_b": ("s_axil_bresp",),
            "s_axil_r": ("s_axil_rdata",),
        }
        offers: dict[str, tuple[int, ...]] = {}
        while True:
            await RisingEdge(dut.clk)
            await ReadOnly()
            if int(dut.rst.value):
                offers.clear()
                continue
            for name, fields in channels.items():
                valid, ready, payload = self.channel(name, *fields)
                if name in offers:
                    assert valid and payload == offers.pop(name), f"{name} did not keep its offer"
                if valid and not ready:
                    offers[name] = payload
                    self.stalls[name] += 1
                if valid and ready and name.endswith("_ar"):
                    address, beats = payload[0], payload[1] + 1
                    assert (
                        beats <= 16
                        and address // 4096 == (address + beats * beat_bytes - 1) // 4096
                    )
                    port = int(name[1])
                    self.asked[port].extend(address + n * beat_bytes for n in range(beats))
                    if address < PAGE + 16 * 64:
                        self.descriptors.append(address)
                if valid and ready and name.endswith("_r") and name[0] == "p":
                    port = int(name[1])
                    address = self.asked[port].popleft()
                    self.read[port][address] = payload[0].to_bytes(beat_bytes, "little")

    def bytes_of(self, port: int, address: int, size: int) -> np.ndarray:
        """What the port read there last; KeyError where it read nothing."""
        step = len(self.dut.p0_rdata) // 8
        data = b"".join(self.read[port][address + at] for at in range(0, size, step))
        return np.frombuffer(data, np.uint8)[:size]


class Model:
    """Accumulators from the monitored beats; activations stay for jobs that reuse them."""

    def __init__(self, monitor: Monitor, code: int, beat_bytes: int) -> None:
        self.monitor, self.code, self.beat_bytes = monitor, code, beat_bytes
        self.codes = np.zeros((0, 0), np.int8)

    def job(self, address: int) -> tuple[int, np.ndarray]:
        """Where the results of this descriptor lie, and what they are: int32 [rows, vectors]."""
        told = self.monitor.bytes_of(0, address, 64).view(DESCRIPTOR)[0]
        k, rows, vectors = int(told["k"]), int(told["rows"]), int(told["vectors"])
        layout = Layout(rows, k, self.code, ENGINES, self.beat_bytes)
        assert layout.stride == told["stride"]
        image = np.full(layout.size, 0, np.uint8)
        for port in range(ENGINES):
            stream = self.monitor.bytes_of(
                port,
                int(told["weights"]) + port * layout.stride,
                layout.beats * self.beat_bytes,
            )
            image[port * layout.stride :][: stream.size] = stream
        # The gap between streams is not read; the layout wants pad bytes there.
        gaps = pack_tdpu(np.zeros((rows, k), np.int8), layout)
        for port in range(ENGINES - 1):
            end = port * layout.stride + layout.beats * self.beat_bytes
            image[end : (port + 1) * layout.stride] = gaps[end : (port + 1) * layout.stride]
        trits = unpack_tdpu(image, layout)
        if told["flags"] >> 9 & 1:
            self.codes = np.stack(
                [
                    self.monitor.bytes_of(
                        vector % ENGINES,
                        int(told["codes"]) + vector * int(told["act_stride"]),
                        layout.words * layout.lanes,
                    )[:k].view(np.int8)
                    for vector in range(vectors)
                ]
            )
        return int(told["results"]), accumulate(self.codes[:vectors], trits).T


def pauses(share: float, rng: random.Random) -> Iterator[bool]:
    """A channel rests in this share of the clocks, for one clock or for many."""
    while True:
        rest = rng.random() < share
        for _ in range(rng.choice([1, 1, 1, 2, 40]) if rest else 1):
            yield rest


class Setup:
    """The unit, its memory and its driver's backend, out of reset."""

    def __init__(self, dut, stalls: float, seed: int, late: float | None = None) -> None:
        self.dut = dut
        self.rng = random.Random(seed)
        self.memory = Memory()
        self.monitor = Monitor(dut)
        code = int(dut.CODE.value)
        self.batch = int(dut.BATCH.value)
        self.model = Model(self.monitor, code, len(dut.p0_rdata) // 8)
        self.lite = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.ports = [
            AxiSlaveRead(AxiReadBus.from_prefix(dut, f"p{p}"), dut.clk, dut.rst, self.memory)
            for p in range(ENGINES)
        ]
        self.writer = AxiSlaveWrite(
            AxiWriteBus.from_prefix(dut, "wr"), dut.clk, dut.rst, self.memory
        )
        for number, port in enumerate(self.ports):
            share = late if late is not None and number == 1 else stalls
            self.pause(port.ar_channel, share)
            self.pause(port.r_channel, share)
        for channel in (self.writer.aw_channel, self.writer.w_channel, self.writer.b_channel):
            self.pause(channel, stalls)
        for channel in (
            *(self.lite.write_if.aw_channel, self.lite.write_if.w_channel),
            *(self.lite.write_if.b_channel, self.lite.read_if.ar_channel),
            self.lite.read_if.r_channel,
        ):
            self.pause(channel, stalls)

    def pause(self, channel, share: float) -> None:
        channel.set_pause_generator(pauses(share, random.Random(self.rng.random())))

    async def reset(self) -> None:
        """Hold rst_ni low for some clocks, at any time."""
        self.dut.rst.value = 1
        for _ in range(4):
            await RisingEdge(self.dut.clk)
        self.dut.rst.value = 0
        for port in range(ENGINES):
            self.monitor.asked[port].clear()
        for _ in range(2):
            await RisingEdge(self.dut.clk)

    async def register(self, offset: int) -> int:
        return int.from_bytes((await self.lite.read(offset, 4)).data, "little")

    async def set_register(self, offset: int, value: int) -> None:
        await self.lite.write(offset, value.to_bytes(4, "little"))

    async def interrupt(self, clocks: int) -> bool:
        for _ in range(min(clocks, 200_000)):
            if int(self.dut.irq.value):
                return True
            await RisingEdge(self.dut.clk)
        return bool(int(self.dut.irq.value))

    def bench(self) -> Bench:
        return Bench(self.memory.bytes, self.register, self.set_register, self.interrupt)

    def check(self, first: int = 0) -> int:
        """Everything that was written for descriptors from `first` on; how many jobs."""
        for address in self.monitor.descriptors[first:]:
            place, expected = self.model.job(address)
            data = np.ascontiguousarray(expected, np.int32).view(np.uint8).reshape(-1)
            got = self.memory.bytes[place : place + data.size]
            np.testing.assert_array_equal(got, data)
            for byte in range(place, place + data.size):
                assert self.memory.written[byte] == 1, "a result was written twice, or not"
            assert not self.memory.written[place + data.size]
        return len(self.monitor.descriptors) - first


async def begin(dut, stalls: float, seed: int, late: float | None = None) -> Setup:
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    setup = Setup(dut, stalls, seed, late)
    await setup.reset()
    return setup


def shape(rng: random.Random) -> tuple[int, int]:
    return rng.choice([1, 2, 3, 9]), rng.choice([1, 7, 40, 41, 100, 250])


@bridge
def some_jobs(setup: Setup, count: int) -> None:
    """Jobs of random shapes, some reuse activations; queued as the ring takes them."""
    rng = setup.rng
    driver = Driver(setup.bench())
    jobs, k = [], 0
    for number in range(count):
        if number % 3 != 2:
            rows, k = shape(rng)
            vectors = rng.randint(1, setup.batch)
            codes = np.frombuffer(rng.randbytes(vectors * k), np.int8).reshape(vectors, k)
        else:
            rows = shape(rng)[0]
        trits = np.array([rng.choices([-1, 0, 1], k=k) for _ in range(rows)], np.int8)
        layout = driver.layout(rows, k)
        weights = driver.store(pack_tdpu(trits, layout))
        given = None if number % 3 == 2 else codes
        jobs.append(driver.submit(layout, weights, given, vectors=vectors))
        if len(jobs) == 6:
            driver.wait(jobs.pop(0))
    for job in jobs:
        driver.wait(job)


@cocotb.test()
async def without_stalls(dut) -> None:
    setup = await begin(dut, 0, seed=1)
    await some_jobs(setup, 20)
    assert setup.check() == 20


@cocotb.test()
async def stalls_on_every_channel(dut) -> None:
    setup = await begin(dut, 0.5, seed=2)
    # More jobs than the ring has descriptors: it wraps.
    await some_jobs(setup, 20)
    assert setup.check() == 20
    assert await setup.register(Register.HEAD) == 20
    # What waits for the unit, and what the unit waits with.
    waited = {name for name, clocks in setup.monitor.stalls.items() if clocks}
    assert {"p0_ar", "p1_ar", "wr_aw", "wr_w", "s_axil_b", "s_axil_r"} <= waited
    # The unit takes read data and responses at once.
    assert not waited & {"p0_r", "p1_r", "wr_b"}


@cocotb.test()
async def ports_out_of_phase(dut) -> None:
    setup = await begin(dut, 0.05, seed=3, late=0.9)
    await some_jobs(setup, 8)
    assert setup.check() == 8


@cocotb.test()
async def errors_are_reported_and_later_jobs_run(dut) -> None:
    setup = await begin(dut, 0.3, seed=4)

    @bridge
    def broken(what: str) -> None:
        driver = Driver(setup.bench())
        layout = driver.layout(4, 100)
        weights = driver.store(pack_tdpu(np.ones((4, 100), np.int8), layout))
        codes = np.ones((1, 100), np.int8)
        # Where this driver, being new, will put them.
        results = -(-(weights + layout.size) // 256) * 256 + 256
        place, code, port = {
            "weights": (weights + layout.stride, Status.AXI_READ, 1),
            "codes": (results - 256, Status.AXI_READ, 0),
            "results": (results, Status.AXI_WRITE, 0),
        }[what]
        setup.memory.broken = {place}
        job = driver.submit(layout, weights, codes)
        assert job.results == results
        try:
            driver.wait(job)
        except HardwareError as error:
            assert f"{code.name} on port {port}" in str(error)
        else:
            raise AssertionError("the error was not reported")
        assert driver.backend.read(Register.ERROR) == code | port << 8
        setup.memory.broken = set()

    for what in ("weights", "codes", "results"):
        await broken(what)
        before = len(setup.monitor.descriptors)
        setup.memory.written.clear()
        await some_jobs(setup, 4)
        assert setup.check(before) == 4


@bridge
def interrupted(setup: Setup, clocks: int, how: str) -> None:
    """Four jobs, and after some clocks an abort or a reset by register."""
    driver = Driver(setup.bench())
    bench = driver.backend
    bench.write(Register.IRQ_MASK, 0)
    layout = driver.layout(9, 250)
    weights = driver.store(pack_tdpu(np.ones((9, 250), np.int8), layout))
    for _ in range(4):
        driver.submit(layout, weights, np.ones((setup.batch, 250), np.int8))
    bench.wait(clocks)
    if how == "abort":
        driver.abort()
        assert bench.read(Register.HEAD) == bench.read(Register.TAIL) == 4
    elif how == "reset":
        Driver(bench)
        assert bench.read(Register.HEAD) == bench.read(Register.TAIL) == 0


@cocotb.test()
async def abort_and_reset_in_the_middle(dut) -> None:
    setup = await begin(dut, 0.4, seed=5)
    for number, clocks in enumerate([0, 60, 150, 400, 700, 1100]):
        await interrupted(setup, clocks, ("abort", "reset", "pin")[number % 3])
        if number % 3 == 2:
            # rst_ni in the middle of anything; the memory is reset with it.
            await setup.reset()
        before = len(setup.monitor.descriptors)
        setup.memory.written.clear()
        await some_jobs(setup, 3)
        assert setup.check(before) == 3


@cocotb.test()
async def interrupt_is_a_masked_level(dut) -> None:
    setup = await begin(dut, 0.2, seed=6)
    await setup.set_register(Register.CONTROL, Control.ENABLE)
    await setup.set_register(Register.IRQ_MASK, Interrupt.DONE)
    # More than a ring of one descriptor holds.
    await setup.set_register(Register.DOORBELL, 2)
    assert await setup.register(Register.IRQ_STATUS) == Interrupt.ERROR
    assert not int(dut.irq.value)
    await setup.set_register(Register.IRQ_MASK, Interrupt.ERROR)
    assert await setup.interrupt(10)
    await setup.set_register(Register.IRQ_STATUS, Interrupt.ERROR)
    assert not await setup.interrupt(50)
    assert await setup.register(Register.ERROR) == Status.RING
