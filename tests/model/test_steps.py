"""Every step of every layer against the NumPy reference, teacher-forced.

The reference gets the engine's own previous values, so that nothing accumulates and the tolerance
is that of one operator: 1e-6 relative, integers exact.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from small_models import KERNELS, TINY, Changed, distance, sized, tokens
from trine.checkpoint.checkpoint import Checkpoint
from trine.kernels.reference import (
    ACTIVATIONS,
    Decoder,
    Layer,
    accumulate,
    attention,
    rms_norm,
    rope,
)
from trine.model import Engine, Run, Session
from trine.ternary import absmax_int8
from trine.ternary.tiles import LAYOUTS

Floats = NDArray[np.float32]
CLOSE = 1e-6


class Taps:
    """The results of one pass's steps, by step and layer."""

    def __init__(self, session: Session, ids: NDArray[np.int64]) -> None:
        self.values: dict[tuple[str, int], Floats] = {}
        self.scales: dict[tuple[str, int], Floats] = {}
        self.hidden = session.engine.forward([Run(session, ids)], tap=self.see)

    def see(self, name: str, layer: int, values: Floats, scales: Floats | None) -> None:
        assert (name, layer) not in self.values
        self.values[name, layer] = values
        if scales is not None:
            self.scales[name, layer] = scales


