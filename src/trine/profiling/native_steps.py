"""The native engine's steps as records: names, kinds, shapes, OPs and bytes at packed sizes.

In: an engine, its KV cache, the events of one pass. Out: records that tile the pass.

A step fuses several of PyTorch's operators (`REPLACES`). Its OPs are the sum of theirs, so that
the two backends' tables count the same work; its bytes are the least that the fused step moves:
packed weights once, int8 codes where PyTorch moves floats, nothing for what stays in registers.
`DEFINITIONS` states the formulas: T tokens, C keys, N x K of the packed matrices, Q and G the
widths of queries and of keys, F the inner width, P(N, K) packed bytes of the layout.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from trine.checkpoint.config import LINEARS
from trine.model.engine import Engine
from trine.model.session import Session
from trine.profiling.costs import Cost
from trine.profiling.profile import Counters, Kind, Pass, Record
from trine.ternary.tiles import LAYOUTS

# Step of the engine -> the operators of Hugging Face's model whose work it does.
REPLACES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "embed_tokens": ("embed_tokens",),
        "input_layernorm": ("input_layernorm",),
        "qkv_proj": ("q_proj", "k_proj", "v_proj"),
        "rope": ("rope", "kv_update", "rotary_emb", "causal_mask"),
        "attention": ("attention",),
        "attn_sub_norm": ("attn_sub_norm",),
        "o_proj": ("o_proj", "attn_residual"),
        "post_attention_layernorm": ("post_attention_layernorm",),
        "gate_up_proj": ("gate_proj", "act_fn", "up_proj", "gate_x_up"),
        "ffn_sub_norm": ("ffn_sub_norm",),
        "down_proj": ("down_proj", "mlp_residual"),
        "norm": ("norm",),
        "lm_head": ("lm_head",),
        "sampling": ("sampling",),
    }
)

DEFINITIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "native: embed_tokens": ("0", "weights T·H·w; activations T·H·4"),
        "native: *norm": ("4·T·K", "weights K·4; activations T·K·(4 + 1); temporaries 2·T·K·4"),
        "native: qkv_proj": ("2·T·N·K", "weights P(N, K); activations T·K + T·N·4"),
        "native: rope": (
            "3·T·(Q + G)",
            "activations 2·T·(Q + G)·4 + T·G·4 + T·D·4; kv T·c",
        ),
        "native: attention": (
            "(4·D + 5) per head and visible pair; pairs = T·C - T·(T-1)/2",
            "activations 2·T·Q·4; kv C·c",
        ),
        "native: o_proj, down_proj": (
            "2·T·N·K + T·N",
            "weights P(N, K); activations T·K + 2·T·N·4",
        ),
        "native: gate_up_proj": (
            "2·T·N·K + 3·T·F",
            "weights P(N, K); activations T·K + T·F·4",
        ),
        "native: lm_head": ("2·V·H", "weights V·H·w (T = 1); activations (H + V)·4"),
    }
)

_SUB_NORMS = ("attn_sub_norm", "ffn_sub_norm")
_ATTENTION = ("qkv_proj", "rope", "attention", "attn_sub_norm", "o_proj")
_MLP = ("gate_up_proj", "ffn_sub_norm", "down_proj")
_KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "embed_tokens": "embedding",
        "rope": "rope",
        "attention": "attention",
        "lm_head": "linear",
        "sampling": "sampling",
    }
)
_TYPES = MappingProxyType(
    {
        "embed_tokens": "widen",
        "qkv_proj": "BitLinear q, k, v",
        "rope": "RoPE + KV store",
        "attention": "online softmax",
        "o_proj": "BitLinear + residual",
        "down_proj": "BitLinear + residual",
        "norm": "RMSNorm",
        "sampling": "argmax",
    }
)
_ZERO = {field.name: 0 for field in dataclasses.fields(Counters)}


class Span(NamedTuple):
    """A step in ns of the run's clock, for `tokens` new tokens with `context` keys after them.

    A span named "" is the recorder's own: the hand-over of the events from C++ to Python.
    """

    step: str
    layer: int
    begin: int
    end: int
    tokens: int
    context: int


@dataclass(frozen=True, slots=True)
class _Work:
    inputs: list[list[int]]
    outputs: list[list[int]]
    cost: Cost


def kind_of(step: str) -> Kind:
    """The kind of record that a step makes."""
    return "norm" if step.endswith("norm") else _KINDS.get(step, "bitlinear")


def path_of(step: str, layer: int) -> str:
    """The full path, as PyTorch's module tree would name it."""
    if layer < 0:
        return step if step in ("lm_head", "sampling") else f"model.{step}"
    scope = "self_attn." if step in _ATTENTION else "mlp." if step in _MLP else ""
    return f"model.layers.{layer}.{scope}{step}"


