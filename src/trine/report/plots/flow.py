"""The data flow of a model, read off the order and names of its records.

In: the records of one prefill. Out: steps, each a list of parallel branches of nodes.
Next: `blocks` draws it, the report's flow table lists it.

Records are in order of execution, so which projections share an input has to be inferred. The
rule: after a join, a linear operator opens a branch; a further one of the same container whose
input has the same shape opens a parallel branch; element-wise work continues the last branch; an
operator that takes several tensors (RoPE of q and k, attention, gate x up) joins all branches.
Outside the layers the table of cosines and sines stands beside the embedding: both feed the layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trine.profiling.profile import Kind, Record

_LINEAR: tuple[Kind, ...] = ("linear", "bitlinear")
_JOINS: tuple[Kind, ...] = ("rope", "attention", "gating", "kv_update", "residual")
# Not part of the data flow: the mask is made once, a gap without a name could be anything.
_HIDDEN: tuple[Kind, ...] = ("unattributed", "mask")


@dataclass(frozen=True, slots=True)
class Node:
    """One operator; `container` is the path of the module that holds it."""

    operator: str
    kind: Kind
    type: str
    container: str
    inputs: list[list[int]]
    outputs: list[list[int]]


@dataclass(frozen=True, slots=True)
class Flow:
    """`before` and `after` are the steps outside the layers; `layer` those of one layer."""

    before: list[list[list[Node]]]
    layer: list[list[list[Node]]]
    after: list[list[list[Node]]]


def flow(records: Sequence[Record], layer: int) -> Flow:
    """The steps of a prefill, with `layer` standing for all of its kind."""
    shown = [r for r in records if r.kind not in _HIDDEN]
    inside = [i for i, r in enumerate(shown) if r.layer >= 0]
    first = inside[0] if inside else len(shown)
    last = inside[-1] + 1 if inside else len(shown)
    return Flow(
        before=steps(shown[:first]),
        layer=steps(r for r in shown if r.layer == layer),
        after=steps(shown[last:]),
    )


def steps(records: Iterable[Record]) -> list[list[list[Node]]]:
    """Sequential steps; each is one branch, or several that share their input."""
    result: list[list[list[Node]]] = []
    branches: list[list[Node]] = []
    for record in records:
        node = _node(record)
        if node.kind == "rope" and record.layer < 0 and result:
            result[-1].append([node])
        elif node.kind in _LINEAR and not (branches and _shares_input(branches, node)):
            result += [branches] if branches else []
            branches = [[node]]
        elif node.kind in _LINEAR:
            branches.append([node])
        elif node.kind in _JOINS or not branches or _leaves(branches, node):
            result += [branches] if branches else []
            branches = []
            result.append([[node]])
        else:
            branches[-1].append(node)
    return result + ([branches] if branches else [])


def _shares_input(branches: list[list[Node]], node: Node) -> bool:
    first = branches[0][0]
    return first.container == node.container and first.inputs[:1] == node.inputs[:1]


def _leaves(branches: list[list[Node]], node: Node) -> bool:
    """A norm or the sampling works on the result as a whole, as does another container."""
    return node.kind in ("norm", "sampling") or branches[0][0].container != node.container


def _node(record: Record) -> Node:
    container = record.name.removesuffix(record.operator).rstrip(".")
    return Node(
        record.operator,
        record.kind,
        record.type,
        container,
        record.input_shapes,
        record.output_shapes,
    )
