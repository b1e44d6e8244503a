"""A geometry, a corpus and a request that train in a second."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from requirements import require_module

torch = require_module("torch")

from trine.checkpoint.config import ModelConfig  # noqa: E402
from trine.torch.train.prepare import Request  # noqa: E402

# K = 72 is no multiple of 32 or 40, as in the model that ships.
SMALL = ModelConfig(
    vocab_size=300,
    hidden_size=72,
    intermediate_size=76,
    layers=2,
    heads=2,
    kv_heads=1,
    head_dim=36,
    context=32,
    rope_theta=10000.0,
    rms_norm_eps=1e-5,
    tied_embeddings=True,
    bos_token_id=0,
    eos_token_id=0,
)


def write_book(path: Path, *, words: int, seed: int) -> Path:
    """Invented words by a seeded draw, as text with sentences; large enough for merges."""
    random = np.random.default_rng(seed)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er")]
    known = ["".join(random.choice(syllables, size=n)) for n in random.integers(1, 4, size=800)]
    text = " ".join(random.choice(known, size=words))
    path.write_text(text + ".\n", encoding="utf-8")
    return path


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A folder of three books."""
    folder = tmp_path / "books"
    folder.mkdir()
    for seed, name in enumerate(("one.txt", "three.txt", "two.txt")):
        write_book(folder / name, words=1500, seed=seed)
    return folder


@pytest.fixture
def request_(books: Path, tmp_path: Path) -> Request:
    """Eight steps with a twin; two.txt is held out."""
    return Request(
        data=books,
        out=tmp_path / "run",
        steps=8,
        seed=3,
        batch=2,
        peak_lr=2e-3,
        twin=True,
        held_out=["two.txt"],
        model=SMALL,
    )


@pytest.fixture(autouse=True)
def eager() -> Iterator[None]:
    """Hugging Face's compiled kernels run eagerly; test_smoke.py runs them compiled."""
    with torch.compiler.set_stance("force_eager"):
        yield
