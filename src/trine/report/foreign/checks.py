"""Contradictions between a foreign run's rows, its summary and their meaning.

In: `Shown`. Out: sentences, each computed from the data; none is said unless the data says it.
"""

from __future__ import annotations

from itertools import pairwise

from trine.report import quantity as q
from trine.report.document import code
from trine.report.foreign.figures import Shown
from trine.report.language import Words
from trine.report.layer_csv import MIB

# The JSON rounds to hundredths of a millisecond; less than this is not a missing interval.
_ROUNDING_MS = 1.0


def checks(shown: Shown, words: Words) -> list[str]:
    """Contradictions between the rows, the summary and their meaning, each from the data."""
    found = [*_missing(shown, words), *_left_out(shown, words)]
    found += [*_classes(shown, words), *_counting(shown, words), *_memory(shown, words)]
    return found or [words("foreign.check.none")]


def _missing(shown: Shown, words: Words) -> list[str]:
    summary = shown.run.summary
    if summary is None or summary.total_ms is None or shown.missing_ms is None:
        return [words("foreign.check.no_total")]
    values = {
        "wall": q.ms(summary.total_ms),
        "sum": q.ms(shown.sum_ms),
        "missing": q.ms(shown.missing_ms),
        "share": q.percent(shown.missing_ms / summary.total_ms if summary.total_ms else None),
    }
    if shown.missing_ms < -_ROUNDING_MS:
        return [words("foreign.check.overlap", **values)]
    key = "complete" if shown.missing_ms < _ROUNDING_MS else "missing"
    return [words(f"foreign.check.{key}", **values)]


def _left_out(shown: Shown, words: Words) -> list[str]:
    """Operators that have rows but no place in the summary's ratios, the slowest by name."""
    summary = shown.run.summary
    if summary is None or not summary.operators:
        return []
    rows = shown.run.rows
    all_ops = sum(row.ops for row in rows)
    times: dict[str, float] = {}
    for row in rows:
        if row.operator not in summary.operators:
            times[row.operator] = times.get(row.operator, 0.0) + row.time_ms
    if not times:
        return []
    slowest = max(times, key=lambda name: times[name])
    ops = sum(row.ops for row in rows if row.operator == slowest)
    result = [
        words(
            "foreign.check.left_out",
            name=code(slowest),
            ms=q.ms(times[slowest]),
            share=q.percent(times[slowest] / shown.sum_ms if shown.sum_ms else None),
            ops=q.percent(ops / all_ops if all_ops else None),
        )
    ]
    if others := [f"{code(name)} {q.ms(ms)} ms" for name, ms in times.items() if name != slowest]:
        result.append(words("foreign.check.left_out_too", names=words("separator").join(others)))
    return result


def _classes(shown: Shown, words: Words) -> list[str]:
    rotary = [r for r in shown.run.rows if "Rotary" in r.type and r.category == "embedding"]
    if not rotary:
        return []
    ms = sum(row.time_ms for row in rotary)
    summary = shown.run.summary
    if summary and summary.rotary_ms is not None and summary.rotary_ms < ms / 2:
        stated = q.ms(summary.rotary_ms)
        return [words("foreign.check.rotary_json", ms=q.ms(ms), stated=stated)]
    return [words("foreign.check.rotary", ms=q.ms(ms))]


def _counting(shown: Shown, words: Words) -> list[str]:
    """Whether the OPs of the projections are multiply-adds times two, or times one."""
    summary = shown.run.summary
    if summary is None or not summary.features or not summary.tokens:
        return []
    factors = {
        round(row.ops / (summary.tokens * k * n), 3)
        for row in shown.run.rows
        if row.category == "linear" and row.operator in summary.features
        for k, n in [summary.features[row.operator]]
    }
    if factors == {2.0}:
        return [words("foreign.check.ops")]
    if factors == {1.0}:
        return [words("foreign.check.macs")]
    return [words("foreign.check.mixed_ops")] if factors else []


def _memory(shown: Shown, words: Words) -> list[str]:
    """A resident set that shrinks while no delta is negative: the deltas were clipped."""
    falls = [b.rss_mib - a.rss_mib for a, b in pairwise(shown.run.rows) if b.rss_mib < a.rss_mib]
    if not falls or any(row.delta_mib < 0 for row in shown.run.rows):
        return []
    return [words("foreign.check.clipped", n=len(falls), fall=q.size(-sum(falls) * MIB))]
