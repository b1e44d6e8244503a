"""What the first passes pay and later ones do not: torch.compile, and everything else cold."""

from __future__ import annotations

from collections import Counter

from trine.profiling.findings.finding import EVIDENCE_LINES, Case, Finding
from trine.profiling.profile import NS_PER_MS, STAGES, Record, State

# Twice the warm time is more than any warm pass varies on a machine that is fit to measure on.
COLD_RATIO = 2.0
# Below a tenth of a second nobody waits for a first pass, whatever its ratio.
COLD_WORTH_MS = 100.0


def compile_first_call(case: Case) -> list[Finding]:
    """The first cold pass that compiled; the effect is its compile time, once per process."""
    for index, pass_ in enumerate(case.profile.passes):
        if pass_.state != "cold" or 0 in (pass_.compile_ns, pass_.duration_ns):
            continue
        paid = _by_compile_time(case.records.get(index, []))
        return [
            Finding(
                rule="compile_first_call",
                stage=pass_.stage,
                state="cold",
                effect_ms=pass_.compile_ns / NS_PER_MS,
                values={
                    "seconds": pass_.compile_ns / 1e9,
                    "share": pass_.compile_ns / pass_.duration_ns,
                    "graphs": pass_.graphs_compiled,
                    "cache_hits": pass_.compile_cache_hits,
                    "record": paid[0].name if paid else "",
                    "record_seconds": paid[0].compile_ns / 1e9 if paid else 0.0,
                },
                evidence=_evidence(paid),
            )
        ]
    return []


def compile_new_shape(case: Case) -> list[Finding]:
    """Compilations after the first record that compiled, before the measured passes.

    The effect is the compile time of those records, once per process. A call has a new shape when
    no earlier call of its kind had its inputs and outputs.
    """
    events: list[tuple[State, str, Record]] = []
    seen: set[str] = set()
    new: set[int] = set()
    for index, pass_ in enumerate(case.profile.passes):
        if pass_.state == "measured":
            continue
        for record in case.records.get(index, []):
            shape = f"{record.kind} {record.input_shapes} {record.output_shapes}"
            if record.graphs_compiled > 0:
                events.append((pass_.state, pass_.stage, record))
                if shape not in seen:
                    new.add(id(record))
            seen.add(shape)
    findings: list[Finding] = []
    for stage in STAGES:
        later = [(state, record) for state, of, record in events[1:] if of == stage]
        if not later:
            continue
        records = [record for _, record in later]
        spent = sum(r.compile_ns for r in records)
        findings.append(
            Finding(
                rule="compile_new_shape",
                stage=stage,
                state=later[0][0],
                effect_ms=spent / NS_PER_MS,
                values={
                    "stage": stage,
                    "seconds": spent / 1e9,
                    "events": len(records),
                    "new_shapes": sum(id(r) in new for r in records),
                    "graphs": sum(r.graphs_compiled for r in records),
                    "operators": _counted(records),
                },
                evidence=_evidence(_by_compile_time(records)),
            )
        )
    return findings


def compile_in_measured(case: Case) -> list[Finding]:
    """Compilations inside passes that count as warm: mean per pass, since most have none."""
    findings: list[Finding] = []
    for stage, table in case.warm.items():
        compiled = [r for p in case.records_of(stage) for r in p if r.graphs_compiled > 0]
        if not compiled:
            continue
        mean_ms = sum(r.compile_ns for r in compiled) / table.passes / NS_PER_MS
        findings.append(
            Finding(
                rule="compile_in_measured",
                stage=stage,
                state="measured",
                effect_ms=mean_ms,
                values={
                    "stage": stage,
                    "events": len(compiled),
                    "passes": table.passes,
                    "mean_ms": mean_ms,
                    "operators": _counted(compiled),
                },
                evidence=_evidence(_by_compile_time(compiled)),
            )
        )
    return findings


def cold_share(case: Case) -> list[Finding]:
    """The first cold pass against the warm median; the effect is the difference, once."""
    findings: list[Finding] = []
    for stage, table in case.warm.items():
        cold = case.profile.passes_of(stage, "cold")
        if not cold:
            continue
        index, pass_ = cold[0]
        cold_ms, warm_ms = pass_.duration_ns / NS_PER_MS, table.wall_ms.median
        if cold_ms < COLD_RATIO * warm_ms or cold_ms - warm_ms < COLD_WORTH_MS:
            continue
        slowest = sorted(case.records.get(index, []), key=lambda r: -r.duration_ns)
        findings.append(
            Finding(
                rule="cold_share",
                stage=stage,
                state="cold",
                effect_ms=cold_ms - warm_ms,
                values={
                    "stage": stage,
                    "cold_ms": cold_ms,
                    "warm_ms": warm_ms,
                    "ratio": cold_ms / warm_ms,
                    "compile_ms": pass_.compile_ns / NS_PER_MS,
                    "cold_faults": pass_.minor_faults,
                    "warm_faults": sum(row.minor_faults or 0 for row in table.rows),
                    "cold_system_ms": pass_.system_ns / NS_PER_MS,
                },
                evidence=[
                    f"{r.name}: {r.duration_ns / NS_PER_MS:,.1f} ms"
                    for r in slowest[:EVIDENCE_LINES]
                ],
            )
        )
    return findings


def _by_compile_time(records: list[Record]) -> list[Record]:
    return sorted((r for r in records if r.compile_ns > 0), key=lambda r: -r.compile_ns)


def _counted(records: list[Record]) -> str:
    """How often each operator compiled: "gate_proj 2, down_proj 1"."""
    counts = Counter(r.operator for r in records)
    return ", ".join(f"{operator} {count}" for operator, count in counts.items())


def _evidence(records: list[Record]) -> list[str]:
    return [
        f"{r.name} {r.input_shapes[:1]}: {r.compile_ns / 1e9:.2f} s"
        for r in records[:EVIDENCE_LINES]
    ]
