"""The English texts of the report on a foreign CSV; rules as in `texts.en`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXT: Mapping[str, str] = MappingProxyType(
    {
        "foreign.document": "What {name} shows: a reading of foreign layer data",
        "foreign.intro": "Read from {file}, {rows} rows. trine measured none of this.",
        "foreign.limits": "What this data cannot show",
        "foreign.no_wall": "The wall time is unknown: the CSV alone does not hold it. What ran "
        "between the modules is in no row, so shares are of the sum of the rows.",
        "foreign.wall": "The total time is taken from {file}; what ran between the modules is in "
        "no row.",
        "foreign.one_run": "One run without repetitions: there is no spread, and whether the "
        "probes ran inside the timed intervals cannot be seen.",
        "foreign.mixed": "The rows carry different states in the column State (cold and warm "
        "passes). Their sum is the time of no pass; render the `profile.json` they came from.",
        "foreign.card.sum": "sum of the rows",
        "foreign.card.cold": "layer 0",
        "foreign.card.ratio": "{ratio} times the median of the others",
        "foreign.card.warm": "median of the other layers",
        "foreign.card.others": "{n} layers",
        "foreign.card.wall": "total time",
        "foreign.card.missing": "missing from the rows",
        "foreign.card.of_wall": "{share} of the total time",
        "foreign.unknown": "unknown",
        "foreign.cold.title": "1. The first layer",
        "foreign.cold.found": "Layer 0 is **cold**: its modules take {cold} ms against a median of "
        "{warm} ms in the other layers, {ratio} times as much and {more} ms more (rule: above "
        "{factor} times). The time goes to the rows at the top; a first call that compiles shows "
        "once per new input shape and not again.",
        "foreign.cold.none": "Layer 0 is not cold: {cold} ms against a median of {warm} ms in the "
        "other layers, a ratio of {ratio} and a difference of {more} ms (rule: above {factor} "
        "times).",
        "foreign.cold.one": "There is only one layer, so nothing to compare it with.",
        "foreign.operator": "Operator",
        "foreign.input": "Input shape",
        "foreign.first": "Layer 0 (ms)",
        "foreign.others": "Median of the others (ms)",
        "foreign.more": "Difference (ms)",
        "foreign.ratio": "Ratio",
        "foreign.blocks.title": "2. Averages of a layer by block",
        "foreign.blocks.note": "Mean over {n} layers, without layer 0 where there are others. The "
        "share is of the recorded modules of a layer, not of the wall time.",
        "foreign.operators.title": "3. Operators",
        "foreign.calls": "Rows",
        "foreign.call": "Per call (ms)",
        "foreign.total": "All rows (ms)",
        "foreign.share": "Of all rows",
        "foreign.ops": "OPs per call",
        "foreign.gops": "GOPS",
        "foreign.sum": "sum of the rows",
        "foreign.operators.note": "Per call: median without layer 0. The share is of the sum of "
        "all rows, operators outside the layers included. OPs as the file counts them.",
        "foreign.checks.title": "4. Does it add up",
        "foreign.checks.intro": "Each statement is computed from the data.",
        "foreign.check.none": "No contradiction was found.",
        "foreign.check.no_total": "There is no total time beside the CSV, so how much its rows "
        "miss cannot be said. Give the `inference_profile_report.json` of the run to see it.",
        "foreign.check.missing": "The rows sum to {sum} ms of a total of {wall} ms: **{missing} ms "
        "({share}) are in no row.**",
        "foreign.check.complete": "The rows sum to {sum} ms of a total of {wall} ms; the "
        "difference of {missing} ms ({share}) is rounding.",
        "foreign.check.overlap": "The rows sum to {sum} ms, more than the total of {wall} ms (by "
        "{missing} ms, {share}): rows overlap, or the total is of another run.",
        "foreign.check.left_out": "{name} is in the raw data with {ms} ms ({share} of the sum of "
        "the rows, {ops} of their OPs) and is absent from every ratio of the summary.",
        "foreign.check.left_out_too": "Likewise in no ratio: {names}.",
        "foreign.check.rotary": "The rotary embedding ({ms} ms) is filed under the category "
        "embedding; it computes cosines and sines.",
        "foreign.check.rotary_json": "The rotary embedding took {ms} ms and is filed under the "
        "category embedding; the summary states {stated} ms for it.",
        "foreign.check.ops": "The OPs of the projections are those of the printed module tree with "
        "a multiply-add counted as two.",
        "foreign.check.macs": "The OPs of the projections are multiply-adds (MACs): half of what "
        "trine counts.",
        "foreign.check.mixed_ops": "The OPs of the projections follow no single rule from the "
        "printed module tree.",
        "foreign.check.clipped": "No memory delta is negative, yet the resident set falls {n} "
        "times from row to row (by {fall} in all): negative deltas were clipped, or memory is "
        "returned between the modules.",
        "foreign.next.title": "5. What to measure",
        "foreign.next": "`trine profile` runs the same model with repetitions, records the gaps "
        "between the modules, keeps cold and warm apart and measures the roofs of the machine.",
        "foreign.plot.sum": "sum of the rows: {ms} ms",
        "foreign.plot.layers": "without layer 0",
        "foreign.caption.layers": "Recorded time of each layer by block, layer 0 left out.",
        "foreign.caption.shares": "All rows by operator; shares are of their sum.",
        "foreign.caption.cold_warm": "Recorded time of each layer against the median of the "
        "layers after the first.",
    }
)