class Steps:
    """What the steps of one engine are, and what each moves and computes."""

    def __init__(self, engine: Engine, session: Session, embedding_itemsize: int) -> None:
        self._engine = engine
        self._position_bytes = session.cache.bytes_per_position // engine.layers
        self._embedding_itemsize = embedding_itemsize
        layout = next(known for known in LAYOUTS.values() if known.code == engine.body)
        self._packed = {
            linear: layout.nbytes(*engine.config.linear_shape(linear)) for linear in LINEARS
        }

    def structure(self) -> str:
        """The steps with their types, as a report shows a model."""
        engine = self._engine
        outside = ("embed_tokens", "norm", "lm_head", "sampling")
        lines = [f"Engine(kernel={engine.kernel}, body={engine.body}, threads={engine.threads})"]
        for step in REPLACES:
            lines.append(f"{'  ' if step in outside else '    '}{step}: {self.type_of(step)}")
            if step == "embed_tokens":
                lines.append(f"  {engine.layers} x decoder layer")
        return "\n".join(lines)

    def type_of(self, step: str) -> str:
        """What a step computes, in signs of the field."""
        if step == "lm_head":
            return f"{self._engine.head.kind} ({self._engine.head.dtype})"
        if step == "gate_up_proj":
            return f"BitLinear gate, up + {self._engine.config.activation}(gate) · up"
        if step in _SUB_NORMS and not self._engine.config.sub_norms:
            return "int8"
        return _TYPES.get(step, "RMSNorm + int8")

    def records(self, pass_: Pass, index: int, spans: Sequence[Span]) -> Iterator[Record]:
        """One record a step and one a gap between two; with the recorder's spans they tile."""
        before, position = "start", pass_.start_ns
        edge = Span("end", -1, pass_.start_ns + pass_.duration_ns, 0, 0, 0)
        for span in (*spans, edge):
            if span.begin > position:
                yield _gap(pass_, index, before, span, position)
            if span is edge:
                return
            if span.step:
                yield self._record(pass_, index, span)
                before = span.step
            position = span.end

    def _record(self, pass_: Pass, index: int, span: Span) -> Record:
        work = self._work(span)
        return Record(
            **_ZERO | {"rss_bytes": pass_.rss_bytes},
            rss_delta_bytes=0,
            start_ns=span.begin,
            duration_ns=span.end - span.begin,
            pass_index=index,
            layer=span.layer,
            name=path_of(span.step, span.layer),
            operator=span.step,
            kind=kind_of(span.step),
            source="step",
            type=self.type_of(span.step),
            input_shapes=work.inputs,
            output_shapes=work.outputs,
            dtype="float32",
            ops=work.cost.ops,
            weight_bytes=work.cost.weights,
            activation_bytes=work.cost.activations,
            temporary_bytes=work.cost.temporaries,
            kv_bytes=work.cost.kv,
        )

    def _work(self, span: Span) -> _Work:
        """Shapes without a batch dimension, and the costs of `DEFINITIONS`."""
        c, tokens, context = self._engine.config, span.tokens, span.context
        hidden, ffn, dim = c.hidden_size, c.intermediate_size, c.head_dim
        queries, keys = c.heads * dim, c.kv_heads * dim
        state, query = [tokens, hidden], [tokens, c.heads, dim]
        step = span.step
        if step == "embed_tokens":
            cost = Cost(0, tokens * hidden * self._embedding_itemsize, tokens * hidden * 4)
            return _Work([[tokens]], [state], cost)
        if step == "rope":
            turned = tokens * (queries + keys)
            moved = 2 * turned * 4 + tokens * (keys + dim) * 4
            cost = Cost(3 * turned, 0, moved, kv=tokens * self._position_bytes)
            new = [tokens, c.kv_heads, dim]
            return _Work([query, new, new], [query, new, new], cost)
        if step == "attention":
            pairs = tokens * context - tokens * (tokens - 1) // 2
            cost = Cost(
                (4 * dim + 5) * c.heads * pairs,
                activations=2 * tokens * queries * 4,
                kv=context * self._position_bytes,
            )
            cached = [context, c.kv_heads, dim]
            return _Work([query, cached, cached], [[tokens, queries]], cost)
        if step == "lm_head":
            moved = (hidden + c.vocab_size) * 4
            cost = Cost(2 * c.vocab_size * hidden, self._engine.head.nbytes, moved)
            return _Work([[1, hidden]], [[1, c.vocab_size]], cost)
        if step == "sampling":
            return _Work([[1, c.vocab_size]], [[1]], Cost(c.vocab_size, 0, c.vocab_size * 4))
        if step.endswith("norm"):
            width = {"attn_sub_norm": queries, "ffn_sub_norm": ffn}.get(step, hidden)
            codes = 4 if step == "norm" else 1
            n = tokens * width
            passing = 0 if step == "norm" else 2 * n * 4
            cost = Cost(4 * n, width * 4, n * (4 + codes), passing)
            if step in _SUB_NORMS and not c.sub_norms:
                cost = Cost(0, 0, n * (4 + codes))
            return _Work([[tokens, width]], [[tokens, width]], cost)
        return self._product(step, tokens)

    def _product(self, step: str, tokens: int) -> _Work:
        """A BitLinear step: codes in, floats out, packed weights once."""
        config = self._engine.config
        linears = [name for name in REPLACES[step] if name in LINEARS]
        shapes = [config.linear_shape(name) for name in linears]
        k, rows = shapes[0][1], sum(n for n, _ in shapes)
        ops = 2 * tokens * rows * k
        weights = sum(self._packed[name] for name in linears)
        out = rows
        moved = tokens * (k + rows * 4)
        if step == "gate_up_proj":
            out = config.intermediate_size
            ops += 3 * tokens * out
            moved = tokens * (k + out * 4)
        elif step in ("o_proj", "down_proj"):
            ops += tokens * rows
            moved = tokens * (k + 2 * rows * 4)
        return _Work([[tokens, k]], [[tokens, out]], Cost(ops, weights, moved))


def _gap(pass_: Pass, index: int, before: str, following: Span, begin: int) -> Record:
    """What lies between two steps, named by them: Python, since the engine leaves nothing out."""
    neighbours = f"{before} → {following.step or 'end'}"
    layer = following.layer if before != "start" else -1
    scope = f"model.layers.{layer}." if layer >= 0 else ""
    return Record(
        **_ZERO | {"rss_bytes": pass_.rss_bytes},
        rss_delta_bytes=0,
        start_ns=begin,
        duration_ns=following.begin - begin,
        pass_index=index,
        layer=layer,
        name=f"{scope}engine: {neighbours}",
        operator=f"engine: {neighbours}",
        kind="unattributed",
        source="gap",
        type=neighbours,
        input_shapes=[],
        output_shapes=[],
        dtype="float32",
        ops=0,
        weight_bytes=0,
        activation_bytes=0,
        temporary_bytes=0,
        kv_bytes=0,
    )
