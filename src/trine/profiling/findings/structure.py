"""Which part of the model the time goes to, and what that leaves to be won elsewhere."""

from __future__ import annotations

import math

from trine.profiling.analysis import best_roofs
from trine.profiling.findings.finding import (
    EVIDENCE_LINES,
    Case,
    Finding,
    largest,
    names,
    row_of,
    time_of,
)
from trine.profiling.profile import Kind
from trine.profiling.roofline import level_of

# A fifth of a pass in one matrix that is not ternary: no work on BitLinear reaches it.
HEAD_SHARE = 0.2
# A half of the layer that takes a fifth of the time more than its OPs have: the geometry does not
# explain that (the MLP of 2B-4T has 76 % of the OPs, so a plain share would say nothing).
SPLIT_EXCESS = 0.2
# An infinitely fast BitLinear that gains less than this is no answer by itself.
AMDAHL_BOUND = 3.0
# Weights of a body at 2 bits: four to a byte.
TERNARY_PER_BYTE = 4
# From 40 % on, attention and not the weights sets the pace, and more so with every token.
ATTENTION_SHARE = 0.4
# With fewer keys attention costs what starting its kernels costs, whatever the context.
LONG_CONTEXT = 128
ATTENTION_KINDS: frozenset[Kind] = frozenset({"attention", "kv_update", "rope"})
# A tenth of a prefill spent on logits that nobody reads is worth an argument to the model call.
LOGITS_SHARE = 0.1


def lm_head_share(case: Case) -> list[Finding]:
    """The head's share of a pass; the effect is all its time."""
    findings: list[Finding] = []
    for stage, table in case.warm.items():
        head = row_of(table, "lm_head")
        if head is None or head.share < HEAD_SHARE:
            continue
        moved = sum(row.bytes for row in table.rows)
        findings.append(
            Finding(
                rule="lm_head_share",
                stage=stage,
                state="measured",
                effect_ms=head.time_ms.median,
                values={
                    "stage": stage,
                    "share": head.share,
                    "time_ms": head.time_ms.median,
                    "head_mb": head.bytes / 1e6,
                    "byte_share": head.bytes / moved if moved else 0.0,
                    "dtype": case.profile.model.dtype,
                },
                evidence=[f"lm_head: {head.time_ms.median:.2f} ms, {head.bytes / 1e6:,.1f} MB"],
            )
        )
    return findings


def mlp_attention_split(case: Case) -> list[Finding]:
    """MLP or attention takes much more of the layers' time than it has of their OPs.

    The effect is the time beyond its share of the OPs.
    """
    findings: list[Finding] = []
    for stage, table in case.warm.items():
        rows = {
            block: [row for row in table.rows if row.block == block]
            for block in ("mlp", "attention")
        }
        times = {block: time_of(rows[block]) for block in rows}
        ops = {block: sum(row.ops for row in rows[block]) for block in rows}
        total_ms, total_ops = sum(times.values()), sum(ops.values())
        if not total_ms or not total_ops:
            continue
        excess = {block: times[block] / total_ms - ops[block] / total_ops for block in rows}
        block = max(excess, key=lambda name: excess[name])
        if excess[block] < SPLIT_EXCESS:
            continue
        findings.append(
            Finding(
                rule="mlp_attention_split",
                stage=stage,
                state="measured",
                effect_ms=excess[block] * total_ms,
                values={
                    "stage": stage,
                    "block": block,
                    "share": times[block] / total_ms,
                    "ops_share": ops[block] / total_ops,
                    "mlp_ms": times["mlp"],
                    "attention_ms": times["attention"],
                },
                evidence=[
                    f"{row.operator}: {row.time_ms.median:.2f} ms, {row.ops_share:.1%} OPs"
                    for row in largest(rows[block])
                ],
            )
        )
    return findings


