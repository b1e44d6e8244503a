"""The lm_heads against the rows themselves; the screened head's certificate against its formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from small_models import KERNELS, engine_of
from trine import _native
from trine.errors import UsageError
from trine.model.heads import FloatHead, Int8Head, ScreenedHead, Selection, build_head, rows_of
from trine.ternary import absmax_int8
from trine.ternary.tiles import LAYOUTS, Code

POOL = _native.Pool(2)
EACH_KERNEL = pytest.mark.parametrize("kernel", KERNELS)
DTYPES = [np.float32, ml_dtypes.bfloat16, np.float16]

Floats = NDArray[np.float32]


def random_rows(rows: int, width: int, seed: int, dtype: Any = ml_dtypes.bfloat16) -> NDArray[Any]:
    return (np.random.default_rng(seed).normal(size=(rows, width)) * 0.02).astype(dtype)


def trained_rows(rows: int, width: int, seed: int) -> NDArray[Any]:
    """A falling spectrum and rows of unequal length, as trained heads have."""
    generator = np.random.default_rng(seed)
    spectrum = np.arange(1, width + 1) ** -0.8
    mixed = generator.normal(size=(rows, width)) * spectrum @ generator.normal(size=(width, width))
    mixed *= generator.lognormal(sigma=0.3, size=(rows, 1)) * 0.02
    return mixed.astype(ml_dtypes.bfloat16)


def states(count: int, width: int, seed: int) -> Floats:
    return np.random.default_rng([seed, 1]).normal(size=(count, width)).astype(np.float32)


def exact_logits(rows: NDArray[Any], hidden: Floats) -> NDArray[np.float64]:
    exact: NDArray[np.float64] = hidden.astype(np.float64) @ rows.astype(np.float64).T
    return exact


@EACH_KERNEL
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize(("rows", "width"), [(1, 1), (129, 37), (300, 264), (17, 2560)])
def test_a_float_head_is_exact(kernel: str, dtype: Any, rows: int, width: int) -> None:
    weights, hidden = random_rows(rows, width, 1, dtype), states(3, width, 2)
    logits = FloatHead(kernel, POOL, weights).logits(hidden)
    bound = np.abs(hidden).astype(np.float64) @ np.abs(weights.astype(np.float64)).T
    assert (np.abs(logits - exact_logits(weights, hidden)) <= 1e-6 * bound).all()


@EACH_KERNEL
@pytest.mark.parametrize(("rows", "width"), [(1, 1), (129, 37), (300, 264), (17, 2560)])
def test_an_int8_head_is_within_its_rounding(kernel: str, rows: int, width: int) -> None:
    """Half a step of the row's 127 for each weight, and half a step of the state's codes."""
    weights, hidden = random_rows(rows, width, 1), states(3, width, 2)
    head = Int8Head(kernel, POOL, weights)
    wide = np.abs(weights.astype(np.float64))
    state = np.abs(hidden).astype(np.float64)
    row_steps = wide.max(axis=1) / 127
    codes = min(32767, 2147483647 // (127 * width))
    state_steps = state.max(axis=1) / codes
    bound = 0.5 * (state.sum(axis=1)[:, None] * row_steps + state_steps[:, None] * wide.sum(axis=1))
    bound += 0.25 * width * state_steps[:, None] * row_steps
    error = np.abs(head.logits(hidden) - exact_logits(weights, hidden))
    assert (error <= 1.01 * bound + 1e-9).all()
    assert head.nbytes == rows * (width + 4)


@EACH_KERNEL
def test_int8_sums_do_not_overflow(kernel: str) -> None:
    """All codes at the top of both ranges, at widths where the state's range is cut."""
    for width in (500, 2560, 21900):
        weights, hidden = np.ones((3, width), np.float32), np.ones((1, width), np.float32)
        weights[1] *= -1
        logits = Int8Head(kernel, POOL, weights).logits(hidden)
        assert logits[0] == pytest.approx([width, -width, width], rel=1e-5)


def fit(rows: NDArray[Any]) -> tuple[Floats, NDArray[np.float64]]:
    """The ternary copy by the formula of head.cpp: trits [rows, width] and scales [rows]."""
    wide = rows.astype(np.float32)
    limit = (0.7 * np.abs(wide.astype(np.float64)).mean(axis=1)).astype(np.float32)
    trits = np.where(np.abs(wide) > limit[:, None], np.sign(wide), 0)
    count = np.abs(trits).sum(axis=1)
    kept = (np.abs(wide.astype(np.float64)) * np.abs(trits)).sum(axis=1)
    return trits, kept / np.maximum(count, 1)


