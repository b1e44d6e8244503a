"""The English texts of a report, by key; `{...}` are filled by `language.Words`.

Digits belong in the placeholders: a figure written into the prose of one language would have to
be repeated in the other, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXT: Mapping[str, str] = MappingProxyType(
    {
        "title": "CPU inference profile of BitNet b1.58: {model}",
        # words that several sections use
        "separator": ", ",
        "stage.prefill": "prefill",
        "stage.decode": "decode step",
        "pass.prefill.cold": "cold prefill",
        "pass.prefill.warmup": "warm-up prefill",
        "pass.prefill.measured": "warm prefill",
        "pass.decode.cold": "cold decode step",
        "pass.decode.warmup": "warm-up decode step",
        "pass.decode.measured": "warm decode step",
        "mode.online": "online (weights re-quantised at every call)",
        "mode.offline": "offline (ternary weights, unpacked at load)",
        "mode.packed": "packed (two-bit weights, unpacked at every call)",
        "mode.native": "native (ternary kernels)",
        "cache.fresh": "fresh compile cache",
        "cache.none": "no compilation",
        "cache.keep": "compile cache kept from earlier runs",
        "block.attention": "attention",
        "block.mlp": "MLP",
        "block.norm": "norms",
        "block.residual": "residual",
        "block.lm_head": "lm_head",
        "block.embedding": "embedding",
        "block.sampling": "sampling",
        "block.other": "other",
        "bound.memory": "memory",
        "bound.compute": "compute",
        "bound.overhead": "overhead",
        # first screen
        "head.run": "{model} in mode {mode}, {dtype}: a prefill of {tokens} tokens and {decode} "
        "decode steps on {cpu} with {threads} threads.",
        "warn.synthetic.title": "Synthetic weights",
        "warn.synthetic": "The weights are seeded random numbers (seed {seed}) in the shapes that "
        "the model's name stands for. Times, bytes and operations are those of a model of these "
        "shapes, and depend on no weight; the tokens it produces mean nothing. The load time is "
        "that of making the weights.",
        "warn.reduced.title": "Reduced model: {n} of {total} decoder layers",
        "warn.reduced": "Every figure is of the {n} layers that ran. Nothing is extrapolated to "
        "{total}.",
        "warn.partial.title": "Partial run",
        "warn.partial": "The run ended early ({note}). The {passes} passes that finished are "
        "complete; nothing is estimated for the others.",
        "card.speed": "{rate} tok/s, ceiling {ceiling}",
        "card.compile": "of which compiling {ms} ms",
        "card.load": "model load",
        "card.rss": "{rss} resident afterwards, {file} of it mapped files",
        "card.recorder": "recorder overhead",
        "card.overhead": "of a warm prefill, on its own clock",
        "key.pass": "Pass",
        "key.passes": "Passes",
        "key.tokens": "Tokens",
        "key.median": "Median (ms)",
        "key.p10_p90": "p10 – p90 (ms)",
        "key.interval": "95% interval of the median (ms)",
        "key.rate": "tok/s",
        "key.bytes": "Bytes of a pass",
        "key.ceiling": "Ceiling (tok/s)",
        "key.of_ceiling": "Of ceiling",
        "key.note": "Ceiling = the lower of two: tokens / (modelled bytes of a pass / {roof} GB/s, "
        "the best DRAM read bandwidth of this run), and for a PyTorch run in float32 tokens / (OPs "
        "of a pass / {fp32} GOPS), for the native engine tokens / (OPs of its BitLinears / {int8} "
        "GOPS). A pass that stays in a cache can exceed the first.",
        "setup.what": "Setup",
        "setup.value": "Value",
        "setup.model": "Model",
        "setup.model.value": "{id}, {parameters} parameters of which {ternary} ternary, "
        "{layers} of {total} layers",
        "setup.weights": "Weights",
        "setup.weights.value": "{origin}, {size} stored",
        "setup.synthetic": "synthetic, seed {seed}",
        "setup.mode": "Mode, dtype",
        "setup.machine": "Machine",
        "setup.hypervisor": ", virtual machine",
        "setup.cores": "Cores, threads",
        "setup.cores.value": "{logical} logical, {physical} physical, {affinity} usable, cgroup "
        "quota {quota}; {threads} threads used",
        "setup.memory": "Memory, caches",
        "setup.memory.value": "{total}, {available} free before loading; L2 {l2}, L3 {l3}",
        "setup.simd": "SIMD",
        "setup.versions": "Versions",
        "setup.settings": "Settings",
        "setup.settings.value": "{tokens} prompt tokens, {decode} decode steps, {warmup} warm-up "
        "and {repeat} measured repetitions, {cache}",
        "setup.environment": "Environment",
        "setup.started": "Started",
        "setup.command": "Command",
        # 1 structure
        "structure.title": "1. Structure and data flow",
        "structure.intro": "A decoder-only transformer whose seven projections per layer are "
        "BitLinear: ternary weights with one scale per matrix, activations quantised to int8 per "
        "token.",
        "structure.tree": "1.1 Module tree",
        "structure.tree.intro": "As `print(model)` shows it:",
        "structure.flow": "1.2 Data flow",
        "structure.flow.intro": "The steps of one prefill in the order in which they ran. Layer "
        "{layer} stands for all decoder layers.",
        "structure.notable": "1.3 What to note",
        "flow.step": "Step",
        "flow.where": "Where",
        "flow.input": "Input",
        "flow.output": "Output",
        "flow.role": "What it does",
        "where.outside": "outside the layers",
        "where.layer": "each layer",
        "role.embedding": "looks up one row per token id",
        "role.norm": "RMSNorm: divides by the root mean square, multiplies by a learned weight",
        "role.bitlinear.online": "BitLinear: re-quantises its float weights at every call, "
        "quantises the input per token, multiplies, rescales",
        "role.bitlinear.offline": "BitLinear: ternary weights held as floats; quantises the input "
        "per token, multiplies, rescales",
        "role.bitlinear.packed": "BitLinear: unpacks its two-bit weights at every call, quantises "
        "the input per token, multiplies, rescales",
        "role.bitlinear.native": "BitLinear: exact integer dot products on packed ternary weights",
        "role.linear": "dense projection",
        "role.activation": "element-wise activation",
        "role.gating": "gate times up, element by element",
        "role.rotary": "cosines and sines of the positions, once per pass",
        "role.rope": "rotates queries and keys by their positions",
        "role.attention": "softmax(QKᵀ/√d)·V over all keys up to the token",
        "role.kv_update": "appends the new keys and values to the KV cache",
        "role.residual": "adds the block's output to the residual stream",
        "role.mask": "builds the causal mask, once per pass",
        "role.sampling": "picks the next token",
        "notable.residual": "The residual stream is added to {n} times per layer, after: {after}.",
        "notable.sub_norm": "`attn_sub_norm` comes **before** `o_proj`: it normalises what the "
        "heads deliver. In the MLP `ffn_sub_norm` stands before `down_proj` in the same way.",
        "notable.relu2": "The MLP is a ReLU²-gated unit, relu(gate)²·up. It is not SwiGLU: no "
        "sigmoid is evaluated.",
        "notable.gqa": "Grouped-query attention: {heads} query heads of dimension {dim} share {kv} "
        "heads of keys and values.",
        "notable.tied": "`lm_head` and the embedding are one matrix of {vocab} rows. It is not "
        "ternary, and every decode step reads all of it.",
        # 2 raw data
        "raw.title": "2. Raw data of single layers",
        "raw.none": "No prefill finished, so there is nothing to show.",
        "raw.intro": "Every module of the first layer as a first inference meets it, and of a "
        "middle layer once everything is warm. `raw_layer_data.csv` has all layers.",
        "raw.layer": "2.{number} Layer {layer}, {name}",
        "raw.name": "Layer name",
        "raw.type": "Type",
        "raw.input": "Input shape",
        "raw.time": "Time (ms)",
        "raw.compile": "Compiling (ms)",
        "raw.faults": "Minor faults",
        "raw.delta": "RSS change",
        "raw.rss": "RSS",
        "raw.sum": "sum of the modules",
        "raw.note": "Warm rows are medians of the measured prefills. The RSS change is signed: "
        "memory that a call returns shows as negative.",
        "raw.reading": "Layer 0 as a whole, attention core and gaps included, took {cold} ms in "
        "the cold prefill and {warm} ms in a warm one, a ratio of {ratio}. Of its modules' cold "
        "time {compile} ms were spent compiling.",
        "raw.reading.one_state": "Only one state was measured: cold and warm cannot be compared.",
        # 3 averages
        "average.title": "3. Averages of a layer by block",
        "average.intro": "Median time of every layer, by block. A block holds all its operators, "
        "also the attention core, RoPE and the KV update.",
        "average.stage": "3.{number} Blocks of a {name}",
        "average.block": "Block",
        "average.time": "Time per layer (ms)",
        "average.share": "Of the layer",
        "average.wall": "Of the wall time",
        "average.ops": "OPs per layer",
        "average.ops_share": "Of the layer's OPs",
        "average.bytes": "Bytes per layer",
        "average.bytes_share": "Of the layer's bytes",
        "average.layer": "layer",
        "average.note": "Time per layer: mean over layer 1 and up of each layer's median. Share of "
        "the wall time: that, times {n} layers, over the median pass.",
        "average.split": "The MLP takes {mlp} of a layer's time with {mlp_ops} of its OPs and "
        "{mlp_bytes} of its bytes; attention takes {attention}.",
        "average.outside": "Outside the layers: {ms} ms, {share} of the wall time ({parts}).",
        # 4 operators
        "operators.title": "4. Operator level",
        "operators.intro": "All layers together, per pass. The rows of a table add up to the "
        "median wall time of its pass; nothing is left out.",
        "operators.stage": "4.{number} Operators of a {name}",
        "operators.name": "Operator",
        "operators.calls": "Calls",
        "operators.call": "Per call (ms)",
        "operators.time": "Per pass (ms)",
        "operators.spread": "p10 – p90 (ms)",
        "operators.share": "Of wall",
        "operators.ops": "OPs",
        "operators.ops_share": "Of OPs",
        "operators.gops": "GOPS",
        "operators.gbytes": "GB/s",
        "operators.roof": "Of roof",
        "operators.bound": "Bound by",
        "operators.faults": "Minor faults",
        "operators.rss": "RSS change",
        "operators.passes": "Medians of {passes} passes.",
        "operators.passes.one": "Figures of a single pass.",
        "operators.note": "{passes} Bases: “of wall” is of the median wall time "
        "of the pass, “of OPs” of all OPs of the pass, “of roof” of the rate that is attainable at "
        "the operator's intensity and the memory level its data come from, as measured here. "
        "OPs, GB/s, faults and RSS change are of one pass; bytes are modelled (appendix). Bound by "
        "overhead: neither roof explains the time.",
        "operators.gaps": "Intervals without a name: {n}. The longest: {names}.",
        "operators.refused": "The speed of {name} is refused: {reason}. The findings say why.",
        "row.gap": "gap: {name}",
        "row.unattributed": "unattributed",
        "row.recorder": "recorder",
        "row.rest": "rest (median of sums − sum of medians)",
        "row.wall": "wall time",
        "row.refused": "refused",
        "findings.title": "4.3 Bottlenecks",
        "findings.intro": "Computed from the records by fixed rules. An effect is the time of the "
        "pass that the finding accounts for; effects overlap and do not add up.",
        "findings.none": "No rule found a bottleneck.",
        "effect.share": "{ms} ms, {share} of the wall time of a {name}",
        "effect.once": "{ms} ms, once ({name})",
        "effect.total": "{ms} ms",
        "findings.effect": "**Effect:** {text}.",
        "findings.why": "**Why:** {text}",
        "findings.evidence": "**Evidence:**",
        "findings.fix": "**Fix:** {text}",
        "findings.environment": "**Environment to set:** {text}",
        "trials.title": "Fixes tried",
        "trials.intro": "Each fix was applied in a process of its own and the warm pass measured "
        "again.",
        "trials.rule": "Finding",
        "trials.pass": "Pass",
        "trials.environment": "Environment",
        "trials.before": "Before (ms)",
        "trials.predicted": "Predicted (ms)",
        "trials.measured": "Measured (ms)",
        "trials.predicted_gain": "Predicted gain",
        "trials.measured_gain": "Measured gain",
        "trials.faults": "Page faults",
        "trials.note": "Median with p10 to p90 of each run, minor page faults of a median pass. "
        "Gain = time before / time after; predicted = before less the effect of the finding. The "
        "runs follow each other and are not interleaved.",
        "dissect.title": "Operators taken apart",
        "dissect.intro": "One operator's own weight and input, its steps timed apart and "
        "interleaved, outside every pass.",
        "dissect.operator": "Operator",
        "dissect.tokens": "Tokens",
        "dissect.note": "ms; in brackets the share of the whole call, measured beside its steps.",
        "step.sum": "sum of the steps",
        "step.whole": "whole call",
        "step.weight_quant": "weight quantisation",
        "step.act_quant": "activation quantisation",
        "step.unpack": "unpacking",
        "step.linear": "matrix product",
        "step.rescale": "rescaling",
        "step.float32": "in float32",
        "step.bfloat16": "in bfloat16",
        # 4.4, 4.5
        "roofline.title": "4.4 Roofline",
        "roofline.intro": "What memory and arithmetic of this machine allow, probed by the native "
        "extension before, between and after the repetitions, and where the operators stand.",
        "roofline.none": "No roof was measured, so no operator can be held against one.",
        "roofline.level": "Roof",
        "roofline.isa": "ISA",
        "roofline.threads": "Threads",
        "roofline.best": "Best",
        "roofline.median": "Median",
        "roofline.lowest": "Lowest",
        "roofline.probes": "Probes",
        "roofline.note": "Operators are held against the best probe: a busy machine only ever "
        "under-reads a roof. The distance from best to lowest shows how busy it was.",
        "anomalies.title": "4.5 Anomalies: cold against warm",
        "anomalies.intro": "The first pass of each kind is kept apart, because compiling and first "
        "touches of memory happen in it.",
        "cold.pass": "Pass",
        "cold.cold": "Cold (ms)",
        "cold.warm": "Warm (ms)",
        "cold.ratio": "Cold / warm",
        "cold.compile": "Compiling (ms)",
        "cold.graphs": "Graphs",
        "cold.hits": "Cache hits",
        "cold.without": "Cold without compiling (ms)",
        "cold.note": "Medians per pass; graphs and cache hits are sums. The run began with: "
        "{cache}.",
        "events.none": "Nothing was compiled during the run.",
        "events.intro": "Calls in which something was compiled: {n}, of them in measured passes: "
        "{late}.",
        "events.rest": "{n} more",
        "events.pass": "Pass",
        "events.name": "Operator",
        "events.input": "Input shape",
        "events.time": "Call (ms)",
        "events.compile": "Compiling (ms)",
        "events.graphs": "Graphs",
        "events.hits": "Cache hits",
        # 5 summary
        "summary.title": "5. Summary and outlook",
        "total.metric": "Quantity",
        "total.value": "Value",
        "total.meaning": "Meaning",
        "total.load": "model load",
        "total.load.note": "from the start of reading to a model that can run",
        "total.load.note.synthetic": "from the first weight drawn to a model that can run",
        "total.memory": "memory after load",
        "total.memory.note": "resident set; {before} before loading, {weights} of it weights",
        "total.peak": "largest resident set",
        "total.peak.note": "at the end of any pass",
        "total.pass.note": "median of {passes} passes; tokens of each: {tokens}; {rate} tok/s",
        "total.pass.note.one": "a single pass; tokens: {tokens}; {rate} tok/s",
        "total.layer": "one layer, warm prefill",
        "total.layer.note": "mean over layer 1 and up, {n} layers",
        "total.share": "{block}, {name}",
        "total.share.note": "share of the median wall time",
        "next.title": "5.1 Next steps",
        "next.intro": "The fixes of the findings, largest effect first:",
        "next.none": "No finding asks for a change.",
        "outlook.title": "5.2 Outlook to hardware",
        "outlook.prediction": "Prediction, not measurement",
        "outlook.label": "This table follows from sizes alone: decoding reads every weight once "
        "per token, so bandwidth over bytes is an upper bound. KV cache, activations and "
        "imperfect transfers lower it.",
        "outlook.formula": "With B the memory bandwidth in byte/s, bits the width of a ternary "
        "weight and e the bytes of an lm_head weight: {formula}.",
        "outlook.form": "Weights",
        "outlook.form.value": "{bits} bit, lm_head {head}",
        "outlook.ternary": "Ternary",
        "outlook.head": "lm_head",
        "outlook.token": "Bytes per token",
        "outlook.bandwidth": "tok/s at {value} GB/s",
        "outlook.measured": "tok/s at {value} GB/s (DRAM here)",
        "outlook.note": "For the {layers} layers that ran.",
        "outlook.amdahl": "With ternary weights at two bits a bf16 lm_head is {share} of the bytes "
        "of a token. However fast the BitLinear operators become, a decode step bound by memory "
        "keeps that part: accelerating them alone is limited to a factor of {limit} against "
        "two-bit weights read at full bandwidth.",
        # appendix
        "appendix.title": "Appendix",
        "definitions.title": "A. What an operation and a byte are",
        "definitions.intro": "One definition for every table, file and plot. A multiply-add counts "
        "as two OPs (MACs are half of that), other arithmetic on an element as one, a copy as "
        "none. Bytes are modelled: the least that the passes over memory must move.",
        "definitions.kind": "Operator",
        "definitions.ops": "OPs",
        "definitions.bytes": "Bytes",
        "definitions.symbols": "T tokens, C keys after the update, N × K = outputs × inputs, H "
        "hidden size, F width of the MLP, D head dimension, V vocabulary, q and k elements of "
        "queries and keys, e bytes of an activation, w bytes of a weight.",
        "method.title": "B. How the figures were made",
        "method.median": "Medians are taken over passes; an operator's time in a pass is the sum "
        "of its calls. The interval is a seeded bootstrap of the median.",
        "method.tiling": "Records and the recorder's own time tile every pass to the nanosecond. "
        "What lies between two operators is a record too; overlap or a negative gap fails the run.",
        "method.probes": "Memory, fault and compile counters are read outside the timed interval. "
        "They are of the whole process, so worker threads count.",
        "method.memory": "RSS changes are signed. Units are decimal; only the CSV and JSON columns "
        "named (MB) hold mebibytes, as they always have.",
        "method.roofs": "Roofs are measured in the run itself. A speed above its roof by more than "
        "the margin of the probe is refused, not printed.",
        "method.checks": "Outside the timed passes {n} outputs of {operators} operators (layers: "
        "{layers}) were computed again by the NumPy reference, each from its own recorded input: "
        "{passed} agree; the worst is {name}, off by {error} ({allowed} allowed); {ties} codes "
        "differ at rounding ties, where either is right.",
        "method.unchecked": "No output was checked against the reference: this run ended before.",
        "method.overhead": "Recorder overhead: {own} of a warm prefill on the recorder's own "
        "clock, {events} events. A cross-check that also sees the cost of being called: {pairs} "
        "prefills without the recorder, interleaved with as many with it, differ by {share} (95% "
        "interval of the pairs: {low} to {high}).",
        "files.title": "C. Files",
        "files.item": "[{file}]({file}): {text}",
        "file.profile.json": "everything that was measured; `trine report` renders all of this "
        "from it",
        "file.records.csv": "every record of every pass, flat",
        "file.raw_layer_data.csv": "one row per module: layer 0 and what lies outside the layers "
        "from the cold prefill, the other layers warm medians, marked in the column State",
        "file.final_operator_benchmark.csv": "operators of a layer, per call, warm; ratios are of "
        "the sum of that list, Share of Wall of the whole prefill",
        "file.linear_operator_stats.csv": "its linear operators, ratios on the same base",
        "file.nonlinear_operator_stats.csv": "its other operators, ratios on the same base",
        "file.inference_profile_report.json": "totals and tables in one document",
        "file.trace.json": "the run on a time line; opens in Perfetto",
        "file.report.html": "this report as one page",
        # terminal
        "console.warning": "{title}. {text}",
        "console.top": "{n} more operators",
        "console.findings": "Findings",
        "console.effect": " ({text})",
        "console.fix": "\n  fix: {text}",
        "console.files": "Report: {folder}",
    }
)

# Words of the cost formulas (`profiling.costs.DEFINITIONS`), which are English already.
TERMS: Mapping[str, str] = MappingProxyType({})
