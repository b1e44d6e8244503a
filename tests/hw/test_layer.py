"""All rows of all seven operators of a 2B-4T layer: exact, and how many beats a clock."""

from __future__ import annotations

import pytest

from hw.units import HEADLINE
from trine.checkpoint.synthetic import SyntheticCheckpoint
from trine.hw.layer import simulate_layer
from trine.hw.simulation import MemoryModel, Timing
from trine.hw.sources import Unit

SIZE = 128 << 20
TWO_BIT = Unit(engines=4, batch=1, code=2)

pytestmark = pytest.mark.hardware


@pytest.mark.parametrize("unit", [HEADLINE, TWO_BIT], ids=str)
def test_a_layer_with_random_stalls_is_exact(unit: Unit) -> None:
    model = MemoryModel(SIZE, Timing.RANDOM, seed=11, stall_percent=25)
    report = simulate_layer(SyntheticCheckpoint("synthetic:2b-4t"), 0, unit, model)
    assert report.differing == 0
    assert report.faults == 0
    assert report.accumulators == 2560 + 640 + 640 + 2560 + 6912 + 6912 + 2560


@pytest.mark.parametrize("unit", [HEADLINE, TWO_BIT], ids=str)
def test_a_layer_on_ideal_memory_keeps_the_ports_busy(unit: Unit) -> None:
    model = MemoryModel(SIZE, Timing.IDEAL)
    report = simulate_layer(SyntheticCheckpoint("synthetic:2b-4t"), 0, unit, model)
    assert report.differing == 0
    assert report.beats_per_clock >= 0.97