def scores_of(head: ScreenedHead, hidden: Floats) -> Floats:
    out = np.empty(head.vocab_size, dtype=np.float32)
    head._native.scores(hidden, out)
    return out


@EACH_KERNEL
@pytest.mark.parametrize("code", LAYOUTS)
@settings(max_examples=25)
@given(
    count=st.integers(1, 80),
    width=st.integers(1, 120),
    seed=st.integers(0, 2**32),
    trained=st.booleans(),
)
def test_scores_lie_within_the_certificates_bound(
    kernel: str, code: Code, count: int, width: int, seed: int, trained: bool
) -> None:
    rows = (trained_rows if trained else random_rows)(count, width, seed)
    hidden = states(1, width, seed)
    head = ScreenedHead(kernel, POOL, rows, code)
    scores = scores_of(head, hidden[0])
    trits, scale = fit(rows)
    q, s = absmax_int8(hidden)
    quantised = (q / s.astype(np.float64))[0]
    expected = scale * (trits @ quantised)
    assert np.abs(scores - expected).max() <= 1e-5 * np.abs(expected).max() + 1e-9
    wide = rows.astype(np.float64)
    residual = np.linalg.norm(wide - scale[:, None] * trits, axis=1)
    bound = residual * np.linalg.norm(hidden) + scale * np.linalg.norm(
        trits, axis=1
    ) * np.linalg.norm(hidden[0] - quantised)
    exact = exact_logits(rows, hidden)[0]
    assert (np.abs(exact - scores) <= bound * (1 + 1e-5) + 1e-7).all()


EACH_SPECTRUM = pytest.mark.parametrize("make", [random_rows, trained_rows])


def selections(
    make: Callable[[int, int, int], NDArray[Any]], kernel: str, keep: int, *, exact: bool
) -> list[tuple[Selection, Floats]]:
    """Of 40 hidden states, each with the float head's logits; some states point at a row."""
    rows = make(2000, 96, 7)
    hidden = states(40, 96, 8)
    hidden[::2] = 3 * hidden[::2] + 200 * rows[::100].astype(np.float32)
    head = ScreenedHead(kernel, POOL, rows, "base3", keep=keep, exact=exact)
    logits = FloatHead(kernel, POOL, rows).logits(hidden)
    found = [(head.select(state), row) for state, row in zip(hidden, logits, strict=True)]
    assert head.tokens == 40
    assert head.certified == sum(selection.certified for selection, _ in found)
    return found


@EACH_KERNEL
@EACH_SPECTRUM
@pytest.mark.parametrize("keep", [1, 4, 64])
def test_a_certified_row_is_the_best_one(
    kernel: str, make: Callable[[int, int, int], NDArray[Any]], keep: int
) -> None:
    for selection, logits in selections(make, kernel, keep, exact=False):
        assert len(selection.ids) >= keep
        assert len(set(selection.ids.tolist())) == len(selection.ids)
        assert np.array_equal(selection.logits, logits[selection.ids])
        assert selection.widened == 0
        if selection.certified:
            assert selection.best == int(logits.argmax())


def test_both_outcomes_of_the_certificate_occur() -> None:
    """Else the test above would show nothing."""
    found = [s for s, _ in selections(trained_rows, KERNELS[-1], 64, exact=False)]
    assert 0 < sum(selection.certified for selection in found) < len(found)


@EACH_KERNEL
@EACH_SPECTRUM
@pytest.mark.parametrize("keep", [1, 64])
def test_an_exact_selection_always_has_the_best_row(
    kernel: str, make: Callable[[int, int, int], NDArray[Any]], keep: int
) -> None:
    found = selections(make, kernel, keep, exact=True)
    for selection, logits in found:
        assert selection.certified
        assert selection.best == int(logits.argmax())
        assert np.array_equal(selection.logits, logits[selection.ids])
    assert any(selection.widened for selection, _ in found)


def test_screened_logits_are_exact_or_minus_infinity() -> None:
    rows, hidden = random_rows(500, 64, 1), states(3, 64, 2)
    logits = ScreenedHead("scalar", POOL, rows, "2bit", keep=10).logits(hidden)
    there = np.isfinite(logits)
    assert (there.sum(axis=1) >= 10).all()
    assert (there.sum(axis=1) < 500).all()
    exact = FloatHead("scalar", POOL, rows).logits(hidden)
    assert np.array_equal(logits[there], exact[there])
    assert (logits[~there] == -np.inf).all()