class Checker:
    """Compares one session's passes with the reference, remembering its keys and values."""

    def __init__(self, checkpoint: Checkpoint, cache: str) -> None:
        self.reference = Decoder(checkpoint)
        self.config = checkpoint.config
        self.cache = cache
        self.keys: dict[int, Floats] = {}
        self.values: dict[int, Floats] = {}

    def check(self, taps: Taps, ids: NDArray[np.int64]) -> None:
        x = taps.values["embed_tokens", -1]
        assert np.array_equal(x, self.reference.embedding[ids].astype(np.float32))
        for number, layer in enumerate(self.reference.layers):
            x = self.layer(taps, layer, number, x)
        last = rms_norm(x, self.reference.norm, self.config.rms_norm_eps)
        assert distance(taps.hidden, last) < CLOSE

    def layer(self, taps: Taps, layer: Layer, number: int, x: Floats) -> Floats:
        normed = self.normed(taps, layer, "input_layernorm", number, x)
        qkv = taps.values["qkv_proj", number]
        config = self.config
        sizes = [config.linear_shape(name)[0] for name in ("q_proj", "k_proj", "v_proj")]
        # q, k and v begin with a tile of 16 rows each.
        starts = np.cumsum([0, *(-(-size // 16) * 16 for size in sizes)])
        parts = [slice(at, at + size) for at, size in zip(starts, sizes, strict=False)]
        for name, part in zip(("q_proj", "k_proj", "v_proj"), parts, strict=True):
            self.linear(layer, name, normed, qkv[:, part])

        query, key, value = (
            qkv[:, part].reshape(len(x), -1, config.head_dim).swapaxes(0, 1) for part in parts
        )
        past = self.keys[number].shape[1] if number in self.keys else 0
        positions = np.arange(past, past + len(x))
        rotated = taps.values["rope", number]
        queries = self.rotated(query, positions, rotated[:, parts[0]])
        keys = self.rotated(key, positions, rotated[:, parts[1]])
        assert np.array_equal(rotated[:, parts[2]], qkv[:, parts[2]])

        keys, values = self.stored(keys), self.stored(value)
        if past:
            keys = np.concatenate([self.keys[number], keys], axis=1)
            values = np.concatenate([self.values[number], values], axis=1)
        self.keys[number], self.values[number] = keys, values
        mixed = taps.values["attention", number]
        assert distance(mixed, attention(queries, keys, values)) < CLOSE

        normed = self.normed(taps, layer, "attn_sub_norm", number, mixed)
        after = taps.values["o_proj", number]
        assert distance(after, x + layer.linear("o_proj", normed)) < CLOSE
        x = after
        normed = self.normed(taps, layer, "post_attention_layernorm", number, x)
        inner = taps.values["gate_up_proj", number]
        activate = ACTIVATIONS[self.config.activation]
        expected = activate(layer.linear("gate_proj", normed)) * layer.linear("up_proj", normed)
        assert distance(inner, expected) < CLOSE
        normed = self.normed(taps, layer, "ffn_sub_norm", number, inner)
        after = taps.values["down_proj", number]
        assert distance(after, x + layer.linear("down_proj", normed)) < CLOSE
        return after

    def normed(self, taps: Taps, layer: Layer, name: str, number: int, x: Floats) -> Floats:
        """The engine's norm of x, checked, with its scales and where its codes may differ."""
        ours = taps.values[name, number]
        expected = layer.norm(name, x, self.config.rms_norm_eps)
        assert distance(ours, expected) < CLOSE
        codes, scales = absmax_int8(ours)
        assert np.array_equal(taps.scales[name, number], scales[:, 0])
        other, their_scales = absmax_int8(expected)
        scaled = (expected * their_scales)[codes != other].astype(np.float64)
        assert (np.abs(scaled - np.floor(scaled) - 0.5) < 1e-4).all()
        return ours

    def linear(self, layer: Layer, name: str, x: Floats, ours: Floats) -> None:
        assert distance(ours, layer.linear(name, x)) < CLOSE
        codes, scales = absmax_int8(x)
        sums = ours.astype(np.float64) * scales / layer.scales[name]
        assert np.array_equal(np.rint(sums), accumulate(codes, layer.trits[name]))

    def rotated(self, heads: Floats, positions: NDArray[np.int64], ours: Floats) -> Floats:
        mine = ours.reshape(heads.shape[1], heads.shape[0], -1).swapaxes(0, 1)
        assert distance(mine, rope(heads, positions, self.config.rope_theta)) < CLOSE
        return mine

    def stored(self, heads: Floats) -> Floats:
        """What the cache keeps of keys or values."""
        if self.cache == "float16":
            return heads.astype(np.float16).astype(np.float32)
        if self.cache == "int8":
            top = np.abs(heads).max(axis=-1, keepdims=True)
            return np.rint(heads * (np.float32(127) / top)) * (top / np.float32(127))
        return heads


def check_session(
    checkpoint: Checkpoint, passes: list[int], *, kernel: str, body: str, cache: str, threads: int
) -> None:
    engine = Engine.from_checkpoint(
        checkpoint, threads=threads, kernel=kernel, body=body, head="float"
    )
    assert (engine.kernel, engine.body) == (kernel, body)
    session = engine.session(256, cache)
    checker = Checker(checkpoint, cache)
    for number, count in enumerate(passes):
        ids = tokens(count, number)
        checker.check(Taps(session, ids), ids)
    assert session.length == sum(passes)


# GEMM of one group and a rest, GEMV of 1 to 4, GEMM again; more keys than one block of 32.
PASSES = [37, 1, 4, 5, 2]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("body", LAYOUTS)
@pytest.mark.parametrize("cache", ["float32", "float16", "int8"])
def test_every_step_equals_the_reference(kernel: str, body: str, cache: str) -> None:
    check_session(TINY, PASSES, kernel=kernel, body=body, cache=cache, threads=2)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    "sizes",
    [
        # No size is a multiple of a register, a tile or a line.
        {"hidden_size": 52, "intermediate_size": 100, "heads": 4, "kv_heads": 2, "head_dim": 26},
        # Heads are wider than the hidden state; every head has keys of its own.
        {"hidden_size": 64, "intermediate_size": 60, "heads": 3, "kv_heads": 3, "head_dim": 64},
        # 32 heads of 2 share a KV head: a span holds one token.
        {"hidden_size": 64, "intermediate_size": 36, "heads": 64, "kv_heads": 2, "head_dim": 2},
    ],
)
def test_odd_geometries(kernel: str, sizes: dict[str, int]) -> None:
    checkpoint = sized(layers=2, vocab_size=1024, **sizes)
    for body in LAYOUTS:
        check_session(checkpoint, PASSES, kernel=kernel, body=body, cache="float32", threads=3)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_llama_style_model(kernel: str) -> None:
    config = dataclasses.replace(TINY.config, activation="silu", sub_norms=False)
    check_session(Changed(config), PASSES, kernel=kernel, body="2bit", cache="float32", threads=2)


def test_a_wrong_weight_is_seen() -> None:
    """The checker can fail: one swapped sign of 70,000 trits is enough."""
    engine = Engine.from_checkpoint(TINY, threads=1, body="2bit", head="float")
    ids = tokens(5)
    taps = Taps(engine.session(8, "float32"), ids)
    checker = Checker(TINY, "float32")
    layer = checker.reference.layers[2]
    trits = {name: codes.copy() for name, codes in layer.trits.items()}
    row = int(np.flatnonzero(trits["k_proj"][:, 7])[0])
    trits["k_proj"][row, 7] *= -1
    checker.reference.layers[2] = dataclasses.replace(layer, trits=trits)
    with pytest.raises(AssertionError):
        checker.check(taps, ids)
