"""What the operators of a Hugging Face BitNet are given and give, for the numeric check.

One prefill and one decode step run outside the timed passes; the calls of one decoder layer, and
of the modules outside the layers, are recorded for a sample of tokens and judged by
`numeric_check`. The ternary weights that they are judged by come from the checkpoint, not from the
model; embedding, norms and head are taken as the model holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache
from transformers.integrations.bitnet import ActQuant, WeightQuant
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

import torch
from trine.checkpoint import Checkpoint, Mode
from trine.checkpoint.config import LINEARS
from trine.profiling import numeric_check
from trine.profiling.numeric_check import Call, Quantised, Ternary
from trine.profiling.profile import NumericCheck, Stage
from trine.ternary import absmax_int8, unpack_hf

ATTENTION = "trine-checked"
# Operator -> (inputs, output) of one pass, as the model passes them.
Seen = dict[str, tuple[tuple[torch.Tensor, ...], torch.Tensor]]
# The pass that is being watched, by its attention module: the interface is one for the process.
_WATCHED: dict[torch.nn.Module, Seen] = {}


@torch.no_grad()
def run_checks(
    model: Any,
    checkpoint: Checkpoint,
    ids: torch.Tensor,
    *,
    decode: bool,
    mode: Mode,
    progress: Callable[[str, int, int], None],
) -> list[NumericCheck]:
    """Checks of the middle layer and of what lies outside the layers, for each stage."""
    number = model.config.num_hidden_layers // 2
    cache = DynamicCache(config=model.config)
    total = 1 + len(LINEARS)
    progress("numeric check", 0, total)
    passes: dict[Stage, tuple[Seen, int]] = {}
    passes["prefill"] = _watch(model, number, ids, cache), 0
    if decode:
        token = passes["prefill"][0]["sampling"][1]
        passes["decode"] = _watch(model, number, token, cache), ids.shape[1]
    dtype = str(model.dtype).removeprefix("torch.")
    checks: list[NumericCheck] = []
    for stage, (seen, past) in passes.items():
        for layer, call in _calls(model, number, seen, past):
            allowed = numeric_check.tolerance(call.kind, dtype, mode)
            checks.append(numeric_check.check(call, stage, layer, checkpoint.config, allowed))
    allowed = numeric_check.tolerance("bitlinear", dtype, mode)
    for done, operator in enumerate(LINEARS, start=1):
        progress("numeric check", done, total)
        name, module = _linear(model, number, operator)
        ternary = _ternary(checkpoint, f"{name}.weight", mode, model.dtype)
        for stage, (seen, past) in passes.items():
            call = _ternary_call(operator, module, seen[operator], past, mode, ternary)
            checks.append(numeric_check.check_ternary(call, ternary, stage, number, allowed))
    progress("numeric check", total, total)
    return checks


def _watch(model: Any, number: int, ids: torch.Tensor, cache: DynamicCache) -> Seen:
    """One forward with the calls of layer `number` and of the modules outside the layers."""
    seen: Seen = {}
    with _hooked(model, number, seen):
        logits = model(input_ids=ids, past_key_values=cache, use_cache=True).logits
    last = logits[:, -1:]
    seen["sampling"] = (last,), last[:, 0].argmax(-1, keepdim=True)
    return seen


@contextmanager
def _hooked(model: Any, number: int, seen: Seen) -> Iterator[None]:
    layer = model.model.layers[number]
    modules = {name.rsplit(".", 1)[-1]: module for name, module in layer.named_modules() if name}
    modules |= {"layer": layer, "embed_tokens": model.model.embed_tokens}
    modules |= {"rotary_emb": model.model.rotary_emb}
    modules |= {"norm": model.model.norm, "lm_head": model.lm_head}
    handles = [
        module.register_forward_hook(_keeper(operator, seen))
        for operator, module in modules.items()
        if operator not in ("self_attn", "mlp")
    ]
    previous = model.config._attn_implementation
    AttentionInterface.register(ATTENTION, _watched_attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    _WATCHED[layer.self_attn] = seen
    model.set_attn_implementation(ATTENTION)
    try:
        yield
    finally:
        model.set_attn_implementation(previous)
        del _WATCHED[layer.self_attn]
        for handle in handles:
            handle.remove()


def _keeper(operator: str, seen: Seen) -> Callable[..., None]:
    def keep(_: Any, args: tuple[Any, ...], output: Any) -> None:
        if operator == "rotary_emb":
            output = torch.stack(output, dim=2)
        seen[operator] = args, output

    return keep


def _watched_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *args: Any,
    **kwargs: Any,
) -> Any:
    output = sdpa_attention_forward(module, query, key, value, *args, **kwargs)
    if module in _WATCHED:
        _WATCHED[module]["attention"] = (query, key, value), output[0]
    return output


def _calls(model: Any, number: int, seen: Seen, past: int) -> Iterator[tuple[int, Call]]:
    """Every call that is not ternary, with its layer."""
    tokens = seen["layer"][1].shape[1]
    rows = numeric_check.sample(tokens, numeric_check.TOKENS)
    at = rows + past
    layer = model.model.layers[number]

    def given(operator: str) -> NDArray[np.float32]:
        return _rows(seen[operator][0][0], rows)

    def gave(operator: str) -> NDArray[np.float32]:
        return _rows(seen[operator][1], rows)

    def heads(states: torch.Tensor) -> NDArray[np.float32]:
        return _rows(states.transpose(1, 2), rows)

    ids = seen["embed_tokens"][0][0][0, torch.from_numpy(rows)]
    looked_up = _array(model.model.embed_tokens.weight[ids])
    yield -1, Call("embed_tokens", "embedding", at, (looked_up,), gave("embed_tokens"))
    yield -1, Call("rotary_emb", "rope", at, (), gave("rotary_emb"))
    norms = {
        "input_layernorm": layer.input_layernorm,
        "attn_sub_norm": layer.self_attn.attn_sub_norm,
        "post_attention_layernorm": layer.post_attention_layernorm,
        "ffn_sub_norm": layer.mlp.ffn_sub_norm,
        "norm": model.model.norm,
    }
    for name, module in norms.items():
        place = -1 if name == "norm" else number
        yield place, Call(name, "norm", at, (given(name),), gave(name), _array(module.weight))
    query, key, value = seen["attention"][0]
    new = key[:, :, past:], value[:, :, past:]
    before = [gave(name).reshape(len(rows), -1, query.shape[-1]) for name in ("q_proj", "k_proj")]
    turned = np.concatenate([heads(query), heads(new[0])], axis=1)
    yield number, Call("rope", "rope", at, (np.concatenate(before, axis=1),), turned)
    fresh = gave("v_proj").reshape(len(rows), -1, query.shape[-1])
    yield number, Call("kv_update", "kv_update", at, (fresh,), heads(new[1]))
    context = (_array(key)[0], _array(value)[0])
    mixed = gave("attention").reshape(len(rows), -1)
    yield number, Call("attention", "attention", at, (heads(query), *context), mixed)
    yield number, Call("act_fn", "activation", at, (given("act_fn"),), gave("act_fn"))
    both = gave("act_fn"), gave("up_proj")
    yield number, Call("gate_x_up", "gating", at, both, given("ffn_sub_norm"))
    middle = given("post_attention_layernorm")
    yield number, Call("attn_residual", "residual", at, (given("layer"), gave("o_proj")), middle)
    yield number, Call("mlp_residual", "residual", at, (middle, gave("down_proj")), gave("layer"))
    words = numeric_check.sample(model.lm_head.weight.shape[0], numeric_check.VOCABULARY)
    picked = torch.from_numpy(words)
    logits = _rows(seen["lm_head"][1][..., picked], rows)
    head = _array(model.lm_head.weight[picked])
    yield -1, Call("lm_head", "linear", at, (given("lm_head"),), logits, head)
    scores, token = seen["sampling"]
    yield -1, Call("sampling", "sampling", at[-1:], (_array(scores[0])[0],), _array(token))


def _ternary_call(
    operator: str,
    module: Any,
    seen: tuple[tuple[torch.Tensor, ...], torch.Tensor],
    past: int,
    mode: Mode,
    ternary: Ternary,
) -> Call:
    (x, *_), output = seen
    rows = numeric_check.sample(x.shape[1], numeric_check.TOKENS)
    own = _quantised(module, x[:, torch.from_numpy(rows)], mode, ternary)
    inputs = (_rows(x, rows),)
    return Call(operator, "bitlinear", rows + past, inputs, _rows(output, rows), None, own)


def _quantised(module: Any, x: torch.Tensor, mode: Mode, ternary: Ternary) -> Quantised | None:
    """The operator's own codes, and in online mode its own trits.

    AutoBitLinear shows them only multiplied out; dividing by the scale and rounding is exact, in
    bfloat16 too. BitLinear's in bfloat16 are not the contract's (its scale is a bfloat16), so that
    the output alone is judged there.
    """
    act_quant: Any = ActQuant.apply
    weight_quant: Any = WeightQuant.apply
    if mode == "packed":
        if x.dtype != torch.float32:
            return None
        return Quantised(module.activation_quant(x)[0][0].numpy())
    _, scale = absmax_int8(_array(x)[0])
    codes = np.rint(_array(act_quant(x))[0] * scale).astype(np.int8)
    if mode == "offline":
        return Quantised(codes)
    dense = _array(weight_quant(module.weight))
    return Quantised(codes, np.rint(dense / ternary.scale).astype(np.int8))


def _ternary(checkpoint: Checkpoint, name: str, mode: Mode, dtype: torch.dtype) -> Ternary:
    weight = checkpoint.ternary(name)
    master = checkpoint.master(name).astype(np.float32) if mode == "online" else None
    # BitLinear stores the reciprocal, by which it divides.
    stored = (
        1 / _round(1 / weight.scale, dtype) if mode == "packed" else _round(weight.scale, dtype)
    )
    return Ternary(unpack_hf(weight.packed), weight.scale, np.float32(stored), master)


def _round(value: np.float32, dtype: torch.dtype) -> float:
    """A number as `dtype` holds it."""
    return float(torch.tensor(float(value), dtype=dtype))


def _linear(model: Any, number: int, operator: str) -> tuple[str, Any]:
    """The path and the module of a ternary operator of a layer."""
    for name, module in model.model.layers[number].named_modules():
        if name.rsplit(".", 1)[-1] == operator:
            return f"model.layers.{number}.{name}", module
    raise ValueError(f"layer {number} has no {operator}")


def _rows(states: torch.Tensor, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """The sampled tokens of [1, T, ...]."""
    return _array(states[0, torch.from_numpy(rows)])


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().float().numpy()
    return array
