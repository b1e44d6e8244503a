"""Decoder layers that run as three native operators around Hugging Face's own KV cache.

A layer of a BitNet or Llama model gives way to one of a subclass of its own class, which holds the
very modules of the original. It runs fused while everything that it passes over is as it was made;
when something wants a module in between (a hook, an adapter, a bias, attention weights as a
result), it runs those modules, as the original does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from torch.nn.modules.module import _has_any_global_hook
from transformers.activations import ReLUSquaredActivation, SiLUActivation
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.bitnet import modeling_bitnet as bitnet
from transformers.models.llama import modeling_llama as llama
from transformers.utils import output_capturing

import torch
from torch import nn
from trine.torch.layer_ops import decode_attention, output_mlp, qkv_rope
from trine.torch.linear import NativeBitLinear

_ACTIVATIONS = {ReLUSquaredActivation: "relu2", SiLUActivation: "silu", nn.SiLU: "silu"}
_FLOATS = (torch.bfloat16, torch.float32, torch.float16)
# Arguments of a layer that mean nothing to the attention of one query over a whole cache.
_OTHERS = frozenset(("use_cache", "position_ids", "output_hidden_states", "output_attentions"))


class _Parts(NamedTuple):
    """A layer's modules, as the fused forward uses them."""

    attention: Any
    norms: tuple[Any, ...]  # input, attention's (or None), post, feed-forward's (or None)
    linears: tuple[NativeBitLinear, ...]  # q, k, v, o, gate, up, down
    activation: str
    interface: Any  # the attention function


class _FusedLayer(nn.Module):
    """The fused forward; mixed into a subclass of a decoder layer's class."""

    ATTENTION: Any
    MLP: Any
    NORM: Any
    EAGER: Callable[..., Any]

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
        kwargs["position_ids"], kwargs["use_cache"] = position_ids, use_cache
        rope = position_embeddings
        parts = None if rope is None else _parts(self, hidden_states, rope[0], kwargs)
        if parts is None or rope is None:
            y: torch.Tensor = super().forward(
                hidden_states,
                attention_mask=attention_mask,
                past_key_values=past_key_values,
                position_embeddings=rope,
                **kwargs,
            )
            return y
        attention, norms, linears, activation, interface = parts
        first = linears[0]
        code, threads = first.code, first.threads
        q, k, v = qkv_rope(
            hidden_states,
            norms[0].weight,
            norms[0].variance_epsilon,
            *rope,
            *_weights(linears[:3]),
            [linear.out_features for linear in linears[:3]],
            code,
            threads,
        )
        if past_key_values is not None:
            k, v = past_key_values.update(k, v, attention.layer_idx)
        if (
            interface is sdpa_attention_forward
            and attention_mask is None
            and q.shape[2] == 1
            and all(value is None or name in _OTHERS for name, value in kwargs.items())
        ):
            mixed = decode_attention(q, k, v, attention.scaling, threads)
        else:
            scaling = attention.scaling
            mixed, _ = interface(
                attention, q, k, v, attention_mask, dropout=0.0, scaling=scaling, **kwargs
            )
            mixed = mixed.reshape(*mixed.shape[:2], -1)
        _, before, post, inner = norms
        y = output_mlp(
            mixed,
            hidden_states,
            None if before is None else before.weight,
            post.weight,
            None if inner is None else inner.weight,
            [0.0 if norm is None else norm.variance_epsilon for norm in (before, post, inner)],
            *_weights(linears[3:]),
            linears[4].out_features,
            activation,
            code,
            threads,
        )
        return y


class FusedBitNetLayer(_FusedLayer, bitnet.BitNetDecoderLayer):  # type: ignore[no-untyped-call]
    """A `BitNetDecoderLayer` around the same modules."""

    ATTENTION, MLP, NORM = bitnet.BitNetAttention, bitnet.BitNetMLP, bitnet.BitNetRMSNorm
    EAGER = staticmethod(bitnet.eager_attention_forward)


