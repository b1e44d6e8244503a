"""Fetching a model's weights, with what people want to see of it."""

from __future__ import annotations

import sys

from trine.checkpoint import Checkpoint
from trine.checkpoint.hub import HubCheckpoint


def fetch(checkpoint: Checkpoint, *, quiet: bool) -> None:
    """Bring the weights here: the client's own bars in a terminal, elsewhere one line."""
    if plain_progress(checkpoint) and not quiet:
        print(f"trine: fetching {checkpoint.provenance.id}", file=sys.stderr)
    checkpoint.fetch()


def plain_progress(checkpoint: Checkpoint) -> bool:
    """Switch the client's bars off outside of a terminal; whether there would be any."""
    if not isinstance(checkpoint, HubCheckpoint) or sys.stderr.isatty():
        return False
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    return True
