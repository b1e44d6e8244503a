"""The appendix: what an OP is, how the figures were made, which files belong to the report."""

from __future__ import annotations

from collections.abc import Sequence

from trine.profiling import native_steps
from trine.profiling.costs import DEFINITIONS
from trine.profiling.profile import NumericCheck
from trine.report import quantity as q
from trine.report.content.common import REPETITIONS_FOR_INTERVAL
from trine.report.content.head import recorder_difference, recorder_share
from trine.report.document import (
    Block,
    Bullets,
    Heading,
    Paragraph,
    Row,
    Table,
    code,
)
from trine.report.facts import Facts
from trine.report.folder import COMPARISON_FILE, DATA_FILES, PAGE_FILE, PREDICTION_FILE
from trine.report.language import Words


def blocks(facts: Facts, words: Words) -> list[Block]:
    """Definitions, method, files."""
    return [
        Heading(2, words("appendix.title"), "appendix"),
        Heading(3, words("definitions.title"), "definitions"),
        Paragraph(words("definitions.intro")),
        _definitions(facts, words),
        Heading(3, words("method.title"), "method"),
        Bullets(_method(facts, words)),
        Heading(3, words("files.title"), "files"),
        Bullets([words("files.item", file=f, text=words(f"file.{f}")) for f in _files(facts)]),
    ]


def _definitions(facts: Facts, words: Words) -> Table:
    """The formulas of the operators that ran: PyTorch's, the native engine's, or both."""
    profile = facts.profile
    formulas = {} if profile.run.backend == "native" else dict(DEFINITIONS)
    if profile.run.backend == "native" or profile.native is not None:
        formulas |= native_steps.DEFINITIONS
    rows = [
        Row([code(kind), code(words.terms(ops)), code(words.terms(moved))])
        for kind, (ops, moved) in formulas.items()
    ]
    columns = [words(f"definitions.{name}") for name in ("kind", "ops", "bytes")]
    return Table(columns, rows, note=words("definitions.symbols"))


def _files(facts: Facts) -> list[str]:
    compared = [COMPARISON_FILE] if facts.compared else []
    predicted = [PREDICTION_FILE] if facts.profile.fpga is not None else []
    return [*DATA_FILES, *compared, *predicted, PAGE_FILE]


def _method(facts: Facts, words: Words) -> list[str]:
    items = [words(f"method.{name}") for name in ("median", "tiling", "probes", "memory", "roofs")]
    items.append(check_summary(facts.profile.checks, words))
    return items + overhead_summary(facts, words)


def overhead_summary(facts: Facts, words: Words) -> list[str]:
    """What the recorder costs, in one sentence; none where it was not measured."""
    items: list[str] = []
    overhead = facts.profile.overhead
    if overhead and overhead.bare_ns and overhead.recorded_ns:
        share, low, high = recorder_difference(overhead)
        enough = len(overhead.bare_ns) >= REPETITIONS_FOR_INTERVAL
        table = facts.warm.get("prefill")
        items.append(
            words(
                "method.overhead",
                own=q.percent(recorder_share(table) if table else None),
                share=q.percent(share),
                low=q.percent(low if enough else None),
                high=q.percent(high if enough else None),
                pairs=q.count(len(overhead.bare_ns)),
                events=q.count(overhead.events_per_pass),
            )
        )
    return items


def check_summary(checks: Sequence[NumericCheck], words: Words) -> str:
    """How many outputs were compared with the reference, and how close the worst came."""
    if not checks:
        return words("method.unchecked")

    def used(check: NumericCheck) -> float:
        return check.error / check.tolerance if check.tolerance else float(check.error > 0)

    worst = max(checks, key=used)
    layers = sorted({check.layer for check in checks if check.layer >= 0})
    return words(
        "method.checks",
        n=q.count(len(checks)),
        operators=q.count(len({check.operator for check in checks})),
        layers=_numbers(layers, words),
        passed=q.count(sum(check.passed for check in checks)),
        name=code(worst.operator),
        error=f"{worst.error:.1e}",
        allowed=f"{worst.tolerance:.1e}",
        ties=q.count(sum(check.at_ties for check in checks)),
    )


def _numbers(layers: Sequence[int], words: Words) -> str:
    """The layers one by one, or first and last of a long row without a hole."""
    if len(layers) > 2 and layers[-1] - layers[0] == len(layers) - 1:
        return f"{layers[0]} – {layers[-1]}"
    return words("separator").join(map(str, layers))
