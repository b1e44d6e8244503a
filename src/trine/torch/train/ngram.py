"""Byte unigram and bigram models: what a language model must beat before it has learnt a word."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_BYTES = 256


class ByteBigram:
    """P(byte | byte before it), counted; a pair's count is joined by one of the unigram's mass.

    `order` 1 is the unigram itself, with one added to each count.
    """

    def __init__(self, texts: Iterable[str], order: int) -> None:
        single = np.ones(_BYTES)
        pairs = np.zeros((_BYTES, _BYTES))
        for text in texts:
            data = _bytes(text)
            single += np.bincount(data, minlength=_BYTES)
            np.add.at(pairs, (data[:-1], data[1:]), 1)
        self._unigram = single / single.sum()
        self._bigram = (pairs + self._unigram) / (pairs.sum(axis=1, keepdims=True) + 1)
        self._order = order

    def __call__(self, text: str) -> float:
        """Nats of all bytes of a text; the first byte has nothing before it."""
        data = _bytes(text)
        if self._order == 1:
            return -float(np.log(self._unigram[data]).sum())
        first = np.log(self._unigram[data[:1]]).sum()
        return -float(first + np.log(self._bigram[data[:-1], data[1:]]).sum())


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)
