"""A prediction of round figures, for the geometry of `synthetic:tiny`."""

from __future__ import annotations

from trine.checkpoint.config import LINEARS
from trine.profiling.prediction import HEAD, RESCORE, FpgaPrediction, PredictedTerm, Range

CALL = Range(1000, 800, 750)  # clocks of any product: 10, 8 and 7.5 us at 100 MHz


def prediction(layers: int = 4) -> FpgaPrediction:
    terms = [
        PredictedTerm(name, layers, CALL.times(layers), "counted", "in RTL") for name in LINEARS
    ]
    terms.append(PredictedTerm(HEAD, 1, CALL, "counted", "in RTL"))
    terms.append(PredictedTerm(RESCORE, 1, Range(200, 200, 200), "assumed", "by the processor"))
    return FpgaPrediction(
        part="XC7Z020",
        engines=4,
        batch=1,
        code=3,
        clock_mhz=100.0,
        device="LFE5U-85F speed 8",
        fmax_mhz=110.0,
        logic_ps=3500,
        memory_gbs=Range(2.56, 3.2, 3.41),
        terms=terms,
    )
