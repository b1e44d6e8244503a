"""What the unit in hardware would take, as a profile holds it: predicted, never measured.

`trine.hw.predict` makes it from clocks of the simulated RTL, `predicted` sets it beside a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trine.errors import ProfileError

# The head on the unit is a ternary screen; its best rows are scored again, by the processor.
HEAD, RESCORE = "lm_head", "rescore"


@dataclass(frozen=True, slots=True)
class Range:
    """A figure for slow, nominal and fast memory."""

    low: float
    nominal: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.nominal + other.nominal, self.high + other.high)

    def times(self, factor: float) -> Range:
        """Every figure by `factor`."""
        return Range(self.low * factor, self.nominal * factor, self.high * factor)


def total(ranges: Sequence[Range]) -> Range:
    """The sum; zeros for none."""
    return sum(ranges, Range(0, 0, 0))


@dataclass(frozen=True, slots=True)
class PredictedTerm:
    """A part of one weight pass: `clocks` of the unit, all `count` calls of it together.

    `kind` "counted": clocks of the simulated RTL with the memory model, for the shapes that
    `formula` names. "assumed": `formula` alone.
    """

    operator: str
    count: int
    clocks: Range
    kind: Literal["counted", "assumed"]
    formula: str


@dataclass(frozen=True, slots=True)
class FpgaPrediction:
    """BitLinear products and ternary head on the TDPU: predicted, not measured on a board.

    One weight pass serves `batch` tokens; no other operator is in it. `memory_gbs` is what all
    ports together get (10^9 bytes/s). The clock stands on two figures: `fmax_mhz` of the unit's
    core routed on `device`, which is not `part`, and the delay `logic_ps` of its longest path on
    `part` without wires.
    """

    part: str
    engines: int
    batch: int
    code: int
    clock_mhz: float
    device: str
    fmax_mhz: float
    logic_ps: int
    memory_gbs: Range
    terms: list[PredictedTerm]

    def check(self) -> None:
        """Raise ProfileError for figures that no time follows from."""
        if self.batch < 1 or self.clock_mhz <= 0 or any(term.count < 1 for term in self.terms):
            raise ProfileError("fpga: batch, clock_mhz and every count of a term must be positive")

    def milliseconds(self, operator: str, tokens: int = 1) -> Range | None:
        """One call of an operator with so many tokens; None for what the unit does not run."""
        passes = -(-tokens // self.batch)
        found = [term for term in self.terms if term.operator == operator]
        if not found:
            return None
        clocks = total([term.clocks.times(1 / term.count) for term in found])
        return clocks.times(passes * 1e-3 / self.clock_mhz)
