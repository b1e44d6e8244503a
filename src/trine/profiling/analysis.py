"""Pure functions from a Profile to tables: medians, shares, bounds. Nothing here measures.

In: a `Profile`.
Out: frozen rows that `findings` judges and `trine.report` renders.

Two rules hold everywhere. Stages and states never mix: each table is of one (stage, state).
And a median is taken over *passes*: an operator's time in a pass is the sum over its calls in
that pass (30 layers = 30 calls), so that the median pass and its parts are the same kind of
number. Medians need not add up to the median of the sum; `StageTable.rest_ms` is that
difference, shown and not hidden. Per-call figures divide by the calls of a pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from trine.profiling.costs import WEIGHT_READS
from trine.profiling.profile import (
    NS_PER_MS,
    Kind,
    NumericCheck,
    Pass,
    Profile,
    Record,
    Stage,
    State,
)
from trine.profiling.roofline import Ceilings, Verdict, blend, judge, level_of
from trine.profiling.stats import Stat, stat


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """One operator of one (stage, state), all its layers together.

    Times in ms per pass, except `call_ms` (per call). `share` is of the stage's median wall time,
    `ops_share` of all OPs of the pass. `ops`, byte fields and fault counts are per pass.
    `gops` = ops / time, `gbytes_per_second` = bytes / time; both None when `refused` says why
    (above 1.15x the best probe of the level, or an output that failed its numeric check).
    `level` is the memory level that most of the attainable time goes to ("L2", "L3", "DRAM"):
    weights and KV cache come from the level that holds those of the whole pass, the rest from the
    one that the call's own working set fits.
    `roof_share` is the achieved part of the *attainable* rate min(compute roof, intensity x that
    bandwidth) in OP/s, or of the bandwidth when ops == 0.
    `bound`: "memory" or "compute" (which of the two roofs is the lower one at this intensity), or
    "overhead" when roof_share < 0.1: neither roof explains the time.
    Counters are None for steps of the native engine, which have none of their own.
    """

    operator: str
    kind: Kind
    block: str
    calls: int
    time_ms: Stat
    call_ms: Stat
    share: float
    ops: int
    ops_share: float
    weight_bytes: int
    activation_bytes: int
    temporary_bytes: int
    kv_bytes: int
    intensity: float
    gops: float | None
    gbytes_per_second: float | None
    level: str
    roof_share: float | None
    bound: str
    refused: str
    minor_faults: float | None
    major_faults: float | None
    rss_delta_bytes: float | None
    cpu_ms: float | None
    input_shapes: list[list[int]]
    output_shapes: list[list[int]]

    @property
    def bytes(self) -> int:
        """Modelled bytes of all the operator's calls in one pass."""
        return self.weight_bytes + self.activation_bytes + self.temporary_bytes + self.kv_bytes


@dataclass(frozen=True, slots=True)
class StageTable:
    """One (stage, state): its wall time and what it consists of.

    `rows` are in the order of first execution. `unattributed_ms` is the sum of the rows of kind
    "unattributed" (gaps that no rule names), `recorder_ms` the recorder's own time inside the
    pass, `rest_ms` = wall - sum of row medians - recorder. `wrong` names the operators whose output
    failed its numeric check: then the pass as a whole has no speed either.
    """

    stage: Stage
    state: State
    passes: int
    tokens: int
    wall_ms: Stat
    rows: list[OperatorRow]
    unattributed_ms: float
    recorder_ms: float
    rest_ms: float
    wrong: list[str]


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One decoder layer's median ms per pass by block name (see `block_of`); layer -1: outside."""

    layer: int
    blocks: dict[str, float]
    total_ms: float


@dataclass(frozen=True, slots=True)
class BestRoofs:
    """The best probe of each level at the run's thread count: B/s by level, OP/s by unit.

    `exact` is False where any probe is only a floor (see `Roof`): nothing is refused by those.
    """

    bandwidth: dict[str, float]
    int8: float | None
    fp32: float | None
    exact: bool


@dataclass(frozen=True, slots=True)
class SpeedLimit:
    """The tokens per second that the roofs allow a stage, and the roof that sets them."""

    tokens_per_second: float
    bound: Literal["memory", "compute"]


# Kinds whose place in the model is known whatever the module is called.
_BLOCK_OF_KIND: Mapping[Kind, str] = MappingProxyType(
    {
        "embedding": "embedding",
        "norm": "norm",
        "residual": "residual",
        "sampling": "sampling",
        "attention": "attention",
        "kv_update": "attention",
        "rope": "attention",
        "mask": "attention",
        "unattributed": "other",
    }
)
_BLOCK_OF_SCOPE = MappingProxyType({"self_attn": "attention", "mlp": "mlp"})


