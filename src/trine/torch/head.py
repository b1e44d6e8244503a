"""The lm_head on the native kernels, in the place of a Hugging Face model's own."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import nn
from trine.errors import UsageError
from trine.torch.ops import Int8Rows, lm_head

HeadKind = Literal["int8", "float"]


class LMHead(nn.Module):
    """Logits [..., vocabulary] of x [..., H]; inference only.

    float   the rows themselves, not copied: exact products, summed in float32
    int8    a byte a weight and a scale a row, made from the rows once

    `weight` stays the parameter that it was for "float" and for a head that shares the embedding's;
    an int8 head of its own is None there, and `state_dict` is without it.
    """

    kind: HeadKind
    threads: int
    in_features: int
    out_features: int
    rows: Int8Rows | None
    weight: nn.Parameter | None

    def __init__(self, linear: nn.Linear, kind: HeadKind, *, tied: bool, threads: int) -> None:
        super().__init__()
        require_head(kind)
        if linear.bias is not None:
            raise UsageError("an lm_head with a bias is not supported; leave lm_head as it is")
        self.kind, self.threads = kind, threads
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.rows = Int8Rows(linear.weight, threads) if kind == "int8" else None
        self.weight = linear.weight if tied or kind == "float" else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Raises ValueError for a last dimension that is not H."""
        if x.shape[-1] != self.in_features:
            raise ValueError(f"x has {x.shape[-1]} features, the lm_head {self.in_features}")
        handle = -1 if self.rows is None else self.rows.handle
        weight = self.weight if self.rows is None else None
        logits: torch.Tensor = lm_head(x, weight, handle, self.out_features, self.threads)
        return logits

    def extra_repr(self) -> str:
        """Shape, kind, threads."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"kind={self.kind}, threads={self.threads}"
        )


def require_head(kind: str | None) -> None:
    """Raise UsageError for a kind that is neither None nor one of `HeadKind`."""
    if kind is not None and kind not in get_args(HeadKind):
        raise UsageError(
            f"lm_head must be None (Hugging Face's own), {' or '.join(get_args(HeadKind))}, "
            f"not {kind!r}"
        )
