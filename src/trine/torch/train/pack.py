"""Pack a trained checkpoint for shipping: an ordinary Hugging Face directory, ternary at 2 bits.

Layout: `packed` of `trine.checkpoint.hf_writer`. The norms and the embedding, which is the lm_head
too, stay float32: nothing is rounded, what ships was trained. Two bits and not five trits a byte,
and one float dtype, because `transformers` then loads the files as they are; base 3 and a bfloat16
embedding would save 0.2 and 1.4 MB of 4.
"""

from __future__ import annotations

from pathlib import Path

from trine.checkpoint import Checkpoint
from trine.checkpoint.convert import convert
from trine.errors import CheckpointError


def pack(source: Checkpoint, directory: Path, out: Path) -> None:
    """Write the packed form of `source`, which was read from `directory`, to the folder `out`.

    An earlier model in `out` is replaced. Raises CheckpointError for a checkpoint whose lm_head is
    not its embedding.
    """
    if not source.config.tied_embeddings:
        raise CheckpointError(f"{directory} has an lm_head of its own; only a tied one is packed")
    out.parent.mkdir(parents=True, exist_ok=True)
    convert(source, source.text, out, "hf-packed", force=True)
