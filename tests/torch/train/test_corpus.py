"""Books held out whole, a reversible tokenizer, batches that depend on (seed, step) only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from requirements import require_module

require_module("torch")

from trine.errors import CheckpointError, UsageError  # noqa: E402
from trine.torch.train import corpus  # noqa: E402


def test_held_out_books_are_in_no_training_text(books: Path) -> None:
    split = corpus.read_books(books, ["t*.txt"])
    assert list(split.training) == ["one.txt"]
    assert list(split.held_out) == ["three.txt", "two.txt"]


def test_a_whole_name_is_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "[a].txt").write_text("y")
    assert list(corpus.read_books(tmp_path, ["[a].txt"]).held_out) == ["[a].txt"]
    assert list(corpus.read_books(tmp_path, ["[ab].txt"]).held_out) == ["a.txt"]


@pytest.mark.parametrize(
    ("files", "held_out", "message"),
    [
        ({}, [], "there is none"),
        ({"a.txt": b""}, [], "empty or all held out"),
        ({"a.txt": b"x"}, ["*"], "empty or all held out"),
        ({"a.txt": b"x"}, ["b.txt"], r"'b.txt' matches no .txt file"),
        ({"a.txt": b"\xff\xfe"}, [], "not UTF-8"),
    ],
)
def test_unusable_data_is_one_line(
    tmp_path: Path, files: dict[str, bytes], held_out: list[str], message: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        corpus.read_books(tmp_path, held_out)


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        corpus.read_books(tmp_path / "none", [])


def test_the_tokenizer_gives_back_any_text(books: Path) -> None:
    tokenizer = corpus.train_tokenizer([(books / "one.txt").read_text()], 300)
    assert tokenizer.get_vocab_size() == 300
    assert tokenizer.token_to_id(corpus.END_OF_TEXT) == 0
    for text in ("bana derolu.", "ünïcode \u2603 \n\t two  spaces ", "\x00\x7f"):
        ids = tokenizer.encode(text).ids
        assert tokenizer.decode(ids) == text


def test_a_damaged_tokenizer_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{")
    with pytest.raises(CheckpointError, match="cannot read"):
        corpus.load_tokenizer(path)


def test_an_epoch_deals_every_window_once_and_the_next_one_otherwise() -> None:
    tokens = np.arange(1000, dtype=np.int32)
    windows = corpus.Windows(tokens, batch=1, window=10, seed=0)
    epochs = [
        [windows.batch(epoch * windows.per_epoch + i)[0] for i in range(windows.per_epoch)]
        for epoch in range(2)
    ]
    for rows in epochs:
        starts = sorted(int(row[0]) for row in rows)
        assert np.array_equal(np.diff(starts), np.full(windows.per_epoch - 1, 10))
        assert all(np.array_equal(row, np.arange(row[0], row[0] + 11)) for row in rows)
    assert [int(row[0]) for row in epochs[0]] != [int(row[0]) for row in epochs[1]]


def test_a_batch_does_not_depend_on_those_before_it() -> None:
    tokens = np.arange(500, dtype=np.int32)
    walked = corpus.Windows(tokens, batch=3, window=20, seed=1)
    batches = [walked.batch(step) for step in range(30)]
    fresh = corpus.Windows(tokens, batch=3, window=20, seed=1)
    assert np.array_equal(fresh.batch(17), batches[17])
    other = corpus.Windows(tokens, batch=3, window=20, seed=2)
    assert not np.array_equal(other.batch(17), batches[17])


def test_too_little_text_is_one_line() -> None:
    with pytest.raises(UsageError, match="at least 41 are needed"):
        corpus.Windows(np.zeros(40, np.int32), batch=1, window=20, seed=0)
    corpus.Windows(np.zeros(41, np.int32), batch=1, window=20, seed=0).batch(0)
