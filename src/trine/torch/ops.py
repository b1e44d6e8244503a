"""The native products as PyTorch operators: `trine::bitlinear`, `trine::lm_head`.

Registered with `torch.library`, so that torch.compile, FlopCounterMode and torch.profiler see each
as one operator. They compute in float32 whatever the activations' dtype and give that dtype back.
There is no gradient: PyTorch says so when one is asked for.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import threading
from math import prod
from typing import Any, Literal
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray
from torch.utils.flop_counter import register_flop_formula

import torch
from trine import _native
from trine.kernels.native import pool
from trine.kernels.registry import choose
from trine.model.heads import FloatHead, ScreenedHead, build_head
from trine.ternary.tiles import Code


class HeadRows:
    """An int8 or ternary copy of an lm_head's rows, outside PyTorch's memory.

    `handle` names it to the operator.
    """

    def __init__(
        self, weight: torch.Tensor, kind: Literal["int8", "screened"], code: Code, threads: int
    ) -> None:
        pool = shared_pool(threads)
        # A screened head keeps the scores of its last scan in one place.
        self._one = threading.Lock()
        self.head = build_head(kind, choose(), pool, as_numpy(weight), code)
        self.handle = next(_handles)
        _head_rows[self.handle] = self

    @property
    def nbytes(self) -> int:
        """Bytes of the copy."""
        return self.head.scan_nbytes if isinstance(self.head, ScreenedHead) else self.head.nbytes

    def logits(self, states: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Float32 [T, vocabulary] of states [T, H]; None when the float rows have to do it."""
        if not isinstance(self.head, ScreenedHead):
            return self.head.logits(states)
        if len(states) > SCREENED_STATES:
            return None
        with self._one:
            return self.head.filled(states)


# A screened head reads a quarter of the bfloat16 rows' bytes for each state, these once for all.
SCREENED_STATES = 2
_handles = itertools.count()
# An operator takes tensors and numbers only. The entry goes with its owner, an `LMHead`.
_head_rows: WeakValueDictionary[int, HeadRows] = WeakValueDictionary()


@functools.cache
def shared_pool(threads: int) -> _native.Pool:
    """The one pool of so many threads: idle workers sleep, and products wait for each other."""
    return pool(threads)


@functools.cache
def _products(threads: int) -> _native.BitLinear:
    return _native.BitLinear(choose(), shared_pool(threads))


def as_numpy(weight: torch.Tensor) -> Any:
    """The tensor's own memory as an array; bfloat16 as `ml_dtypes.bfloat16`."""
    weight = weight.detach()
    if weight.dtype is not torch.bfloat16:
        return weight.numpy()
    import ml_dtypes

    return weight.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)


# Threads are joined while the interpreter still runs.
atexit.register(shared_pool.cache_clear)
atexit.register(_products.cache_clear)


@torch.library.custom_op("trine::bitlinear", mutates_args=(), device_types="cpu")
def bitlinear(
    x: torch.Tensor,
    tiles: torch.Tensor,
    row_sums: torch.Tensor,
    weight_scale: torch.Tensor,
    features: int,
    code: str,
    threads: int,
) -> torch.Tensor:
    """Y [..., features] = (sum q t) * weight_scale / s with q, s = absmax int8 of each row of x.

    x [..., K] of a float dtype; tiles uint8 and row_sums int32 of a `trine.ternary.tiles` layout
    `code`; weight_scale float32 [1]. Exact int32 sums, equal to `kernels.reference.bitlinear` up to
    the rounding of the last two steps. Raises ValueError for tensors that do not fit each other.
    """
    states = _rows(x)
    out = np.empty((len(states), features), np.float32)
    _products(threads).run(code, tiles.numpy(), row_sums.numpy(), weight_scale.item(), states, out)
    return _like(out, x)


@bitlinear.register_fake
def _(
    x: torch.Tensor,
    tiles: torch.Tensor,
    row_sums: torch.Tensor,
    weight_scale: torch.Tensor,
    features: int,
    code: str,
    threads: int,
) -> torch.Tensor:
    return x.new_empty((*x.shape[:-1], features))


@torch.library.custom_op("trine::lm_head", mutates_args=(), device_types="cpu")
def lm_head(
    x: torch.Tensor, weight: torch.Tensor | None, handle: int, vocabulary: int, threads: int
) -> torch.Tensor:
    """Logits [..., vocabulary] of x [..., H] over the float rows `weight`, or the rows of `handle`.

    A handle of -1 names none. Both may be given: the float rows are those that `handle` screens.
    """
    states = _rows(x)
    logits = _head_rows[handle].logits(states) if handle >= 0 else None
    if logits is None:
        if weight is None:
            raise ValueError("an lm_head needs its float rows, or int8 ones")
        logits = FloatHead(choose(), shared_pool(threads), as_numpy(weight)).logits(states)
    return _like(logits, x)


@lm_head.register_fake
def _(
    x: torch.Tensor, weight: torch.Tensor | None, handle: int, vocabulary: int, threads: int
) -> torch.Tensor:
    return x.new_empty((*x.shape[:-1], vocabulary))


@register_flop_formula([torch.ops.trine.bitlinear, torch.ops.trine.lm_head])
def _flops(x: torch.Size, *_: Any, out_shape: torch.Size, **__: Any) -> int:
    """2 N K a token, as for a dense product of the same shape."""
    return 2 * prod(x) * out_shape[-1]


def _rows(x: torch.Tensor) -> NDArray[np.float32]:
    """Float32 [T, K] of x [..., K], contiguous.

    Every step that is not needed is left out: a decoded token comes through here 210 times.
    """
    if x.requires_grad:
        x = x.detach()
    if x.dtype is not torch.float32:
        x = x.float()
    rows: NDArray[np.float32] = x.reshape(-1, x.shape[-1]).contiguous().numpy()
    return rows


def _like(rows: NDArray[np.float32], x: torch.Tensor) -> torch.Tensor:
    """The rows [T, N] as a tensor [..., N] of the dtype of x [..., K]."""
    out = torch.from_numpy(rows)
    if x.dtype is not torch.float32:
        out = out.to(x.dtype)
    return out.view(*x.shape[:-1], rows.shape[-1])