class FusedLlamaLayer(_FusedLayer, llama.LlamaDecoderLayer):  # type: ignore[no-untyped-call]
    """A `LlamaDecoderLayer` around the same modules."""

    ATTENTION, MLP, NORM = llama.LlamaAttention, llama.LlamaMLP, llama.LlamaRMSNorm
    EAGER = staticmethod(llama.eager_attention_forward)


_FUSED: dict[type, type[_FusedLayer]] = {
    bitnet.BitNetDecoderLayer: FusedBitNetLayer,
    llama.LlamaDecoderLayer: FusedLlamaLayer,
}


def fuse_layers(model: Any) -> None:
    """Put a fused layer in the place of each BitNet and Llama layer of native BitLinears.

    Subclasses of these stay, and layers with hooks or a forward of their own.
    """
    for name, module in list(model.named_modules()):
        fused = _FUSED.get(type(module))
        if fused is not None and _untouched(module):
            model.set_submodule(name, fused(module))


def _parts(
    layer: _FusedLayer, x: torch.Tensor, cos: torch.Tensor, kwargs: dict[str, Any]
) -> _Parts | None:
    """What runs fused on x; None when something in the layer wants to be run by itself.

    Every step that is not needed is left out: a decoded token comes through here for each layer.
    """
    own: Any = layer._modules
    attention: Any = own["self_attn"]
    mlp: Any = own["mlp"]
    if type(attention) is not layer.ATTENTION or type(mlp) is not layer.MLP or layer.training:
        return None
    of_attention, of_mlp = attention._modules, mlp._modules
    activation = of_mlp["act_fn"]
    kind = _ACTIVATIONS.get(type(activation))
    linears = (
        of_attention["q_proj"],
        of_attention["k_proj"],
        of_attention["v_proj"],
        of_attention["o_proj"],
        of_mlp["gate_proj"],
        of_mlp["up_proj"],
        of_mlp["down_proj"],
    )
    norms = (
        own["input_layernorm"],
        of_attention.get("attn_sub_norm"),
        own["post_attention_layernorm"],
        of_mlp.get("ffn_sub_norm"),
    )
    for linear in linears:
        if type(linear) is not NativeBitLinear or not linear.plain or not _untouched(linear):
            return None
    for norm in norms:
        if norm is not None and (type(norm) is not layer.NORM or not _untouched(norm)):
            return None
    if kind is None or not (_untouched(attention) and _untouched(mlp) and _untouched(activation)):
        return None
    if x.dtype not in _FLOATS or cos.shape[-1] != attention.head_dim:
        return None
    if _has_any_global_hook() or (  # type: ignore[no-untyped-call]
        torch.is_grad_enabled() and (x.requires_grad or norms[0].weight.requires_grad)
    ):
        return None
    interface = ALL_ATTENTION_FUNCTIONS.get_interface(
        attention.config._attn_implementation, layer.EAGER
    )
    # PyTorch's attention has no weights to give.
    if interface is not sdpa_attention_forward and kwargs.get(
        "output_attentions", attention.config.output_attentions
    ):
        return None
    return _Parts(attention, norms, linears, kind, interface)


def _untouched(module: nn.Module) -> bool:
    """Whether a module's call runs its class's forward and nothing else."""
    if module._forward_pre_hooks or "forward" in module.__dict__:
        return False
    hooks = module._forward_hooks
    # transformers leaves its recorder on modules whose results it has recorded once; that the
    # attention's are to be recorded again is told by `output_attentions`.
    return not hooks or all(
        getattr(hook, "__module__", None) == output_capturing.__name__ for hook in hooks.values()
    )


def _weights(linears: Iterable[NativeBitLinear]) -> list[list[Any]]:
    """Tiles, row sums and scales."""
    buffers = [linear._buffers for linear in linears]
    return [[of[name] for of in buffers] for name in ("tiles", "row_sums", "weight_scale")]
