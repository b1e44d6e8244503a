"""The operators of a fused decoder layer: against NumPy, and as PyTorch sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from requirements import require_module

torch = require_module("torch")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from trine.kernels import reference  # noqa: E402
from trine.ternary import pack_hf  # noqa: E402
from trine.ternary.tiles import LAYOUTS  # noqa: E402
from trine.torch.layer_ops import decode_attention, output_mlp, qkv_rope  # noqa: E402
from trine.torch.linear import NativeBitLinear  # noqa: E402

HEADS, KV_HEADS, DIM = 4, 2, 12
H, FFN = 72, 150
EPS = 1e-5
# Tokens of one sequence: a GEMV, a GEMM, and more than one piece of it.
LENGTHS = (1, 3, 40, 300)


def noise(*shape: int, seed: int = 0) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Matrix:
    """Trits [n, k] and the module that holds them."""

    def __init__(self, n: int, k: int, seed: int, code: Any) -> None:
        self.trits = np.random.default_rng(seed).integers(-1, 2, (n, k), dtype=np.int8)
        self.scale = np.float32(0.02 + 0.01 * seed)
        padded = np.pad(self.trits, ((0, -n % 4), (0, 0)))
        self.module = NativeBitLinear(
            pack_hf(padded), self.scale, n, code=code, threads=1, divides=False
        )

    def __call__(self, x: Any) -> Any:
        return reference.bitlinear(x, self.trits, self.scale)


def weights(matrices: list[Matrix]) -> tuple[list[Any], ...]:
    modules = [matrix.module for matrix in matrices]
    return (
        [module.tiles for module in modules],
        [module.row_sums for module in modules],
        [module.weight_scale for module in modules],
    )


def close(got: Any, expected: Any) -> None:
    """Equal up to float32; a code that lies at a tie by rounding may fall the other way."""
    error = np.linalg.norm(got - expected, axis=-1) / np.linalg.norm(expected, axis=-1)
    assert np.quantile(error, 0.9) < 2e-6
    assert error.max() < 2e-2


def qkv_arguments(code: Any, batch: int, length: int, positions: int, threads: int) -> Any:
    rows = [HEADS * DIM, KV_HEADS * DIM, KV_HEADS * DIM]
    matrices = [Matrix(n, H, seed, code) for seed, n in enumerate(rows)]
    x, norm = noise(batch, length, H), noise(H, seed=1)
    angles = noise(positions, length, DIM // 2, seed=2).repeat(1, 1, 2)
    tensors = (x, norm, EPS, angles.cos(), angles.sin())
    return matrices, (*tensors, *weights(matrices), rows, code, threads)


@pytest.mark.parametrize("code", LAYOUTS)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("batch", "positions", "threads"), [(1, 1, 1), (2, 2, 2), (3, 1, 2)])
def test_qkv_equal_the_reference(
    code: Any, length: int, batch: int, positions: int, threads: int
) -> None:
    matrices, arguments = qkv_arguments(code, batch, length, positions, threads)
    x, norm, _, cos, sin = (a.numpy() if isinstance(a, torch.Tensor) else a for a in arguments[:5])
    normed = reference.rms_norm(x, norm, EPS).reshape(-1, H)
    for number, (got, matrix) in enumerate(zip(qkv_rope(*arguments), matrices, strict=True)):
        heads = matrix(normed).reshape(batch, length, -1, DIM).transpose(0, 2, 1, 3)
        if number < 2:
            first, second = heads[..., : DIM // 2], heads[..., DIM // 2 :]
            turned = np.concatenate([-second, first], axis=-1)
            heads = heads * cos[:, None] + turned * sin[:, None]
        assert tuple(got.shape) == heads.shape
        close(got.numpy(), heads)


def mlp_arguments(code: Any, tokens: int, activation: str, norms: bool, threads: int) -> Any:
    shapes = [(H, HEADS * DIM), (FFN, H), (FFN, H), (H, FFN)]
    matrices = [Matrix(n, k, seed, code) for seed, (n, k) in enumerate(shapes)]
    mixed, x = noise(1, tokens, HEADS * DIM), noise(1, tokens, H, seed=1)
    before = noise(HEADS * DIM, seed=2) if norms else None
    inner = noise(FFN, seed=4) if norms else None
    tensors = (mixed, x, before, noise(H, seed=3), inner, [EPS, 2 * EPS, 3 * EPS])
    return matrices, (*tensors, *weights(matrices), FFN, activation, code, threads)


@pytest.mark.parametrize("code", LAYOUTS)
@pytest.mark.parametrize("tokens", LENGTHS)
@pytest.mark.parametrize(("activation", "norms", "threads"), [("relu2", True, 2), ("silu", 0, 1)])
def test_output_and_mlp_equal_the_reference(
    code: Any, tokens: int, activation: str, norms: bool, threads: int
) -> None:
    matrices, arguments = mlp_arguments(code, tokens, activation, norms, threads)
    mixed, x, before, post, inner = (None if a is None else a.numpy() for a in arguments[:5])
    output, gate, up, down = matrices

    def norm(values: Any, weight: Any, eps: float) -> Any:
        return values if weight is None else reference.rms_norm(values, weight, eps)

    y = x[0] + output(norm(mixed[0], before, EPS))
    z = norm(y, post, 2 * EPS)
    act = getattr(reference, activation)
    expected = y + down(norm(act(gate(z)) * up(z), inner, 3 * EPS))
    close(output_mlp(*arguments)[0].numpy(), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("heads", "kv_heads", "keys", "dim"), [(4, 2, 1, 8), (15, 5, 77, 24)])
def test_attention_equals_pytorchs(
    dtype: Any, heads: int, kv_heads: int, keys: int, dim: int
) -> None:
    q, k, v = (
        noise(2, n, t, dim, seed=n).to(dtype)
        for n, t in ((heads, 1), (kv_heads, keys), (kv_heads + 1, keys))
    )
    v = v[:, :kv_heads]  # not contiguous
    got = decode_attention(q, k, v, 0.3, 2)
    assert got.dtype is dtype
    wide = (q.float(), k.float(), v.float())
    expected = torch.nn.functional.scaled_dot_product_attention(*wide, scale=0.3, enable_gqa=True)
    expected = expected.transpose(1, 2).reshape(2, 1, heads * dim)
    torch.testing.assert_close(got, expected.to(dtype), rtol=1e-5, atol=1e-5)


def all_arguments(dtype: Any = torch.float32, threads: int = 1) -> list[tuple[Any, Any]]:
    """Each operator with arguments of `dtype`."""
    _, qkv = qkv_arguments("2bit", 2, 3, 1, threads)
    _, mlp = mlp_arguments("2bit", 3, "relu2", True, threads)
    qkv = (*(a.to(dtype) if isinstance(a, torch.Tensor) else a for a in qkv[:5]), *qkv[5:])
    mlp = (*(a.to(dtype) for a in mlp[:5]), *mlp[5:])
    q, kv = noise(2, HEADS, 1, DIM).to(dtype), noise(2, KV_HEADS, 5, DIM).to(dtype)
    return [(qkv_rope, qkv), (decode_attention, (q, kv, kv, 0.5, threads)), (output_mlp, mlp)]


def flat(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_narrow_type_is_rounded_once(dtype: Any) -> None:
    for (operator, narrow), (_, wide) in zip(all_arguments(dtype), all_arguments(), strict=True):
        same = tuple(
            a.float() if isinstance(a, torch.Tensor) and a.is_floating_point() else a
            for a in narrow
        )
        for got, expected in zip(flat(operator(*narrow)), flat(operator(*same)), strict=True):
            assert got.dtype is dtype and torch.equal(got, expected.to(dtype))
        assert flat(operator(*wide))[0].dtype is torch.float32


def test_threads_do_not_change_a_bit() -> None:
    for (operator, one), (_, two) in zip(all_arguments(), all_arguments(threads=2), strict=True):
        for a, b in zip(flat(operator(*one)), flat(operator(*two)), strict=True):
            assert torch.equal(a, b)


def test_a_nan_stays_in_its_token() -> None:
    for operator, arguments in all_arguments():
        arguments[0][(0, *(-1 for _ in arguments[0].shape[1:]))] = float("nan")
        if operator is output_mlp:
            y = operator(*arguments)
            assert y[0, -1].isnan().all() and y[0, :-1].isfinite().all()
        else:
            y = flat(operator(*arguments))[0]
            assert y[0].isnan().any() and y[1].isfinite().all()


def test_torch_library_finds_nothing_wrong() -> None:
    for operator, arguments in all_arguments():
        torch.library.opcheck(operator, arguments)


def test_flops_are_those_of_the_dense_products() -> None:
    expected = (
        2 * 6 * H * (HEADS + 2 * KV_HEADS) * DIM,
        4 * 2 * HEADS * DIM * 5,
        2 * 3 * (H * HEADS * DIM + 3 * H * FFN),
    )
    for (operator, arguments), flops in zip(all_arguments(), expected, strict=True):
        with FlopCounterMode(display=False) as counter:
            operator(*arguments)
        assert counter.get_total_flops() == flops


def replaced(arguments: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    return (*arguments[:index], value, *arguments[index + 1 :])


def test_misfits_are_refused() -> None:
    (_, qkv), (_, attention), (_, mlp) = all_arguments()
    bad = [
        (qkv_rope, replaced(qkv, 0, noise(2, 3, 2 * H)), "a weight for each feature"),
        (qkv_rope, replaced(qkv, 0, qkv[0].double()), "float32, bfloat16 or float16"),
        (qkv_rope, replaced(qkv, 3, noise(1, 2, DIM)), "a row for each token"),
        (qkv_rope, replaced(qkv, 8, [HEADS * DIM + 240, *qkv[8][1:]]), "of another N"),
        (qkv_rope, replaced(qkv, 9, "base3"), "of another K"),
        (qkv_rope, replaced(qkv, 9, "base4"), "unknown layout 'base4'"),
        (decode_attention, replaced(attention, 2, noise(2, KV_HEADS, 4, DIM)), "of one shape"),
        (decode_attention, replaced(attention, 0, noise(2, HEADS, 2, DIM)), "one query"),
        (decode_attention, replaced(attention, 0, noise(2, 3, 1, DIM)), "multiple"),
        (output_mlp, replaced(mlp, 0, noise(1, 2, HEADS * DIM)), "a row for each token"),
        (output_mlp, replaced(mlp, 5, [EPS]), "an epsilon for each"),
        (output_mlp, replaced(mlp, 9, FFN + 80), "a weight for each feature"),
        (output_mlp, replaced(mlp, 10, "gelu"), "unknown activation 'gelu'"),
    ]
    for operator, arguments, message in bad:
        with pytest.raises(ValueError, match=message):
            operator(*arguments)
