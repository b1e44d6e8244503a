"""Sampling: element by element Hugging Face's processors, and the distribution they describe."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from requirements import require_module
from trine.errors import CheckpointError, UsageError
from trine.model.sampling import Sampler, Sampling, log_softmax, process

VOCABULARY = 3000
SETTINGS = [
    Sampling(),
    Sampling(repetition_penalty=1.3),
    Sampling(temperature=0.7),
    Sampling(temperature=1.5, top_k=40),
    Sampling(temperature=1.0, top_k=VOCABULARY * 2),
    Sampling(temperature=1.0, top_p=0.9),
    Sampling(temperature=3.0, top_p=0.999),
    Sampling(temperature=1.0, min_p=0.05),
    Sampling(temperature=0.8, top_k=50, top_p=0.95, min_p=0.02, repetition_penalty=1.1),
    Sampling(temperature=0.8, top_p=0.95, repetition_penalty=0.8),
]


def logits(seed: int, scale: float = 3.0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, scale, VOCABULARY).astype(np.float32)


def hugging_face(settings: Sampling, seen: list[int], values: NDArray[np.float32]) -> Any:
    """The scores of `generate`'s own list of processors, in its own order."""
    torch = require_module("torch")
    from transformers import GenerationConfig
    from transformers.generation import GenerationMixin

    config = GenerationConfig(
        do_sample=settings.temperature > 0,
        repetition_penalty=settings.repetition_penalty,
        pad_token_id=0,
        **(
            {
                "temperature": settings.temperature,
                "top_k": settings.top_k,
                "top_p": settings.top_p,
                "min_p": settings.min_p or None,
            }
            if settings.temperature > 0
            else {}
        ),
    )
    config.num_beams = 1
    mixin = GenerationMixin()
    mixin.config = SimpleNamespace(is_encoder_decoder=False)
    processors = mixin._get_logits_processor(config, input_ids_seq_length=len(seen))
    ids = torch.tensor([seen])
    # float64 so that a cut through equal sums is not decided by rounding.
    return processors(ids, torch.from_numpy(values.astype(np.float64))[None])[0].numpy()


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_scores_are_hugging_faces(settings: Sampling) -> None:
    seen = [5, 17, 17, 900]
    for seed in range(5):
        values = logits(seed)
        values[seed] = -np.inf  # as a screened head marks most tokens
        ours, theirs = process(values, seen, settings), hugging_face(settings, seen, values)
        assert (np.isfinite(ours) == np.isfinite(theirs)).all()
        kept = np.isfinite(ours)
        shift = ours[kept].max() - theirs[kept].max()  # scores count up to a constant
        np.testing.assert_allclose(ours[kept] - shift, theirs[kept], rtol=0, atol=1e-9)


def test_draws_follow_the_distribution() -> None:
    values = np.array([2.0, 1.0, 0.0, -1.0, -np.inf, 1.0], dtype=np.float32)
    settings = Sampling(temperature=0.9, top_p=0.97, seed=3)
    scores = process(values, [], settings)
    expected = np.exp(scores) / np.exp(scores).sum()
    sampler = Sampler(settings)
    drawn = np.bincount([sampler.choose(values, []) for _ in range(8_000)], minlength=6)
    assert drawn[expected == 0].sum() == 0
    kept = expected > 0
    # Chi-square with 3 degrees of freedom (4 of 6 tokens are kept): 16.3 is exceeded once in 1,000.
    assert kept.sum() == 4
    square = ((drawn[kept] - 8_000 * expected[kept]) ** 2 / (8_000 * expected[kept])).sum()
    assert square < 16.3


