"""The training loop: plain AdamW steps on one or two networks, checkpoints between them.

Bit for bit repeatable: a step depends on the recipe and on the state before it, on nothing else,
so that a run that was killed and resumed writes the losses of one that was not.
"""

from __future__ import annotations

import contextlib
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.nn import functional as F

import torch
from trine.errors import OutOfMemory, TrineError
from trine.torch.train import folder as files
from trine.torch.train.corpus import Windows
from trine.torch.train.network import make_optimizer
from trine.torch.train.recipe import GRADIENT_CLIP, Recipe
from trine.torch.train.state import replacing, save_state

VALIDATE_EVERY = 250
SAVE_EVERY_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One line of the log. Losses in nats a token by network; `step` counts from 1."""

    step: int
    loss: Mapping[str, float]
    validation: Mapping[str, float] | None
    learning_rate: float
    weight_decay: float
    gradient_norm: Mapping[str, float]
    seconds: float
    tokens_per_second: float


class Run:
    """Networks by name ("ternary", "float"), their optimizers, and the steps that are done.

    `validation` is int64 [windows, window + 1] of held-out text, or None.
    """

    def __init__(
        self,
        recipe: Recipe,
        networks: Mapping[str, Any],
        windows: Windows,
        validation: NDArray[np.int64] | None,
        folder: files.RunFolder,
    ) -> None:
        self.recipe = recipe
        self.networks = networks
        self.step = 0
        # The step that a resumed run would go on from.
        self.saved_step = 0
        self._optimizers = {name: make_optimizer(model) for name, model in networks.items()}
        self._windows = windows
        self._validation = validation
        self._folder = folder

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state of this recipe; log lines after it are dropped."""
        for name, model in self.networks.items():
            saved = state["networks"][name]
            for parameter_name, parameter in model.named_parameters():
                parameter.copy_(saved[parameter_name])
            self._optimizers[name].load_state_dict(state["optimizers"][name])
        self.step = self.saved_step = state["step"]
        _cut_log(self._folder, self.step)

    def train(
        self,
        on_step: Callable[[StepRecord], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        save_every: float = SAVE_EVERY_SECONDS,
    ) -> None:
        """Run the remaining steps; save every `save_every` seconds and at the end.

        Ctrl-C or SIGTERM ends the current step, saves, and raises KeyboardInterrupt. Raises
        TrineError naming the step whose loss or gradient is not finite, OutOfMemory; in both cases
        the last saved state stays.
        """
        saved_at = clock()
        with _deterministic(), _stop_requests() as stop, self._folder.log.open("a") as log:
            while self.step < self.recipe.steps and not stop.is_set():
                record = self._one_step(clock)
                log.write(json.dumps(asdict(record)) + "\n")
                log.flush()
                on_step(record)
                if clock() - saved_at >= save_every:
                    self.save()
                    saved_at = clock()
            self.save()
        if self.step < self.recipe.steps:
            raise KeyboardInterrupt

    def save(self) -> None:
        """Write each network as its Hugging Face directory's weights, then the state.

        In this order a kill between the two costs the steps since the last state, and the
        directory of a run that is done can never be older than its state.
        """
        for name, model in self.networks.items():
            files.write_weights(self._folder.directory(name), model)
        state = {
            "step": self.step,
            "recipe": self.recipe.to_dict(),
            "networks": {name: _weights(model) for name, model in self.networks.items()},
            "optimizers": {name: o.state_dict() for name, o in self._optimizers.items()},
        }
        save_state(self._folder.state, state)
        self.saved_step = self.step

    def _one_step(self, clock: Callable[[], float]) -> StepRecord:
        start = clock()
        rate = self.recipe.learning_rate(self.step)
        decay = self.recipe.weight_decay(self.step)
        tokens = torch.from_numpy(self._windows.batch(self.step))
        losses: dict[str, float] = {}
        norms: dict[str, float] = {}
        with _out_of_memory(self.recipe):
            for name, model in self.networks.items():
                losses[name], norms[name] = self._update(name, model, tokens, rate, decay)
        self.step += 1
        seconds = clock() - start
        trained = tokens.shape[0] * (tokens.shape[1] - 1) * len(self.networks)
        return StepRecord(
            step=self.step,
            loss=losses,
            validation=self._validate(),
            learning_rate=rate,
            weight_decay=decay,
            gradient_norm=norms,
            seconds=seconds,
            tokens_per_second=trained / seconds if seconds > 0 else math.inf,
        )

    def _update(
        self, name: str, model: Any, tokens: torch.Tensor, rate: float, decay: float
    ) -> tuple[float, float]:
        """One AdamW step of one network; its loss in nats a token and its gradient norm."""
        optimizer = self._optimizers[name]
        for group in optimizer.param_groups:
            group["lr"] = rate
            group["weight_decay"] = decay if group["decays"] else 0.0
        optimizer.zero_grad(set_to_none=True)
        loss = next_token_loss(model, tokens)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_CLIP)
        figures = loss.item(), norm.item()
        if not all(map(math.isfinite, figures)):
            raise TrineError(
                f"step {self.step + 1}: the {name} network's loss is {figures[0]:g} and its "
                f"gradient norm {figures[1]:g}; stopped; the checkpoint of "
                f"step {self.saved_step} is kept in {self._folder.root}; try a smaller --lr"
            )
        optimizer.step()
        return figures

    @torch.no_grad()
    def _validate(self) -> dict[str, float] | None:
        due = self.step % VALIDATE_EVERY == 0 or self.step == self.recipe.steps
        if self._validation is None or not due:
            return None
        result = {}
        for name, model in self.networks.items():
            model.eval()
            batches = torch.split(torch.from_numpy(self._validation), self.recipe.batch)
            losses = [float(next_token_loss(model, batch)) * len(batch) for batch in batches]
            result[name] = sum(losses) / len(self._validation)
            model.train()
        return result


def _weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def next_token_loss(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy in nats of int64 tokens [batch, window + 1], each from those before it."""
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    return F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())


def read_log(folder: files.RunFolder) -> list[dict[str, Any]]:
    """The log's records, none before the first step; a line that a kill cut short is left out."""
    records: list[dict[str, Any]] = []
    if not folder.log.exists():
        return records
    for line in folder.log.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


def _cut_log(folder: files.RunFolder, step: int) -> None:
    kept = [record for record in read_log(folder) if record["step"] <= step]
    with replacing(folder.log) as aside:
        aside.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")


@contextlib.contextmanager
def _deterministic() -> Iterator[None]:
    """Keep Inductor from replacing the kernel of a known shape by one for any shape.

    Hugging Face compiles the quantisation of weights and activations. By default a second shape
    makes a kernel of dynamic shape that takes over the first one's work, and a resumed run meets
    the shapes in another history. Where both were compared they gave the same bits (torch 2.13,
    AVX2), but nothing promises it.
    """
    with torch._dynamo.config.patch(automatic_dynamic_shapes=False, recompile_limit=64):
        yield


@contextlib.contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second one acts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def request(number: int, frame: FrameType | None) -> None:
        stop.set()
        for known, handler in before.items():
            signal.signal(known, handler)

    for number in numbers:
        signal.signal(number, request)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _out_of_memory(recipe: Recipe) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch's CPU allocator raises a plain RuntimeError.
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        raise OutOfMemory(
            f"out of memory in a step of {recipe.batch} windows of {recipe.window} tokens; "
            f"use a smaller --batch"
        ) from None
