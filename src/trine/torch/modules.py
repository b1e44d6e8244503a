"""What each module of Hugging Face's BitNet is: by its type, never by its name.

A type that is not listed is an error, so that a new transformers version cannot slip an
operator past the profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from transformers.activations import ReLUSquaredActivation
from transformers.integrations.bitnet import AutoBitLinear, BitLinear
from transformers.models.bitnet import modeling_bitnet as hf

import torch
from torch import nn
from trine.errors import ProfileError

LeafKind = Literal["embedding", "norm", "bitlinear", "linear", "activation", "rope"]

LEAVES: Mapping[type, LeafKind] = MappingProxyType(
    {
        nn.Embedding: "embedding",
        nn.Linear: "linear",
        AutoBitLinear: "bitlinear",
        BitLinear: "bitlinear",
        ReLUSquaredActivation: "activation",
        hf.BitNetRMSNorm: "norm",
        hf.BitNetRotaryEmbedding: "rope",
    }
)
# Containers by role; gap rules match on the role.
SCOPES: Mapping[type, str] = MappingProxyType(
    {
        hf.BitNetForCausalLM: "causal_lm",
        hf.BitNetModel: "model",
        hf.BitNetDecoderLayer: "layer",
        hf.BitNetAttention: "self_attn",
        hf.BitNetMLP: "mlp",
    }
)
# Modules that never run themselves.
LISTS = (nn.ModuleList,)


def classify(name: str, module: nn.Module) -> LeafKind | str | None:
    """The leaf kind, the scope role, or None for a list; ProfileError for an unknown type."""
    kind = LEAVES.get(type(module)) or SCOPES.get(type(module))
    if kind is None and type(module) not in LISTS:
        raise ProfileError(
            f"{name} is a {type(module).__name__}, which trine has no cost model for; "
            f"this model or this transformers version is not supported"
        )
    return kind


def layer_of(name: str) -> int:
    """The decoder layer in a module path ("model.layers.7.mlp" -> 7), -1 outside the layers."""
    parts = name.split(".")
    return int(parts[2]) if parts[:2] == ["model", "layers"] and len(parts) > 2 else -1


def tensor_shapes(values: Any) -> list[list[int]]:
    """The shapes of all tensors among positional values, in order; nested tuples are opened."""
    if isinstance(values, torch.Tensor):
        return [list(values.shape)]
    if isinstance(values, tuple | list):
        return [shape for value in values for shape in tensor_shapes(value)]
    return []
