"""Swap the BitLinears of a loaded Hugging Face model for native ones, in place."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn
from trine.errors import CheckpointError, UsageError
from trine.kernels.registry import choose
from trine.model.body import choose_body
from trine.ternary.tiles import Code
from trine.torch.decoding import calm
from trine.torch.head import HeadKind, LMHead, require_head
from trine.torch.layers import fuse_layers
from trine.torch.linear import BITLINEARS, NativeBitLinear, native_linear
from trine.torch.memory import give_back, page_out


def accelerate(model: Any, *, lm_head: HeadKind | None = None, threads: int | None = None) -> Any:
    """`model`, with every BitLinear and AutoBitLinear (online, offline, packed) run natively.

    Their weights are packed, one module after the other, and freed. lm_head: "int8", "float" or
    "screened" runs the output head natively too; None leaves it. threads: of the native kernels;
    default: PyTorch's own number. The packing, two bits a trit or 1.6, is the faster one as
    measured here. BitNet and Llama layers run fused under `torch.no_grad()` (`trine.torch.layers`).

    What `state_dict` and `save_pretrained` then write is a packed Hugging Face checkpoint: what
    was online or offline becomes `linear_class` autobitlinear, offline; bitlinear stays.

    Raises UsageError for a model without BitLinears, one that was accelerated before, weights that
    are not in CPU memory; CheckpointError for damaged ones. The module that fails is named; those
    before it stay swapped.
    """
    require_head(lm_head)
    name = type(model).__name__
    if any(isinstance(module, NativeBitLinear) for module in model.modules()):
        raise UsageError(f"this {name} is already accelerated; load it again to change its options")
    if not any(isinstance(module, BITLINEARS) for module in model.modules()):
        raise UsageError(
            f"this {name} has no BitLinear or AutoBitLinear; trine accelerates BitNet models that "
            f"transformers loaded with their quantization_config"
        )
    swap(model, lm_head=lm_head, threads=threads)
    config = getattr(model, "config", None)
    declared = getattr(config, "quantization_config", None)
    if declared is not None and getattr(declared, "linear_class", None) == "autobitlinear":
        declared.quantization_mode = "offline"
    return model


def swap(
    model: Any, *, lm_head: HeadKind | None, threads: int | None, divides: bool | None = None
) -> None:
    """`accelerate` without its checks; `divides` overrides what a packed BitLinear's class says."""
    count = torch.get_num_threads() if threads is None else threads
    code = _body(choose(), count)
    _swap_linears(model, code, count, divides)
    fuse_layers(model)
    if lm_head is not None:
        _swap_head(model, lm_head, code, count)
    calm(model, whole=lm_head is not None)
    give_back()


def _swap_linears(model: Any, code: Code, threads: int, divides: bool | None) -> None:
    names = [name for name, module in model.named_modules() if isinstance(module, BITLINEARS)]
    for name in names:
        module = model.get_submodule(name)
        try:
            native = native_linear(module, code=code, threads=threads, divides=divides)
        except (UsageError, CheckpointError) as error:
            raise type(error)(f"{name}: {error}") from None
        model.set_submodule(name, native.train(module.training))
        page_out(module.weight)
        del module


def _swap_head(model: Any, kind: HeadKind, code: Code, threads: int) -> None:
    head = model.get_output_embeddings()
    if not isinstance(head, nn.Linear) or isinstance(head, BITLINEARS):
        raise UsageError(f"the output head is a {type(head).__name__}; lm_head needs an nn.Linear")
    if head.weight.device.type != "cpu":
        raise UsageError(f"the lm_head is on {head.weight.device}; the native one runs on the CPU")
    tied = model.get_input_embeddings().weight is head.weight
    model.set_output_embeddings(LMHead(head, kind, tied=tied, threads=threads, code=code))


@functools.cache
def _body(isa: str, threads: int) -> Code:
    return choose_body("auto", isa, threads)
