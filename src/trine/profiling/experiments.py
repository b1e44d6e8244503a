"""Side measurements that explain a BitLinear call: its steps timed apart, and the other dtype.

They run after the measured repetitions on the weight and the real input of one middle layer, so
that they disturb nothing. Variants of one operator are interleaved call by call, and each call's
result is dropped before the next, as the model drops it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch.nn.functional as F
from transformers.integrations.bitnet import ActQuant, BitLinear, WeightQuant, unpack_weights

import torch
from trine.checkpoint.config import LINEARS
from trine.profiling.profile import Experiment

Timed = Callable[[], Any]
# Calls of each variant after one untimed call; the median of 7 ignores three disturbed ones.
SAMPLES = 7


@torch.no_grad()
def run_experiments(
    model: Any,
    ids: torch.Tensor,
    mode: str,
    *,
    decode: bool,
    clock: Callable[[], int],
    progress: Callable[[str, int, int], None],
) -> list[Experiment]:
    """One "dissect" per ternary operator at the prompt's tokens, and "dtype" for each stage.

    The dtypes are compared at the prompt's tokens and, with `decode`, at one token: which is the
    faster can differ, since one token is bound by the weights' bytes and many by arithmetic.
    """
    number = model.config.num_hidden_layers // 2
    layer = model.model.layers[number]
    modules = {
        operator: module
        for name, module in layer.named_modules()
        if (operator := name.rsplit(".", 1)[-1]) in LINEARS
    }
    inputs = _inputs(model, modules, ids)
    results: list[Experiment] = []
    for done, (operator, module) in enumerate(modules.items()):
        progress("experiments", done, len(modules))
        x = inputs[operator]
        tokens = x.shape[-2]
        steps = _interleave(_steps(module, x, mode), clock)
        results.append(Experiment("dissect", operator, number, tokens, steps))
        twins = _twins(module)
        for count in sorted({1, tokens} if decode else {tokens}):
            samples = _interleave(_calls(twins, x[:, :count]), clock)
            results.append(Experiment("dtype", operator, number, count, samples))
    progress("experiments", len(modules), len(modules))
    return results


def _inputs(model: Any, modules: dict[str, Any], ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """The input of each operator in a prefill of `ids`."""
    found: dict[str, torch.Tensor] = {}
    handles = []
    for operator, module in modules.items():

        def keep(_: Any, args: Any, operator: str = operator) -> None:
            found[operator] = args[0].clone()

        handles.append(module.register_forward_pre_hook(keep))
    try:
        model(input_ids=ids, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _steps(module: Any, x: torch.Tensor, mode: str) -> dict[str, Timed]:
    """The call and its steps, each on the real operands of that step."""
    act_quant: Any = ActQuant.apply
    weight_quant: Any = WeightQuant.apply
    if mode == "packed":
        dense = unpack_weights(module.weight, dtype=module.dtype)
        codes, scale = module.activation_quant(x)
        y = F.linear(codes.to(module.dtype), dense)
        return {
            "whole": lambda: module(x),
            "unpack": lambda: unpack_weights(module.weight, dtype=module.dtype),
            "act_quant": lambda: module.activation_quant(x),
            "linear": lambda: F.linear(codes.to(module.dtype), dense),
            "rescale": lambda: module.post_quant_process(y, module.weight_scale, scale),
        }
    quantised = act_quant(x)
    if mode == "online":
        dense = weight_quant(module.weight)
        return {
            "whole": lambda: module(x),
            "weight_quant": lambda: weight_quant(module.weight),
            "act_quant": lambda: act_quant(x),
            "linear": lambda: F.linear(quantised, dense),
        }
    y = F.linear(quantised, module.weight)
    return {
        "whole": lambda: module(x),
        "act_quant": lambda: act_quant(x),
        "linear": lambda: F.linear(quantised, module.weight),
        "rescale": lambda: y * module.weight_scale,
    }


def _twins(module: Any) -> dict[torch.dtype, Any]:
    """The operator in each dtype; the module itself is used as it is, only the other costs memory.

    Packed weights stay bytes: their dtype is that of what they are unpacked to.
    """
    own = module.weight_scale.dtype if isinstance(module, BitLinear) else module.weight.dtype
    twins: dict[torch.dtype, Any] = {}
    for dtype in (torch.float32, torch.bfloat16):
        twins[dtype] = module if dtype == own else copy.deepcopy(module).to(dtype)
        if isinstance(module, BitLinear):
            twins[dtype].dtype = dtype
    return twins


def _calls(twins: dict[torch.dtype, Any], x: torch.Tensor) -> dict[str, Timed]:
    """The whole call in each dtype, keyed by its name."""
    return {
        str(dtype).removeprefix("torch."): partial(twin, x.to(dtype).contiguous())
        for dtype, twin in twins.items()
    }


def _interleave(variants: dict[str, Timed], clock: Callable[[], int]) -> dict[str, list[int]]:
    samples: dict[str, list[int]] = {name: [] for name in variants}
    for call in variants.values():
        call()
    for _ in range(SAMPLES):
        for name, call in variants.items():
            start = clock()
            # Not bound: freeing a large result is part of what the step costs in the model.
            call()
            samples[name].append(clock() - start)
    return samples
