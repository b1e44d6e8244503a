"""Every operator of the BitNet b1.58 decoder in NumPy: slow, short, and the truth for the rest.

float32 throughout, integers where the contract says integers (`trine.ternary`). Formulas follow
Hugging Face's `modeling_bitnet.py`; T tokens, C keys (cache and new), D head dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.checkpoint import Checkpoint
from trine.checkpoint.config import LINEARS, ModelConfig
from trine.checkpoint.tensors import layer_tensor
from trine.ternary import absmax_int8, unpack_hf

Floats = NDArray[np.float32]
Codes = NDArray[np.int8]

# float32 represents every integer up to 2^24, and |sum| <= 128 K for ternary times int8.
MAX_K = 2**24 // 128


def accumulate(activations: Codes, weights: Codes) -> NDArray[np.int32]:
    """Exact int32 dot products [T, N] of activations [T, K] in -128..127 and trits [N, K].

    Computed as a float32 matrix product, which is exact here: every partial sum is an integer of
    at most 128 K, and ValueError is raised where that would exceed 2^24.
    """
    if activations.shape[-1] > MAX_K:
        raise ValueError(f"K = {activations.shape[-1]} exceeds {MAX_K}: float32 sums would round")
    product: Floats = activations.astype(np.float32) @ weights.astype(np.float32).T
    return product.astype(np.int32)


def bitlinear(x: Floats, weights: Codes, weight_scale: np.float32) -> Floats:
    """Y [T, N] = (sum q t) * (weight_scale / s) with q, s = absmax_int8(x), for x [T, K]."""
    codes, scale = absmax_int8(x)
    sums = accumulate(codes, weights).astype(np.float32)
    return (sums * (weight_scale / scale)).astype(np.float32, copy=False)


def rms_norm(x: Floats, weight: Floats, eps: float) -> Floats:
    """W * x / sqrt(mean(x^2) + eps) over the last axis."""
    variance = np.mean(np.square(x), axis=-1, keepdims=True, dtype=np.float32)
    return (weight * (x / np.sqrt(variance + np.float32(eps)))).astype(np.float32, copy=False)


def relu2(x: Floats) -> Floats:
    """max(x, 0)^2; it overflows float16, so its result stays in float32 or bfloat16."""
    result: Floats = np.square(np.maximum(x, 0))
    return result


def silu(x: Floats) -> Floats:
    """SiLU, x / (1 + e^-x), by way of e^-|x|, which does not overflow."""
    small = np.exp(-np.abs(x))
    result: Floats = x * np.where(x < 0, small, np.float32(1)) / (1 + small)
    return result


# What the gate goes through, by `ModelConfig.activation`.
ACTIVATIONS = {"relu2": relu2, "silu": silu}


def rope_tables(positions: int, head_dim: int, theta: float) -> tuple[Floats, Floats]:
    """Cosines and sines [positions, D / 2] of the rotary embedding's angles, in float32."""
    exponent = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    angle = np.arange(positions, dtype=np.float32)[:, None] * (
        np.float32(1) / np.float32(theta) ** exponent
    )
    return np.cos(angle), np.sin(angle)