def amdahl_bitlinear(case: Case) -> list[Finding]:
    """What an infinitely fast BitLinear gains in decode: by time now, by bytes once it is 2-bit.

    Only for a model that no cache holds: bytes bound nothing in a model that stays on the chip.
    """
    table, profile = case.warm.get("decode"), case.profile
    if table is None:
        return []
    ternary = [row for row in table.rows if row.kind == "bitlinear"]
    others = [row for row in table.rows if row.kind != "bitlinear"]
    body = profile.model.ternary_parameters / TERNARY_PER_BYTE
    other = sum(row.bytes for row in others)
    rest_ms = table.wall_ms.median - time_of(ternary)
    in_cache = level_of(body + other, profile.machine.caches, profile.run.threads) != "DRAM"
    if in_cache or other == 0 or rest_ms <= 0 or (body + other) / other >= AMDAHL_BOUND:
        return []
    head = row_of(table, "lm_head")
    by_bytes = sorted(others, key=lambda row: -row.bytes)[:EVIDENCE_LINES]
    return [
        Finding(
            rule="amdahl_bitlinear",
            stage="decode",
            state="measured",
            effect_ms=None,
            values={
                "time_bound": table.wall_ms.median / rest_ms,
                "byte_bound": (body + other) / other,
                "bitlinear_share": time_of(ternary) / table.wall_ms.median,
                "body_mb": body / 1e6,
                "other_mb": other / 1e6,
                "head_share": head.bytes / (body + other) if head else 0.0,
            },
            evidence=[f"{row.operator}: {row.bytes / 1e6:,.1f} MB" for row in by_bytes],
        )
    ]


def attention_bound(case: Case) -> list[Finding]:
    """Attention core, KV update and RoPE together; the effect is all their time."""
    findings: list[Finding] = []
    for stage, table in case.warm.items():
        rows = [row for row in table.rows if row.kind in ATTENTION_KINDS]
        share = time_of(rows) / table.wall_ms.median
        context = max(p.context for _, p in case.profile.passes_of(stage, "measured"))
        if share < ATTENTION_SHARE or context < LONG_CONTEXT:
            continue
        findings.append(
            Finding(
                rule="attention_bound",
                stage=stage,
                state="measured",
                effect_ms=time_of(rows),
                values={
                    "stage": stage,
                    "share": share,
                    "context": context,
                    "operators": names(rows),
                },
                evidence=[
                    f"{row.operator}: {row.time_ms.median:,.2f} ms, {row.share:.1%}"
                    for row in largest(rows)
                ],
            )
        )
    return findings


def all_position_logits(case: Case) -> list[Finding]:
    """A prefill that computed logits for every position where only the last one is read."""
    table = case.warm.get("prefill")
    head = row_of(table, "lm_head") if table else None
    if table is None or head is None or not head.output_shapes:
        return []
    positions = math.prod(head.output_shapes[0][:-1])
    one_ms = _one_position_ms(case, head.weight_bytes)
    bound = head.time_ms.median * (positions - 1) / positions
    effect = min(bound, head.time_ms.median - one_ms)
    if positions < 2 or effect < LOGITS_SHARE * table.wall_ms.median:
        return []
    return [
        Finding(
            rule="all_position_logits",
            stage="prefill",
            state="measured",
            effect_ms=effect,
            values={
                "positions": positions,
                "head_ms": head.time_ms.median,
                "one_ms": one_ms,
                "bound_ms": bound,
                "share": effect / table.wall_ms.median,
            },
            evidence=[
                f"lm_head: {head.output_shapes[0]}, {head.time_ms.median:.2f} ms",
                f"lm_head [1]: {one_ms:.2f} ms",
            ],
        )
    ]


def _one_position_ms(case: Case, weight_bytes: int) -> float:
    """What the head costs for one position: as measured in decode, else the least it can take.

    The least is one read of its weights at the best probe; 0 without a probe.
    """
    decode = case.warm.get("decode")
    head = row_of(decode, "lm_head") if decode else None
    if head is not None:
        return head.time_ms.median
    bandwidth = best_roofs(case.profile).bandwidth.get("DRAM")
    return weight_bytes / bandwidth * 1e3 if bandwidth else 0.0
