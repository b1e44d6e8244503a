"""benchmarks/heads.py on heads of a few hundred rows."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from trine.model.heads import ScreenedHead, Selection

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "heads.py"


@pytest.fixture(scope="module")
def heads() -> ModuleType:
    spec = importlib.util.spec_from_file_location("heads", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_wilson_is_the_textbook_interval(heads: ModuleType) -> None:
    # Newcombe 1998, table I: 81 of 263, and 0 of 20.
    assert heads.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert heads.wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_the_spectrum_is_the_one_that_is_said(heads: ModuleType) -> None:
    rows = heads.spectrum_head((4096, 64), norm=10.0, seed=3).astype(np.float64)
    singular = np.linalg.svd(rows, compute_uv=False)
    assert np.linalg.norm(rows) == pytest.approx(10, rel=0.05)
    expected = np.arange(1, 65) ** -heads.EXPONENT
    # A random Z of 4,096 rows has singular values within 1/8 of each other.
    assert np.allclose(singular / singular[0], expected, rtol=0.2)


def test_a_head_that_keeps_every_row_agrees_and_proves_it(heads: ModuleType) -> None:
    rows = np.random.default_rng(0).standard_normal((300, 64)).astype(ml_dtypes.bfloat16)
    found = heads.measure("all", rows, 70, threads=1, keep=300, exact_states=5)
    assert (found["agree"], found["certified"], found["wrongly_certified"]) == (70, 1.0, 0)
    assert (found["exact_states"], found["exact_widened_max"]) == (5, 0)


def test_misses_are_counted_and_never_certified(
    heads: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forgetful(ScreenedHead):
        """Loses the best row of a state now and then, unless it has to be exact."""

        def select(self, hidden: NDArray[np.float32]) -> Selection:
            selection = super().select(hidden)
            if self.exact or hidden[0] < 1:
                return selection
            kept = selection.ids != selection.best
            return replace(selection, ids=selection.ids[kept], logits=selection.logits[kept])

    monkeypatch.setattr(heads, "ScreenedHead", Forgetful)
    rows = np.random.default_rng(0).standard_normal((300, 64)).astype(ml_dtypes.bfloat16)
    found = heads.measure("one", rows, 200, threads=1, keep=8, exact_states=50)
    assert 0 < found["agree"] < 200
    assert found["wrongly_certified"] == 0
    # exact=True had to look further, and found the exact best in every one of its states.
    assert found["exact_widened_max"] > 0 and found["exact_disagree"] == 0
    assert found["agreement_low"] < found["agreement"] < found["agreement_high"]
