"""Perplexity per byte: against figures worked out by hand, for every kind of model."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from requirements import require_module

torch = require_module("torch")

from torch.nn import functional as F  # noqa: E402

from trine.torch.train import samples  # noqa: E402
from trine.torch.train.corpus import encode, load_tokenizer  # noqa: E402
from trine.torch.train.evaluate import LanguageModelScorer, score, shared_text  # noqa: E402
from trine.torch.train.loss_plot import draw  # noqa: E402
from trine.torch.train.ngram import ByteBigram  # noqa: E402
from trine.torch.train.prepare import Request, start_run  # noqa: E402
from trine.torch.train.samples import PROMPTS, draw_samples  # noqa: E402


def test_a_unigram_counts_bytes_with_one_added() -> None:
    unigram = ByteBigram(["aab"], order=1)
    assert unigram("ab") == pytest.approx(-math.log(3 / 259) - math.log(2 / 259))


def test_a_bigram_counts_pairs_and_falls_back_on_the_unigram() -> None:
    bigram = ByteBigram(["aab"], order=2)
    p = {"a": 3 / 259, "b": 2 / 259}
    # After "a": one "a", one "b", and one of the unigram's mass. After "b": the unigram alone.
    expected = p["b"], p["a"], (1 + p["a"]) / 3, (1 + p["b"]) / 3
    assert bigram("baab") == pytest.approx(-sum(map(math.log, expected)))


@pytest.mark.parametrize("order", [1, 2])
def test_probabilities_sum_to_one(order: int) -> None:
    model = ByteBigram(["some text, and some more"], order)
    before = "e" if order == 2 else ""
    nats = [model(before + chr(byte)) - (model(before) if before else 0.0) for byte in range(128)]
    seen = sum(math.exp(-each) for each in nats)
    # The other half of the bytes only occurs in longer UTF-8 sequences; each is as rare as chr(1).
    assert seen + 128 * math.exp(-nats[1]) == pytest.approx(1.0)


def test_scores_add_up_over_books() -> None:
    scores = score({"a": "xx", "b": "yyyy"}, lambda text: 2.0 * len(text))
    assert scores["all"].nats == 12.0
    assert scores["all"].bytes == 6
    assert scores["b"].perplexity == pytest.approx(math.exp(2.0))


def test_perplexity_is_a_byte_and_not_a_character() -> None:
    assert score({"a": "ü"}, lambda text: 1.0)["a"].bytes == 2


def test_every_token_is_predicted_once_with_half_a_window_before_it(request_: Request) -> None:
    run = start_run(request_)
    model = run.networks["float"].eval()
    tokenizer = load_tokenizer(request_.out / "tokenizer.json")
    text = (request_.data / "two.txt").read_text()[:300]
    window = 32
    nats = LanguageModelScorer(model, tokenizer, separator=0, window=window)(text)
    tokens = encode(tokenizer, [text], 0)[:-1].astype(np.int64)
    assert len(tokens) > 3 * window
    expected, position = 0.0, 1
    while position < len(tokens):
        # The naive way: each token of a block from the block's own window.
        stop = min(len(tokens) - 1, window if position == 1 else position - 1 + window // 2)
        start = max(0, stop - window)
        for target in range(position, stop + 1):
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([tokens[start:target].tolist()])).logits
            expected -= float(F.log_softmax(logits[0, -1], dim=-1)[tokens[target]])
        position = stop + 1
    assert nats == pytest.approx(expected, rel=1e-5)


def test_a_short_text_fits_one_window(request_: Request) -> None:
    run = start_run(request_)
    tokenizer = load_tokenizer(request_.out / "tokenizer.json")
    scorer = LanguageModelScorer(run.networks["float"].eval(), tokenizer, separator=0, window=32)
    assert 0 < scorer("ba") < 40


def test_shared_text_counts_verbatim_stretches() -> None:
    held_out = "".join(map(chr, range(32, 127))) + "0123456789"
    assert shared_text(["nothing of the kind" * 9, "x" * 80], held_out) == 0.0
    assert shared_text(["~~" + held_out], held_out) == 1.0
    # 64 of the 105 bytes in common: one stretch of 42.
    assert shared_text(["?" * 70 + held_out[:64]], held_out) == pytest.approx(1 / 42)


def test_samples_depend_on_the_seed_alone(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "NEW_TOKENS", 12)
    run = start_run(dataclasses.replace(request_, twin=False))
    model = run.networks["ternary"].eval()
    tokenizer = load_tokenizer(request_.out / "tokenizer.json")
    first = draw_samples(model, tokenizer, 2)
    assert first == draw_samples(model, tokenizer, 2)
    assert [sample.prompt for sample in first] == [p for p in PROMPTS for _ in range(2)]
    assert all(sample.text.startswith(sample.prompt) for sample in first)
    assert first[0].text != first[1].text


def test_the_plot_is_a_picture(request_: Request) -> None:
    loss = {"ternary": 5.0, "float": 4.9}
    log = [{"step": n + 1, "loss": loss, "validation": None} for n in range(30)]
    log[-1]["validation"] = loss
    path = request_.data / "loss.png"
    draw(log, path)
    assert path.read_bytes().startswith(b"\x89PNG")
