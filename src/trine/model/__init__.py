"""The native engine: a checkpoint's weights, packed once, and the sessions that run on them.

In: a `Checkpoint`. Out: hidden states and logits for token ids.
Next: `trine.profiling` records it, `trine.cli` measures and serves it.
"""

from trine.model.engine import Engine, Event, Run
from trine.model.heads import Head, Selection
from trine.model.session import Session

__all__ = ["Engine", "Event", "Head", "Run", "Selection", "Session"]
