"""tdpu_gemv on its streams: drivers with random gaps, a monitor, a model fed by the monitor.

Runs inside the simulator; `test_cocotb.py` starts it.
"""

from __future__ import annotations

import random
from collections import deque

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge

from trine.ternary.tdpu import Layout, unpack_tdpu

ROWS = 60


class Model:
    """Results expected from the beats that were really transferred."""

    def __init__(self, code: int, beat_bytes: int, batch: int) -> None:
        self.code, self.beat_bytes, self.batch = code, beat_bytes, batch
        self.sums = np.zeros(batch, np.int64)
        self.expected: deque[tuple[int, int]] = deque()

    def weights_and_activations(self, beat: int, last: int, word: int) -> None:
        """One step: both streams transferred in the same clock."""
        layout = Layout(1, 1, self.code, engines=1, beat_bytes=self.beat_bytes)
        image = np.frombuffer(beat.to_bytes(self.beat_bytes, "little"), np.uint8)
        whole = Layout(1, layout.lanes, self.code, engines=1, beat_bytes=self.beat_bytes)
        trits = unpack_tdpu(image, whole)[0].astype(np.int64)
        size = self.batch * layout.lanes
        codes = np.frombuffer(word.to_bytes(size, "little"), np.int8).reshape(self.batch, -1)
        self.sums += codes.astype(np.int64) @ trits
        if last:
            for vector, total in enumerate(self.sums):
                self.expected.append((int(total), int(vector == self.batch - 1)))
            self.sums[:] = 0


async def drive(clock, valid, ready, offer, gap: float, rng: random.Random) -> None:
    """Offer beats for ever: `offer` sets the data of the next one; gaps at random."""
    while True:
        while rng.random() < gap:
            await RisingEdge(clock)
        offer()
        valid.value = 1
        while True:
            await ReadOnly()
            taken = int(ready.value)
            await RisingEdge(clock)
            if taken:
                break
        valid.value = 0


async def run(dut, gaps: tuple[float, float, float], seed: int) -> int:
    """Check ROWS rows; returns the clocks."""
    rng = random.Random(seed)
    code, batch = int(dut.CODE.value), int(dut.BATCH.value)
    beat_bytes = int(dut.BEAT_W.value) // 8
    lanes = beat_bytes * (5 if code == 3 else 4)
    legal = [-(-256 * v // 243) for v in range(243)]
    if code == 2:
        legal = [byte for byte in range(256) if not byte & byte >> 1 & 0x55]
    model = Model(code, beat_bytes, batch)

    def offer_weights() -> None:
        beat = bytes(rng.choice(legal) for _ in range(beat_bytes))
        dut.s_w_tdata_i.value = int.from_bytes(beat, "little")
        dut.s_w_tlast_i.value = int(rng.random() < 0.3)

    def offer_activations() -> None:
        dut.s_a_tdata_i.value = rng.getrandbits(8 * lanes * batch)

    cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())
    for signal in (dut.rst_ni, dut.s_w_tvalid_i, dut.s_a_tvalid_i, dut.m_r_tready_i):
        signal.value = 0
    for _ in range(3):
        await RisingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    weights, activations = (
        (dut.s_w_tvalid_i, dut.s_w_tready_o),
        (
            dut.s_a_tvalid_i,
            dut.s_a_tready_o,
        ),
    )
    cocotb.start_soon(drive(dut.clk_i, *weights, offer_weights, gaps[0], rng))
    cocotb.start_soon(drive(dut.clk_i, *activations, offer_activations, gaps[1], rng))
    results = clocks = 0
    held = None
    while results < ROWS * batch:
        dut.m_r_tready_i.value = int(rng.random() >= gaps[2])
        await ReadOnly()
        if int(dut.s_w_tvalid_i.value) and int(dut.s_w_tready_o.value):
            assert int(dut.s_a_tvalid_i.value) and int(dut.s_a_tready_o.value)
            model.weights_and_activations(
                int(dut.s_w_tdata_i.value),
                int(dut.s_w_tlast_i.value),
                int(dut.s_a_tdata_i.value),
            )
        if int(dut.m_r_tvalid_o.value):
            got = (dut.m_r_tdata_o.value.to_signed(), int(dut.m_r_tlast_o.value))
            assert held in (None, got), "a result changed before it was taken"
            held = got
            if int(dut.m_r_tready_i.value):
                assert got == model.expected.popleft()
                held = None
                results += 1
        else:
            assert held is None, "a result was withdrawn"
        clocks += 1
        await RisingEdge(dut.clk_i)
    assert int(dut.illegal_o.value) == 0
    return clocks


@cocotb.test()
async def without_gaps(dut) -> None:
    await run(dut, (0, 0, 0), seed=1)


@cocotb.test()
async def with_gaps_everywhere(dut) -> None:
    await run(dut, (0.5, 0.5, 0.5), seed=2)


@cocotb.test()
async def with_a_slow_sink(dut) -> None:
    await run(dut, (0, 0, 0.9), seed=3)


@cocotb.test()
async def with_starving_streams(dut) -> None:
    await run(dut, (0.9, 0.2, 0), seed=4)
