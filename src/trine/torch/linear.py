"""The native BitLinear as a module, made from Hugging Face's `BitLinear` or `AutoBitLinear`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers.integrations.bitnet import AutoBitLinear, BitLinear

import torch
from torch import nn
from trine import _native
from trine.errors import CheckpointError, UsageError
from trine.ternary import absmean_ternary, pack_hf
from trine.ternary.hf import CODES_PER_BYTE
from trine.ternary.tiles import LAYOUTS, TILE_ROWS, Code, unpack_tiles
from trine.torch.ops import as_numpy, bitlinear, shared_pool

BITLINEARS = (BitLinear, AutoBitLinear)


class NativeBitLinear(nn.Module):
    """Y [..., N] of x [..., K] by the native kernels; inference only.

    `state_dict` holds what a packed Hugging Face checkpoint holds: `weight` uint8 [N/4, K] and
    `weight_scale` float32 [1], which divides when `divides` (linear_class bitlinear) and else
    multiplies (autobitlinear, offline). `load_state_dict` takes the same. Moving the module to
    another dtype leaves the scale in float32.
    """

    def __init__(
        self,
        packed: NDArray[np.uint8],
        scale: np.float32,
        features: int,
        *,
        code: Code,
        threads: int,
        divides: bool,
        bias: torch.Tensor | None = None,
        rms_norm: nn.Module | None = None,
    ) -> None:
        """Pack the HF layout uint8 [>= N/4, K] times the multiply `scale`; rows from N on are zero.

        Raises CheckpointError for the illegal code and for a scale that is not positive,
        UsageError for a K that the kernels' sums cannot hold.
        """
        super().__init__()
        self.in_features, self.out_features = packed.shape[1], features
        self.code, self.threads, self.divides = code, threads, divides
        tiles = -(-features // TILE_ROWS)
        shape = (tiles, LAYOUTS[code].lines(self.in_features), TILE_ROWS * 4)
        self.register_buffer("tiles", torch.empty(shape, dtype=torch.uint8), persistent=False)
        sums = torch.empty(tiles * TILE_ROWS, dtype=torch.int32)
        self.register_buffer("row_sums", sums, persistent=False)
        self.register_buffer("weight_scale", torch.ones(1), persistent=False)
        self.register_buffer("bias", bias)
        self.rms_norm = rms_norm
        # A product and nothing else; an attribute, since each decoded token asks.
        self.plain = bias is None and rms_norm is None
        self._pack(packed, scale)

    tiles: torch.Tensor
    row_sums: torch.Tensor
    weight_scale: torch.Tensor
    bias: torch.Tensor | None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Raises ValueError for a last dimension that is not K."""
        if x.shape[-1] != self.in_features:
            raise ValueError(f"x has {x.shape[-1]} features, the weight {self.in_features}")
        if self.rms_norm is not None:
            x = self.rms_norm(x)
        y: torch.Tensor = bitlinear(
            x,
            self.tiles,
            self.row_sums,
            self.weight_scale,
            self.out_features,
            self.code,
            self.threads,
        )
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """Shape, layout, threads."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"code={self.code}, threads={self.threads}"
        )

    def _pack(self, packed: NDArray[np.uint8], scale: np.float32) -> None:
        if self.in_features > _native.MAX_K:
            raise UsageError(
                f"K = {self.in_features} is more than the native kernels sum exactly "
                f"({_native.MAX_K})"
            )
        if not np.isfinite(scale) or scale <= 0:
            raise CheckpointError(f"the weight scale is {scale}; it must be above 0")
        legal = _native.pack_hf(
            self.code,
            np.ascontiguousarray(packed),
            self.tiles.numpy(),
            self.row_sums.numpy(),
            shared_pool(self.threads),
        )
        if not legal:
            raise CheckpointError("packed ternary weights contain the illegal code 0b11")
        self.weight_scale.fill_(float(scale))

    def _apply(self, fn: Any, recurse: bool = True) -> NativeBitLinear:
        scale = self.weight_scale
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.weight_scale = scale.to(self.weight_scale.device)
        return self

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        shape = (self.out_features, self.in_features)
        trits = unpack_tiles(self.tiles.numpy(), shape, LAYOUTS[self.code])
        destination[f"{prefix}weight"] = torch.from_numpy(pack_hf(trits))
        scale = self.weight_scale.clone()
        destination[f"{prefix}weight_scale"] = 1 / scale if self.divides else scale

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        weight = state_dict.pop(f"{prefix}weight", None)
        scale = state_dict.pop(f"{prefix}weight_scale", None)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        missing_keys += [
            f"{prefix}{name}"
            for name, value in (("weight", weight), ("weight_scale", scale))
            if value is None
        ]
        if weight is None or scale is None:
            return
        expected = (self.out_features // CODES_PER_BYTE, self.in_features)
        if weight.dtype is not torch.uint8 or tuple(weight.shape) != expected:
            error_msgs.append(
                f"{prefix}weight is {weight.dtype} {list(weight.shape)}, packed uint8 "
                f"{list(expected)} was expected"
            )
            return
        self._pack(weight.numpy(), multiply_scale(scale, divides=self.divides))


def multiply_scale(scale: torch.Tensor, *, divides: bool) -> np.float32:
    """A stored scale [1] as the float32 that multiplies."""
    value = np.float32(scale.float().item())
    with np.errstate(divide="ignore"):
        return np.float32(1) / value if divides else value


def native_linear(
    module: nn.Module, *, code: Code, threads: int, divides: bool | None = None
) -> NativeBitLinear:
    """The native twin of a loaded `BitLinear` or `AutoBitLinear`.

    online: absmean of the master weight. offline: the ternary floats and their scale. packed: the
    bytes and their scale, which `divides` for a BitLinear unless it is said otherwise.

    Raises UsageError for weights that are not in CPU memory, CheckpointError for weights that are
    not what the module says they are.
    """
    weight: Any = module.weight
    if weight.device.type != "cpu":
        raise UsageError(f"its weight is on {weight.device}; the native kernels run on the CPU")
    divides = isinstance(module, BitLinear) if divides is None else divides
    if isinstance(module, BitLinear):
        packed = weight.numpy()
        scale = multiply_scale(module.weight_scale, divides=divides)
    elif getattr(module, "online_quant", False):
        packed, scale = _online(weight)
    else:
        packed = _offline(weight)
        scale = multiply_scale(module.weight_scale, divides=divides)  # type: ignore[arg-type]
    bias: Any = module.bias
    return NativeBitLinear(
        packed,
        scale,
        int(module.out_features),  # type: ignore[arg-type]
        code=code,
        threads=threads,
        divides=divides,
        bias=None if bias is None else bias.detach(),
        rms_norm=module.rms_norm,  # type: ignore[arg-type]
    )


def _online(weight: torch.Tensor) -> tuple[NDArray[np.uint8], np.float32]:
    codes, scale = absmean_ternary(as_numpy(weight).astype(np.float32))
    return _packed(codes), scale


def _offline(weight: torch.Tensor) -> NDArray[np.uint8]:
    values = as_numpy(weight)
    codes = values.astype(np.int8)
    if not np.array_equal(codes, values) or codes.min() < -1 or codes.max() > 1:
        raise CheckpointError("its offline weights are not -1, 0 and 1")
    return _packed(codes)


def _packed(codes: NDArray[np.int8]) -> NDArray[np.uint8]:
    """The HF layout, with rows of zeros up to a multiple of four."""
    return pack_hf(np.pad(codes, ((0, -len(codes) % CODES_PER_BYTE), (0, 0))))
