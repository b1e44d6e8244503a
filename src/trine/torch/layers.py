"""Decoder layers that run as three native operators around Hugging Face's own KV cache.

A layer of a BitNet or Llama model gives way to one of a subclass of its own class, which holds the
very modules of the original. It runs fused while everything that it passes over is as it was made;
when something wants a module in between (a hook, an adapter, a bias, attention weights as a
result), it runs those modules, as the original does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from transformers.activations import ReLUSquaredActivation, SiLUActivation
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.bitnet import modeling_bitnet as bitnet
from transformers.models.llama import modeling_llama as llama
from transformers.utils import output_capturing

import torch
from torch import nn
from torch.nn.modules.module import _has_any_global_hook
from trine.torch.layer_ops import decode_attention, output_mlp, qkv_rope
from trine.torch.linear import NativeBitLinear

_ACTIVATIONS = {ReLUSquaredActivation: "relu2", SiLUActivation: "silu", nn.SiLU: "silu"}
# Arguments of a layer that mean nothing to the attention of one query over a whole cache.
_OTHERS = frozenset(("use_cache", "position_ids", "output_hidden_states", "output_attentions"))


class _Parts(NamedTuple):
    """A layer's modules, as the fused forward uses them."""

    attention: Any
    norms: list[Any]  # input, attention's (or None), post, feed-forward's (or None)
    linears: list[Any]  # q, k, v, o, gate, up, down
    activation: str


class _FusedLayer(nn.Module):
    """The fused forward; mixed into a subclass of a decoder layer's class."""

    ATTENTION: type
    MLP: type
    NORM: type

    def __init__(self, layer: Any) -> None:
        """Take over the modules of `layer`."""
        nn.Module.__init__(self)
        self.hidden_size = layer.hidden_size
        for name, module in layer.named_children():
            self.add_module(name, module)
        self.training = layer.training

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool | None = False,
        position_embeddings: tuple[torch.Tensor, torch.Tensor] | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """[B, T, H] of x [B, T, H], as the layer's own forward."""
        kwargs |= {"position_ids": position_ids, "use_cache": use_cache}
        parts = None if position_embeddings is None else _parts(self, kwargs)
        if parts is None or position_embeddings is None:
            y: torch.Tensor = super().forward(
                hidden_states,
                attention_mask=attention_mask,
                past_key_values=past_key_values,
                position_embeddings=position_embeddings,
                **kwargs,
            )
            return y
        attention, norms, linears, activation = parts
        first = linears[0]
        options = (first.code, first.threads)
        q, k, v = qkv_rope(
            hidden_states,
            norms[0].weight,
            norms[0].variance_epsilon,
            *position_embeddings,
            *_weights(linears[:3]),
            [linear.out_features for linear in linears[:3]],
            *options,
        )
        if past_key_values is not None:
            k, v = past_key_values.update(k, v, attention.layer_idx)
        y = output_mlp(
            _attend(attention, q, k, v, attention_mask, first.threads, kwargs),
            hidden_states,
            *(None if norm is None else norm.weight for norm in norms[1:]),
            [0.0 if norm is None else norm.variance_epsilon for norm in norms[1:]],
            *_weights(linears[3:]),
            linears[4].out_features,
            activation,
            *options,
        )
        return y


class FusedBitNetLayer(_FusedLayer, bitnet.BitNetDecoderLayer):
    """A `BitNetDecoderLayer` around the same modules."""

    ATTENTION, MLP, NORM = bitnet.BitNetAttention, bitnet.BitNetMLP, bitnet.BitNetRMSNorm


class FusedLlamaLayer(_FusedLayer, llama.LlamaDecoderLayer):
    """A `LlamaDecoderLayer` around the same modules."""

    ATTENTION, MLP, NORM = llama.LlamaAttention, llama.LlamaMLP, llama.LlamaRMSNorm


_FUSED: dict[type, type[_FusedLayer]] = {
    bitnet.BitNetDecoderLayer: FusedBitNetLayer,
    llama.LlamaDecoderLayer: FusedLlamaLayer,
}


