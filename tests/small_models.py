"""Small models for the engine's tests."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.checkpoint import TernaryWeight
from trine.checkpoint.config import ModelConfig
from trine.checkpoint.synthetic import SyntheticCheckpoint
from trine.kernels import registry
from trine.model import Engine
from trine.ternary.tiles import Code

TINY = SyntheticCheckpoint("synthetic:tiny")
KERNELS = [kernels.name for kernels in registry.kernel_sets() if kernels.usable]


class Changed(SyntheticCheckpoint):
    """synthetic:tiny with some tensors replaced, or another config."""

    def __init__(self, config: ModelConfig | None = None, **tensors: NDArray[Any]) -> None:
        super().__init__("synthetic:tiny")
        self.config = config or self.config
        self.tensors = {name.replace("__", "."): tensor for name, tensor in tensors.items()}

    def dense(self, name: str) -> NDArray[Any]:
        return self.tensors[name] if name in self.tensors else super().dense(name)

    def ternary(self, name: str) -> TernaryWeight:
        weight = super().ternary(name)
        return TernaryWeight(self.tensors[name], weight.scale) if name in self.tensors else weight


def sized(**sizes: int) -> Changed:
    """A model of tiny's kind with other sizes."""
    return Changed(dataclasses.replace(TINY.config, **sizes))


def tokens(count: int, seed: int = 0) -> NDArray[np.int64]:
    """Random ids of tiny's vocabulary."""
    return np.random.default_rng(seed).integers(0, TINY.config.vocab_size, count)


def distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Relative: |a - b| / |b| in L2 over everything."""
    difference = a.astype(np.float64) - b.astype(np.float64)
    return float(np.linalg.norm(difference) / np.linalg.norm(b.astype(np.float64)))


def engine_of(
    checkpoint: Changed | None = None,
    *,
    threads: int = 2,
    body: Code = "2bit",
    head: str = "float",
    kernel: str | None = None,
) -> Engine:
    """An engine of tiny, or of another checkpoint."""
    return Engine.from_checkpoint(
        checkpoint or TINY, threads=threads, body=body, head=head, kernel=kernel
    )