def test_the_likeliest_of_a_large_vocabulary_are_found_without_sorting_it_all() -> None:
    """Both ways of `top_p`: the mass in the likeliest 1,024, and spread over all."""
    for scale, fewest, most in ((3.0, 2, 1024), (0.01, 1025, VOCABULARY)):
        values = logits(1, scale)
        scores = process(values, [], Sampling(temperature=1.0, top_p=0.9))
        kept = np.flatnonzero(np.isfinite(scores))
        assert fewest <= len(kept) <= most
        probabilities = np.exp(log_softmax(values))
        order = np.argsort(-probabilities)
        assert set(kept) == set(order[: len(kept)])
        mass = probabilities[order].cumsum()
        assert mass[len(kept) - 1] >= 0.9 > mass[len(kept) - 2]


def test_the_same_seed_draws_the_same_and_another_one_does_not() -> None:
    def draws(seed: int) -> list[int]:
        sampler = Sampler(Sampling(temperature=1.0, seed=seed))
        return [sampler.choose(logits(step), []) for step in range(20)]

    assert draws(1) == draws(1) != draws(2)
    assert Sampling(temperature=1.0).seeded() != Sampling(temperature=1.0).seeded()
    assert Sampling(seed=0).seeded().seed == 0


def test_greedy_takes_the_smallest_of_equal_ids() -> None:
    values = np.zeros(8, dtype=np.float32)
    values[[3, 6]] = 1
    assert Sampler(Sampling()).choose(values, []) == 3
    assert Sampler(Sampling(repetition_penalty=2.0)).choose(values, [3]) == 6


def test_a_very_low_temperature_is_greedy_and_does_not_overflow() -> None:
    sampler = Sampler(Sampling(temperature=1e-300, seed=0))
    assert sampler.choose(logits(0), []) == int(logits(0).argmax())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_an_error(value: float) -> None:
    values = logits(0)
    values[7] = value
    for settings in (Sampling(), Sampling(temperature=1.0)):
        with pytest.raises(CheckpointError, match="no next token"):
            Sampler(settings).choose(values, [])
    with pytest.raises(CheckpointError, match="-inf as the largest"):
        Sampler(Sampling()).choose(np.full(4, -np.inf, dtype=np.float32), [])


def test_the_models_recommendation_counts_where_nothing_was_asked() -> None:
    recommended = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "eos_token_id": [1]}
    assert Sampling.of_model(recommended) == Sampling(temperature=0.6, top_p=0.9)
    assert Sampling.of_model(recommended, temperature=1.0, top_k=5, seed=1) == Sampling(
        temperature=1.0, top_p=0.9, top_k=5, seed=1
    )
    assert Sampling.of_model({"do_sample": True}) == Sampling(temperature=1.0)
    # Greedy leaves out what only sampling uses.
    assert Sampling.of_model(recommended, temperature=0) == Sampling(temperature=0)
    ignored = {"do_sample": False, "top_k": 50, "repetition_penalty": 1.2}
    assert Sampling.of_model(ignored) == Sampling(repetition_penalty=1.2)
    assert Sampling.of_model({}, temperature=0.5) == Sampling(temperature=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "temperature must be 0 or more, not -1"),
        ({"temperature": float("nan")}, "temperature must be"),
        ({"temperature": "hot"}, "temperature must be 0 or more, not 'hot'"),
        ({"temperature": True}, "temperature must be"),
        ({"temperature": 1, "top_p": 0}, "top_p must be above 0"),
        ({"temperature": 1, "top_p": 1.5}, "top_p must be above 0 and at most 1"),
        ({"temperature": 1, "min_p": 2}, "min_p must be 0 to 1"),
        ({"temperature": 1, "top_k": -1}, "top_k must be a whole number"),
        ({"temperature": 1, "top_k": 1.5}, "top_k must be a whole number"),
        ({"repetition_penalty": 0}, "repetition_penalty must be above 0"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"top_k": 5}, "temperature 0 takes the likeliest"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Sampling(**options)
    with pytest.raises(UsageError, match=message):
        Sampling.of_model({}, **options)


def test_a_recommendation_that_cannot_be_is_the_files_fault() -> None:
    with pytest.raises(CheckpointError, match=r"generation_config\.json: top_p must be"):
        Sampling.of_model({"do_sample": True, "top_p": 7})
