"""From what a user asked for to a `Run`: data, tokenizer, networks, folder, checks first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from tokenizers import Tokenizer

from trine.checkpoint import Checkpoint, ModelConfig
from trine.errors import CheckpointError, OutOfMemory, UsageError
from trine.torch.train import folder as files
from trine.torch.train.corpus import (
    Books,
    Windows,
    digest,
    encode,
    load_tokenizer,
    read_books,
    train_tokenizer,
)
from trine.torch.train.loop import Run
from trine.torch.train.network import load_network, memory_needed, new_network
from trine.torch.train.recipe import Recipe
from trine.torch.train.state import load_state

# Enough held-out windows that a step of the curve is not noise, few enough to cost under 1 %.
VALIDATION_WINDOWS = 16
# Tokens: a longer context costs attention time that a short training does not repay.
LONGEST_WINDOW = 512


@dataclass(frozen=True, slots=True)
class Request:
    """What a new run is asked to be; `start` is the checkpoint to fine-tune, None: new weights."""

    data: Path
    out: Path
    steps: int
    seed: int
    batch: int
    peak_lr: float
    twin: bool
    held_out: Sequence[str]
    # The geometry and the vocabulary size of new weights.
    model: ModelConfig
    start: Checkpoint | None = None


def start_run(request: Request) -> Run:
    """A new run, saved at step 0, so that it can be resumed whenever it is killed.

    Raises UsageError for data or a checkpoint that cannot be trained on, OutOfMemory.
    """
    if request.start is not None and request.twin:
        raise UsageError("a float twin is trained from new weights; leave out --twin or --model")
    books = read_books(request.data, request.held_out)
    config = request.model if request.start is None else request.start.config
    window = min(LONGEST_WINDOW, config.context)
    _require_memory(config, request.batch, window, networks=2 if request.twin else 1)
    if request.start is None:
        tokenizer = _new_tokenizer(books, config)
        networks = _new_networks(config, request.seed, twin=request.twin)
    else:
        tokenizer = load_tokenizer(_tokenizer_of(request.start))
        networks = {"ternary": load_network(request.start)}
    tokens = _training_tokens(tokenizer, books, config)
    recipe = Recipe(
        model=config,
        steps=request.steps,
        seed=request.seed,
        batch=request.batch,
        window=window,
        peak_lr=request.peak_lr,
        twin=request.twin,
        start=None if request.start is None else request.start.provenance.id,
        held_out=tuple(books.held_out),
        data=digest(tokens),
    )
    run_folder = files.RunFolder(request.out)
    run = _assemble(recipe, networks, tokens, tokenizer, books, run_folder)
    # Last, so that a refusal leaves nothing behind.
    _fill(run_folder, run, tokenizer, request.start)
    return run


def _fill(
    run_folder: files.RunFolder, run: Run, tokenizer: Tokenizer, start: Checkpoint | None
) -> None:
    try:
        run_folder.training.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make {run_folder.training}: {error.strerror}") from None
    for name, model in run.networks.items():
        directory = run_folder.directory(name)
        if start is None:
            files.write_tokenizer(directory, tokenizer, run.recipe.model.context)
        else:
            files.copy_tokenizer(_tokenizer_of(start).parent, directory)
        files.write_config(directory, model)
    files.write_json(run_folder.recipe, run.recipe.to_dict())
    run.save()


def resume_run(data: Path, out: Path, asked: Mapping[str, Any]) -> Run:
    """The run that `out` holds, at its last saved step; `asked` are recipe values it must have.

    Raises UsageError when there is no run or it is another one, CheckpointError, OutOfMemory.
    """
    run_folder = files.RunFolder(out)
    if not run_folder.state.is_file():
        raise UsageError(f"{out} holds no checkpoint to resume; leave out --resume")
    state = load_state(run_folder.state)
    recipe = Recipe.from_dict(state["recipe"])
    recipe.require(asked)
    books = read_books(data, recipe.held_out)
    networks_wanted = 2 if recipe.twin else 1
    _require_memory(recipe.model, recipe.batch, recipe.window, networks=networks_wanted)
    tokenizer = load_tokenizer(run_folder.tokenizer)
    tokens = _training_tokens(tokenizer, books, recipe.model)
    if digest(tokens) != recipe.data:
        raise UsageError(
            f"the training text in {data} is not what {out} was trained on; restore it, or start "
            f"anew with another --out"
        )
    networks = _new_networks(recipe.model, recipe.seed, twin=recipe.twin)
    run = _assemble(recipe, networks, tokens, tokenizer, books, run_folder)
    run.restore(state)
    return run


def _assemble(
    recipe: Recipe,
    networks: Mapping[str, Any],
    tokens: NDArray[np.int32],
    tokenizer: Tokenizer,
    books: Books,
    run_folder: files.RunFolder,
) -> Run:
    windows = Windows(tokens, batch=recipe.batch, window=recipe.window, seed=recipe.seed)
    held_out = encode(tokenizer, books.held_out.values(), separator(recipe.model))
    return Run(recipe, networks, windows, _validation(held_out, recipe.window), run_folder)


def _new_tokenizer(books: Books, config: ModelConfig) -> Tokenizer:
    tokenizer = train_tokenizer(books.training.values(), config.vocab_size)
    if tokenizer.get_vocab_size() < config.vocab_size:
        raise UsageError(
            f"the training text yields only {tokenizer.get_vocab_size()} tokens of a vocabulary "
            f"of {config.vocab_size}; give more text"
        )
    return tokenizer


def _new_networks(config: ModelConfig, seed: int, *, twin: bool) -> dict[str, Any]:
    networks = {"ternary": new_network(config, ternary=True, seed=seed)}
    if twin:
        networks["float"] = new_network(config, ternary=False, seed=seed)
    return networks


def _training_tokens(tokenizer: Tokenizer, books: Books, config: ModelConfig) -> NDArray[np.int32]:
    tokens = encode(tokenizer, books.training.values(), separator(config))
    if int(tokens.max()) >= config.vocab_size:
        raise CheckpointError(
            f"the tokenizer gives id {int(tokens.max())}, the model knows {config.vocab_size}"
        )
    return tokens


def _validation(held_out: NDArray[np.int32], window: int) -> NDArray[np.int64] | None:
    """Windows spread evenly over the held-out text; None when it is shorter than one."""
    starts = range(0, len(held_out) - window, window)
    if not starts:
        return None
    chosen = np.linspace(0, len(starts) - 1, min(VALIDATION_WINDOWS, len(starts))).astype(int)
    rows = [held_out[starts[i] : starts[i] + window + 1] for i in chosen]
    return np.stack(rows).astype(np.int64)


def separator(config: ModelConfig) -> int:
    """The token between two books: the first end-of-text token; UsageError without one."""
    end = config.eos_token_id
    first = end[0] if isinstance(end, list) else end
    if first is None:
        raise UsageError("the checkpoint names no eos_token_id, which stands between two books")
    return first


def _tokenizer_of(checkpoint: Checkpoint) -> Path:
    if checkpoint.tokenizer_file is None:
        raise UsageError(f"{checkpoint.provenance.id} has no tokenizer.json to read text with")
    return checkpoint.tokenizer_file


def _require_memory(config: ModelConfig, batch: int, window: int, *, networks: int) -> None:
    needed = memory_needed(config, batch=batch, window=window, networks=networks)
    free = psutil.virtual_memory().available
    if needed > free:
        raise OutOfMemory(
            f"training {config.parameters() / 1e6:.1f} M parameters with batches of {batch} x "
            f"{window} tokens needs {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; use a "
            f"smaller --batch"
        )
