"""A decoder layer's native halves as PyTorch operators, and attention for one query a sequence.

`trine::qkv_rope`          input norm, q, k, v, rotation of q and k
`trine::decode_attention`  softmax attention of one query a sequence over a whole KV cache
`trine::output_mlp`        norm, o, residual, norm, gate, up, activation, norm, down, residual

Between an operator's inputs and its results everything is float32: Hugging Face's modules round
to the activations' dtype after each step. BitLinears quantise and sum as `trine::bitlinear` does.
Floats are float32, bfloat16 or float16, weights those of `trine::bitlinear`. There is no gradient.

They are registered without `torch.library.custom_op`, whose wrappers cost 10 us a call (of 12 to
22, measured): a decoded token calls 90 operators.
"""

from __future__ import annotations

import atexit
import functools
from math import prod
from typing import Any

from torch.utils.dlpack import to_dlpack  # type: ignore[attr-defined]
from torch.utils.flop_counter import register_flop_formula

import torch
from trine import _native
from trine.kernels.registry import choose
from trine.torch.ops import shared_pool


@functools.cache
def _kernels(threads: int) -> _native.LayerKernels:
    return _native.LayerKernels(choose(), shared_pool(threads))


@functools.cache
def _attention(threads: int) -> _native.CacheAttention:
    return _native.CacheAttention(choose(), shared_pool(threads))


# Before the pool's threads are joined.
atexit.register(_kernels.cache_clear)
atexit.register(_attention.cache_clear)


def _given(tensor: torch.Tensor | None) -> Any:
    """A tensor as nanobind takes it fastest: five times as fast as the tensor itself."""
    if tensor is None:
        return None
    return to_dlpack(tensor if tensor.is_contiguous() else tensor.contiguous())


def _packed(tiles: Any, row_sums: Any, scales: Any) -> list[Any]:
    return [
        (to_dlpack(tile), to_dlpack(sums), to_dlpack(scale))
        for tile, sums, scale in zip(tiles, row_sums, scales, strict=True)
    ]


torch.library.define(
    "trine::qkv_rope",
    "(Tensor x, Tensor norm, float eps, Tensor cos, Tensor sin, Tensor[] tiles, "
    "Tensor[] row_sums, Tensor[] scales, int[] rows, str code, int threads) -> "
    "(Tensor, Tensor, Tensor)",
)


