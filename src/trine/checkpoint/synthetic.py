"""Seeded random BitNet models with the exact geometry of real ones.

Speed depends on shapes and dtypes, not on values, so random weights profile like trained ones;
text and accuracy need a real checkpoint. Every tensor depends only on (seed, name): a model with
fewer layers has the same first layers, and tensors can be made in any order or in parallel.

Weights are drawn from the 65,536 quantiles of a normal distribution, rounded to bfloat16, so
float32 and bfloat16 models hold the same numbers. Each matrix has a width of its own (0.01 to
0.03), because equal scales would hide a swapped one.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping
from pathlib import Path
from statistics import NormalDist
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.checkpoint import Checkpoint, Mode, Provenance, TernaryWeight
from trine.checkpoint.config import ModelConfig
from trine.checkpoint.tensors import tensor_shape
from trine.errors import ModelNotFound
from trine.ternary import absmean_ternary, pack_hf

PREFIX = "synthetic:"
DEFAULT_SEED = 0
_LEVELS = 1 << 16
# Elements made at a time: index, gather and result stay in the L2 cache.
_CHUNK = 1 << 17


def _config(
    *, vocab: int, hidden: int, ffn: int, layers: int, heads: int, kv_heads: int, context: int
) -> ModelConfig:
    return ModelConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=ffn,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=hidden // heads,
        context=context,
        rope_theta=500000.0,
        rms_norm_eps=1e-5,
        tied_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
    )


# 2b-4t: microsoft/bitnet-b1.58-2B-4T. 0.7b and 3b: the shapes of 1bitLLM/bitnet_b1_58-large and
# -3B in this architecture. tiny: seconds on any machine, with a K that no SIMD width divides.
PRESETS: Mapping[str, ModelConfig] = MappingProxyType(
    {
        "2b-4t": _config(
            vocab=128256, hidden=2560, ffn=6912, layers=30, heads=20, kv_heads=5, context=4096
        ),
        "3b": _config(
            vocab=32002, hidden=3200, ffn=8640, layers=26, heads=32, kv_heads=32, context=2048
        ),
        "0.7b": _config(
            vocab=32002, hidden=1536, ffn=4096, layers=24, heads=16, kv_heads=16, context=2048
        ),
        "tiny": _config(
            vocab=1024, hidden=264, ffn=712, layers=4, heads=6, kv_heads=2, context=2048
        ),
    }
)


class SyntheticCheckpoint(Checkpoint):
    """Weights made on request; nothing is kept, so the caller's copy is the only one."""

    native_mode: Mode = "online"
    tokenizer_file: Path | None = None
    has_master = True

    def __init__(self, name: str, seed: int = DEFAULT_SEED) -> None:
        preset = name.removeprefix(PREFIX)
        if preset not in PRESETS:
            raise ModelNotFound(
                f"no synthetic model {name!r}; there are "
                + ", ".join(f"{PREFIX}{known}" for known in PRESETS)
            )
        self.config = PRESETS[preset]
        self.provenance = Provenance(id=f"{PREFIX}{preset}", synthetic=True, seed=seed)
        self._seed = seed

    def dense(self, name: str) -> NDArray[Any]:
        """Norm weights lie around 1 (deviation 0.1), all other tensors around 0."""
        shape = tensor_shape(self.config, name)
        if len(shape) == 1:
            return _normal(self._seed, name, shape, centre=1.0, deviation=0.1)
        return self.master(name)

    def master(self, name: str) -> NDArray[Any]:
        """bfloat16, shape as the config says."""
        width = np.random.default_rng([self._seed, zlib.crc32(name.encode()), 1])
        deviation = float(width.uniform(0.01, 0.03))
        return _normal(
            self._seed, name, tensor_shape(self.config, name), centre=0.0, deviation=deviation
        )

    def ternary(self, name: str) -> TernaryWeight:
        """Absmean of the master weight, as every BitNet export computes it."""
        codes, scale = absmean_ternary(self.master(name).astype(np.float32))
        return TernaryWeight(pack_hf(codes), scale)


@functools.cache
def _quantiles() -> NDArray[np.float32]:
    normal = NormalDist()
    return np.array([normal.inv_cdf((i + 0.5) / _LEVELS) for i in range(_LEVELS)], dtype=np.float32)


def _normal(
    seed: int, name: str, shape: tuple[int, ...], *, centre: float, deviation: float
) -> NDArray[Any]:
    table = (centre + deviation * _quantiles()).astype(ml_dtypes.bfloat16).view(np.uint16)
    generator = np.random.Generator(np.random.SFC64([seed, zlib.crc32(name.encode())]))
    out = np.empty(int(np.prod(shape)), dtype=np.uint16)
    for start in range(0, out.size, _CHUNK):
        piece = out[start : start + _CHUNK]
        index = generator.integers(0, _LEVELS, size=piece.size, dtype=np.uint16)
        np.take(table, index, out=piece, mode="clip")
    weights: NDArray[Any] = out.view(ml_dtypes.bfloat16)
    return weights.reshape(shape)
