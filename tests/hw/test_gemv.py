"""The operator on plain streams, in its batch simulator."""

from __future__ import annotations

import numpy as np
import pytest

from hw.units import random_case
from trine.hw.gemv import run_gemv
from trine.hw.sources import Unit
from trine.kernels.reference import accumulate


@pytest.mark.parametrize(
    "unit", [Unit(engines=1, batch=1, code=2), Unit(engines=1, batch=3)], ids=str
)
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 100), (64, 2560), (3, 6912)])
def test_sums_are_exact_and_a_beat_is_taken_a_clock(unit: Unit, rows: int, columns: int) -> None:
    trits, codes = random_case(rows, columns, unit.batch, seed=rows)
    result = run_gemv(unit, trits, codes)
    np.testing.assert_array_equal(result.accumulators, accumulate(codes, trits))
    if columns >= 2560:
        beats = rows * -(-columns // unit.lanes)
        assert beats < result.clocks < beats + 30
