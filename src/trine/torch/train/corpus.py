"""From a folder of books to batches: whole books held out, one token stream, seeded windows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from trine.errors import CheckpointError, UsageError

# Stands between books, so a model learns it as the start and the end of one.
END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True, slots=True)
class Books:
    """File name -> text, for training and for judging; no book is in both."""

    training: Mapping[str, str]
    held_out: Mapping[str, str]


def read_books(folder: Path, held_out: Sequence[str]) -> Books:
    """Every *.txt of a folder in the order of their names; `held_out` are patterns of names.

    Raises UsageError when there is nothing to train on, when a pattern matches no file, or when a
    file is no UTF-8 text.
    """
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}: give a folder of .txt files, one book a file")
    paths = sorted(folder.glob("*.txt"))
    texts = {path.name: _read(path) for path in paths}
    judged = set()
    for pattern in held_out:
        # A resumed run gives whole names, which may hold a pattern's brackets.
        whole = pattern in texts
        matched = {pattern} if whole else {name for name in texts if fnmatchcase(name, pattern)}
        if not matched:
            raise UsageError(f"--held-out {pattern!r} matches no .txt file in {folder}")
        judged |= matched
    training = {name: text for name, text in texts.items() if name not in judged and text}
    if not training:
        reason = "there is none" if not paths else "they are empty or all held out"
        raise UsageError(f"{folder} holds no .txt file to train on: {reason}")
    return Books(training, {name: texts[name] for name in sorted(judged)})


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"cannot read {path}: {reason}") from None


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE: all 256 bytes, merges learnt from `texts`, `END_OF_TEXT` as id 0."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer.json; CheckpointError when it is damaged."""
    try:
        return Tokenizer.from_file(str(path))
    # The library raises bare Exception for every kind of damage.
    except Exception as error:
        raise CheckpointError(f"cannot read {path}: {error}") from None


def encode(tokenizer: Tokenizer, texts: Iterable[str], separator: int) -> NDArray[np.int32]:
    """One stream: `separator`, the ids of the first text, `separator`, the second, ..."""
    pieces = [np.array([separator], dtype=np.int32)]
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        pieces += [np.array(ids, dtype=np.int32), pieces[0]]
    return np.concatenate(pieces)


def digest(tokens: NDArray[np.int32]) -> str:
    """SHA-256 of a token stream, by which a resumed run knows its data."""
    return hashlib.sha256(tokens.astype("<i4").tobytes()).hexdigest()


class Windows:
    """Batches int64 [batch, window + 1] out of a stream; each depends on (seed, step) only.

    An epoch cuts the stream into windows from a random offset below `window` and deals them in a
    random order, so that a resumed run goes on with exactly the batches it would have seen.
    """

    def __init__(self, tokens: NDArray[np.int32], *, batch: int, window: int, seed: int) -> None:
        self.per_epoch = (len(tokens) - 1) // window - 1
        if self.per_epoch < 1:
            raise UsageError(
                f"the training text is {len(tokens)} tokens; at least {2 * window + 1} are needed "
                f"for windows of {window}"
            )
        self._tokens = tokens
        self._batch = batch
        self._window = window
        self._seed = seed
        self._dealt: tuple[int, int, NDArray[np.int64]] | None = None

    def batch(self, step: int) -> NDArray[np.int64]:
        """The windows of one step; a window's last token is only a target."""
        first = step * self._batch
        rows = [self._row(index) for index in range(first, first + self._batch)]
        return np.stack(rows).astype(np.int64)

    def _row(self, index: int) -> NDArray[np.int32]:
        epoch, position = divmod(index, self.per_epoch)
        if self._dealt is None or self._dealt[0] != epoch:
            random = np.random.default_rng([self._seed, epoch])
            offset = int(random.integers(self._window))
            self._dealt = epoch, offset, random.permutation(self.per_epoch)
        _, offset, order = self._dealt
        start = offset + int(order[position]) * self._window
        return self._tokens[start : start + self._window + 1]
