"""Section 1: the model's structure, and what flows through it in which order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from trine.profiling.profile import Record
from trine.report import quantity as q
from trine.report.content.common import picture
from trine.report.document import (
    Block,
    Bullets,
    Code,
    Heading,
    Paragraph,
    Row,
    Table,
    code,
)
from trine.report.facts import Facts
from trine.report.language import Words


def blocks(facts: Facts, words: Words) -> list[Block]:
    """The tree as PyTorch prints it, the diagram, the steps with shapes, what is notable."""
    return [
        Heading(2, words("structure.title"), "structure"),
        Paragraph(words("structure.intro")),
        Heading(3, words("structure.tree"), "tree"),
        *_tree_intro(facts, words),
        Code(facts.profile.model.structure),
        Heading(3, words("structure.flow"), "flow"),
        picture(words, "blocks"),
        Paragraph(words("structure.flow.intro", layer=facts.middle_layer)),
        _steps(facts, words),
        Heading(3, words("structure.notable"), "notable"),
        Bullets(_notable(facts, words)),
    ]


def _tree_intro(facts: Facts, words: Words) -> list[Block]:
    native = facts.profile.run.backend == "native"
    return [] if native else [Paragraph(words("structure.tree.intro"))]


def _steps(facts: Facts, words: Words) -> Table:
    shown = [
        r
        for r in facts.example_pass()
        if r.kind != "unattributed" and r.layer in (-1, facts.middle_layer)
    ]
    rows = [
        Row(
            [
                code(r.operator),
                words("where.outside") if r.layer < 0 else words("where.layer"),
                q.shapes(r.input_shapes),
                q.shapes(r.output_shapes),
                _role(facts, words, r),
            ]
        )
        for r in shown
    ]
    return Table([words(f"flow.{n}") for n in ("step", "where", "input", "output", "role")], rows)


def _role(facts: Facts, words: Words, record: Record) -> str:
    if record.kind == "bitlinear":
        return words(f"role.bitlinear.{facts.profile.model.mode}")
    if record.operator == "rotary_emb":
        return words("role.rotary")
    return words(f"role.{record.kind}")


def _notable(facts: Facts, words: Words) -> list[str]:
    """Only what the records and the configuration of this very model show."""
    model, records = facts.profile.model, facts.example_pass()
    layer = [r for r in records if r.layer == facts.middle_layer and r.kind != "unattributed"]
    order = [r.operator for r in layer]
    notes = []
    added = [a.operator for a, b in pairwise(layer) if b.kind == "residual"]
    if added:
        after = words("separator").join(code(operator) for operator in added)
        notes.append(words("notable.residual", n=len(added), after=after))
    if _precede(order, ("attn_sub_norm", "o_proj"), ("ffn_sub_norm", "down_proj")):
        notes.append(words("notable.sub_norm"))
    activation = next((r.type for r in layer if r.kind == "activation"), None)
    if activation == "ReLUSquaredActivation":
        notes.append(words("notable.relu2"))
    if model.kv_heads < model.heads:
        notes.append(words("notable.gqa", heads=model.heads, kv=model.kv_heads, dim=model.head_dim))
    if model.tied_embeddings:
        notes.append(words("notable.tied", vocab=q.count(model.vocab_size)))
    return notes


def _precede(order: Sequence[str], *pairs: tuple[str, str]) -> bool:
    """Whether the first of each pair runs before the second."""
    return all(b in order and a in order[: order.index(b)] for a, b in pairs)