def fuse_layers(model: Any) -> None:
    """Put a fused layer in the place of each BitNet and Llama layer that would run fused.

    The others stay: subclasses, layers with hooks or a forward of their own.
    """
    for name, module in list(model.named_modules()):
        fused = _FUSED.get(type(module))
        if fused is not None and _untouched(module):
            layer = fused(module)
            if _parts(layer, {}) is not None:
                model.set_submodule(name, layer)


def _parts(layer: _FusedLayer, kwargs: dict[str, Any]) -> _Parts | None:
    """What runs fused; None when something in it wants to be run by itself."""
    attention: Any = layer.self_attn
    mlp: Any = layer.mlp
    if layer.training or kwargs.get("output_attentions", attention.config.output_attentions):
        return None
    if type(attention) is not layer.ATTENTION or type(mlp) is not layer.MLP:
        return None
    own, inner = attention._modules, mlp._modules
    linears: list[Any] = [
        *(own.get(name) for name in ("q_proj", "k_proj", "v_proj", "o_proj")),
        *(inner.get(name) for name in ("gate_proj", "up_proj", "down_proj")),
    ]
    norms: list[Any] = [
        layer._modules["input_layernorm"],
        own.get("attn_sub_norm"),
        layer._modules["post_attention_layernorm"],
        inner.get("ffn_sub_norm"),
    ]
    activation: Any = inner.get("act_fn")
    kind = _ACTIVATIONS.get(type(activation))
    fits = (
        kind is not None
        and all(type(linear) is NativeBitLinear and linear.plain for linear in linears)
        and all(norm is None or type(norm) is layer.NORM for norm in norms)
        and all(map(_untouched, (attention, mlp, activation, *linears)))
        and all(norm is None or _untouched(norm) for norm in norms)
        and not _has_any_global_hook()
    )
    return _Parts(attention, norms, linears, kind) if fits and kind is not None else None


def _untouched(module: nn.Module) -> bool:
    """Whether a module's call runs its class's forward and nothing else."""
    hooks = module._forward_hooks
    return (
        not module._forward_pre_hooks
        and "forward" not in module.__dict__
        # transformers leaves its recorder of results on modules that it has once recorded; asking
        # for those of the attention is told by `output_attentions`.
        and (not hooks or all(_records(hook) for hook in hooks.values()))
    )


def _records(hook: Any) -> bool:
    return getattr(hook, "__module__", None) == output_capturing.__name__


def _weights(linears: Iterable[NativeBitLinear]) -> list[list[torch.Tensor]]:
    """Tiles, row sums and scales."""
    buffers = [linear._buffers for linear in linears]
    return [[b[name] for b in buffers] for name in ("tiles", "row_sums", "weight_scale")]  # type: ignore[misc]


def _attend(
    attention: Any,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor | None,
    threads: int,
    kwargs: dict[str, Any],
) -> torch.Tensor:
    """[B, T, heads * D] of q [B, heads, T, D] over all keys, by the model's own attention.

    Where that is PyTorch's and one query sees every key, by `trine::decode_attention`.
    """
    interface = ALL_ATTENTION_FUNCTIONS.get_interface(
        attention.config._attn_implementation, _eager(attention)
    )
    if (
        interface is sdpa_attention_forward
        and mask is None
        and q.shape[2] == 1
        and all(value is None or name in _OTHERS for name, value in kwargs.items())
    ):
        one: torch.Tensor = decode_attention(q, k, v, attention.scaling, threads)
        return one
    mixed, _ = interface(
        attention, q, k, v, mask, dropout=0.0, scaling=attention.scaling, **kwargs
    )
    many: torch.Tensor = mixed.reshape(*mixed.shape[:2], -1)
    return many


def _eager(attention: Any) -> Any:
    module = bitnet if type(attention) is bitnet.BitNetAttention else llama
    return module.eager_attention_forward
