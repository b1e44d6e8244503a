"""How far each stage is from real arithmetic on the same input (L3, one stage at a time).

A `StageErrors` is the tap of a `FixedDecoder`: every stage's integers are read as real numbers, its
formula is computed in float64, and the distance is kept. What a stage's input already lost is not
its own error; int8 codes of the model itself are no error, other codes than float64 gives are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.checkpoint import Checkpoint
from trine.checkpoint.config import NORMS
from trine.checkpoint.tensors import FINAL_NORM, layer_tensor
from trine.hw.fixed.cache import Stored
from trine.hw.fixed.integer import Ints
from trine.hw.fixed.norm import Elements, Quantised
from trine.hw.fixed.scalar import Scalar

Doubles = NDArray[np.float64]


def real(scalar: Scalar) -> Doubles:
    """A scalar's value."""
    return np.ldexp(scalar.mantissa.astype(np.float64), scalar.exponent.astype(np.int32))


def elements(values: Elements) -> Doubles:
    """What elements stand for."""
    exponent = np.clip(values.exponent, -1000, 1000).astype(np.int32)
    return np.ldexp(values.mantissa.astype(np.float64), exponent) * real(values.unit)


class StageErrors:
    """Sums over all calls: squared error and size by stage, and differing codes of norms."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._config = checkpoint.config
        self._sums: dict[str, Doubles] = defaultdict(lambda: np.zeros(2))
        self._codes: dict[str, Ints] = defaultdict(lambda: np.zeros(2, np.int64))

    def __call__(self, stage: str, layer: int, given: tuple[Any, ...], result: Any) -> None:
        """Compare one call; the tap's signature."""
        if stage in NORMS or stage == "final_norm":
            self._norm(stage, layer, given[0], given[2], result)
        elif stage == "embedding":
            self._add(stage, np.ldexp(result.astype(float), -given[2]), given[0] * real(given[1]))
        elif stage == "residual":
            x, accumulators, scale, point = given[:4]
            self._add(
                stage, np.ldexp((result - x).astype(float), -point), accumulators * real(scale)
            )
        elif stage == "gate":
            gate, up, gate_scale, up_scale, _ = given
            wanted = np.square(np.maximum(gate, 0) * real(gate_scale)) * (up * real(up_scale))
            self._add(stage, elements(result), wanted)
        elif stage == "rope":
            heads, positions, _, contract = given
            got = np.ldexp(result.astype(float), -contract.rope_guard_bits)
            self._add(stage, got, self._rotated(heads, positions))
        elif stage in ("kv_key", "kv_value"):
            self._add(stage, result.codes * real(result.scale), given[0] * real(given[1]))
        else:
            query, unit, keys, values, positions = given[:5]
            wanted = _attention(query * real(unit), keys, values, positions)
            self._add(stage, elements(result), wanted)

    def relative(self) -> Mapping[str, float]:
        """Root mean square error over root mean square value, by stage."""
        return {
            stage: float(np.sqrt(error / size)) if size else 0.0
            for stage, (error, size) in self._sums.items()
        }

    def differing_codes(self) -> Mapping[str, float]:
        """Share of a norm's codes that float64 gives otherwise."""
        return {stage: int(wrong) / int(all_) for stage, (wrong, all_) in self._codes.items()}

    def _add(self, stage: str, got: Doubles, wanted: Doubles) -> None:
        self._sums[stage] += (np.square(got - wanted).sum(), np.square(wanted).sum())

    def _norm(self, stage: str, layer: int, x: Elements, levels: int, result: Quantised) -> None:
        name = FINAL_NORM if stage == "final_norm" else layer_tensor(layer, stage)
        weights = self._checkpoint.dense(name).astype(np.float64)
        values = elements(x)
        mean = np.square(values).mean(axis=-1, keepdims=True)
        normed = weights * values / np.sqrt(mean + self._config.rms_norm_eps)
        scale = np.abs(normed).max(axis=-1, keepdims=True) / levels
        codes = np.rint(normed / np.where(scale == 0, 1, scale))
        self._codes[stage] += (np.count_nonzero(codes != result.codes), codes.size)
        self._add(stage, result.codes * real(result.scale), codes * scale)

    def _rotated(self, heads: Ints, positions: Ints) -> Doubles:
        half = heads.shape[-1] // 2
        angle = positions[:, None] * self._config.rope_theta ** -(np.arange(half) / half)
        cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
        first, second = heads[..., :half], heads[..., half:]
        return np.concatenate(
            [first * cosine - second * sine, second * cosine + first * sine], axis=-1
        )


def _attention(query: Doubles, keys: Stored, values: Stored, positions: Ints) -> Doubles:
    """Softmax in base 2 of queries [T, H, D] (scaled) over what is stored: [T, H * D]."""
    group = query.shape[1] // keys.codes.shape[1]
    key = np.repeat(keys.codes * real(keys.scale), group, axis=1)
    value = np.repeat(values.codes * real(values.scale), group, axis=1)
    scores = np.einsum("thd,chd->thc", query, key)
    hidden = np.arange(len(key)) > positions[:, None]
    scores = np.where(hidden[:, None], -np.inf, scores)
    weights = np.exp2(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mixed: Doubles = np.einsum("thc,chd->thd", weights, value)
    return mixed.reshape(len(mixed), -1)