def stage_table(profile: Profile, stage: Stage, state: State = "measured") -> StageTable | None:
    """The operator table of one (stage, state); None when the run has no such pass."""
    passes = _passes(profile, stage, state)
    if not passes:
        return None
    by_pass = profile.records_by_pass()
    grouped = [by_pass.get(index, []) for index, _ in passes]
    calls: dict[tuple[str, Kind], list[list[Record]]] = {}
    for position, records in enumerate(grouped):
        for record in records:
            key = (record.operator, record.kind)
            calls.setdefault(key, [[] for _ in passes])[position].append(record)
    repetitions = [p.repetition for _, p in passes]
    wall = stat([p.duration_ns / NS_PER_MS for _, p in passes], repetitions)
    all_ops = sum(round(_median(_sums(calls_of, "ops"))) for calls_of in calls.values())
    roofs = best_roofs(profile)
    home = _home(profile, grouped)
    rejected = _rejected(profile, stage)
    rows = [
        _row(profile, roofs, home, rejected, repetitions, c, wall.median, all_ops)
        for c in calls.values()
    ]
    recorder = _median([p.recorder_ns / NS_PER_MS for _, p in passes])
    return StageTable(
        stage=stage,
        state=state,
        passes=len(passes),
        tokens=round(_median([p.tokens for _, p in passes])),
        wall_ms=wall,
        rows=rows,
        unattributed_ms=sum(r.time_ms.median for r in rows if r.kind == "unattributed"),
        recorder_ms=recorder,
        rest_ms=wall.median - sum(r.time_ms.median for r in rows) - recorder,
        wrong=list(rejected),
    )


def _passes(profile: Profile, stage: Stage, state: State) -> list[tuple[int, Pass]]:
    """All passes of a state, but of the cold ones the first: the second is no longer cold."""
    passes = profile.passes_of(stage, state)
    return passes[:1] if state == "cold" else passes


def layer_rows(profile: Profile, stage: Stage, state: State = "measured") -> list[LayerRow]:
    """Per-layer medians, layers in order, then layer -1 (embedding, final norm, lm_head)."""
    passes = _passes(profile, stage, state)
    by_pass = profile.records_by_pass()
    times: dict[int, dict[str, list[int]]] = {}
    for position, (index, _) in enumerate(passes):
        for record in by_pass.get(index, []):
            blocks = times.setdefault(record.layer, {})
            block = block_of(record.name, record.operator, record.kind)
            blocks.setdefault(block, [0] * len(passes))[position] += record.duration_ns
    return [
        LayerRow(
            layer=layer,
            blocks={name: _median(ns) / NS_PER_MS for name, ns in times[layer].items()},
            total_ms=_median([sum(ns) for ns in zip(*times[layer].values(), strict=True)])
            / NS_PER_MS,
        )
        for layer in sorted(times, key=lambda number: (number < 0, number))
    ]


def best_roofs(profile: Profile) -> BestRoofs:
    """The best of all probes per level, since a shared machine only ever under-reads a roof."""
    best: dict[str, float] = {}
    probes = [roof for roof in profile.roofs if roof.threads == profile.run.threads]
    for roof in probes:
        best[roof.level] = max(roof.value, best.get(roof.level, 0.0))
    int8, fp32 = best.pop("int8", None), best.pop("fp32", None)
    return BestRoofs(best, int8, fp32, exact=all(roof.exact for roof in probes))


def speed_limit(profile: Profile, table: StageTable) -> SpeedLimit | None:
    """The lower of two limits: the pass's bytes at the DRAM roof, its OPs at the compute roof.

    The compute roof bounds a PyTorch run in float32 by the float32 peak, and the native engine by
    the int8 peak, which only its BitLinears' OPs count against; other dtypes have units that no
    probe measures. None without a DRAM probe.
    """
    roofs = best_roofs(profile)
    moved, ops = sum(row.bytes for row in table.rows), sum(row.ops for row in table.rows)
    bandwidth = roofs.bandwidth.get("DRAM")
    if not bandwidth or not moved:
        return None
    by_memory = SpeedLimit(table.tokens * bandwidth / moved, "memory")
    peak = None
    if profile.run.backend == "native":
        peak, ops = roofs.int8, sum(row.ops for row in table.rows if row.kind == "bitlinear")
    elif profile.model.dtype == "float32":
        peak = roofs.fp32
    if not (roofs.exact and peak and ops):
        return by_memory
    by_compute = SpeedLimit(table.tokens * peak / ops, "compute")
    return min(by_memory, by_compute, key=lambda limit: limit.tokens_per_second)


def block_of(name: str, operator: str, kind: Kind) -> str:
    """attention, mlp, norm, residual, lm_head, embedding, sampling, or other."""
    if operator == "lm_head":
        return "lm_head"
    if kind in _BLOCK_OF_KIND:
        return _BLOCK_OF_KIND[kind]
    scopes = [_BLOCK_OF_SCOPE[part] for part in name.split(".") if part in _BLOCK_OF_SCOPE]
    return scopes[0] if scopes else "other"


