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
from transformers.integrations.bitnet import ActQuant, AutoBitLinear, WeightQuant, unpack_weights

import torch
from trine.profiling.profile import Experiment

Timed = Callable[[], Any]
# Calls of each variant after one untimed call; the median of 7 ignores three disturbed ones.
SAMPLES = 7
LINEARS = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)


@torch.no_grad()
def run_experiments(
    model: Any,
    ids: torch.Tensor,
    mode: str,
    clock: Callable[[], int],
    progress: Callable[[str, int, int], None],
) -> list[Experiment]:
    """One "dissect" and, for AutoBitLinear, one "dtype" experiment per ternary operator."""
    number = model.config.num_hidden_layers // 2
    layer = model.model.layers[number]
    inputs = _inputs(model, layer, ids)
    results: list[Experiment] = []
    for done, path in enumerate(LINEARS):
        progress("experiments", done, len(LINEARS))
        module, x = layer.get_submodule(path), inputs[path]
        operator, tokens = path.rsplit(".", 1)[-1], x.shape[-2]
        steps = _steps(module, x, mode)
        results.append(Experiment("dissect", operator, number, tokens, _interleave(steps, clock)))
        if isinstance(module, AutoBitLinear):
            variants = _dtypes(module, x)
            results.append(
                Experiment("dtype", operator, number, tokens, _interleave(variants, clock))
            )
    progress("experiments", len(LINEARS), len(LINEARS))
    return results


def _inputs(model: Any, layer: Any, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """The input of each operator of `layer` in a prefill of `ids`."""
    found: dict[str, torch.Tensor] = {}
    handles = []
    for path in LINEARS:

        def keep(_: Any, args: Any, path: str = path) -> None:
            found[path] = args[0].clone()

        handles.append(layer.get_submodule(path).register_forward_pre_hook(keep))
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


def _dtypes(module: Any, x: torch.Tensor) -> dict[str, Timed]:
    variants: dict[str, Timed] = {}
    for dtype in (torch.float32, torch.bfloat16):
        # The module in its own dtype is used as it is; only the other one costs memory.
        same = module.weight.dtype == dtype
        twin = module if same else copy.deepcopy(module).to(dtype)
        twin_x = x.to(dtype)
        name = str(dtype).removeprefix("torch.")
        variants[name] = partial(twin, twin_x)
    return variants


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
