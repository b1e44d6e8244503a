"""What a training run is: every number that decides its weights, and the two-stage schedules.

The schedules follow "The Era of 1-bit LLMs: Training Tips, Code and FAQ" (Ma et al., 2024) and the
BitNet b1.58 2B4T report (arXiv 2504.12285, section 3): a high learning rate in the first half, an
abrupt drop at the middle, a fall to zero in the second half; weight decay only in the first half.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trine.checkpoint.config import ModelConfig
from trine.errors import CheckpointError, UsageError

# The published peaks of b1.58: 1.5e-3 falls to 8e-4, then 5e-4 falls to 0. Here as shares of the
# first peak, because a smaller model takes a larger one.
STAGE_ONE_END = 8 / 15
STAGE_TWO_START = 5 / 15
WARMUP_SHARE = 0.02
WEIGHT_DECAY = 0.1
ADAM_BETAS = (0.9, 0.95)
GRADIENT_CLIP = 1.0

# The model that ships. 336 is no multiple of 32 or 40 and 904 is none either, so every kernel and
# every lane count meets its remainder; six query heads share two KV heads.
STORIES = ModelConfig(
    vocab_size=2048,
    hidden_size=336,
    intermediate_size=904,
    layers=4,
    heads=6,
    kv_heads=2,
    head_dim=56,
    context=512,
    rope_theta=10000.0,
    rms_norm_eps=1e-5,
    tied_embeddings=True,
    bos_token_id=0,
    eos_token_id=0,
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A run: `batch` windows of `window` tokens a step, `peak_lr` of AdamW, `held_out` file names.

    `start` names the checkpoint that is fine-tuned (None: new weights from `seed`), `twin` trains
    the float model beside the ternary one, `data` is the SHA-256 of the training tokens.
    """

    model: ModelConfig
    steps: int
    seed: int
    batch: int
    window: int
    peak_lr: float
    twin: bool
    start: str | None
    held_out: tuple[str, ...]
    data: str

    def learning_rate(self, step: int) -> float:
        """The rate of step 0 .. `steps` - 1: warm-up, stage one, abrupt drop, stage two."""
        warmup = int(self.steps * WARMUP_SHARE)
        middle = self.steps // 2
        if step < warmup:
            return self.peak_lr * (step + 1) / (warmup + 1)
        if step < middle:
            done = (step - warmup) / (middle - warmup)
            return self.peak_lr * (1 + done * (STAGE_ONE_END - 1))
        done = (step - middle) / (self.steps - middle)
        return self.peak_lr * STAGE_TWO_START * (1 - done)

    def weight_decay(self, step: int) -> float:
        """Decoupled decay of the matrices: `WEIGHT_DECAY` in stage one, then none."""
        return WEIGHT_DECAY if step < self.steps // 2 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON and the training state."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Recipe:
        """The recipe of a `to_dict`; CheckpointError when it is not one."""
        try:
            model = ModelConfig(**saved["model"])
            return cls(**{**saved, "model": model, "held_out": tuple(saved["held_out"])})
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"the saved recipe is of another version: {error}") from None

    def require(self, asked: Mapping[str, Any]) -> None:
        """Raise UsageError naming every value of `asked` that is not this run's own."""
        own = self.to_dict()
        changed = [
            f"{name} {value!r} instead of {own[name]!r}"
            for name, value in asked.items()
            if value != own[name]
        ]
        if changed:
            raise UsageError(
                f"a resumed run cannot change: {', '.join(changed)}; leave the option out to go "
                f"on as it was, or start anew with another --out"
            )
