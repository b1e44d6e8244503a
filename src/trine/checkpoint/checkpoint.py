"""What every checkpoint source provides, and what it promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.config import ModelConfig
from trine.checkpoint.vocabulary import TextSource

# How a BitLinear holds its weights: float masters re-quantised at each call, ternary values
# unpacked to floats at load, or packed bytes unpacked at each call.
Mode = Literal["online", "offline", "packed"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model came from. `seed` is set only for synthetic weights."""

    id: str
    synthetic: bool
    seed: int | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class TernaryWeight:
    """One ternary matrix: `packed` uint8 [N/4, K] in the HF layout, W = code * `scale`."""

    packed: NDArray[np.uint8]
    scale: np.float32


class Checkpoint(ABC):
    """A model's tensors by their Hugging Face names, loaded when asked for.

    Arrays may be views of a mapped file; callers do not write to them. bfloat16 arrives as
    `ml_dtypes.bfloat16`.
    """

    config: ModelConfig
    provenance: Provenance
    # The file's own choice: "online", "offline" (autobitlinear) or "packed" (bitlinear).
    native_mode: Mode
    tokenizer_file: Path | None
    # The source's own config.json, which a writer carries over.
    hf_config: Mapping[str, Any] | None = None

    @property
    def text(self) -> TextSource:
        """Vocabulary, chat template and sampling defaults, read when asked for.

        Empty for a model without text. Raises CheckpointError for files that cannot be read.
        """
        return TextSource()

    @property
    @abstractmethod
    def has_master(self) -> bool:
        """Whether float master weights exist, which online quantisation needs."""

    @abstractmethod
    def dense(self, name: str) -> NDArray[Any]:
        """A float tensor: embedding, norm, lm_head."""

    @abstractmethod
    def master(self, name: str) -> NDArray[Any]:
        """The float master weight [N, K] of a ternary matrix; CheckpointError without one."""

    @abstractmethod
    def ternary(self, name: str) -> TernaryWeight:
        """The ternary weight of a matrix, quantised from the master where there is one."""

    def fetch(self) -> None:  # noqa: B027
        """Bring the weights here and check them, where opening has read the config alone.

        The first use of a tensor does it too; called apart, it comes after every refusal that
        needs no weights. Raises CheckpointError for damaged files, ModelNotFound for a dead hub.
        """

    def release(self) -> None:  # noqa: B027
        """Let go of memory that tensors of a mapped file took by being read; they stay valid."""
