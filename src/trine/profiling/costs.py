"""Operations and modelled bytes of one operator call, from its shapes and dtypes alone.

One definition of OPs holds everywhere: a multiply-add counts 2, any other arithmetic on one
element 1, a copy 0. Bytes are the least that the operator's passes over memory must move,
without write-allocate, page zeroing or cache misses beyond them, so that bytes / time is a lower
bound of the traffic and never flatters a bandwidth share:

* weights      every read of a stored parameter, as often as the mode reads it
* activations  inputs read and outputs written
* temporaries  intermediates inside the call, counted when written and again when read
* kv           reads and writes of the KV cache

`DEFINITIONS` states the formulas in the words that reports print; the functions below are those
formulas. T tokens, C keys after the update, N x K = out x in features, e bytes per activation
element, w bytes per weight element.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from trine.profiling.profile import Kind

Shape = Sequence[int]


@dataclass(frozen=True, slots=True)
class Call:
    """What an operator was called with. `itemsize` and `weight_itemsize` in bytes per element.

    `mode` is that of a bitlinear ("online", "offline", "packed") and empty elsewhere.
    """

    kind: Kind
    operator: str
    inputs: Sequence[Shape]
    outputs: Sequence[Shape]
    itemsize: int
    weight_itemsize: int
    mode: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """OPs and bytes of one call."""

    ops: int = 0
    weights: int = 0
    activations: int = 0
    temporaries: int = 0
    kv: int = 0


# kind (or kind/operator, or kind/mode) -> (OPs, bytes), as printed in the reports' appendix.
DEFINITIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "embedding": ("0 (a copy)", "weights T·H·w; activations T·H·e"),
        "norm": ("4 per element", "weights H·w; activations 3·T·H·e; temporaries 4·T·H·4"),
        "bitlinear/online": (
            "2·T·N·K",
            "weights 2·N·K·w (mean, quantise); temporaries 2·N·K·w + 2·T·K·e; "
            "activations (2·T·K + T·N)·e",
        ),
        "bitlinear/offline": (
            "2·T·N·K",
            "weights N·K·w; temporaries (2·T·K + 2·T·N)·e; activations (2·T·K + T·N)·e",
        ),
        "bitlinear/packed": (
            "2·T·N·K",
            "weights 4·N·K/4; "
            "temporaries 2·N·K·e + 2·T·K·(1 + e) + 2·T·N·e; "
            "activations (2·T·K + T·N)·e",
        ),
        "linear": ("2·T·N·K", "weights N·K·w; activations (T·K + T·N)·e"),
        "activation": ("2 per element (max, square)", "activations 2·T·F·e; temporaries 2·T·F·e"),
        "gating": ("1 per element", "activations 3·T·F·e"),
        "rope/rotary_emb": ("3 per element of cos", "activations 2·T·D·e; temporaries 4·T·D·4"),
        "rope": (
            "3 per element of q and k",
            "activations 2·(q + k)·e + 2·T·D·e; temporaries 6·(q + k)·e",
        ),
        "kv_update": (
            "0 (a copy)",
            "activations 2·T·D·e per KV head; kv (2·C - T)·2·D·e per KV head",
        ),
        "attention": (
            "(4·D + 5) per head and visible pair; pairs = T·C - T·(T-1)/2",
            "activations 2·q·e; kv (K + V)·e",
        ),
        "residual": ("1 per element", "activations 3·T·H·e"),
        "mask": ("not modelled (0)", "not modelled (0)"),
        "sampling": ("1 per logit (argmax)", "activations V·e"),
        "unattributed": ("not modelled (0)", "not modelled (0)"),
    }
)


# How often a BitLinear call reads its stored weight: online for the mean and again to quantise;
# packed once per code of a byte, since the fused unpack kernel writes the matrix row by row and
# the four codes of a byte belong to rows a quarter of the matrix apart.
WEIGHT_READS: Mapping[str, int] = MappingProxyType(
    {"online": 2, "offline": 1, "packed": 4, "native": 1}
)


def cost(call: Call) -> Cost:
    """OPs and bytes of `call`; KeyError for a kind without a formula is a programming error."""
    return _FORMULAS[call.kind](call)


def _elements(shape: Shape) -> int:
    return math.prod(shape)


def _embedding(call: Call) -> Cost:
    n = _elements(call.outputs[0])
    return Cost(weights=n * call.weight_itemsize, activations=n * call.itemsize)


def _norm(call: Call) -> Cost:
    # x is read for the squares and again for the product; squares and the normalised x are
    # float32 temporaries, each written and read.
    shape = call.inputs[0]
    n = _elements(shape)
    return Cost(
        ops=4 * n,
        weights=shape[-1] * call.weight_itemsize,
        activations=3 * n * call.itemsize,
        temporaries=4 * n * 4,
    )


def _bitlinear(call: Call) -> Cost:
    rows, k = _elements(call.inputs[0][:-1]), call.inputs[0][-1]
    n = call.outputs[0][-1]
    e, w, matrix = call.itemsize, call.weight_itemsize, n * k
    activations = (2 * rows * k + rows * n) * e
    quantised = 2 * rows * k * e
    rescaled = 2 * rows * n * e
    ops = 2 * rows * matrix
    if call.mode == "online":
        return Cost(ops, 2 * matrix * w, activations, 2 * matrix * w + quantised)
    if call.mode == "offline":
        return Cost(ops, matrix * w, activations, quantised + rescaled)
    if call.mode == "packed":
        codes = 2 * rows * k
        return Cost(ops, matrix, activations, 2 * matrix * e + codes + quantised + rescaled)
    raise ValueError(f"a bitlinear has mode online, offline or packed, not {call.mode!r}")


def _linear(call: Call) -> Cost:
    rows, k = _elements(call.inputs[0][:-1]), call.inputs[0][-1]
    n = call.outputs[0][-1]
    return Cost(
        ops=2 * rows * n * k,
        weights=n * k * call.weight_itemsize,
        activations=(rows * k + rows * n) * call.itemsize,
    )


def _activation(call: Call) -> Cost:
    n = _elements(call.inputs[0])
    return Cost(ops=2 * n, activations=2 * n * call.itemsize, temporaries=2 * n * call.itemsize)


def _elementwise(call: Call) -> Cost:
    n = _elements(call.outputs[0])
    return Cost(ops=n, activations=3 * n * call.itemsize)


def _rope(call: Call) -> Cost:
    if call.operator == "rotary_emb":
        n = _elements(call.outputs[0])
        return Cost(ops=3 * n, activations=2 * n * call.itemsize, temporaries=4 * n * 4)
    n = sum(map(_elements, call.outputs))
    table = 2 * call.outputs[0][-2] * call.outputs[0][-1]
    return Cost(
        ops=3 * n,
        activations=(2 * n + table) * call.itemsize,
        temporaries=6 * n * call.itemsize,
    )


def _kv_update(call: Call) -> Cost:
    # torch.cat copies the old cache and the new rows into a new tensor, for K and for V.
    new = sum(map(_elements, call.inputs))
    whole = sum(map(_elements, call.outputs))
    return Cost(activations=new * call.itemsize, kv=(2 * whole - new) * call.itemsize)


def _attention(call: Call) -> Cost:
    query, keys = call.inputs[0], call.inputs[1]
    heads, tokens, dim = query[-3], query[-2], query[-1]
    pairs = tokens * keys[-2] - tokens * (tokens - 1) // 2
    return Cost(
        ops=(4 * dim + 5) * heads * pairs,
        activations=2 * _elements(query) * call.itemsize,
        kv=2 * _elements(keys) * call.itemsize,
    )


def _sampling(call: Call) -> Cost:
    n = _elements(call.inputs[0])
    return Cost(ops=n, activations=n * call.itemsize)


def _unmodelled(call: Call) -> Cost:
    return Cost()


_FORMULAS: Mapping[Kind, Callable[[Call], Cost]] = MappingProxyType(
    {
        "embedding": _embedding,
        "norm": _norm,
        "bitlinear": _bitlinear,
        "linear": _linear,
        "activation": _activation,
        "gating": _elementwise,
        "rope": _rope,
        "kv_update": _kv_update,
        "attention": _attention,
        "residual": _elementwise,
        "mask": _unmodelled,
        "sampling": _sampling,
        "unattributed": _unmodelled,
    }
)