@torch.library.impl("trine::qkv_rope", "CPU")
def _qkv_rope(
    x: torch.Tensor,
    norm: torch.Tensor,
    eps: float,
    cos: torch.Tensor,
    sin: torch.Tensor,
    tiles: list[torch.Tensor],
    row_sums: list[torch.Tensor],
    scales: list[torch.Tensor],
    rows: list[int],
    code: str,
    threads: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """q, k, v [B, rows / D, T, D] of x [B, T, K], q and k rotated by cos and sin [B or 1, T, D].

    norm [K] and eps: of the input norm. Of cos and sin the first half of D is read. tiles,
    row_sums, scales, rows: of q, k and v. Raises ValueError for tensors that do not fit each other.
    """
    out = _heads(x, cos, rows)
    _kernels(threads).qkv(
        code,
        _given(x),
        _given(norm),
        eps,
        _packed(tiles, row_sums, scales),
        _given(cos),
        _given(sin),
        [to_dlpack(each) for each in out],
    )
    return out


@torch.library.register_fake("trine::qkv_rope")  # type: ignore[untyped-decorator]
def _(x: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    _norm, _eps, cos, _sin, _tiles, _row_sums, _scales, rows, *_ = rest
    return _heads(x, cos, rows)


def _heads(
    x: torch.Tensor, cos: torch.Tensor, rows: list[int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    batch, tokens, _ = x.shape
    dim = cos.shape[-1]
    q, k, v = (x.new_empty((batch, n // dim, tokens, dim)) for n in rows)
    return q, k, v


torch.library.define(
    "trine::decode_attention",
    "(Tensor query, Tensor key, Tensor value, float scaling, int threads) -> Tensor",
)


@torch.library.impl("trine::decode_attention", "CPU")
def _decode_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float, threads: int
) -> torch.Tensor:
    """[B, 1, heads * D] = softmax(scaling q k) v: q [B, heads, 1, D]; k, v [B, KV heads, keys, D].

    No key is masked. Raises ValueError for tensors that do not fit each other.
    """
    out = _mixed(query)
    _attention(threads).run(_given(query), _given(key), _given(value), scaling, to_dlpack(out))
    return out


@torch.library.register_fake("trine::decode_attention")  # type: ignore[untyped-decorator]
def _(query: torch.Tensor, *_: Any) -> torch.Tensor:
    return _mixed(query)


def _mixed(query: torch.Tensor) -> torch.Tensor:
    batch, heads, _, dim = query.shape
    return query.new_empty((batch, 1, heads * dim))


torch.library.define(
    "trine::output_mlp",
    "(Tensor mixed, Tensor x, Tensor? attention_norm, Tensor post_norm, Tensor? "
    "ffn_norm, float[] eps, Tensor[] tiles, Tensor[] row_sums, Tensor[] scales, int "
    "features, str activation, str code, int threads) -> Tensor",
)


@torch.library.impl("trine::output_mlp", "CPU")
def _output_mlp(
    mixed: torch.Tensor,
    x: torch.Tensor,
    attention_norm: torch.Tensor | None,
    post_norm: torch.Tensor,
    ffn_norm: torch.Tensor | None,
    eps: list[float],
    tiles: list[torch.Tensor],
    row_sums: list[torch.Tensor],
    scales: list[torch.Tensor],
    features: int,
    activation: str,
    code: str,
    threads: int,
) -> torch.Tensor:
    """[..., H] of the attention's output [..., K] and the layer's input x [..., H].

    y = x + o(attention_norm(mixed)); result = y + down(ffn_norm(act(gate(z)) * up(z))) with
    z = post_norm(y). A norm that is None is left out; eps: of the three norms. tiles, row_sums,
    scales: of o, gate, up and down; features: rows of gate and up. activation: "relu2" or "silu".
    Raises ValueError for tensors that do not fit each other.
    """
    out = x.new_empty(x.shape)
    _kernels(threads).output_mlp(
        code,
        activation,
        _given(mixed.reshape(-1, mixed.shape[-1])),
        _given(x.reshape(-1, x.shape[-1])),
        _given(attention_norm),
        _given(post_norm),
        _given(ffn_norm),
        eps,
        _packed(tiles, row_sums, scales),
        features,
        to_dlpack(out.view(-1, x.shape[-1])),
    )
    return out


@torch.library.register_fake("trine::output_mlp")  # type: ignore[untyped-decorator]
def _(_mixed: torch.Tensor, x: torch.Tensor, *_: Any) -> torch.Tensor:
    return x.new_empty(x.shape)


@register_flop_formula(torch.ops.trine.qkv_rope)
def _(x: torch.Size, *_: Any, out_shape: Any, **__: Any) -> int:
    """2 N K a token and matrix; norms and rotation are not counted, as nowhere."""
    return sum(2 * x[-1] * prod(shape) for shape in out_shape)


@register_flop_formula(torch.ops.trine.decode_attention)
def _(query: torch.Size, key: torch.Size, *_: Any, **__: Any) -> int:
    """Two products of a query with each key's length, as for PyTorch's own attention."""
    return 4 * prod(query) * key[-2]


@register_flop_formula(torch.ops.trine.output_mlp)
def _(mixed: torch.Size, x: torch.Size, *rest: Any, **_: Any) -> int:
    """2 N K a token and matrix."""
    features: int = rest[7]
    return 2 * prod(x) * (mixed[-1] + 3 * features)


qkv_rope: Any = torch.ops.trine.qkv_rope.default
decode_attention: Any = torch.ops.trine.decode_attention.default
output_mlp: Any = torch.ops.trine.output_mlp.default
