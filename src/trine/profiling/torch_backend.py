"""The recorder's eyes in PyTorch: hooks on every module, and the seams Hugging Face offers.

Seams: the attention core (`AttentionInterface`), the KV update (a `DynamicCache` subclass), and
sampling (our own loop). RoPE application, gate x up and the residual additions have no seam;
they are the only work between two recorded neighbours, so the gap there is named for them
(`_GAP_RULES`). Nothing of transformers is patched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from torch._dynamo.callback import CallbackArgs, callback_handler
from torch._dynamo.utils import counters
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

import torch
from torch import nn
from trine.profiling.recorder import Gap, GapContext, Operator, Recorder, Scope
from trine.torch.modules import LEAVES, SCOPES, classify, layer_of, tensor_shapes

ATTENTION = "trine-recorded"

# The recorder that listens to an attention module; the interface below is registered once for
# the process, so it looks its recorder up here.
_LISTENERS: WeakKeyDictionary[nn.Module, tuple[Recorder, Operator]] = WeakKeyDictionary()


class CompileCounters:
    """Graphs compiled, cache hits and time spent by torch.compile in this process.

    A hit is a graph whose compiled code came from the on-disk FX graph cache;
    the time is the wall time between Dynamo's own start and end callbacks.
    """

    def __init__(self) -> None:
        self._ns = 0
        self._started = 0
        callback_handler.register_start_callback(self._start)
        callback_handler.register_end_callback(self._end)

    def __call__(self) -> tuple[int, int, int]:
        """(graphs, cache hits, ns) since the process started compiling."""
        hits = counters["inductor"]["fxgraph_cache_hit"]
        return counters["stats"]["unique_graphs"], hits, self._ns

    def close(self) -> None:
        """Stop listening."""
        callback_handler.remove_start_callback(self._start)
        callback_handler.remove_end_callback(self._end)

    def _start(self, _: CallbackArgs) -> None:
        self._started = time.perf_counter_ns()

    def _end(self, _: CallbackArgs) -> None:
        self._ns += time.perf_counter_ns() - self._started


class RecordedCache(DynamicCache):
    """Hugging Face's growing KV cache, its update recorded as an operator of its layer."""

    def __init__(self, config: Any, recorder: Recorder, operators: list[Operator]) -> None:
        super().__init__(config=config)
        self._recorder = recorder
        self._operators = operators

    def update(
        self, key_states: Any, value_states: Any, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As the base class; shapes [1, KV heads, tokens, head_dim]."""
        operator = self._operators[layer_idx]
        self._recorder.enter(operator)
        result = super().update(key_states, value_states, layer_idx, *args, **kwargs)
        self._recorder.leave(
            operator, lambda: (tensor_shapes((key_states, value_states)), tensor_shapes(result))
        )
        return result


@contextmanager
def attached(model: Any, recorder: Recorder, mode: str) -> Iterator[Callable[[], RecordedCache]]:
    """Hook `recorder` into `model` for the duration; yields a maker of recorded KV caches."""
    handles = [
        handle
        for name, module in model.named_modules()
        for handle in _hook(name, module, recorder, mode, model.dtype)
    ]
    previous = model.config._attn_implementation
    AttentionInterface.register(ATTENTION, _recorded_attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    updates: list[Operator] = []
    for layer in model.model.layers:
        name = f"model.layers.{layer.self_attn.layer_idx}.self_attn"
        _LISTENERS[layer.self_attn] = recorder, _seam(model, name, "attention", "sdpa")
        updates.append(_seam(model, name, "kv_update", "DynamicCache"))
    model.set_attn_implementation(ATTENTION)
    try:
        yield lambda: RecordedCache(model.config, recorder, updates)
    finally:
        model.set_attn_implementation(previous)
        for layer in model.model.layers:
            del _LISTENERS[layer.self_attn]
        for handle in handles:
            handle.remove()


def sampling_operator(model: Any) -> Operator:
    """The operator under which the caller's own argmax is recorded."""
    return _seam(model, "", "sampling", "argmax")


def gap_namer(config: Any) -> Callable[[GapContext], Gap | None]:
    """The rules that name the work between two neighbours, with the shapes that it has."""
    hidden, ffn = config.hidden_size, config.intermediate_size
    heads, kv_heads, dim = (
        config.num_attention_heads,
        config.num_key_value_heads,
        config.head_dim,
    )

    def name_gap(context: GapContext) -> Gap | None:
        tokens = context.tokens
        rule = (context.scope.role, context.before, context.after)
        if rule == ("self_attn", "v_proj", "kv_update"):
            query, key = [1, heads, tokens, dim], [1, kv_heads, tokens, dim]
            return Gap("rope", "rope", [query, key], [query, key])
        if rule == ("mlp", "up_proj", "ffn_sub_norm"):
            inner = [1, tokens, ffn]
            return Gap("gate_x_up", "gating", [inner, inner], [inner])
        state = [1, tokens, hidden]
        if rule == ("layer", "self_attn", "post_attention_layernorm"):
            return Gap("attn_residual", "residual", [state, state], [state])
        if rule == ("layer", "mlp", "end"):
            return Gap("mlp_residual", "residual", [state, state], [state])
        if rule == ("model", "embed_tokens", "rotary_emb"):
            return Gap("causal_mask", "mask", [], [])
        return None

    return name_gap


def _hook(name: str, module: nn.Module, recorder: Recorder, mode: str, dtype: torch.dtype) -> Any:
    kind = classify(name, module)
    if kind is None:
        return []
    node: Operator | Scope
    if type(module) in SCOPES:
        node = Scope(name, kind, layer_of(name))
    else:
        node = _operator(name, module, mode, dtype)

    def before(_: nn.Module, args: Any) -> None:
        recorder.enter(node)

    def after(_: nn.Module, args: Any, output: Any) -> None:
        recorder.leave(node, lambda: (tensor_shapes(args), tensor_shapes(output)))

    return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]


def _operator(name: str, module: nn.Module, mode: str, dtype: torch.dtype) -> Operator:
    kind = LEAVES[type(module)]
    weight = getattr(module, "weight", None)
    return Operator(
        name=name,
        operator=name.rsplit(".", 1)[-1],
        kind=kind,
        source="module",
        type=type(module).__name__,
        layer=layer_of(name),
        dtype=str(dtype).removeprefix("torch."),
        itemsize=dtype.itemsize,
        weight_itemsize=0 if weight is None else weight.element_size(),
        mode=mode if kind == "bitlinear" else "",
    )


def _seam(model: Any, scope: str, operator: str, implementation: str) -> Operator:
    return Operator(
        name=f"{scope}.{operator}" if scope else operator,
        operator=operator,
        kind=operator,  # type: ignore[arg-type]  # the seams are named after their kinds
        source="seam",
        type=implementation,
        layer=layer_of(scope),
        dtype=str(model.dtype).removeprefix("torch."),
        itemsize=model.dtype.itemsize,
        weight_itemsize=0,
    )


def _recorded_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *args: Any,
    **kwargs: Any,
) -> Any:
    recorder, operator = _LISTENERS[module]
    recorder.enter(operator)
    output = sdpa_attention_forward(module, query, key, value, *args, **kwargs)
    recorder.leave(operator, lambda: (tensor_shapes((query, key, value)), tensor_shapes(output[0])))
    return output
