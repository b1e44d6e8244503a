"""Pack a trained checkpoint for shipping: an ordinary Hugging Face directory, ternary at 2 bits.

Layout: `packed` of `trine.checkpoint.hf_writer`, in float32. The embedding, which is the lm_head
too, is rounded here, once: each row to 255 levels of its own scale, `round(127 w / max|w|)`. An
int8 lm_head, the engine's or that of `trine.hw.fixed`, then holds exactly the rows that ship. What
the rounding costs stands on the model card; ternary weights and norms are what was trained.

Two bits and not five trits a byte, and floats for 8-bit rows, because `transformers` then loads the
files as they are; base 3 and int8 rows would save 0.2 and 2.1 MB of 4.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint import Checkpoint
from trine.checkpoint.checkpoint import TernaryWeight
from trine.checkpoint.convert import convert
from trine.checkpoint.tensors import EMBEDDING
from trine.errors import CheckpointError


def pack(source: Checkpoint, directory: Path, out: Path) -> None:
    """Write the packed form of `source`, which was read from `directory`, to the folder `out`.

    An earlier model in `out` is replaced. Raises CheckpointError for a checkpoint whose lm_head is
    not its embedding.
    """
    if not source.config.tied_embeddings:
        raise CheckpointError(f"{directory} has an lm_head of its own; only a tied one is packed")
    out.parent.mkdir(parents=True, exist_ok=True)
    convert(_RoundedEmbedding(source), source.text, out, "hf-packed", force=True)


def int8_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows [V, H] rounded to int8 codes with one float32 scale a row, as floats again."""
    scale = np.abs(rows).max(axis=1, keepdims=True) / np.float32(127)
    codes = np.rint(rows / np.where(scale == 0, np.float32(1), scale))
    rounded: NDArray[np.float32] = codes * scale
    return rounded


class _RoundedEmbedding(Checkpoint):
    """A checkpoint, with another embedding."""

    def __init__(self, source: Checkpoint) -> None:
        self._source = source
        self.config = source.config
        self.provenance = source.provenance
        self.native_mode = source.native_mode
        self.tokenizer_file = source.tokenizer_file
        self.hf_config = source.hf_config

    @property
    def has_master(self) -> bool:
        return False

    def dense(self, name: str) -> NDArray[Any]:
        tensor = self._source.dense(name)
        return int8_rows(tensor.astype(np.float32)) if name == EMBEDDING else tensor

    def master(self, name: str) -> NDArray[Any]:
        raise CheckpointError(f"{name} has no master weight once it is packed")

    def ternary(self, name: str) -> TernaryWeight:
        return self._source.ternary(name)
