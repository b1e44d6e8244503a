"""tdpu_core on its streams: jobs, activations and weights come from drivers of their own.

Every port is out of phase with every other: activations arrive when they like, while the job before
may still compute. A monitor feeds the model with what was accepted; the checker takes results as
they leave. Runs inside the simulator; `test_cocotb.py` starts it.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge

from trine.kernels.reference import accumulate
from trine.ternary.tdpu import Layout, pack_tdpu, unpack_tdpu


@dataclass
class Job:
    """What the driver sends: trits [rows, K], codes [vectors, K] or those of the job before."""

    trits: np.ndarray
    codes: np.ndarray
    load: bool
    beats: list[deque[bytes]] = field(default_factory=list)


class Bench:
    """Drivers, monitor, model, checker."""

    def __init__(self, dut, gaps: tuple[float, float, float], seed: int) -> None:
        self.dut, self.rng = dut, random.Random(seed)
        self.act_gap, self.weight_gap, self.sink_gap = gaps
        self.code, self.engines = int(dut.CODE.value), int(dut.ENGINES.value)
        self.batch, self.k_max = int(dut.BATCH.value), int(dut.K_MAX.value)
        self.beat_bytes = int(dut.BEAT_W.value) // 8
        self.lanes = self.beat_bytes * (5 if self.code == 3 else 4)
        # Not yet accepted; accepted (activation beats in order for each port); the weights' order.
        self.jobs = deque[Job]()
        self.act_beats = [deque[bytes]() for _ in range(self.engines)]
        self.weight_beats = [deque[bytes]() for _ in range(self.engines)]
        self.layouts = deque[tuple[Layout, int]]()
        # Monitored.
        self.acts_seen = [deque[bytes]() for _ in range(self.engines)]
        self.weights_seen = [deque[bytes]() for _ in range(self.engines)]
        self.running = deque[tuple[Job, Layout]]()
        self.codes = np.zeros((0, 0), np.int8)
        self.expected = deque[tuple[int, int]]()
        self.checked = self.overlaps = self.group = self.offered = 0

    def random_job(self, k: int, rows: int, reuse: bool) -> Job:
        rng = np.random.default_rng(self.rng.getrandbits(32))
        vectors = self.rng.randint(1, self.batch)
        last = self.jobs[-1].codes if self.jobs else self.codes
        if reuse:
            k, vectors = last.shape[1], min(vectors, len(last))
        trits = rng.integers(-1, 2, (rows, k)).astype(np.int8)
        codes = last[:vectors] if reuse else rng.integers(-128, 128, (vectors, k)).astype(np.int8)
        return Job(trits, codes, not reuse)

    def accepted(self, job: Job) -> None:
        """Its beats may come now."""
        layout = Layout(*job.trits.shape, self.code, self.engines, self.beat_bytes)
        image = pack_tdpu(job.trits, layout).tobytes()
        size = layout.beats * self.beat_bytes
        for port in range(self.engines):
            stream = image[port * layout.stride :][:size]
            self.weight_beats[port].extend(
                stream[at : at + self.beat_bytes] for at in range(0, size, self.beat_bytes)
            )
        if job.load:
            self.overlaps += bool(self.running)
            padded = np.zeros((len(job.codes), layout.words * layout.lanes), np.int8)
            padded[:, : job.codes.shape[1]] = job.codes
            for vector, line in enumerate(padded):
                data = line.tobytes()
                self.act_beats[vector % self.engines].extend(
                    data[at : at + self.beat_bytes] for at in range(0, len(data), self.beat_bytes)
                )
        self.running.append((job, layout))

    def model(self) -> None:
        """A row group whose weights have all been taken: its results must follow."""
        job, layout = self.running[0]
        if any(len(seen) < layout.words for seen in self.weights_seen):
            return
        if job.load and not self.group:
            words = layout.words * layout.lanes // self.beat_bytes
            ports = [self.acts_seen[vector % self.engines] for vector in range(len(job.codes))]
            lines = [b"".join(port.popleft() for _ in range(words)) for port in ports]
            self.codes = np.stack([np.frombuffer(line, np.int8) for line in lines])
            self.codes = self.codes[:, : layout.columns]
        rows = min(self.engines, layout.rows - self.group * self.engines)
        own = Layout(rows, layout.columns, self.code, self.engines, self.beat_bytes)
        image = pack_tdpu(np.zeros((rows, layout.columns), np.int8), own)
        for port in range(self.engines):
            data = b"".join(self.weights_seen[port].popleft() for _ in range(layout.words))
            image[port * own.stride :][: len(data)] = np.frombuffer(data, np.uint8)
        sums = accumulate(self.codes[: len(job.codes)], unpack_tdpu(image, own)).T
        self.group += 1
        final = self.group == layout.groups
        end = sums.size - 1
        self.expected.extend(
            (int(total), int(final and at == end)) for at, total in enumerate(sums.reshape(-1))
        )
        if final:
            self.running.popleft()
            self.group = 0

    def drive(self) -> None:
        """Inputs of the next clock; an offer stays until it is taken."""
        dut, rng = self.dut, self.rng
        if self.jobs:
            job = self.jobs[0]
            dut.job_valid_i.value = 1
            dut.job_load_i.value = int(job.load)
            dut.job_words_i.value = -(-job.trits.shape[1] // self.lanes)
            dut.job_rows_i.value = job.trits.shape[0]
            dut.job_vectors_i.value = len(job.codes)
        else:
            dut.job_valid_i.value = 0
        acts = data = 0
        for port in range(self.engines):
            if self.act_beats[port] and rng.random() >= self.act_gap:
                acts |= 1 << port
                beat = self.act_beats[port].popleft()
                self.acts_seen[port].append(beat)
                data |= int.from_bytes(beat, "little") << 8 * self.beat_bytes * port
        dut.act_valid_i.value, dut.act_data_i.value = acts, data
        data = 0
        for port in range(self.engines):
            if self.weight_beats[port]:
                self.offered |= int(rng.random() >= self.weight_gap) << port
                beat = int.from_bytes(self.weight_beats[port][0], "little")
                data |= beat << 8 * self.beat_bytes * port
        dut.w_valid_i.value, dut.w_data_i.value = self.offered, data
        dut.res_ready_i.value = int(rng.random() >= self.sink_gap)

    def look(self) -> None:
        """What is transferred in this clock."""
        dut = self.dut
        if int(dut.job_valid_i.value) and int(dut.job_ready_o.value):
            self.accepted(self.jobs.popleft())
        if int(dut.w_ready_o.value):
            assert self.offered == (1 << self.engines) - 1, "a step without all weights"
            for port in range(self.engines):
                self.weights_seen[port].append(self.weight_beats[port].popleft())
            self.offered = 0
            self.model()
        if int(dut.res_valid_o.value) and int(dut.res_ready_i.value):
            got = (dut.res_data_o.value.to_signed(), int(dut.res_last_o.value))
            assert got == self.expected.popleft()
            self.checked += 1

    async def run(self, jobs: int, clocks: int | None = None) -> None:
        """Jobs of all length classes; with `clocks` stop in the middle."""
        lengths = [1, self.lanes - 1, self.lanes, self.lanes + 1, 3 * self.lanes, self.k_max]
        for number in range(jobs):
            k = lengths[number % len(lengths)]
            rows = self.rng.choice([1, self.engines, self.engines + 1, 3 * self.engines])
            self.jobs.append(self.random_job(k, rows, reuse=number % 4 == 3))
        total = sum(job.trits.shape[0] * len(job.codes) for job in self.jobs) + self.checked
        passed = 0
        while self.checked < total and passed != clocks:
            self.drive()
            await ReadOnly()
            self.look()
            await RisingEdge(self.dut.clk_i)
            passed += 1
            assert passed < 200_000, "the results do not come"

    async def reset(self, pin: bool) -> None:
        """By rst_ni or flush_i: all that was under way is dropped."""
        dut = self.dut
        signal, active = (dut.rst_ni, 0) if pin else (dut.flush_i, 1)
        for each in (dut.job_valid_i, dut.act_valid_i, dut.w_valid_i, dut.res_ready_i):
            each.value = 0
        signal.value = active
        for _ in range(3):
            await RisingEdge(dut.clk_i)
        signal.value = 1 - active
        await RisingEdge(dut.clk_i)
        for queues in (self.act_beats, self.weight_beats, self.acts_seen, self.weights_seen):
            for queue in queues:
                queue.clear()
        self.jobs.clear()
        self.running.clear()
        self.expected.clear()
        self.offered = self.group = 0


async def begin(dut, gaps: tuple[float, float, float], seed: int) -> Bench:
    cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())
    dut.flush_i.value = 0
    bench = Bench(dut, gaps, seed)
    await bench.reset(pin=True)
    return bench


@cocotb.test()
async def without_gaps(dut) -> None:
    bench = await begin(dut, (0, 0, 0), seed=1)
    await bench.run(18)
    assert bench.overlaps, "no activations came while another job ran"


@cocotb.test()
async def gaps_everywhere(dut) -> None:
    bench = await begin(dut, (0.5, 0.5, 0.5), seed=2)
    await bench.run(18)


@cocotb.test()
async def late_activations(dut) -> None:
    # Weights wait for activations, as they never do in tdpu_top.
    bench = await begin(dut, (0.95, 0, 0), seed=3)
    await bench.run(12)


@cocotb.test()
async def a_slow_sink(dut) -> None:
    bench = await begin(dut, (0, 0, 0.95), seed=4)
    await bench.run(8)


@cocotb.test()
async def flush_and_reset_in_the_middle(dut) -> None:
    bench = await begin(dut, (0.3, 0.3, 0.3), seed=5)
    for number, clocks in enumerate([1, 5, 20, 60, 150, 300]):
        await bench.run(6, clocks)
        await bench.reset(pin=number % 2 == 0)
        checked = bench.checked
        await bench.run(3)
        assert bench.checked > checked
