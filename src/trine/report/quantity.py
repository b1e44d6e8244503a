"""How a number is written: the one place that decides digits and units for every report.

Both languages and every renderer use these, so a figure reads the same wherever it appears.
Units are decimal (1 MB = 10^6 bytes). A value that does not exist is written as an em dash.
"""

from __future__ import annotations

from collections.abc import Sequence

MISSING = "—"
_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def ms(value: float | None) -> str:
    """Milliseconds without the unit: two decimals, more below 0.1 ms, fewer above a second."""
    if value is None:
        return MISSING
    size = abs(value)
    if size >= 1000:
        return f"{value:,.1f}" if size < 100_000 else f"{value:,.0f}"
    if size >= 0.0995 or size < 0.0000005:
        return f"{value:,.2f}"
    return f"{value:.4f}"


def nanoseconds(value: int) -> str:
    """A duration in ns, written as milliseconds without the unit."""
    return ms(value / 1e6)


def seconds(value: float) -> str:
    """Seconds with the unit."""
    return f"{value:,.2f} s"


def percent(share: float | None) -> str:
    """A share of 1, as per cent with one decimal (two below 1 %)."""
    if share is None:
        return MISSING
    if 0 < abs(share) < 0.00005:
        return "<0.01%"
    return f"{share * 100:.2f}%" if 0 < abs(share) < 0.00995 else f"{share * 100:.1f}%"


def rate(value: float | None) -> str:
    """GOPS, GB/s or tokens per second, without the unit: three significant digits."""
    if value is None:
        return MISSING
    size = abs(value)
    if 0 < size < 0.005:
        return "<0.01"
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def count(value: float | None) -> str:
    """A whole number with thousands separators."""
    return MISSING if value is None else f"{value:,.0f}"


def ops(value: float) -> str:
    """Operations: `106.17 M`."""
    return _scaled(value, 2)


def size(value: float | None) -> str:
    """Bytes in decimal units: `70.8 MB`; the sign is kept."""
    return MISSING if value is None else f"{_scaled(value, 1)}B"


def shape(dims: Sequence[int]) -> str:
    """One tensor's shape: `[1, 3, 2560]`."""
    return "[" + ", ".join(str(d) for d in dims) + "]"


def shapes(tensors: Sequence[Sequence[int]]) -> str:
    """Shapes of several tensors, or the em dash for none."""
    return " · ".join(shape(t) for t in tensors) or MISSING


def _scaled(value: float, decimals: int) -> str:
    for step, prefix in _STEPS:
        if abs(value) >= step * 0.99995:
            return f"{value / step:,.{decimals}f} {prefix}"
    return f"{value:,.0f} "
