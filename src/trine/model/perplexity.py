"""Perplexity of a text, cut up and averaged as llama.cpp's perplexity tool does it.

The tokens are cut into chunks of `context`. Each chunk is read from an empty cache, its first token
replaced by BOS where the model wants one. Tokens context / 2 + 1 to context - 1 of a chunk are
scored, so that each has at least half a context before it. The standard error takes all tokens
as independent, which neighbours are not: rather too small. Source: ggml-org/llama.cpp,
tools/perplexity/perplexity.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trine.errors import CheckpointError, UsageError
from trine.model.language_model import Model
from trine.model.sampling import log_softmax

# Logits at a time: 64 rows of a 128,256-word vocabulary are 33 MB.
_ROWS = 64


@dataclass(frozen=True, slots=True)
class Perplexity:
    """Sums over the tokens scored so far; nats. `bytes` is None where a token has no bytes."""

    chunks: int
    tokens: int
    bytes: int | None
    nats: float
    squares: float

    @property
    def perplexity(self) -> float:
        """E to the mean nats of a token; infinite for a token that the model holds impossible."""
        return _exp(self.nats / self.tokens)

    @property
    def standard_error(self) -> float:
        """Of `perplexity`, to first order."""
        mean = self.nats / self.tokens
        variance = max(0.0, self.squares / self.tokens - mean * mean)
        return self.perplexity * math.sqrt(variance / max(1, self.tokens - 1))

    @property
    def perplexity_per_byte(self) -> float | None:
        """E to the mean nats of a byte of UTF-8, which compares models of other vocabularies."""
        return None if not self.bytes else _exp(self.nats / self.bytes)


def perplexity(
    model: Model, text: str, *, context: int, chunks: int | None = None
) -> Iterator[tuple[Perplexity, int]]:
    """The figures after each chunk, and how many chunks there will be.

    Raises UsageError for a context out of range, a text shorter than a chunk, a screened lm_head;
    CheckpointError for logits that are no numbers.
    """
    tokenizer = model.require_tokenizer()
    if model.engine.head.kind == "screened":
        raise UsageError(
            "a screened lm_head gives no logit to most tokens; use --head float or int8"
        )
    if not 4 <= context <= model.context:
        raise UsageError(
            f"context must be 4 to {model.context} (the model's), not {context}; perplexity needs "
            f"half of it before the first token it scores"
        )
    bos = tokenizer.bos_id()
    ids = [*([] if bos is None else [bos]), *tokenizer.encode(text, special_tokens=False)]
    if len(ids) < context:
        raise UsageError(
            f"the text has {len(ids)} tokens, and one chunk needs {context}; give a longer text "
            f"or a smaller --context"
        )
    given_back = tokenizer.decode(ids) == text
    count = min(len(ids) // context, chunks or len(ids))
    return _chunks(model, ids, context, count, bos, count_bytes=given_back)


def _chunks(
    model: Model, ids: list[int], context: int, count: int, bos: int | None, *, count_bytes: bool
) -> Iterator[tuple[Perplexity, int]]:
    tokenizer, session = model.require_tokenizer(), model.session(context)
    nats = squares = 0.0
    tokens = seen_bytes = 0
    first = context // 2
    for chunk in range(count):
        piece = ids[chunk * context : (chunk + 1) * context]
        targets = piece[first + 1 :]
        session.rewind(0)
        session.prefill([piece[0] if bos is None else bos, *piece[1:first]])
        for start in range(first, context - 1, _ROWS):
            rows = piece[start : min(start + _ROWS, context - 1)]
            logits = session.all_logits(rows)
            if not np.isfinite(logits.max(axis=1)).all():
                raise CheckpointError(
                    "the model gives logits that are no numbers; check its weights"
                )
            wanted = piece[start + 1 : start + 1 + len(rows)]
            losses = -log_softmax(logits)[np.arange(len(rows)), wanted]
            nats += float(losses.sum())
            squares += float((losses * losses).sum())
        tokens += len(targets)
        seen_bytes += sum(tokenizer.byte_lengths(targets))
        yield (
            Perplexity(chunk + 1, tokens, seen_bytes if count_bytes else None, nats, squares),
            count,
        )


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
