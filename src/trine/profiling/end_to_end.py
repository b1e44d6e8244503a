"""The native engine's logits and tokens beside what Hugging Face differs from itself.

Two correct implementations of this model disagree end to end: an ulp flips an int8 code, and the
flips cascade through the layers. So the distance of the engine from Hugging Face is shown beside
two of Hugging Face from itself: all tokens in one prefill against one by one through the cache,
and with every embedding moved by an ulp. What the engine is judged by is the teacher-forced check.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from transformers import DynamicCache

import torch
from trine.checkpoint import Checkpoint
from trine.checkpoint.tensors import EMBEDDING, LM_HEAD
from trine.kernels.native import pool
from trine.model.engine import Engine, Run
from trine.model.heads import FloatHead
from trine.model.session import Session
from trine.profiling.profile import Agreement, Distance

Logits = NDArray[np.float32]
# One ulp of float32, about; in bfloat16 it moves nothing, and the distance is 0.
NUDGE = 1 + 1e-7
# Tokens compared: as many rows of logits are held for each way of computing them.
POSITIONS = 64


@torch.no_grad()
def end_to_end(
    model: Any,
    engine: Engine,
    checkpoint: Checkpoint,
    ids: Sequence[int],
    *,
    decode: int,
    cache: str,
) -> Agreement:
    """Compare at the last of the prompt's tokens and the `decode` that HF goes on with.

    The engine in full precision (float32 KV cache, the lm_head's own rows), and as the run used it.
    """
    hf_tokens, cached = _greedy(model, ids, decode)
    tokens = [*ids, *hf_tokens][: len(ids) + decode]
    first = max(0, len(tokens) - POSITIONS)
    reference = _prefill(model, tokens, 1.0)[first:]
    nudged = _prefill(model, tokens, NUDGE)[first:]
    rows = checkpoint.dense(EMBEDDING if engine.config.tied_embeddings else LM_HEAD)
    exact = FloatHead(engine.kernel, pool(engine.threads), rows)
    margins = _margins(reference)
    # Token by token there are logits after the prompt only.
    own = np.abs(reference - nudged).max(axis=1)
    tail = len(cached)
    own[-tail:] = np.maximum(own[-tail:], np.abs(reference[-tail:] - cached).max(axis=1))
    # Where another logit gains and the best one loses, the lead shrinks by twice the change.
    decided = margins > 2 * own

    def distance(name: Literal["native", "used", "cached", "nudged"], other: Logits) -> Distance:
        return compare(name, reference[-len(other) :], other, decided[-len(other) :])

    distances = [
        distance("native", exact.logits(_hidden(engine, tokens, "float32")[first:])),
        distance("used", engine.head.logits(_hidden(engine, tokens, cache)[first:])),
        distance("cached", cached),
        distance("nudged", nudged),
    ]
    return Agreement(distances, hf_tokens, _native_greedy(engine, exact, ids, decode))


def compare(
    name: Literal["native", "used", "cached", "nudged"],
    reference: Logits,
    other: Logits,
    decided: NDArray[np.bool_],
) -> Distance:
    """Logits [T, V] against the reference's; rows that a head left out (-inf) do not count."""
    same = reference.argmax(axis=1) == other.argmax(axis=1)
    return Distance(
        name=name,
        deviation=float(
            np.median([_deviation(a, b) for a, b in zip(other, reference, strict=True)])
        ),
        positions=len(reference),
        same=int(same.sum()),
        decided=int(decided.sum()),
        same_decided=int((same & decided).sum()),
    )


def _deviation(row: Logits, reference: Logits) -> float:
    known = np.isfinite(row)
    a, b = row[known].astype(np.float64), reference[known].astype(np.float64)
    spread = float(np.linalg.norm(b - b.mean()))
    return float(np.linalg.norm(a - b)) / spread if spread else 0.0


def _margins(logits: Logits) -> Logits:
    """By how much the best logit of each row leads."""
    top = np.partition(logits, -2, axis=1)[:, -2:]
    lead: Logits = top[:, 1] - top[:, 0]
    return lead


def _prefill(model: Any, tokens: Sequence[int], factor: float) -> Logits:
    """Logits of all tokens in one pass, from embeddings times `factor`."""
    embedded = model.model.embed_tokens(torch.tensor([list(tokens)])) * factor
    return _array(model(inputs_embeds=embedded, use_cache=False).logits[0])


def _greedy(model: Any, ids: Sequence[int], decode: int) -> tuple[list[int], Logits]:
    """The next `decode` + 1 tokens, and the logits [decode + 1, V] that chose them."""
    cache = DynamicCache(config=model.config)
    step = torch.tensor([list(ids)])
    found: list[int] = []
    rows = []
    for _ in range(decode + 1):
        logits = model(input_ids=step, past_key_values=cache, use_cache=True).logits[:, -1]
        step = logits.argmax(-1, keepdim=True)
        found.append(int(step))
        rows.append(_array(logits[0]))
    return found, np.stack(rows)


def _native_greedy(engine: Engine, head: FloatHead, ids: Sequence[int], decode: int) -> list[int]:
    session = engine.session(len(ids) + decode, "float32")
    step, found = list(ids), []
    for _ in range(decode + 1):
        step = [int(head.logits(_continued(engine, session, step)[-1:])[0].argmax())]
        found += step
    return found


def _hidden(engine: Engine, tokens: Sequence[int], cache: str) -> Logits:
    return _continued(engine, engine.session(len(tokens), cache), tokens)


def _continued(engine: Engine, session: Session, tokens: Sequence[int]) -> Logits:
    """Hidden states [T, H] of tokens that continue a session."""
    ids = np.asarray(tokens, dtype=np.int64)
    parts = [ids[at : at + engine.max_rows] for at in range(0, len(ids), engine.max_rows)]
    return np.concatenate([engine.forward([Run(session, part)]) for part in parts])


def _array(tensor: torch.Tensor) -> Logits:
    array: Logits = tensor.float().numpy()
    return array