def rope(x: Floats, positions: NDArray[np.int64], theta: float) -> Floats:
    """Rotary embedding of x [heads, T, D] at `positions` [T], halves rotated against each other."""
    half = x.shape[-1] // 2
    cosines, sines = rope_tables(int(positions.max()) + 1, 2 * half, theta)
    cos, sin = cosines[positions], sines[positions]
    first, second = x[..., :half], x[..., half:]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def attention(query: Floats, key: Floats, value: Floats) -> Floats:
    """Causal grouped-query attention: query [H, T, D], key and value [KV, C, D] -> [T, H * D].

    The T queries are the last T of the C positions; softmax(q k / sqrt(D)) v in float32.
    """
    heads, tokens, dim = query.shape
    kv_heads, context, _ = key.shape
    grouped = query.reshape(kv_heads, heads // kv_heads, tokens, dim)
    scores = grouped @ key[:, None].swapaxes(-1, -2) / np.sqrt(np.float32(dim))
    hidden = np.arange(context) > (context - tokens + np.arange(tokens))[:, None]
    scores = np.where(hidden, np.float32(-np.inf), scores)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mixed: Floats = (weights @ value[:, None]).reshape(heads, tokens, dim)
    return mixed.swapaxes(0, 1).reshape(tokens, heads * dim)


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer's weights: trits and scale by linear name, norm weights by norm name.

    A Llama-style layer has no `attn_sub_norm` and no `ffn_sub_norm`.
    """

    trits: Mapping[str, Codes]
    scales: Mapping[str, np.float32]
    norms: Mapping[str, Floats]

    def linear(self, name: str, x: Floats) -> Floats:
        """BitLinear `name` of x [T, K]."""
        return bitlinear(x, self.trits[name], self.scales[name])

    def norm(self, name: str, x: Floats, eps: float) -> Floats:
        """RMSNorm `name` of x [T, K]; x itself where the layer has no such norm."""
        return rms_norm(x, self.norms[name], eps) if name in self.norms else x


@dataclass(slots=True)
class KVCache:
    """Keys and values [KV, C, D] of each layer seen so far; empty at first."""

    keys: dict[int, Floats] = field(default_factory=dict)
    values: dict[int, Floats] = field(default_factory=dict)

    def update(self, layer: int, key: Floats, value: Floats) -> tuple[Floats, Floats]:
        """Append [KV, T, D] and return all of them."""
        if layer in self.keys:
            key = np.concatenate([self.keys[layer], key], axis=1)
            value = np.concatenate([self.values[layer], value], axis=1)
        self.keys[layer], self.values[layer] = key, value
        return key, value


class Decoder:
    """A whole model on the reference operators; `layers` keeps only the first ones."""

    def __init__(self, checkpoint: Checkpoint, layers: int | None = None) -> None:
        config = checkpoint.config
        count = config.layers if layers is None else layers
        self.config: ModelConfig = config
        self.embedding = checkpoint.dense("model.embed_tokens.weight")
        self.head = self.embedding if config.tied_embeddings else checkpoint.dense("lm_head.weight")
        self.norm = checkpoint.dense("model.norm.weight").astype(np.float32)
        self.layers = [_layer(checkpoint, number) for number in range(count)]

    def forward(self, tokens: NDArray[np.int64], cache: KVCache) -> Floats:
        """Logits [T, vocabulary] of `tokens` [T], which continue what `cache` holds."""
        past = cache.keys[0].shape[1] if cache.keys else 0
        positions = np.arange(past, past + len(tokens))
        x: Floats = self.embedding[tokens].astype(np.float32)
        for number, layer in enumerate(self.layers):
            x = x + self._attend(layer, number, x, positions, cache)
            x = x + self._mlp(layer, x)
        x = rms_norm(x, self.norm, self.config.rms_norm_eps)
        return x @ self.head.astype(np.float32).T

    def _attend(
        self, layer: Layer, number: int, x: Floats, positions: NDArray[np.int64], cache: KVCache
    ) -> Floats:
        config, eps = self.config, self.config.rms_norm_eps
        x = layer.norm("input_layernorm", x, eps)
        query, key, value = (
            layer.linear(name, x).reshape(len(x), -1, config.head_dim).swapaxes(0, 1)
            for name in ("q_proj", "k_proj", "v_proj")
        )
        query = rope(query, positions, config.rope_theta)
        key = rope(key, positions, config.rope_theta)
        key, value = cache.update(number, key, value)
        mixed = layer.norm("attn_sub_norm", attention(query, key, value), eps)
        return layer.linear("o_proj", mixed)

    def _mlp(self, layer: Layer, x: Floats) -> Floats:
        eps = self.config.rms_norm_eps
        x = layer.norm("post_attention_layernorm", x, eps)
        gate = ACTIVATIONS[self.config.activation](layer.linear("gate_proj", x))
        inner = gate * layer.linear("up_proj", x)
        return layer.linear("down_proj", layer.norm("ffn_sub_norm", inner, eps))


def _layer(checkpoint: Checkpoint, number: int) -> Layer:
    weights = {name: checkpoint.ternary(layer_tensor(number, name)) for name in LINEARS}
    return Layer(
        trits={name: unpack_hf(weight.packed) for name, weight in weights.items()},
        scales={name: weight.scale for name, weight in weights.items()},
        norms={
            name: checkpoint.dense(layer_tensor(number, name)).astype(np.float32)
            for name in checkpoint.config.norms
        },
    )
