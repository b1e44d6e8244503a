"""The whole decoder in the contract's integers, stage after stage."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from trine.checkpoint.checkpoint import Checkpoint
from trine.hw.fixed import export
from trine.hw.fixed.attention import attend
from trine.hw.fixed.cache import Stored, store
from trine.hw.fixed.contract import Contract
from trine.hw.fixed.export import FixedLayer
from trine.hw.fixed.gate import gated
from trine.hw.fixed.integer import Ints, Saturations
from trine.hw.fixed.linear import add_residual, embed, sums
from trine.hw.fixed.norm import Elements, Quantised, quantise
from trine.hw.fixed.rope import rotate
from trine.hw.fixed.scalar import Scalar

ACTIVATION_LEVELS = 127
T = TypeVar("T")
# What a stage was given and what it gave: (stage, layer, inputs, output).
Tap = Callable[[str, int, tuple[Any, ...], Any], None]


@dataclass(slots=True)
class FixedCache:
    """Keys and values by layer; empty at first."""

    keys: dict[int, Stored] = field(default_factory=dict)
    values: dict[int, Stored] = field(default_factory=dict)

    def update(self, layer: int, key: Stored, value: Stored) -> tuple[Stored, Stored]:
        """Append T positions and return all of them."""
        if layer in self.keys:
            key, value = self.keys[layer].then(key), self.values[layer].then(value)
        self.keys[layer], self.values[layer] = key, value
        return key, value

    def __len__(self) -> int:
        return len(self.keys[0].codes) if self.keys else 0


class FixedDecoder:
    """A model under a contract; `layers` keeps only the first ones, `tap` sees every stage.

    `saturations` counts what was clipped since the decoder was made.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        contract: Contract | None = None,
        *,
        layers: int | None = None,
        tap: Tap | None = None,
    ) -> None:
        self.contract = contract = contract or Contract()
        self.config = config = checkpoint.config
        self._checkpoint = checkpoint
        count = config.layers if layers is None else layers
        self.layers = [export.fixed_layer(checkpoint, n, contract) for n in range(count)]
        self.point = export.binary_point(export.residual_bound(checkpoint, self.layers), contract)
        self.final_norm = export.final_norm(checkpoint, contract)
        self.saturations = Saturations()
        self._tap = tap
        bits = contract.scalar_bits
        self._rope = export.rope_tables(config, contract)
        self._powers = export.power_table(contract)
        self._unit = export.scalar(math.ldexp(1, -self.point), bits)
        self._score = export.scalar(math.log2(math.e) / math.sqrt(config.head_dim), bits)

    def hidden(self, tokens: Ints, cache: FixedCache) -> Quantised:
        """Codes [T, H] of hidden_bits for the lm_head, after `tokens` [T] that continue `cache`."""
        positions = len(cache) + np.arange(len(tokens))
        rows = export.embedding_rows(self._checkpoint, tokens, self.contract)
        x = self._run("embedding", -1, embed, *rows, self.point)
        for number, layer in enumerate(self.layers):
            x = self.layer(number, layer, x, positions, cache)
        levels = (1 << (self.contract.hidden_bits - 1)) - 1
        given = self._residual(x), self.final_norm, levels, self.contract
        return self._run("final_norm", -1, quantise, *given)

    def layer(
        self, number: int, layer: FixedLayer, x: Ints, positions: Ints, cache: FixedCache
    ) -> Ints:
        """The residual stream [T, H] after one decoder layer."""
        x = self._attention(number, layer, x, positions, cache)
        norm = self._quantise("post_attention_layernorm", number, layer, self._residual(x))
        # Rows interleaved in the weight image: one pass of the engine gives both.
        gate, up = (sums(norm.codes, layer.trits[name]) for name in ("gate_proj", "up_proj"))
        scales = (norm.scale * layer.scales[name] for name in ("gate_proj", "up_proj"))
        inner = self._run("gate", number, gated, gate, up, *scales, self.contract)
        norm = self._quantise("ffn_sub_norm", number, layer, inner)
        return self._add(number, layer, "down_proj", x, norm)

    def _attention(
        self, number: int, layer: FixedLayer, x: Ints, positions: Ints, cache: FixedCache
    ) -> Ints:
        contract, config = self.contract, self.config
        norm = self._quantise("input_layernorm", number, layer, self._residual(x))
        query, key, value = (
            sums(norm.codes, layer.trits[name]).reshape(len(x), -1, config.head_dim)
            for name in ("q_proj", "k_proj", "v_proj")
        )
        query, key = (
            self._run("rope", number, rotate, heads, positions, self._rope, contract)
            for heads in (query, key)
        )
        units = {
            name: _per_head(norm.scale * layer.scales[name])
            for name in ("q_proj", "k_proj", "v_proj")
        }
        guard = -contract.rope_guard_bits
        stored = (
            self._run("kv_key", number, store, key, units["k_proj"].shifted(guard), contract),
            self._run("kv_value", number, store, value, units["v_proj"], contract),
        )
        keys, values = cache.update(number, *stored)
        unit = (units["q_proj"] * self._score).shifted(guard)
        given = query, unit, keys, values, positions, self._powers, contract, self.saturations
        mixed = self._run("attention", number, attend, *given)
        norm = self._quantise("attn_sub_norm", number, layer, mixed)
        return self._add(number, layer, "o_proj", x, norm)

    def _residual(self, x: Ints) -> Elements:
        return Elements(x, np.zeros((1, 1), np.int64), self._unit)

    def _quantise(self, name: str, number: int, layer: FixedLayer, x: Elements) -> Quantised:
        given = x, layer.norms[name], ACTIVATION_LEVELS, self.contract
        return self._run(name, number, quantise, *given)

    def _add(self, number: int, layer: FixedLayer, name: str, x: Ints, norm: Quantised) -> Ints:
        scale = norm.scale * layer.scales[name]
        accumulators = sums(norm.codes, layer.trits[name])
        given = x, accumulators, scale, self.point, self.contract, self.saturations
        return self._run("residual", number, add_residual, *given)

    def _run(self, stage: str, layer: int, function: Callable[..., T], *given: Any) -> T:
        result = function(*given)
        if self._tap is not None:
            self._tap(stage, layer, given, result)
        return result


def _per_head(scale: Scalar) -> Scalar:
    """[T, 1] as [T, 1, 1]."""
    return Scalar(scale.mantissa[:, None], scale.exponent[:, None], scale.bits)
