"""Unpicked samples of a trained model: fixed prompts, fixed seeds, printed as they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

import torch

PROMPTS = ("Once upon a time", "The old king", '"Where are you going?" said')
TEMPERATURE = 0.8
TOP_K = 40
NEW_TOKENS = 120


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt, the seed, and the whole text, prompt included."""

    prompt: str
    seed: int
    text: str


def draw_samples(model: Any, tokenizer: Tokenizer, each: int) -> list[Sample]:
    """`each` samples of every prompt with seeds 0, 1, 2, ..., by Hugging Face's own `generate`."""
    samples = []
    for seed, prompt in enumerate(prompt for prompt in PROMPTS for _ in range(each)):
        ids = tokenizer.encode(prompt, add_special_tokens=False).ids
        torch.manual_seed(seed)
        # One shape a token: compiling Hugging Face's kernels for each would take minutes.
        with torch.compiler.set_stance("force_eager"):
            tokens = model.generate(
                torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                do_sample=True,
                temperature=TEMPERATURE,
                top_k=TOP_K,
                max_new_tokens=NEW_TOKENS,
                pad_token_id=model.config.eos_token_id,
            )
        samples.append(Sample(prompt, seed, tokenizer.decode(tokens[0].tolist())))
    return samples
