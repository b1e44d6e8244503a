"""The token ids of a run: a prompt through the model's tokenizer, or seeded ids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trine.checkpoint.checkpoint import Checkpoint
from trine.errors import CheckpointError, UsageError


@dataclass(frozen=True, slots=True)
class Tokens:
    """`ids` as the model sees them; `prompt` is the text they came from, None for seeded ids."""

    ids: list[int]
    prompt: str | None


def require_request(*, prompt: str | None, tokens: int | None) -> None:
    """Raise UsageError for what no model could run: both, neither text nor ids, no UTF-8."""
    if prompt is not None and tokens is not None:
        raise UsageError("--prompt and --tokens exclude each other; give one of them")
    if tokens is not None and tokens < 1:
        raise UsageError(f"--tokens must be at least 1, not {tokens}")
    if prompt is not None and not prompt.strip():
        raise UsageError("the prompt is empty; give some text or --tokens N")
    if prompt is not None and any("\ud800" <= character <= "\udfff" for character in prompt):
        raise UsageError("the prompt is not valid UTF-8; check the terminal's encoding")


def make_tokens(
    checkpoint: Checkpoint, *, prompt: str | None, tokens: int | None, decode: int, seed: int = 0
) -> Tokens:
    """Ids for a prefill that leaves room for `decode` steps in the context.

    Exactly one of `prompt` and `tokens` is given. UsageError for an empty prompt, a prompt
    without a tokenizer, no tokens, or more than the context holds.
    """
    config = checkpoint.config
    require_request(prompt=prompt, tokens=tokens)
    if prompt is not None:
        ids = _encode(checkpoint, prompt)
    else:
        count = 3 if tokens is None else tokens
        ids = np.random.default_rng(seed).integers(0, config.vocab_size, size=count).tolist()
    if len(ids) + decode > config.context:
        raise UsageError(
            f"{len(ids)} tokens and {decode} decode steps exceed the context of "
            f"{config.context}; shorten the prompt or --decode"
        )
    if max(ids) >= config.vocab_size:
        raise CheckpointError(
            f"the tokenizer gives id {max(ids)}, the model knows {config.vocab_size}"
        )
    return Tokens(ids, prompt)


def _encode(checkpoint: Checkpoint, prompt: str) -> list[int]:
    if checkpoint.tokenizer_file is None:
        raise UsageError(
            f"{checkpoint.provenance.id} carries no tokenizer, so --prompt has no meaning; "
            f"use --tokens N for seeded token ids"
        )
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(checkpoint.tokenizer_file))
    # The library raises bare Exception for every parse error.
    except Exception as error:
        raise CheckpointError(f"{checkpoint.tokenizer_file} is damaged: {error}") from None
    ids: list[int] = tokenizer.encode(prompt).ids
    if not ids:
        raise UsageError(f"the tokenizer makes no token of {prompt!r}; give another prompt")
    return ids
