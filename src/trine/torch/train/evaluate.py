"""Perplexity per byte on whole held-out books, one code path for every kind of model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch.nn import functional as F

import torch
from trine.torch.train.corpus import encode

# Nats of all bytes of a text.
Scorer = Callable[[str], float]

_HASH_BASE = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Score:
    """Nats that a model spends on `bytes` bytes; comparable across vocabularies."""

    nats: float
    bytes: int

    @property
    def nats_per_byte(self) -> float:
        """Mean cross-entropy of a byte."""
        return self.nats / self.bytes

    @property
    def perplexity(self) -> float:
        """E to the nats per byte."""
        return math.exp(self.nats_per_byte)


def score(books: Mapping[str, str], scorer: Scorer) -> dict[str, Score]:
    """Each book's Score by file name, and the sum over them as "all"."""
    scores = {name: Score(scorer(text), len(text.encode())) for name, text in books.items()}
    total = Score(sum(s.nats for s in scores.values()), sum(s.bytes for s in scores.values()))
    return {**scores, "all": total}


class LanguageModelScorer:
    """Scores a text with a Hugging Face causal language model, teacher-forced.

    Windows of `window` tokens overlap by half: every token is predicted once, and all but those at
    the start of a book from at least window / 2 tokens before it. Where the tokenizer cannot give
    back the text, perplexity per byte would be undefined: that raises ValueError.
    """

    def __init__(self, model: Any, tokenizer: Tokenizer, *, separator: int, window: int) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._separator = separator
        self._window = window

    @torch.no_grad()
    def __call__(self, text: str) -> float:
        """Nats of all tokens of the text, the first one predicted from the separator."""
        tokens = encode(self._tokenizer, [text], self._separator)[:-1]
        if self._tokenizer.decode(tokens[1:].tolist(), skip_special_tokens=False) != text:
            raise ValueError("the tokenizer does not give back the text that it read")
        targets = len(tokens) - 1
        nats, done = 0.0, 0
        while done < targets:
            stop = min(targets, done + (self._window // 2 if done else self._window))
            start = max(0, stop - self._window)
            ids = torch.from_numpy(tokens[start : stop + 1].astype(np.int64))
            logits = self._model(input_ids=ids[None, :-1], use_cache=False).logits[0]
            losses = F.cross_entropy(logits.float(), ids[1:], reduction="none")
            nats += float(losses[done - stop :].double().sum())
            done = stop
        return nats


def shared_text(training: Iterable[str], held_out: str, length: int = 64) -> float:
    """The share of the held-out text's `length`-byte stretches that occur in training verbatim."""
    known = np.unique(np.concatenate([_stretches(text, length) for text in training]))
    return float(np.isin(_stretches(held_out, length), known).mean())


def _stretches(text: str, length: int) -> NDArray[np.uint64]:
    """A 64-bit hash of every stretch of `length` bytes (a power of two), by doubling."""
    hashes = np.frombuffer(text.encode(), dtype=np.uint8).astype(np.uint64) + np.uint64(1)
    base, covered = _HASH_BASE, 1
    with np.errstate(over="ignore"):
        while covered < length:
            hashes = hashes[:-covered] * base + hashes[covered:]
            base, covered = base * base, 2 * covered
    return hashes
