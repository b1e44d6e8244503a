"""A layer's native halves and the attention, by every kernel set, in NumPy's arrays alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from small_models import KERNELS
from trine import _native
from trine.kernels import reference
from trine.ternary import pack_hf
from trine.ternary.tiles import LAYOUTS, TILE_ROWS, Code

POOL = _native.Pool(3)
HEADS, KV_HEADS, DIM, FFN, H = 6, 2, 12, 200, 76
EPS = 1e-5
EACH = [(kernel, code) for kernel in KERNELS for code in LAYOUTS]

Floats = NDArray[np.float32]


def noise(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


class Matrix:
    """Trits [n, k], packed."""

    def __init__(self, n: int, k: int, seed: int, code: Code) -> None:
        self.trits = np.random.default_rng(seed).integers(-1, 2, (n, k), dtype=np.int8)
        self.scale = np.array([0.02 + 0.01 * seed], np.float32)
        tiles = -(-n // TILE_ROWS)
        packed = np.zeros((tiles, LAYOUTS[code].lines(k), 4 * TILE_ROWS), np.uint8)
        sums = np.zeros(tiles * TILE_ROWS, np.int32)
        assert _native.pack_hf(code, pack_hf(self.trits), packed, sums, POOL)
        self.given = (packed, sums, self.scale)

    def __call__(self, x: Floats) -> Floats:
        return reference.bitlinear(x, self.trits, self.scale[0])


def close(got: Floats, expected: Floats) -> None:
    """Equal up to float32, but for tokens with a code at a tie that fell the other way."""
    error = np.linalg.norm(got - expected, axis=-1) / np.linalg.norm(expected, axis=-1)
    assert np.quantile(error, 0.9) < 2e-6 and error.max() < 2e-2


@pytest.mark.parametrize(("kernel", "code"), EACH)
@pytest.mark.parametrize(("batch", "length"), [(1, 1), (2, 3), (1, 30), (2, 140)])
def test_a_layer_around_its_attention(kernel: str, code: Code, batch: int, length: int) -> None:
    kernels = _native.LayerKernels(kernel, POOL)
    x, norms = noise(batch, length, H), [noise(n, seed=n) for n in (H, HEADS * DIM, H + 1, FFN)]
    norms[2] = norms[2][:H].copy()
    qkv = [Matrix(n * DIM, H, n, code) for n in (HEADS, KV_HEADS, KV_HEADS)]
    angles = np.tile(noise(1, length, DIM // 2, seed=7), 2)
    cos, sin = np.cos(angles), np.sin(angles)
    out = [np.empty((batch, n, length, DIM), np.float32) for n in (HEADS, KV_HEADS, KV_HEADS)]
    kernels.qkv(code, x, norms[0], EPS, [m.given for m in qkv], cos, sin, out)
    normed = reference.rms_norm(x, norms[0], EPS).reshape(-1, H)
    for number, (got, matrix) in enumerate(zip(out, qkv, strict=True)):
        heads = matrix(normed).reshape(batch, length, -1, DIM).transpose(0, 2, 1, 3)
        if number < 2:
            first, second = np.split(heads, 2, axis=-1)
            heads = heads * cos + np.concatenate([-second, first], axis=-1) * sin
        close(got, heads)

    shapes = [(H, HEADS * DIM), (FFN, H), (FFN, H), (H, FFN)]
    output, gate, up, down = matrices = [Matrix(n, k, n + k, code) for n, k in shapes]
    mixed, flat = noise(batch * length, HEADS * DIM, seed=8), x.reshape(-1, H)
    result = np.empty_like(flat)
    given = [m.given for m in matrices]
    kernels.output_mlp(code, "relu2", mixed, flat, *norms[1:], [EPS] * 3, given, FFN, result)
    y = flat + output(reference.rms_norm(mixed, norms[1], EPS))
    z = reference.rms_norm(y, norms[2], EPS)
    inner = reference.relu2(gate(z)) * up(z)
    close(result, y + down(reference.rms_norm(inner, norms[3], EPS)))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("keys", [1, 5, 16, 50])
def test_attention_of_one_query(kernel: str, keys: int) -> None:
    query, key = noise(2, HEADS, 1, DIM), noise(2, KV_HEADS, keys, DIM, seed=1)
    value, out = noise(2, KV_HEADS, keys, DIM, seed=2), np.empty((2, 1, HEADS * DIM), np.float32)
    _native.CacheAttention(kernel, POOL).run(query, key, value, DIM**-0.5, out)
    for sequence in range(2):
        expected = reference.attention(query[sequence], key[sequence], value[sequence])
        np.testing.assert_allclose(out[sequence], expected, rtol=1e-4, atol=1e-6)


def bad(kernels: Any, **changes: Any) -> None:
    matrix = Matrix(DIM, H, 1, "2bit")
    given: dict[str, Any] = {
        "code": "2bit",
        "x": noise(1, 2, H),
        "norm": noise(H),
        "eps": EPS,
        "linears": [matrix.given] * 3,
        "cos": noise(1, 2, DIM),
        "sin": noise(1, 2, DIM),
        "out": [np.empty((1, 1, 2, DIM), np.float32) for _ in range(3)],
    }
    kernels.qkv(**(given | changes))


def test_misfits_are_refused() -> None:
    kernels = _native.LayerKernels("scalar", POOL)
    bad(kernels)
    packed, sums, scale = Matrix(DIM, H, 1, "2bit").given
    short = [np.empty((1, 1, 1, DIM), np.float32)] * 3
    for changes, message in (
        ({"cos": noise(1, 2, DIM - 1)}, "which is even"),
        ({"x": noise(2, H)}, r"\[sequences, tokens, features\]"),
        ({"out": short}, "head dimension"),
        ({"linears": [(packed, sums, scale)] * 2}, "q, k and v"),
        ({"linears": [(packed, sums[:-1].copy(), scale)] * 3}, "one row sum for each row"),
        ({"linears": [(packed, sums, np.ones(2, np.float32))] * 3}, "one scale"),
        ({"linears": [(packed[:, :-1].copy(), sums, scale)] * 3}, "another K"),
        ({"norm": noise(H).astype(np.float64)}, "float32, bfloat16 or float16"),
    ):
        with pytest.raises(ValueError, match=message):
            bad(kernels, **changes)
