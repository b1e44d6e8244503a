"""The native engine: a checkpoint's weights, packed once, and the sessions that run on them.

In: a `Checkpoint`. Out: hidden states and logits for token ids; with `Model` text for text.
Next: `trine.profiling` records it, `trine.cli` measures and serves it.
"""

from trine.model.engine import Engine, Event, Run
from trine.model.generate import Generation, Stream
from trine.model.heads import Head, Selection
from trine.model.language_model import Model, load
from trine.model.session import Session

__all__ = [
    "Engine",
    "Event",
    "Generation",
    "Head",
    "Model",
    "Run",
    "Selection",
    "Session",
    "Stream",
    "load",
]
