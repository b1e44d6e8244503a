"""Published bandwidths of the Zynq-7000, held against the memory model. None of them is fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trine.hw.traffic import PEAK_GBS, Streams, ddr_efficiency

_UG585 = "UG585, DDR Efficiency (DDR3-1050, PL at 150 MHz)"


@dataclass(frozen=True, slots=True)
class Point:
    """A published figure and the model's, in `unit` ("% of peak" or "MB/s")."""

    what: str
    source: str
    unit: str
    published: float
    model: float

    @property
    def residual(self) -> float:
        """Of the model, in percent of the published figure; above 0 the model is optimistic."""
        return 100 * (self.model / self.published - 1)


def _efficiency(share: float, **chosen: object) -> Callable[[], tuple[float, float]]:
    return lambda: (share, 100 * ddr_efficiency(**chosen))  # type: ignore[arg-type]


def _streams(published: float, **chosen: int) -> Callable[[], tuple[float, float]]:
    return lambda: (published, Streams(**chosen).megabytes_per_second())  # type: ignore[arg-type]


_PERCENT = {
    "sequential reads": _efficiency(97),
    "random reads": _efficiency(92, random=True),
    "sequential writes": _efficiency(90, writes=(1, 1)),
    "random writes": _efficiency(87, writes=(1, 1), random=True),
    "sequential reads and writes": _efficiency(87, writes=(1, 2)),
    "random reads and writes": _efficiency(79, writes=(1, 2), random=True),
    "burst length 4, reads and writes": _efficiency(87, writes=(1, 2), burst_bytes=32),
    "burst length 8, reads and writes": _efficiency(87, writes=(1, 2), burst_bytes=64),
}


def points() -> list[Point]:
    """Every published point with the model's figure."""
    found = [Point(what, _UG585, "% of peak", *make()) for what, make in _PERCENT.items()]
    measured = (
        (
            "one HP port at 50 MHz, reads",
            "jonathansong/Torch2RISCV-accelerator, tests/baselines/pynq-z1/perf.md",
            _streams(397, ports=1, clock_khz=50_000),
        ),
        (
            "HP0 and HP1 at 250 MHz: one port of the controller",
            "UG585, table 22-4 (a limit that the model is given)",
            _streams(2840, ports=2, clock_khz=250_000),
        ),
        (
            "all HP ports and ACP, reads and writes together",
            "rsoc-framework.com",
            lambda: (3500.0, 1e3 * PEAK_GBS * ddr_efficiency(writes=(1, 2))),
        ),
    )
    found += [Point(what, source, "MB/s", *make()) for what, source, make in measured]
    return found
