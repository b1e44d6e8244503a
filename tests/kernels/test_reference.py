"""The NumPy reference against hand-made cases and against Hugging Face in float32."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from requirements import require_module
from trine.checkpoint.synthetic import SyntheticCheckpoint
from trine.kernels.reference import (
    MAX_K,
    Decoder,
    KVCache,
    accumulate,
    attention,
    bitlinear,
    relu2,
    rms_norm,
    rope,
)

TINY = SyntheticCheckpoint("synthetic:tiny")
TOKENS = np.array([5, 17, 900, 33, 2])


@pytest.mark.parametrize("value", [127, -128])
@pytest.mark.parametrize("trit", [1, -1])
@pytest.mark.parametrize("k", [1, 2560, 6912, 13824, MAX_K])
def test_extreme_sums_are_exact(value: int, trit: int, k: int) -> None:
    activations = np.full((1, k), value, dtype=np.int8)
    weights = np.full((1, k), trit, dtype=np.int8)
    assert accumulate(activations, weights).item() == value * trit * k


def test_a_k_that_could_round_is_refused() -> None:
    with pytest.raises(ValueError, match="would round"):
        accumulate(np.zeros((1, MAX_K + 1), np.int8), np.zeros((1, MAX_K + 1), np.int8))


@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 300), st.integers(0, 2**32))
def test_accumulators_equal_integer_arithmetic(t: int, n: int, k: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    activations = generator.integers(-128, 128, (t, k)).astype(np.int8)
    weights = generator.integers(-1, 2, (n, k)).astype(np.int8)
    expected = activations.astype(np.int64) @ weights.astype(np.int64).T
    assert np.array_equal(accumulate(activations, weights), expected)


def test_bitlinear_by_hand() -> None:
    # s = 127 / 2, q = (127, -64 (from -63.5, half to even), 32); sum q t = 127 + 64 = 191
    x = np.array([[2.0, -1.0, 0.5]], dtype=np.float32)
    weights = np.array([[1, -1, 0]], dtype=np.int8)
    y = bitlinear(x, weights, np.float32(0.5))
    assert y.item() == pytest.approx(191 * 0.5 / 63.5, rel=1e-6)


def test_small_operators_by_hand() -> None:
    x = np.array([[3.0, -4.0]], dtype=np.float32)
    assert relu2(x).tolist() == [[9.0, 0.0]]
    weight = np.array([1.0, 2.0], dtype=np.float32)
    assert rms_norm(x, weight, 0.0)[0] == pytest.approx([3 / 12.5**0.5, -8 / 12.5**0.5])
    # Position 0 rotates by nothing; position p turns the pair (x0, x1) by p radians when D = 2.
    turned = rope(np.array([[[1.0, 0.0]] * 2], dtype=np.float32), np.array([0, 1]), 10000.0)
    assert turned[0, 0].tolist() == [1.0, 0.0]
    assert turned[0, 1] == pytest.approx([np.cos(1), np.sin(1)], rel=1e-6)


def test_attention_is_causal_and_grouped() -> None:
    generator = np.random.default_rng(0)
    query = generator.normal(size=(4, 3, 8)).astype(np.float32)
    key, value = generator.normal(size=(2, 2, 5, 8)).astype(np.float32)
    out = attention(query, key, value)
    assert out.shape == (3, 32)
    # The first query is at position 2 of 5: keys 3 and 4 must not matter to it.
    changed = value.copy()
    changed[:, 3:] = 99
    assert np.array_equal(attention(query, key, changed)[0], out[0])
    # Heads 0 and 1 read KV head 0: changing KV head 1 leaves them alone.
    changed = value.copy()
    changed[1] = 99
    assert np.array_equal(attention(query, key, changed)[:, :16], out[:, :16])


def test_cached_decode_equals_one_prefill() -> None:
    decoder = Decoder(TINY, layers=2)
    whole = decoder.forward(TOKENS, KVCache())
    cache = KVCache()
    parts = [decoder.forward(TOKENS[:2], cache)]
    parts += [decoder.forward(TOKENS[i : i + 1], cache) for i in range(2, len(TOKENS))]
    # Equal up to float rounding of differently shaped sums, and the int8 codes that it may flip.
    assert np.concatenate(parts) == pytest.approx(whole, abs=0.02 * float(whole.std()))


def test_equals_hugging_face() -> None:
    torch = require_module("torch")
    from trine.torch.models import build

    ours = Decoder(TINY).forward(TOKENS, KVCache())
    model = build(TINY, mode="offline", dtype="float32")
    with torch.no_grad():
        theirs = model(torch.tensor(TOKENS)[None]).logits[0].numpy()
    assert np.abs(ours - theirs).max() / theirs.std() < 0.05
    assert (ours.argmax(-1) == theirs.argmax(-1)).mean() >= 0.8


@pytest.mark.parametrize("linear", ["self_attn.q_proj", "self_attn.k_proj", "mlp.down_proj"])
def test_bitlinear_teacher_forced(linear: str) -> None:
    """Same input, one operator: 1e-6 of the output's largest value (trine's numeric contract)."""
    torch = require_module("torch")
    from trine.ternary import unpack_hf
    from trine.torch.models import build

    model = build(TINY, mode="offline", dtype="float32")
    module = model.model.layers[1].get_submodule(linear)
    generator = np.random.default_rng(7)
    x = generator.normal(size=(4, module.in_features)).astype(np.float32)
    with torch.no_grad():
        theirs = module(torch.from_numpy(x)).numpy()
    weight = TINY.ternary(f"model.layers.1.{linear}.weight")
    ours = bitlinear(x, unpack_hf(weight.packed), weight.scale)
    assert np.abs(ours - theirs).max() <= 1e-6 * np.abs(theirs).max()
