"""The design space: area composed from blocks, tokens a second from the memory model.

A unit is `engines` engines, one activation store, and what is left of `tdpu_top` when those are
taken out (read ports among it: only the first fetches descriptors, so they are not alike). Each
distinct block is synthesised once. What a synthesis of the whole would trim across the blocks'
edges is missing: `compare` shows how much that is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from trine.checkpoint.config import LINEARS, ModelConfig
from trine.hw.count import PORT_LATENCY
from trine.hw.sources import Unit
from trine.hw.synth import PART, Area, synthesise
from trine.hw.traffic import PEAK_GBS, Streams
from trine.ternary.tdpu import Layout

_BLOCKS = ("tdpu_engine", "tdpu_act_store")
NOMINAL_SHARE = 0.75

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Point:
    """One unit. Areas are composed; `rate` beats a clock and a port, of the memory model.

    `decode`: tokens/s of one sequence; `batched`: of `unit.batch` sequences at once. Both count the
    BitLinear body and the ternary head and nothing else, at a clock that is assumed here.
    """

    unit: Unit
    lut: int
    flip_flops: int
    bram36: float
    dsp: int
    rate: float
    decode: float
    batched: float

    @property
    def fits(self) -> bool:
        """Whether an XC7Z020 has as many LUTs, flip-flops and block RAMs."""
        return (
            self.lut <= PART["LUT"]
            and self.flip_flops <= PART["flip-flops"]
            and self.bram36 <= PART["BRAM36"]
        )


@dataclass(frozen=True, slots=True)
class Composition:
    """A composed area beside the synthesis of the whole; `error` in percent of the whole's LUTs."""

    unit: Unit
    composed: int
    whole: int

    @property
    def error(self) -> float:
        """Above 0: the composition is larger."""
        return 100 * (self.composed / self.whole - 1)


def blocks(unit: Unit) -> list[tuple[int, Area]]:
    """How often each block occurs in `unit`, and its area."""
    shape = {
        "BEAT_W": unit.beat_bits,
        "CODE": unit.code,
        "BATCH": unit.batch,
        "K_MAX": unit.k_max,
    }
    return [
        (unit.engines, synthesise("tdpu_engine", unit, shape)),
        (1, synthesise("tdpu_act_store", unit, shape | {"ENGINES": unit.engines})),
        (1, synthesise("tdpu_top", unit, unit.parameters(), without=_BLOCKS)),
    ]


def point(config: ModelConfig, unit: Unit, clock_mhz: float) -> Point:
    """Area and speed of one unit; nominal memory."""
    parts = blocks(unit)
    rate = Streams(
        ports=unit.engines,
        beat_bytes=unit.beat_bytes,
        clock_khz=round(clock_mhz * 1000),
        cap_gbs=NOMINAL_SHARE * PEAK_GBS,
        latency=PORT_LATENCY,
        fifo_beats=unit.fifo_depth,
    ).beats_per_clock()
    seconds = beats(config, unit) / rate / clock_mhz / 1e6
    return Point(
        unit=unit,
        lut=sum(count * area.lut for count, area in parts),
        flip_flops=sum(count * area.flip_flops for count, area in parts),
        bram36=sum(count * area.bram36 for count, area in parts),
        dsp=sum(count * area.dsp for count, area in parts),
        rate=rate,
        decode=1 / seconds,
        batched=unit.batch / seconds,
    )


def beats(config: ModelConfig, unit: Unit) -> int:
    """Weight beats a port for body and ternary head of one pass; padding is in them."""
    shapes = [config.linear_shape(name) for name in LINEARS] * config.layers
    shapes.append((config.vocab_size, config.hidden_size))
    return sum(
        Layout(rows, columns, unit.code, unit.engines, unit.beat_bytes).beats
        for rows, columns in shapes
    )


def compare(unit: Unit) -> Composition:
    """Synthesise the whole (minutes) and compare."""
    composed = sum(count * area.lut for count, area in blocks(unit))
    return Composition(unit, composed, synthesise("tdpu_top", unit).lut)


def explore(
    config: ModelConfig, units: Iterable[Unit], clock_mhz: float, progress: Progress
) -> list[Point]:
    """One point a unit."""
    wanted, found = list(units), list[Point]()
    for index, unit in enumerate(wanted):
        progress("synthesise blocks", index, len(wanted))
        found.append(point(config, unit, clock_mhz))
    progress("synthesise blocks", len(wanted), len(wanted))
    return found


def pareto(points: Iterable[Point]) -> list[Point]:
    """Those that fit and that no other beats in LUTs, block RAMs and tokens/s at once."""
    fitting = [one for one in points if one.fits]
    return [one for one in fitting if not any(_beats(other, one) for other in fitting)]


def _beats(a: Point, b: Point) -> bool:
    left = (a.lut, a.bram36, -a.batched)
    right = (b.lut, b.bram36, -b.batched)
    return left != right and all(x <= y for x, y in zip(left, right, strict=True))