@pytest.mark.parametrize("keep", [17, 18, 1024])
def test_keeping_more_rows_than_there_are_keeps_all(keep: int) -> None:
    rows, hidden = random_rows(17, 40, 1), states(1, 40, 2)
    selection = ScreenedHead("scalar", POOL, rows, "base3", keep=keep).select(hidden[0])
    assert selection.ids.tolist() == list(range(17))
    assert selection.certified


def test_equal_rows_and_zero_states() -> None:
    rows = np.ones((40, 8), np.float32)
    head = ScreenedHead("scalar", POOL, rows, "base3", keep=3)
    assert head.select(np.ones(8, np.float32)).best == 0
    assert head.select(np.zeros(8, np.float32)).best == 0
    zeros = ScreenedHead("scalar", POOL, 0 * rows, "base3", keep=3)
    assert zeros.select(np.ones(8, np.float32)).best == 0


@EACH_KERNEL
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_state_that_is_no_number(kernel: str, value: float) -> None:
    rows, hidden = random_rows(50, 40, 1), states(2, 40, 2)
    hidden[0, 3] = value
    for kind in ("int8", "screened"):
        head = build_head(kind, kernel, POOL, rows, "2bit")
        logits = head.logits(hidden)
        assert not np.isfinite(logits[0]).any()
        assert np.isfinite(logits[1]).any()
    head = ScreenedHead(kernel, POOL, rows, "2bit", keep=3, exact=True)
    assert 0 <= head.select(hidden[0]).best < 50


@EACH_KERNEL
@pytest.mark.parametrize("size", [1e-42, 1e-30, 1e30, 1e37, 3e38])
def test_states_of_any_size(kernel: str, size: float) -> None:
    """Scores and logits overflow or vanish; nothing else happens."""
    rows = np.random.default_rng(3).normal(size=(50, 40)).astype(np.float32)
    hidden = (states(1, 40, 2) / 4 * np.float32(size)).astype(np.float32)
    for kind in ("float", "int8", "screened"):
        logits = build_head(kind, kernel, POOL, rows, "2bit").logits(hidden)
        assert logits.shape == (1, 50)
    head = ScreenedHead(kernel, POOL, rows, "2bit", keep=3)
    assert 0 <= head.select(hidden[0]).best < 50


@EACH_KERNEL
def test_rows_of_any_size(kernel: str) -> None:
    hidden = states(1, 40, 2)
    for size in (1e-44, 1e-30, 1e37):
        rows = (np.random.default_rng(3).normal(size=(50, 40)) / 4).astype(np.float32)
        head = ScreenedHead(kernel, POOL, rows * np.float32(size), "base3", keep=3)
        assert 0 <= head.select(hidden[0]).best < 50


def test_what_heads_refuse() -> None:
    rows = random_rows(20, 8, 1)
    with pytest.raises(UsageError, match=r"^an lm_head of float64 is not supported; float32, bf"):
        rows_of(rows.astype(np.float64))
    with pytest.raises(UsageError, match=r"^a screened head keeps at least one row, not 0$"):
        ScreenedHead("scalar", POOL, rows, "base3", keep=0)
    for kind in ("float", "int8"):
        with pytest.raises(ValueError, match="hidden must be"):
            build_head(kind, "scalar", POOL, rows, "base3").logits(states(1, 9, 2))
    with pytest.raises(ValueError, match="hidden must be"):
        ScreenedHead("scalar", POOL, rows, "base3").select(states(1, 9, 2)[0])


@pytest.mark.parametrize("head", ["int8", "screened"])
def test_an_engines_head_agrees_with_its_float_head(head: str) -> None:
    exact = engine_of(head="float").session(16).prefill([1, 2, 3])
    ours = engine_of(head=head).session(16).prefill([1, 2, 3])
    assert ours.argmax() == exact.argmax()
    assert np.abs(ours - exact)[np.isfinite(ours)].max() < 0.04 * exact.std()


def test_a_filled_row_has_exact_logits_and_the_scans_scores() -> None:
    rows = np.random.default_rng(5).standard_normal((300, 64), dtype=np.float32)
    hidden = np.random.default_rng(6).standard_normal((2, 64), dtype=np.float32)
    head = ScreenedHead("scalar", POOL, rows, "2bit", keep=8)
    filled = head.filled(hidden)
    for row, state in zip(filled, hidden, strict=True):
        kept = head.select(state)
        np.testing.assert_array_equal(row[kept.ids], kept.logits)
        others = np.setdiff1d(np.arange(300), kept.ids)
        assert len(others)
        np.testing.assert_array_equal(row[others], scores_of(head, state)[others])
    with pytest.raises(ValueError, match=r"out must be \[vocabulary\]"):
        head._native.last_scores(np.empty(299, np.float32))
