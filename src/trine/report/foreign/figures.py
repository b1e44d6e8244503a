"""The figures of a foreign run that its rows allow.

In: a `ForeignRun`. Out: `Shown`. Next: `content` writes it up, `drawing` draws it.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from trine.profiling.analysis import LayerRow, block_of
from trine.profiling.profile import Kind
from trine.report.foreign.reader import ForeignRow, ForeignRun

# Layer 0 counts as cold when it takes this many times the median of the other layers.
COLD_FACTOR = 2.0
_KINDS: dict[str, Kind] = {"linear": "bitlinear", "norm": "norm", "embedding": "embedding"}


@dataclass(frozen=True, slots=True)
class Shown:
    """Figures of a foreign run, ms. `cold` is layer 0, `warm` the median of the other layers."""

    run: ForeignRun
    sum_ms: float
    per_layer: dict[int, float]
    cold_ms: float | None
    warm_ms: float | None
    missing_ms: float | None

    @property
    def has_cold_layer(self) -> bool:
        """Whether layer 0 is above `COLD_FACTOR` times the other layers."""
        return bool(self.cold_ms and self.warm_ms and self.cold_ms > COLD_FACTOR * self.warm_ms)


def examine(run: ForeignRun) -> Shown:
    """Compute the figures."""
    per_layer: dict[int, float] = {}
    for row in run.rows:
        if row.layer >= 0:
            per_layer[row.layer] = per_layer.get(row.layer, 0.0) + row.time_ms
    others = [ms for layer, ms in per_layer.items() if layer > 0]
    total = sum(row.time_ms for row in run.rows)
    wall = run.summary.total_ms if run.summary else None
    return Shown(
        run=run,
        sum_ms=total,
        per_layer=per_layer,
        cold_ms=per_layer.get(0),
        warm_ms=median(others) if others else None,
        missing_ms=None if wall is None else wall - total,
    )


def layer_rows(shown: Shown) -> list[LayerRow]:
    """Time per layer and block, in the form that the plots take."""
    blocks: dict[int, dict[str, float]] = {}
    for row in shown.run.rows:
        if row.layer >= 0:
            of_layer = blocks.setdefault(row.layer, {})
            name = block(row)
            of_layer[name] = of_layer.get(name, 0.0) + row.time_ms
    return [LayerRow(n, blocks[n], sum(blocks[n].values())) for n in sorted(blocks)]


def block(row: ForeignRow) -> str:
    """The block of a row's operator, as in `analysis.block_of`."""
    return block_of(row.name, row.operator, _KINDS.get(row.category, "activation"))


def usual_ms(shown: Shown, row: ForeignRow) -> float:
    """The median time of the same operator in layers 1 and up."""
    others = [r.time_ms for r in shown.run.rows if r.operator == row.operator and r.layer > 0]
    return median(others) if others else row.time_ms
