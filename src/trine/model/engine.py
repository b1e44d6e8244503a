"""The engine: immutable weights, packed for the kernels of this machine, shared by sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trine import _native
from trine.checkpoint.checkpoint import Checkpoint
from trine.checkpoint.config import LINEARS, ModelConfig
from trine.checkpoint.tensors import EMBEDDING, FINAL_NORM, LM_HEAD, layer_tensor
from trine.errors import CheckpointError, OutOfMemory, UsageError
from trine.kernels.native import pool as make_pool
from trine.kernels.reference import rope_tables
from trine.kernels.registry import choose
from trine.model.body import choose_body
from trine.model.heads import build_head, rows_of

if TYPE_CHECKING:
    from trine.model.session import Session

# Tokens of one pass: more would not make the weights' reading any cheaper, and cost memory.
MAX_ROWS = 512

# step name, layer (-1 outside), first and last nanosecond of time.perf_counter_ns's clock.
Event = tuple[str, int, int, int]

# Sees a step's result: name, layer, values float32 [T, columns], int8 scales [T] or None.
Tap = Callable[[str, int, NDArray[np.float32], "NDArray[np.float32] | None"], None]


@dataclass(frozen=True, slots=True)
class Run:
    """Tokens (int64 [T]) that continue one session."""

    session: Session
    tokens: NDArray[np.int64]


class Engine:
    """Weights and threads. `Engine.from_checkpoint` makes one, `session()` a running model."""

    def __init__(
        self,
        config: ModelConfig,
        weights: _native.Weights,
        embedding: NDArray[Any],
        head_rows: NDArray[Any],
        *,
        pool: _native.Pool,
        kernel: str,
        body: str,
        head: str,
        exact: bool,
    ) -> None:
        self.config, self.kernel, self.body = config, kernel, body
        self.body_nbytes = weights.body_bytes
        self.layers = weights.layers
        self.threads = pool.threads
        cos, sin = rope_tables(config.context, config.head_dim, config.rope_theta)
        data, name = rows_of(embedding)
        self._native = _native.Engine(kernel, weights, pool, data, name, cos, sin, MAX_ROWS)
        self.head = build_head(head, kernel, pool, head_rows, body, exact=exact)  # type: ignore[arg-type]

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: Checkpoint,
        *,
        threads: int,
        body: str = "auto",
        head: str = "int8",
        exact: bool = False,
        layers: int | None = None,
        kernel: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Engine:
        """Pack the first `layers` (default: all) decoder layers of a checkpoint.

        body: "2bit", "base3", or "auto" by the measured roofs. head: "float", "int8" or
        "screened"; `exact` widens a screened head until the best token is certain. kernel: a name
        of `trine.kernels.registry`. progress(done, layers) is called after each layer.

        Raises UsageError for an option that cannot be, CheckpointError for weights that are no
        trits or of another shape, OutOfMemory.
        """
        config = checkpoint.config
        count = config.layers if layers is None else layers
        if not 1 <= count <= config.layers:
            raise UsageError(f"layers must be 1 to {config.layers}, not {layers}")
        isa = choose(kernel)
        pool = make_pool(threads)
        code = choose_body(body, isa, threads)
        checkpoint.fetch()
        try:
            weights = _native.Weights(_geometry(config, count), code)
            for layer in range(count):
                _pack_layer(checkpoint, weights, layer, pool)
                # Packed weights are a copy: the file's would be resident beside them.
                checkpoint.release()
                if progress is not None:
                    progress(layer + 1, count)
            final = checkpoint.dense(FINAL_NORM).astype(np.float32)
            weights.set_final_norm(final)
            embedding = checkpoint.dense(EMBEDDING)
            rows = embedding if config.tied_embeddings else checkpoint.dense(LM_HEAD)
            engine = cls(
                config,
                weights,
                embedding,
                rows,
                pool=pool,
                kernel=isa,
                body=code,
                head=head,
                exact=exact,
            )
            checkpoint.release()
            return engine
        except ValueError as error:
            raise CheckpointError(f"{checkpoint.provenance.id}: {error}") from None
        except MemoryError:
            raise OutOfMemory(
                f"{checkpoint.provenance.id}: not enough memory to pack {count} layers; "
                f"try --layers N with fewer"
            ) from None

    def session(self, capacity: int | None = None, cache: str = "float16") -> Session:
        """A session with room for `capacity` positions (default: the model's context).

        cache: "float16", "int8", or "float32" (exact, for checks).
        """
        from trine.model.session import Session

        return Session(self, self.config.context if capacity is None else capacity, cache)

    @property
    def bytes_per_token(self) -> int:
        """Weight bytes that one decoded token reads: body and lm_head, without the KV cache."""
        return self.body_nbytes + self.head.nbytes

    @property
    def max_rows(self) -> int:
        """Tokens of one pass."""
        return MAX_ROWS

    def forward(
        self,
        runs: Sequence[Run],
        *,
        events: list[Event] | None = None,
        tap: Tap | None = None,
    ) -> NDArray[np.float32]:
        """Normed hidden states [tokens of all runs, H] of one pass over the weights.

        The sessions' caches move on; nothing changes when an exception is raised. `events` is
        extended by the pass's steps, `tap` sees every step's result.

        Raises UsageError for no tokens, more than `max_rows`, an id outside the vocabulary, a full
        cache, a session that is given twice or belongs to another engine; KeyboardInterrupt.
        """
        for run in runs:
            if run.session.engine is not self:
                raise UsageError("the session belongs to another engine")
        tokens = [np.ascontiguousarray(run.tokens, dtype=np.int64) for run in runs]
        rows = sum(len(ids) for ids in tokens)
        hidden = np.empty((rows, self.config.hidden_size), dtype=np.float32)
        try:
            steps = self._native.forward(
                [run.session.cache for run in runs], tokens, hidden, events is not None, tap
            )
        except ValueError as error:
            raise UsageError(str(error)) from None
        except MemoryError:
            raise OutOfMemory(f"not enough memory for a pass of {rows} tokens") from None
        if events is not None:
            events.extend(steps)
        return hidden


def _geometry(config: ModelConfig, layers: int) -> _native.Geometry:
    return _native.Geometry(
        vocabulary=config.vocab_size,
        hidden=config.hidden_size,
        ffn=config.intermediate_size,
        layers=layers,
        heads=config.heads,
        kv_heads=config.kv_heads,
        head_dim=config.head_dim,
        rms_norm_eps=config.rms_norm_eps,
        activation=config.activation,
        sub_norms=config.sub_norms,
    )


def _pack_layer(
    checkpoint: Checkpoint, weights: _native.Weights, layer: int, pool: _native.Pool
) -> None:
    for linear in LINEARS:
        name = layer_tensor(layer, linear)
        ternary = checkpoint.ternary(name)
        packed = np.ascontiguousarray(ternary.packed)
        if not weights.set_linear(layer, linear, packed, float(ternary.scale), pool):
            raise CheckpointError(
                f"{checkpoint.provenance.id}: {name}: packed ternary weights contain the illegal "
                f"code 0b11"
            )
    for norm in checkpoint.config.norms:
        weight = checkpoint.dense(layer_tensor(layer, norm)).astype(np.float32)
        weights.set_norm(layer, norm, weight)
