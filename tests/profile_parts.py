"""The parts that `profile_builder` puts together: machine, model, roofs, one forward's records.

Geometry, shapes, OPs and bytes are real (presets and `trine.profiling.costs`); times are invented.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from trine.checkpoint import Mode
from trine.checkpoint.config import ModelConfig
from trine.profiling.costs import Call, cost
from trine.profiling.profile import (
    Experiment,
    Kind,
    Machine,
    Model,
    Record,
    Roof,
    Run,
    Source,
)

# Speeds of the invented machine. The healthy run stays well below its roofs, as PyTorch does.
ROOFS = {"L2": 200e9, "L3": 90e9, "DRAM": 30e9, "int8": 800e9, "fp32": 200e9}
_READS = 10e9  # B/s of the invented run
_COMPUTES = 40e9  # OP/s
_DISPATCH_NS = 20_000  # what one PyTorch module costs whatever its size
_GAP_NS = 2_000

MACHINE = Machine(
    cpu_model="Example CPU 2-Core",
    architecture="x86_64",
    platform="Linux-6.1",
    cores_logical=2,
    cores_physical=2,
    cores_affinity=2,
    cgroup_cpus=None,
    memory_bytes=24 << 30,
    memory_available_bytes=20 << 30,
    swap_bytes=0,
    l2_bytes=1 << 20,
    l2_cpus=1,
    l3_bytes=32 << 20,
    l3_count=1,
    simd=["scalar", "avx2", "avx512"],
    hypervisor=True,
)

_FRAMEWORK = {
    "bitlinear": "AutoBitLinear",
    "linear": "Linear",
    "norm": "BitNetRMSNorm",
    "embedding": "Embedding",
    "activation": "ReLUSquaredActivation",
    "attention": "sdpa",
    "kv_update": "DynamicCache",
    "sampling": "argmax",
}
_GAPS = {
    "rope": "v_proj → kv_update",
    "attn_residual": "self_attn → post_attention_layernorm",
    "gate_x_up": "up_proj → ffn_sub_norm",
    "mlp_residual": "mlp → end",
    "causal_mask": "embed_tokens → rotary_emb",
}


def record(operator: str, kind: Kind, duration_ns: int, **changes: Any) -> Record:
    """A Record with zero counters, no shapes and no place in time yet."""
    values: dict[str, Any] = dict.fromkeys((f.name for f in dataclasses.fields(Record)), 0)
    values |= {
        "layer": -1,
        "name": operator,
        "operator": operator,
        "kind": kind,
        "source": "module",
        "type": _FRAMEWORK.get(kind, kind),
        "input_shapes": [],
        "output_shapes": [],
        "dtype": "float32",
        "duration_ns": duration_ns,
        "rss_bytes": 1 << 30,
    }
    return Record(**(values | changes))


def forward_records(
    config: ModelConfig, layers: int, model: Model, tokens: int, context: int, repetition: int
) -> Iterator[Record]:
    """One forward in the order of Hugging Face's BitNet, with the gaps between its modules."""
    hidden, ffn, dim = config.hidden_size, config.intermediate_size, config.head_dim
    state, inner = [1, tokens, hidden], [1, tokens, ffn]
    query, key = [1, config.heads, tokens, dim], [1, config.kv_heads, tokens, dim]
    keys = [1, config.kv_heads, context, dim]
    table = [1, tokens, dim]
    logits = [1, tokens, config.vocab_size]

    def make(
        path: str, operator: str, kind: Kind, inputs: list[Any], outputs: list[Any], layer: int = -1
    ) -> Record:
        return _record(model, f"{path}{operator}", kind, inputs, outputs, layer, repetition)

    def linear(path: str, operator: str, layer: int) -> Record:
        n, k = config.linear_shape(operator)
        return make(path, operator, "bitlinear", [[1, tokens, k]], [[1, tokens, n]], layer)

    yield make("model.", "embed_tokens", "embedding", [[1, tokens]], [state])
    yield make("model.", "causal_mask", "mask", [], [])
    yield make("model.", "rotary_emb", "rope", [state, [1, tokens]], [table, table])
    for layer in range(layers):
        path = f"model.layers.{layer}."
        attn, mlp = f"{path}self_attn.", f"{path}mlp."
        yield make(path, "input_layernorm", "norm", [state], [state], layer)
        yield make(attn, "self_attn: start → q_proj", "unattributed", [], [], layer)
        for operator in ("q_proj", "k_proj", "v_proj"):
            yield linear(attn, operator, layer)
        yield make(attn, "rope", "rope", [query, key], [query, key], layer)
        yield make(attn, "kv_update", "kv_update", [key, key], [keys, keys], layer)
        yield make(attn, "attention", "attention", [query, keys, keys], [query], layer)
        yield make(attn, "attn_sub_norm", "norm", [state], [state], layer)
        yield linear(attn, "o_proj", layer)
        yield make(path, "attn_residual", "residual", [state, state], [state], layer)
        yield make(path, "post_attention_layernorm", "norm", [state], [state], layer)
        yield linear(mlp, "gate_proj", layer)
        yield make(mlp, "act_fn", "activation", [inner], [inner], layer)
        yield linear(mlp, "up_proj", layer)
        yield make(mlp, "gate_x_up", "gating", [inner, inner], [inner], layer)
        yield make(mlp, "ffn_sub_norm", "norm", [inner], [inner], layer)
        yield linear(mlp, "down_proj", layer)
        yield make(path, "mlp_residual", "residual", [state, state], [state], layer)
    yield make("model.", "norm", "norm", [state], [state])
    yield make("", "lm_head", "linear", [state], [logits])
    yield make("", "sampling", "sampling", [[1, config.vocab_size]], [[1, 1]])


