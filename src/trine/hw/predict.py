"""What a token would take on a Zynq-7020: clocks counted in RTL, and terms that are assumed.

A figure is a range over three memories: 60, 75 and 80 % of the DDR3-1066 peak for all ports
together (UG585 calls 75 % the controller's maximum). A clock rate is used only with evidence that
the RTL may reach it; nothing here was measured on a board.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trine.checkpoint.config import LINEARS, ModelConfig
from trine.errors import UsageError
from trine.hw.count import Shape, group_clocks
from trine.hw.place import DEVICE, place, placed
from trine.hw.sources import Unit
from trine.hw.synth import PART_NAME, synthesise, synthesised
from trine.hw.traffic import PEAK_GBS
from trine.profiling.prediction import HEAD, RESCORE, FpgaPrediction, PredictedTerm, Range, total

# Matrices that take the same activations, in the order of a layer.
GROUPS = (("q_proj", "k_proj", "v_proj"), ("o_proj",), ("gate_proj", "up_proj"), ("down_proj",))
SHARES = {"low": 0.60, "nominal": 0.75, "high": 0.80}

# The screened head: this many rows are scored again in int8, by the processor (assumed: one
# Cortex-A9 at 667 MHz, two products a clock).
RESCORED = 256
_A9_MHZ, _A9_PRODUCTS = 667, 2
# Of a clock period, what logic may take without any wire.
_LOGIC_SHARE = 0.40

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a clock: Fmax of `tdpu_core` on an ECP5, and its logic's delay on xc7."""

    fmax_mhz: float
    logic_ps: int

    def holds(self, clock_mhz: float) -> bool:
        """Whether both allow this clock."""
        return self.fmax_mhz >= clock_mhz and self.logic_ps <= _LOGIC_SHARE * 1e6 / clock_mhz

    def sentence(self, clock_mhz: float) -> str:
        """The evidence in words, to stand beside the clock."""
        share = self.logic_ps * clock_mhz / 1e4
        return (
            f"tdpu_core routed on an ECP5 ({DEVICE}, not a Zynq): {self.fmax_mhz:.1f} MHz; its "
            f"logic on xc7 without wires: {self.logic_ps / 1e3:.2f} ns, {share:.0f} % of a period"
        )


@dataclass(frozen=True, slots=True)
class Prediction:
    """BitLinear body and ternary head of one weight pass of a model: no other operator is in it."""

    unit: Unit
    clock_mhz: float
    evidence: Evidence
    terms: tuple[PredictedTerm, ...]

    def milliseconds(self) -> Range:
        """Of a token, or of `unit.batch` tokens at once."""
        return total([term.clocks for term in self.terms]).times(1e-3 / self.clock_mhz)

    def record(self) -> FpgaPrediction:
        """As a profile holds it, with all that its reader needs."""
        return FpgaPrediction(
            part=PART_NAME,
            engines=self.unit.engines,
            batch=self.unit.batch,
            code=self.unit.code,
            clock_mhz=self.clock_mhz,
            device=DEVICE,
            fmax_mhz=self.evidence.fmax_mhz,
            logic_ps=self.evidence.logic_ps,
            memory_gbs=Range(**SHARES).times(PEAK_GBS),
            terms=list(self.terms),
        )


def known_evidence(unit: Unit) -> Evidence | None:
    """The evidence if these sources were placed and timed before, else None; nothing is run."""
    placement, area = placed("tdpu_core", unit), synthesised("tdpu_core", unit)
    if placement is None or area is None or area.logic_ps is None:
        return None
    return Evidence(placement.fmax_mhz, area.logic_ps)


def clock_evidence(unit: Unit, progress: Progress) -> Evidence:
    """Place `tdpu_core` with this unit's parameters (minutes, once) and time its logic."""
    progress("place on ECP5", 0, 1)
    fmax = place("tdpu_core", unit).fmax_mhz
    progress("place on ECP5", 1, 1)
    progress("logic delay on xc7", 0, 1)
    logic = synthesise("tdpu_core", unit).logic_ps
    progress("logic delay on xc7", 1, 1)
    assert logic is not None
    return Evidence(fmax, logic)


def predict(config: ModelConfig, unit: Unit, clock_mhz: float, progress: Progress) -> Prediction:
    """Count one layer and the head in RTL for each memory; UsageError for a clock without evidence.

    Layers have the same shapes, so one stands for all.
    """
    if not 1 <= clock_mhz <= 1000:
        raise UsageError(f"a clock of {clock_mhz:g} MHz; 1 to 1000 are legal")
    evidence = clock_evidence(unit, progress)
    if not evidence.holds(clock_mhz):
        most = min(evidence.fmax_mhz, _LOGIC_SHARE * 1e6 / evidence.logic_ps)
        raise UsageError(
            f"nothing speaks for {clock_mhz:g} MHz: {evidence.sentence(clock_mhz)}; "
            f"at most {most:.0f} MHz have evidence"
        )
    shapes: list[list[Shape]] = [[config.linear_shape(name) for name in group] for group in GROUPS]
    shapes.append([(config.vocab_size, config.hidden_size)])
    counted: list[list[int]] = []
    for index, share in enumerate(SHARES.values()):
        progress("count clocks in RTL", index, len(SHARES))
        groups = group_clocks(
            unit, shapes, cap_gbs=share * PEAK_GBS, clock_khz=round(clock_mhz * 1000)
        )
        counted.append([clocks for group in groups for clocks in group])
    progress("count clocks in RTL", len(SHARES), len(SHARES))
    names = (*LINEARS, HEAD)
    terms = []
    for name, clocks in zip(names, zip(*counted, strict=True), strict=True):
        count = 1 if name == HEAD else config.layers
        rows, columns = (
            (config.vocab_size, config.hidden_size) if name == HEAD else config.linear_shape(name)
        )
        what = f"{count} x {rows} x {columns} in RTL with the DDR3 model"
        terms.append(PredictedTerm(name, count, Range(*clocks).times(count), "counted", what))
    rescore = RESCORED * config.hidden_size / _A9_PRODUCTS / _A9_MHZ * clock_mhz
    terms.append(
        PredictedTerm(
            RESCORE,
            1,
            Range(rescore, rescore, rescore),
            "assumed",
            f"{RESCORED} x {config.hidden_size} int8 products, {_A9_PRODUCTS} a clock of a "
            f"{_A9_MHZ} MHz A9",
        )
    )
    return Prediction(unit, clock_mhz, evidence, tuple(terms))
