"""What is known about real weights, to stand beside a check of them.

Task scores are those of the model card of microsoft/bitnet-b1.58-2B-4T. Perplexities and text were
reported of the released weights; they were not measured with this program.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from trine.checkpoint import Checkpoint
from trine.checkpoint.synthetic import PRESETS

BITNET_2B_4T: Mapping[str, str] = MappingProxyType(
    {
        "wikitext-2 perplexity, f16 head": "17.109",
        "wikitext-2 perplexity, q6_K head": "17.149",
        "greedy, 'The capital of France is'": "' Paris.'",
        "model card": "ARC-C 49.91, HellaSwag 68.44, WinoGrande 71.90, GSM8K 58.38, MMLU 53.17",
    }
)
_NAME = "bitnet-b1.58-2b-4t"


def anchors(name: str, checkpoint: Checkpoint) -> Mapping[str, str]:
    """The anchors of a model that its name and its geometry tell; empty for any other.

    Names can lie, and no hash of the released weights is known here: what is recognised is not
    proved to be the model.
    """
    c, real = checkpoint.config, PRESETS["2b-4t"]
    same = (c.vocab_size, c.hidden_size, c.intermediate_size, c.layers) == (
        real.vocab_size,
        real.hidden_size,
        real.intermediate_size,
        real.layers,
    )
    named = _NAME in Path(name).resolve().as_posix().lower()
    known = same and named and not checkpoint.provenance.synthetic
    return BITNET_2B_4T if known else MappingProxyType({})