def _record(
    model: Model,
    name: str,
    kind: Kind,
    inputs: list[list[int]],
    outputs: list[list[int]],
    layer: int,
    repetition: int,
) -> Record:
    operator = name.rsplit(".", 1)[-1]
    itemsize = 4 if model.dtype == "float32" else 2
    mode = model.mode if kind == "bitlinear" else ""
    model_cost = cost(Call(kind, operator, inputs, outputs, itemsize, itemsize, mode))
    moved = model_cost.weights + model_cost.activations + model_cost.temporaries + model_cost.kv
    gap = operator in _GAPS or kind == "unattributed"
    source: Source = "gap" if gap else "seam" if kind in ("attention", "kv_update") else "module"
    fixed = _GAP_NS if gap else _DISPATCH_NS
    work = max(moved / _READS, model_cost.ops / _COMPUTES) * 1e9
    # Repetitions differ by up to 2 %, in no order.
    duration = round((fixed + work) * (1 + 0.01 * (repetition * 3 % 5 - 2)))
    return record(
        operator,
        kind,
        duration,
        name=name,
        layer=layer,
        source=source,
        type=_GAPS.get(
            operator, operator.split(": ")[-1] if gap else _FRAMEWORK.get(kind, "module")
        ),
        dtype=model.dtype,
        input_shapes=inputs,
        output_shapes=outputs,
        ops=model_cost.ops,
        weight_bytes=model_cost.weights,
        activation_bytes=model_cost.activations,
        temporary_bytes=model_cost.temporaries,
        kv_bytes=model_cost.kv,
        user_ns=2 * duration,
    )


def model_of(geometry: str, config: ModelConfig, layers: int, mode: Mode, dtype: str) -> Model:
    itemsize = 4 if dtype == "float32" else 2
    ternary = layers * config.ternary_per_layer
    dense = config.parameters(layers) - ternary
    stored = ternary // 4 if mode == "packed" else ternary * itemsize
    return Model(
        id=f"synthetic:{geometry}",
        synthetic=True,
        seed=0,
        revision=None,
        architecture="BitNetForCausalLM",
        structure=f"BitNetForCausalLM(... {layers} x BitNetDecoderLayer ...)",
        mode=mode,
        dtype=dtype,
        layers=layers,
        layers_total=config.layers,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        heads=config.heads,
        kv_heads=config.kv_heads,
        head_dim=config.head_dim,
        vocab_size=config.vocab_size,
        context=config.context,
        tied_embeddings=config.tied_embeddings,
        parameters=config.parameters(layers),
        ternary_parameters=ternary,
        weight_bytes=stored + dense * itemsize,
        load_seconds=1.5,
        rss_before_load_bytes=400 << 20,
        rss_after_load_bytes=(400 << 20) + stored + dense * itemsize,
        file_after_load_bytes=150 << 20,
    )


def run_of(backend: str, tokens: int, decode: int, warmup: int, repeat: int, threads: int) -> Run:
    return Run(
        backend=backend,
        started="2026-01-19T10:00:00+00:00",
        command="trine profile synthetic:tiny",
        threads=threads,
        prompt=None,
        tokens=list(range(100, 100 + tokens)),
        decode_steps=decode,
        warmup=warmup,
        repeat=repeat,
        compile_cache="fresh",
        environment={},
        options={},
    )


def roofs_of(threads: int, repeat: int) -> list[Roof]:
    """Probes at one thread and at `threads`; those between repetitions read a little less."""
    phases = ["before", *(f"between:{i}" for i in range(repeat)), "after"]
    return [
        Roof(
            level=level,
            threads=count,
            value=value * (1.0 if count == threads else 0.6) * (1.0 if i == 0 else 0.95),
            unit="OP/s" if level in ("int8", "fp32") else "B/s",
            isa="avx512",
            buffer_bytes=0 if level in ("int8", "fp32") else 1 << 20,
            seconds=0.1,
            phase=phase,
            exact=True,
        )
        for i, phase in enumerate(phases)
        for count in sorted({1, threads})
        for level, value in ROOFS.items()
    ]


def healthy_experiments(
    config: ModelConfig, layers: int, model: Model, tokens: int
) -> list[Experiment]:
    """Seven samples per key; "whole" is 2 % more than its parts, bfloat16 as fast as float32."""
    parts = {
        "online": {"weight_quant": 650, "act_quant": 20, "linear": 310},
        "offline": {"act_quant": 20, "linear": 940, "rescale": 20},
        "packed": {"unpack": 860, "act_quant": 10, "linear": 100, "rescale": 10},
    }[model.mode]
    found: list[Experiment] = []
    for r in forward_records(config, layers, model, tokens, tokens, 0):
        if r.kind != "bitlinear" or r.layer != layers // 2:
            continue
        samples = {
            key: [r.duration_ns * share // 1000 + i for i in range(7)]
            for key, share in ({"whole": 1000} | parts).items()
        }
        found.append(Experiment("dissect", r.operator, r.layer, tokens, samples))
        same = {key: [r.duration_ns + i for i in range(7)] for key in ("float32", "bfloat16")}
        for count in sorted({1, tokens}):
            found.append(Experiment("dtype", r.operator, r.layer, count, same))
    return found
