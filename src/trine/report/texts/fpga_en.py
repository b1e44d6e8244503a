"""The English texts about the unit in hardware, all of it predicted; rules as in `texts.en`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXT: Mapping[str, str] = MappingProxyType(
    {
        "fpga.title": "{number}. The unit in hardware, predicted",
        "fpga.warn.title": "Predicted, not measured on a board",
        "fpga.warn": "No figure of the unit in this section was measured: clocks were counted in "
        "simulated RTL in front of a model of the memory, and the clock rate is an assumption with "
        "the evidence below. The CPU's times beside them were measured in this run.",
        "fpga.intro": "BitLinear products and a ternary lm_head on the TDPU in a {part}: {engines} "
        "engines, {code}, {batch} vector(s) a pass over the weights, {clock} MHz. Evidence for the "
        "clock: the unit's core, routed on another part ({device}), reaches {fmax} MHz; its "
        "longest path on the {part}, logic without wires, takes {logic} ns, {share} of a period. "
        "Memory gives all ports together {low}, {nominal} or {high} GB/s (slow, nominal, fast).",
        "fpga.code.2": "two bits a weight",
        "fpga.code.3": "five weights a byte",
        "fpga.stage": "{number}.{part} Operators of a {name}, backend {backend}",
        "fpga.operator": "Operator",
        "fpga.terms": "Terms",
        "fpga.cpu": "CPU, measured (ms)",
        "fpga.low": "TDPU predicted, slow memory (ms)",
        "fpga.nominal": "TDPU predicted, nominal (ms)",
        "fpga.high": "TDPU predicted, fast (ms)",
        "fpga.share": "Share of the predicted",
        "fpga.ratio": "CPU / TDPU predicted",
        "fpga.sum": "what the unit runs",
        "fpga.others": "all else, on the CPU",
        "fpga.note": "ms per pass; — where the unit has no part. The unit's times are those of the "
        "products alone: quantisation, residuals and the gated product that the CPU's step may "
        "hold are not in them. The lm_head is a ternary screen whose best rows the processor "
        "scores again, for one token a pass, and is not the work of the CPU's lm_head. The two "
        "times are of different machines and no sum of them is a speed.",
        "fpga.all_terms": "{number}.{part} Terms of one pass over the weights",
        "fpga.term": "Term",
        "fpga.calls": "Calls",
        "fpga.kind": "Kind",
        "fpga.clocks": "Clocks a call, nominal",
        "fpga.formula": "From",
        "fpga.kind.counted": "counted",
        "fpga.kind.assumed": "assumed",
        "fpga.terms.note": "Of all {layers} layers of the model, for {batch} vector(s). Counted: "
        "clocks of the simulated RTL from the doorbell to the interrupt, with the memory model. "
        "Assumed: the formula alone.",
        "fpga.total": "sum",
        "fpga.console": "TDPU beside {backend}, {name}: PREDICTED, not measured on a board",
        "fpga.bar": "TDPU, predicted (slow to fast memory)",
        "fpga.bar.cpu": "CPU, measured ({backend})",
        "caption.fpga": "Measured time of each operator on this CPU and the predicted time of what "
        "the unit would run of it, log scale; the thin line goes from slow to fast memory.",
        "alt.fpga": "pairs of bars of time per operator, measured CPU and predicted TDPU",
        "file.fpga_prediction.csv": "the unit's predicted times beside the CPU's measured ones",
    }
)
