"""The design space: what a point is made of, and which points are the best."""

from __future__ import annotations

import dataclasses

import pytest

from trine.checkpoint.open import open_checkpoint
from trine.hw import explore
from trine.hw.explore import Point, beats, compare, pareto
from trine.hw.sources import Unit
from trine.hw.synth import Area

UNIT = Unit(engines=4, batch=4, code=3)


def test_a_unit_is_composed_of_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    luts = {"tdpu_engine": 1000, "tdpu_act_store": 100, "tdpu_top": 10}

    def known(top: str, unit: Unit, *_: object, **__: object) -> Area:
        return Area(top, unit, {"LUT6": luts[top], "FDRE": 1, "RAMB36E1": 2}, None)

    monkeypatch.setattr(explore, "synthesise", known)
    config = open_checkpoint("synthetic:2b-4t").config
    found = explore.point(config, UNIT, 100.0)
    assert (found.lut, found.flip_flops, found.bram36, found.dsp) == (4110, 6, 12, 0)
    # 15.1 M beats a port at 100 MHz; refresh and the cap of 3.2 GB/s take 2 to 5 %.
    assert beats(config, UNIT) == 30 * (2 * 640 * 64 + 2 * 160 * 64 + 2 * 1728 * 64 + 640 * 173) + (
        32_064 * 64
    )
    assert 0.95 < found.rate < 0.98
    assert found.decode == pytest.approx(found.rate * 1e8 / beats(config, UNIT))
    assert found.batched == pytest.approx(4 * found.decode)
    assert compare(UNIT).error == pytest.approx(100 * (4110 / 10 - 1))


def test_only_points_that_fit_and_that_nothing_beats_are_best() -> None:
    small = Point(UNIT, 1000, 1000, 10, 0, 0.9, 1.0, 4.0)
    worse = dataclasses.replace(small, lut=1100)
    fast = dataclasses.replace(small, lut=2000, batched=8.0)
    huge = dataclasses.replace(small, lut=60_000, batched=99.0)
    assert pareto([worse, small, huge, fast]) == [small, fast]


@pytest.mark.hardware
@pytest.mark.parametrize("unit", [Unit(4, 1, 3), Unit(4, 4, 3), Unit(4, 1, 2), Unit(2, 4, 3)])
def test_a_composition_is_within_five_percent_of_the_whole(unit: Unit) -> None:
    assert abs(compare(unit).error) <= 5
