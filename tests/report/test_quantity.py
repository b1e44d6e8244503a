"""Digits and units of figures."""

from __future__ import annotations

import pytest

from trine.report import quantity as q


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (0.0, "0.00"),
        (0.01234, "0.0123"),
        (0.1, "0.10"),
        (12.345, "12.35"),
        (4319.33, "4,319.3"),
        (123456.7, "123,457"),
        (-0.02, "-0.0200"),
    ],
)
def test_milliseconds(value: float | None, text: str) -> None:
    assert q.ms(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "—"),
        (0.0, "0.0%"),
        (1.0, "100.0%"),
        (0.2761, "27.6%"),
        (0.0046, "0.46%"),
        (1e-6, "<0.01%"),
    ],
)
def test_shares(share: float | None, text: str) -> None:
    assert q.percent(share) == text


def test_sizes_are_decimal_and_signed() -> None:
    assert q.size(70_778_880) == "70.8 MB"
    assert q.size(-4096) == "-4.1 kB"
    assert q.size(0) == "0 B"
    assert q.size(999_999_999) == "1.0 GB"


def test_operations_and_rates() -> None:
    assert q.ops(106_168_320).strip() == "106.17 M"
    assert [q.rate(v) for v in (0.876, 13.76, 356.4, None)] == ["0.88", "13.8", "356", "—"]


def test_shapes() -> None:
    assert q.shapes([[1, 3, 2560], [1, 3]]) == "[1, 3, 2560] · [1, 3]"
    assert q.shapes([]) == "—"
