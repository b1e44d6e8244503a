"""Choosing the next token from logits.

The steps and their order are those of Hugging Face's `generate`: repetition penalty, temperature,
top-k, top-p, min-p. The arithmetic is float64, and one random number is drawn a token, so that the
choice depends on logits, settings and seed alone.
"""

from __future__ import annotations

import dataclasses
import math
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trine.errors import CheckpointError, UsageError

# Sorting a whole vocabulary costs more than the lm_head of a small model; these rows nearly always
# hold the mass that top-p asks for.
_LIKELIEST = 1024
_RANGES: Mapping[str, tuple[Callable[[float], bool], str]] = MappingProxyType(
    {
        "temperature": (lambda value: 0 <= value < math.inf, "0 or more"),
        "top_p": (lambda value: 0 < value <= 1, "above 0 and at most 1"),
        "min_p": (lambda value: 0 <= value <= 1, "0 to 1"),
        "repetition_penalty": (lambda value: 0 < value < math.inf, "above 0"),
    }
)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a token is chosen. Temperature 0 is greedy: the largest logit, the smallest id of equals.

    top_k: only the k largest logits (0: all). top_p: the fewest tokens that hold this probability.
    min_p: tokens with at least this share of the best one's probability. repetition_penalty: what
    the logit of a token that is in the text already is divided by (multiplied, below zero).
    seed: None draws another one each time. Raises UsageError for a value out of range.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        for name, (legal, range_) in _RANGES.items():
            value = getattr(self, name)
            if type(value) not in (int, float) or not legal(value):
                raise UsageError(f"{name} must be {range_}, not {value!r}")
        for name in ("top_k", "seed"):
            value = getattr(self, name)
            if not (type(value) is int and value >= 0) and not (name == "seed" and value is None):
                raise UsageError(f"{name} must be a whole number, not {value!r}")
        if self.temperature == 0 and (self.top_k or self.top_p < 1 or self.min_p):
            raise UsageError(
                "top_k, top_p and min_p choose among likely tokens, and temperature 0 takes the "
                "likeliest; give a temperature above 0, or leave them out"
            )

    @classmethod
    def of_model(cls, generation: Mapping[str, Any], **asked: float | None) -> Sampling:
        """What was asked for (not None), and for the rest what generation_config.json recommends.

        Without `do_sample` the recommendation is greedy; a temperature asked for makes it sample.
        """
        given = {name: value for name, value in asked.items() if value is not None}
        recommended = {
            name: generation[name] for name in _RANGES if generation.get(name) is not None
        }
        recommended |= {"top_k": generation["top_k"]} if generation.get("top_k") else {}
        if generation.get("do_sample"):
            recommended = {"temperature": 1.0} | recommended
        elif "temperature" not in given:
            recommended = _greedy(recommended)
        try:
            cls(**recommended)
        except UsageError as error:
            raise CheckpointError(f"generation_config.json: {error}") from None
        if given.get("temperature") == 0:
            recommended = _greedy(recommended)
        return cls(**(recommended | given))

    def seeded(self) -> Sampling:
        """The same with a seed, so that it can be repeated."""
        if self.seed is not None:
            return self
        return dataclasses.replace(self, seed=secrets.randbits(32))


class Sampler:
    """Chooses the tokens of one text."""

    def __init__(self, settings: Sampling) -> None:
        self.settings = settings
        self._random = np.random.default_rng(settings.seed)

    def choose(self, logits: NDArray[np.float32], seen: Collection[int]) -> int:
        """The next token's id, from logits [vocabulary]; -inf marks tokens that cannot be.

        seen: ids that the repetition penalty is for. Raises CheckpointError for NaN or +inf among
        the logits, or none that is finite.
        """
        scores = process(logits, seen, self.settings)
        if self.settings.temperature == 0:
            return int(scores.argmax())
        kept = np.flatnonzero(scores > -np.inf)
        weights = np.exp(scores[kept] - scores[kept].max())
        cumulative = weights.cumsum()
        drawn = self._random.random() * cumulative[-1]
        # Rounding can give the sum itself, which is beyond the last token.
        index = min(int(cumulative.searchsorted(drawn, side="right")), len(kept) - 1)
        return int(kept[index])


def process(
    logits: NDArray[np.float32], seen: Collection[int], settings: Sampling
) -> NDArray[np.float64]:
    """Scores [vocabulary], -inf for a token that is left out: HF's processors and warpers."""
    best = logits.max()
    if not np.isfinite(best):
        kind = "NaN among" if np.isnan(best) else f"{best} as the largest of"
        raise CheckpointError(
            f"the model gives {kind} its logits, so there is no next token; check its weights "
            f"(trine inspect)"
        )
    scores: NDArray[np.float64] = logits.astype(np.float64)
    if settings.repetition_penalty != 1 and seen:
        ids = np.fromiter(set(seen), dtype=np.int64)
        penalty = settings.repetition_penalty
        scores[ids] = np.where(scores[ids] < 0, scores[ids] * penalty, scores[ids] / penalty)
    if settings.temperature == 0:
        return scores
    scores = (scores - scores.max()) / settings.temperature
    if 0 < settings.top_k < scores.size:
        least = np.partition(scores, -settings.top_k)[-settings.top_k]
        scores[scores < least] = -np.inf
    if settings.top_p < 1:
        _keep_mass(scores, settings.top_p)
    if settings.min_p > 0:
        scores[scores < math.log(settings.min_p)] = -np.inf
    return scores


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Natural logarithms of the probabilities of logits [..., vocabulary], in float64."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


def _keep_mass(scores: NDArray[np.float64], mass: float) -> None:
    """Leave out every token before which the likelier ones hold `mass`; scores are at most 0."""
    weights = np.exp(scores)
    needed = mass * weights.sum()
    count = min(_LIKELIEST, scores.size)
    likeliest = np.sort(np.argpartition(-scores, count - 1)[:count])
    if weights[likeliest].sum() < needed:
        likeliest = np.arange(scores.size)
    order = likeliest[np.argsort(-scores[likeliest], kind="stable")]
    before = np.concatenate([[0.0], weights[order].cumsum()[:-1]])
    kept = order[before < needed]
    left = scores[kept]
    scores[:] = -np.inf
    scores[kept] = left


def _greedy(recommended: Mapping[str, Any]) -> dict[str, Any]:
    """What of a recommendation counts where nothing is drawn."""
    return {name: value for name, value in recommended.items() if name == "repetition_penalty"}
