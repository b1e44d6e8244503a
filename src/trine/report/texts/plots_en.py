"""The English texts in and around the plots; rules as in `texts.en`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXT: Mapping[str, str] = MappingProxyType(
    {
        "plot.layer": "decoder layer",
        "plot.layers": "decoder layer × {n}",
        "plot.residual": "residual",
        "plot.others": "{n} others",
        "plot.ms_log": "ms, log scale",
        "plot.peak": "layer {layer}: {ms} ms",
        "plot.intensity": "OP per byte (modelled), log scale",
        "plot.peak_rate": "{name} {gops} GOP/s",
        "plot.share_title": "{name}: {ms} ms",
        "plot.cold": "cold",
        "plot.warm": "warm",
        "plot.this_run": "this run",
        "plot.median_others": "median of the others",
        "caption.backends": "Time of each step of the native engine and of the operators that it "
        "replaces, log scale; beside them the ratio.",
        "caption.blocks": "Block diagram, drawn from the order and names of the records; filled "
        "boxes are BitLinear. Shapes are those of the outputs.",
        "caption.layers": "Median time of each decoder layer, stacked by block.",
        "caption.shares": "What a warm pass consists of; shares are of its median wall time.",
        "caption.roofline": "Operators under the roofs measured on this machine: prefill filled, "
        "decode hollow.",
        "caption.cold_warm": "Prefill time of each decoder layer, cold and warm.",
        "caption.no_font": "(Labels are in English: no font with Chinese glyphs is installed.)",
        "alt.backends": "pairs of bars of time per step, PyTorch and native",
        "alt.blocks": "block diagram of the model",
        "alt.layers": "stacked bars of time per decoder layer",
        "alt.shares": "bars of time per operator",
        "alt.roofline": "roofline plot with operators as points",
        "alt.cold_warm": "time per layer, cold and warm, on a log scale",
    }
)
