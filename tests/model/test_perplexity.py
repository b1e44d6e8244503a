"""Perplexity: the chunks and the averages of llama.cpp's tool, computed here in another way."""

from __future__ import annotations

import math

import numpy as np
import pytest

import trine
from text_models import TEXT, write_text_model
from trine.errors import UsageError
from trine.model import Model
from trine.model.perplexity import Perplexity, perplexity
from trine.model.sampling import log_softmax


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = write_text_model(tmp_path_factory.mktemp("text") / "model")
    return trine.load(str(folder), threads=1, body="2bit", head="float", kv="float32")


def last(model: Model, text: str, **options: int) -> tuple[Perplexity, int]:
    *_, found = perplexity(model, text, **options)
    return found


def test_the_second_half_of_every_chunk_is_scored(model: Model) -> None:
    tokenizer = model.require_tokenizer()
    ids = tokenizer.encode(TEXT)
    context = 40
    losses, scored = [], []
    for start in range(0, len(ids) - context + 1, context):
        chunk = [0, *ids[start + 1 : start + context]]  # BOS in the place of its first token
        logs = log_softmax(model.session().all_logits(chunk))
        for position in range(context // 2, context - 1):
            losses.append(-logs[position, chunk[position + 1]])
            scored.append(chunk[position + 1])
    found, chunks = last(model, TEXT, context=context)
    assert (found.chunks, chunks, found.tokens) == (len(ids) // context,) * 2 + (len(losses),)
    mean = np.mean(losses)
    assert found.perplexity == pytest.approx(math.exp(mean), rel=1e-9)
    error = math.exp(mean) * np.std(losses) / math.sqrt(len(losses) - 1)
    assert found.standard_error == pytest.approx(error, rel=1e-6)
    # All bytes of a byte-level token are its characters'.
    pieces = tokenizer._library.id_to_token
    assert found.bytes == sum(len(pieces(i)) for i in scored)
    per_byte = math.exp(sum(losses) / found.bytes)
    assert found.perplexity_per_byte == pytest.approx(per_byte, rel=1e-9)


def test_more_rows_than_are_scored_at_a_time(model: Model) -> None:
    """A chunk of 300 is scored in three passes: the figures are those of one."""
    found, _ = last(model, TEXT * 2, context=300, chunks=1)
    ids = model.require_tokenizer().encode(TEXT * 2)[:300]
    logs = log_softmax(model.session().all_logits(ids))
    losses = [-logs[i, ids[i + 1]] for i in range(150, 299)]
    assert found.tokens == 149
    assert found.perplexity == pytest.approx(math.exp(np.mean(losses)), rel=1e-9)


def test_the_first_chunks_alone_are_the_first_steps_of_all(model: Model) -> None:
    all_steps = [found for found, _ in perplexity(model, TEXT, context=40)]
    assert last(model, TEXT, context=40, chunks=2) == (all_steps[1], 2)
    assert [found.chunks for found in all_steps] == list(range(1, len(all_steps) + 1))


def test_a_text_that_does_not_come_back_has_no_figure_per_byte(model: Model) -> None:
    # A special token that is written out becomes one, and is not shown.
    found, _ = last(model, TEXT + "<|user|>", context=40)
    assert found.perplexity_per_byte is None and found.perplexity > 1


def test_an_impossible_token_makes_it_infinite() -> None:
    assert Perplexity(1, 2, 4, math.inf, math.inf).perplexity == math.inf
    assert Perplexity(1, 1, 1, 1e6, 1e12).perplexity == math.inf


def test_what_cannot_be_measured_is_refused(model: Model) -> None:
    for context in (3, 4096):
        with pytest.raises(UsageError, match="context must be 4 to 2048"):
            perplexity(model, TEXT, context=context)
    with pytest.raises(UsageError, match="has 2 tokens, and one chunk needs 40"):
        perplexity(model, "a", context=40)
    screened = trine.load("synthetic:tiny", threads=1, body="2bit", head="screened")
    with pytest.raises(UsageError, match="no tokenizer"):
        perplexity(screened, TEXT, context=40)
    screened.tokenizer = model.tokenizer
    with pytest.raises(UsageError, match="screened lm_head gives no logit to most"):
        perplexity(screened, TEXT, context=40)
