"""A session: one conversation's KV cache on a shared engine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trine import _native
from trine.errors import OutOfMemory, UsageError
from trine.model.engine import Engine, Event, Run


class Session:
    """Positions seen so far and their keys and values; many sessions share an engine."""

    def __init__(self, engine: Engine, capacity: int, cache: str) -> None:
        config = engine.config
        if not 1 <= capacity <= config.context:
            raise UsageError(
                f"a session holds 1 to {config.context} positions (the model's context), "
                f"not {capacity}"
            )
        self.engine = engine
        try:
            self.cache = _native.KvCache(
                engine.layers, config.kv_heads, config.head_dim, capacity, cache
            )
        except ValueError as error:
            raise UsageError(str(error)) from None
        except MemoryError:
            raise OutOfMemory(f"not enough memory for a KV cache of {capacity} positions") from None

    @property
    def length(self) -> int:
        """Positions seen."""
        return self.cache.length

    @property
    def capacity(self) -> int:
        """Positions that fit."""
        return self.cache.capacity

    def rewind(self, length: int) -> None:
        """Forget all positions from `length` on. Raises UsageError when there are not as many."""
        try:
            self.cache.length = length
        except (ValueError, TypeError):
            raise UsageError(
                f"a session of {self.length} positions cannot be rewound to {length!r}"
            ) from None

    def prefill(
        self, tokens: ArrayLike, *, events: list[Event] | None = None
    ) -> NDArray[np.float32]:
        """Logits [vocabulary] after `tokens` [T], which continue the session.

        A prompt longer than a pass runs in several; Ctrl-C stops it within 100 ms and takes back
        what ran. Raises UsageError as `Engine.forward`.
        """
        logits: NDArray[np.float32] = self.engine.head.logits(self._hidden(tokens, events)[-1:])[0]
        return logits

    def all_logits(self, tokens: ArrayLike) -> NDArray[np.float32]:
        """Logits [T, vocabulary] after each of `tokens`, which continue the session."""
        return self.engine.head.logits(self._hidden(tokens, None))

    def decode(self, token: int, *, events: list[Event] | None = None) -> NDArray[np.float32]:
        """Logits [vocabulary] after one more token."""
        return self.prefill([token], events=events)

    def _hidden(self, tokens: ArrayLike, events: list[Event] | None) -> NDArray[np.float32]:
        ids = np.asarray(tokens)
        if ids.ndim != 1 or ids.size == 0 or not np.issubdtype(ids.dtype, np.integer):
            raise UsageError("tokens must be a list of one or more integers")
        if self.length + ids.size > self.capacity:
            raise UsageError(
                f"the KV cache is full: it holds {self.length} of {self.capacity} positions, and "
                f"{ids.size} more are asked for"
            )
        before = self.length
        step = self.engine.max_rows
        try:
            passes = [
                self.engine.forward([Run(self, ids[first : first + step])], events=events)
                for first in range(0, ids.size, step)
            ]
        except BaseException:
            self.rewind(before)
            raise
        return np.concatenate(passes)


def decode_batch(
    sessions: Sequence[Session], tokens: Sequence[int], *, events: list[Event] | None = None
) -> NDArray[np.float32]:
    """Logits [B, vocabulary] after one more token in each of B sessions, in one weight pass.

    Raises UsageError for no sessions, one given twice, or sessions of different engines.
    """
    if not sessions or len(sessions) != len(tokens):
        raise UsageError("there must be one token for each of one or more sessions")
    runs = [Run(s, np.array([t])) for s, t in zip(sessions, tokens, strict=True)]
    engine = sessions[0].engine
    return engine.head.logits(engine.forward(runs, events=events))
