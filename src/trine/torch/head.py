"""The lm_head on the native kernels, in the place of a Hugging Face model's own."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import nn
from trine.errors import UsageError
from trine.ternary.tiles import Code
from trine.torch.ops import HeadRows, lm_head

HeadKind = Literal["int8", "float", "screened"]


class LMHead(nn.Module):
    """Logits [..., vocabulary] of x [..., H]; inference only.

    float     the rows themselves, not copied: exact products, summed in float32
    int8      a byte a weight and a scale a row, made from the rows once
    screened  of one or two states: the likeliest rows exactly (at least `model.heads.KEEP`), found
              by a scan of a ternary copy, whose scores stand for all other logits. Of more states,
              as of a whole text: as "float"

    `weight` stays the parameter that it was, but for an int8 head that does not share the
    embedding's: that is None, and `state_dict` is without it.
    """

    kind: HeadKind
    threads: int
    in_features: int
    out_features: int
    rows: HeadRows | None
    weight: nn.Parameter | None

    def __init__(
        self,
        linear: nn.Linear,
        kind: HeadKind,
        *,
        tied: bool,
        threads: int,
        code: Code = "2bit",
    ) -> None:
        super().__init__()
        require_head(kind)
        if linear.bias is not None:
            raise UsageError("an lm_head with a bias is not supported; leave lm_head as it is")
        self.kind, self.threads = kind, threads
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.rows = None if kind == "float" else HeadRows(linear.weight, kind, code, threads)
        self.weight = linear.weight if tied or kind != "int8" else None

    @property
    def nbytes(self) -> int:
        """Bytes that the logits of one state read."""
        if self.rows is not None:
            return self.rows.head.nbytes
        return 0 if self.weight is None else self.weight.nbytes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Raises ValueError for a last dimension that is not H."""
        if x.shape[-1] != self.in_features:
            raise ValueError(f"x has {x.shape[-1]} features, the lm_head {self.in_features}")
        handle = -1 if self.rows is None else self.rows.handle
        weight = None if self.kind == "int8" else self.weight
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
    kinds = get_args(HeadKind)
    if kind is not None and kind not in kinds:
        raise UsageError(
            f"lm_head must be None (Hugging Face's own), {', '.join(kinds[:-1])} or {kinds[-1]}, "
            f"not {kind!r}"
        )