def _row(
    profile: Profile,
    roofs: BestRoofs,
    home: str,
    rejected: Mapping[str, str],
    repetitions: list[int],
    calls_of: list[list[Record]],
    wall_ms: float,
    all_ops: int,
) -> OperatorRow:
    """One operator from its calls in each pass; `calls_of` has one list per pass, some empty."""
    ran = [records for records in calls_of if records]
    first = ran[0][0]
    time = stat([ns / NS_PER_MS for ns in _sums(calls_of, "duration_ns")], repetitions)
    call = stat(
        [sum(r.duration_ns for r in c) / len(c) / NS_PER_MS for c in ran],
        [n for n, c in zip(repetitions, calls_of, strict=True) if c],
    )
    ops = round(_median(_sums(calls_of, "ops")))
    weights, activations, temporaries, kv = (
        round(_median(_sums(calls_of, f"{name}_bytes")))
        for name in ("weight", "activation", "temporary", "kv")
    )
    moved = weights + activations + temporaries + kv
    ceilings = _ceilings(profile, roofs, home, [r for c in ran for r in c])
    verdict = judge(ops, moved, time.median / 1e3, ceilings)
    if first.operator in rejected:
        verdict = Verdict(refused=rejected[first.operator])
    counted = profile.run.backend != "native"
    cpu = [sum(r.user_ns + r.system_ns for r in c) / NS_PER_MS for c in calls_of]
    return OperatorRow(
        operator=first.operator,
        kind=first.kind,
        block=block_of(first.name, first.operator, first.kind),
        calls=max(len(c) for c in ran),
        time_ms=time,
        call_ms=call,
        share=time.median / wall_ms if wall_ms else 0.0,
        ops=ops,
        ops_share=ops / all_ops if all_ops else 0.0,
        weight_bytes=weights,
        activation_bytes=activations,
        temporary_bytes=temporaries,
        kv_bytes=kv,
        intensity=ops / moved if moved else 0.0,
        gops=verdict.gops,
        gbytes_per_second=verdict.gbytes_per_second,
        level=ceilings.level,
        roof_share=verdict.roof_share,
        bound=verdict.bound,
        refused=verdict.refused,
        minor_faults=_median(_sums(calls_of, "minor_faults")) if counted else None,
        major_faults=_median(_sums(calls_of, "major_faults")) if counted else None,
        rss_delta_bytes=_median(_sums(calls_of, "rss_delta_bytes")) if counted else None,
        cpu_ms=_median(cpu) if counted else None,
        input_shapes=first.input_shapes,
        output_shapes=first.output_shapes,
    )


def _rejected(profile: Profile, stage: Stage) -> dict[str, str]:
    """The operators of a stage whose output is wrong in some layer, with the worst figure."""
    failed = [c for c in profile.checks if c.stage == stage and not c.passed]
    return {c.operator: describe(c) for c in sorted(failed, key=lambda c: c.error)}


def describe(check: NumericCheck) -> str:
    """What a numeric check found, in signs and units."""
    found = f"|Δ| = {check.error:.1e} ({check.tolerance:.1e})"
    if check.wrong_codes:
        found += f", codes: {check.wrong_codes}"
    if check.wrong_sums:
        found += f", sums: {check.wrong_sums}"
    return found


def _streamed(record: Record, mode: str) -> float:
    """Bytes that a call reads for the first time in its pass: its weights and its cache, once."""
    reads = WEIGHT_READS[mode] if record.kind == "bitlinear" else 1
    return record.weight_bytes / reads + record.kv_bytes


def _home(profile: Profile, grouped: list[list[Record]]) -> str:
    """The level where weights and cache stay between passes: the one that holds them all."""
    mode = profile.model.mode
    return _level(profile, _median([sum(_streamed(r, mode) for r in g) for g in grouped]))


def _level(profile: Profile, size: float) -> str:
    return level_of(size, profile.machine.caches, profile.run.threads)


def _ceilings(profile: Profile, roofs: BestRoofs, home: str, calls: list[Record]) -> Ceilings:
    """What the operator is held against: levels by working set, and the units that compute it.

    A matrix that would fit the L3 alone is not there when the pass comes round to it again, if the
    other layers' weights have gone through in between: it streams from `home`.
    """
    first, mode = calls[0], profile.model.mode
    streamed = _median([_streamed(r, mode) for r in calls])
    rest = _median([r.bytes for r in calls]) - streamed
    # A temporary is written, then read: it takes half its traffic as space.
    space = _median([r.activation_bytes + r.temporary_bytes / 2 for r in calls])
    level = limit_level = _level(profile, streamed + space)
    limit, source = roofs.bandwidth.get(level), roofs.bandwidth.get(home)
    bandwidth = None
    if limit and source and streamed + rest > 0:
        bandwidth = blend(streamed, rest, source, limit)
        if streamed / source >= rest / limit:
            level = home
    native = profile.run.backend == "native" and first.kind == "bitlinear"
    return Ceilings(
        level=level,
        limit_level=limit_level,
        limit=limit if roofs.exact else None,
        bandwidth=bandwidth,
        compute=roofs.int8 if native else roofs.fp32,
        # A CPU with bfloat16 units multiplies that dtype faster than the float32 probe.
        exact=roofs.exact and (native or first.dtype == "float32"),
    )


def _sums(calls_of: list[list[Record]], name: str) -> list[int]:
    """The sum of one field over an operator's calls, pass by pass; 0 where it did not run."""
    return [sum(getattr(r, name) for r in records) for records in calls_of]


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))
