"""Small pieces that several sections share."""

from __future__ import annotations

from trine.profiling.analysis import SpeedLimit, StageTable
from trine.profiling.findings import Finding
from trine.profiling.profile import Stage, State
from trine.profiling.stats import Stat
from trine.report import quantity as q
from trine.report.document import Picture
from trine.report.facts import Facts
from trine.report.language import Words
from trine.report.plots.style import can_show


def pass_name(words: Words, stage: Stage, state: State) -> str:
    """What a pass is called in the report's language, as in "warm prefill"."""
    return words(f"pass.{stage}.{state}")


def some(count: int, key: str) -> str:
    """The key of the text for `count` of something: one has a text of its own."""
    return f"{key}.one" if count == 1 else key


def interval(low: float, high: float) -> str:
    """Two bounds in ms."""
    return f"{q.ms(low)} – {q.ms(high)}"


REPETITIONS_FOR_INTERVAL = 6


def spread(stat: Stat) -> tuple[str, str]:
    """p10 to p90, and the interval of the median.

    A single sample has neither. Of fewer than six repetitions the smallest and the largest do not
    enclose the median with 95 % (their coverage is 1 - 2^(1 - n)), so no interval is claimed.
    """
    if stat.n < 2:
        return q.MISSING, q.MISSING
    enough = stat.repetitions >= REPETITIONS_FOR_INTERVAL
    enclosed = interval(stat.low, stat.high) if enough else q.MISSING
    return interval(stat.p10, stat.p90), enclosed


def tokens_per_second(table: StageTable) -> float | None:
    """Tokens of a pass over its median wall time; None when some output in it was wrong."""
    if table.wrong or table.wall_ms.median <= 0:
        return None
    return 1000 * table.tokens / table.wall_ms.median


def pass_bytes(table: StageTable) -> int:
    """Modelled bytes of all operators of one pass."""
    return sum(row.bytes for row in table.rows)


def ceiling(limit: SpeedLimit | None, words: Words) -> str:
    """The tokens per second that the roofs allow, with the roof that sets them."""
    if limit is None:
        return q.MISSING
    return f"{q.rate(limit.tokens_per_second)} ({words(f'bound.{limit.bound}')})"


def titles(facts: Facts, words: Words) -> dict[str, str]:
    """The title of each finding by rule."""
    return {
        f.rule: words.finding(f.rule).title.format(**f.values) for f in reversed(facts.findings)
    }


def effect(facts: Facts, words: Words, finding: Finding) -> str:
    """A finding's effect in words; empty for a finding that is no time.

    A share is given of a warm pass only: what a cold one pays, it pays once and not per pass.
    """
    if finding.effect_ms is None:
        return ""
    ms = q.ms(finding.effect_ms)
    if finding.stage is None or finding.state is None:
        return words("effect.total", ms=ms)
    name = pass_name(words, finding.stage, finding.state)
    found = facts.warm.get(finding.stage)
    if finding.state != "measured" or found is None or found.state != "measured":
        return words("effect.once", ms=ms, name=name)
    wall = found.wall_ms.median
    share = q.percent(finding.effect_ms / wall if wall else None)
    return words("effect.share", ms=ms, name=name, share=share)


def picture(words: Words, name: str, caption_key: str = "") -> Picture:
    """The plot `name` with its caption; says so when its labels had to stay English."""
    caption = words(caption_key or f"caption.{name}")
    if not can_show(words.lang):
        caption += " " + words("caption.no_font")
    return Picture(name, caption, words(f"alt.{name}"))
