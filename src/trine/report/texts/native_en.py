"""The English texts about the native engine; rules as in `texts.en`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXT: Mapping[str, str] = MappingProxyType(
    {
        "native.title": "6. The native engine beside PyTorch",
        "native.engine": "native engine",
        "native.intro": "The same model and tokens on the native engine, in the same repetitions, "
        "the two taking turns: kernels {kernel}, body {body}, lm_head {head} ({head_dtype}), KV "
        "cache {cache}, {threads} threads, {size} of weights, packed in {load}. The engine fuses "
        "what PyTorch runs apart; each of its steps stands beside the operators that it replaces.",
        "native.card": "native engine, {name}",
        "native.card.ratio": "PyTorch / native: {ratio}",
        "native.agreement": "6.1 End to end",
        "native.agreement.intro": "Equality end to end is not to be had: one ulp flips an int8 "
        "code, and the flips cascade. So the engine's distance from Hugging Face stands beside "
        "Hugging Face's distance from itself. Whether the engine is right, the check of every step "
        "on its own input decides.",
        "native.no_agreement": "Not compared with Hugging Face: PyTorch did not run beside it, or "
        "the run ended before.",
        "native.distance": "Against Hugging Face's prefill",
        "native.distance.native": "native engine, float32 KV cache and exact lm_head",
        "native.distance.used": "native engine, KV cache and lm_head as in this run",
        "native.distance.cached": "Hugging Face, token by token",
        "native.distance.nudged": "Hugging Face, embedding × (1 + ulp)",
        "native.deviation": "Deviation of the logits",
        "native.same": "Same best token",
        "native.same_decided": "Where Hugging Face is sure",
        "native.of": "{part} of {whole}",
        "native.agreement.note": "Deviation: |a − b| / |b − mean(b)| over the vocabulary, median "
        "over the positions. Sure: the best logit leads by more than twice what Hugging Face "
        "differs from itself at that position. Of a screened lm_head only the rows it gives count.",
        "native.tokens": "Greedy tokens of Hugging Face: {hf}; of the engine with a float32 "
        "KV cache and the exact lm_head: {native}.",
        "native.refused.title": "Speeds refused",
        "native.refused": "An output failed its numeric check, or was not checked: no ratio is "
        "given for its step, nor for the whole pass.",
        "native.stage": "6.{number} Operators of a {name}, side by side",
        "native.own": "The engine's own table of a {name}",
        "native.step": "Step",
        "native.replaces": "Also replaces",
        "native.torch": "PyTorch (ms)",
        "native.native": "Native (ms)",
        "native.ratio": "Ratio",
        "native.spread": "p10 – p90",
        "native.torch_bytes": "PyTorch bytes",
        "native.native_bytes": "Native bytes",
        "native.roof": "Native, of roof",
        "native.bound": "Bound by",
        "native.remainder": "between the operators",
        "native.note": "ms and modelled bytes per pass, medians of {passes} passes of each; ratio "
        "= PyTorch / native, the median over pairs of passes of the same repetition. In a prefill "
        "PyTorch's lm_head computes the logits of every position, the engine's of the last one. "
        "Roof: the int8 peak for BitLinear, and the memory level that the data come from.",
        "native.findings": "Findings about the engine",
        "native.console": "PyTorch and the native engine, {name}",
        "file.backend_comparison.csv": "the native engine's steps beside what they replace",
    }
)
