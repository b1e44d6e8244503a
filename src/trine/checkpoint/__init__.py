"""Models as files and generators give them, in one shape whatever the source.

In: a preset name, a directory, a hub id. Out: a `Checkpoint`: config, tensors, provenance.
Next: `trine.torch` fills Hugging Face modules from it, the native engine packs it.
"""

from trine.checkpoint.checkpoint import Checkpoint, Mode, Provenance, TernaryWeight
from trine.checkpoint.config import ModelConfig
from trine.checkpoint.open import open_checkpoint
from trine.checkpoint.vocabulary import TextSource

__all__ = [
    "Checkpoint",
    "Mode",
    "ModelConfig",
    "Provenance",
    "TernaryWeight",
    "TextSource",
    "open_checkpoint",
]
