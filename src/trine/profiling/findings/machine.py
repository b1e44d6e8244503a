"""What the machine allows: operators at a roof, figures above one, more threads than cores."""

from __future__ import annotations

import math
import statistics
from typing import Literal

from trine.profiling.findings.finding import EVIDENCE_LINES, Case, Finding, largest, names, time_of

# From 60 % of what the roofs allow, tuning the same work gains less than a factor of 1.7.
AT_ROOF = 0.6
# Operators at their roof matter together once they are a third of the pass, roughly.
BOUND_SHARE = 0.3


def bandwidth_bound(case: Case) -> list[Finding]:
    """Operators that read about as fast as the machine does; the effect is all their time."""
    return _at_roof(case, "memory", "bandwidth_bound")


def compute_bound(case: Case) -> list[Finding]:
    """Operators that compute about as fast as the machine does; the effect is all their time."""
    return _at_roof(case, "compute", "compute_bound")


def _at_roof(case: Case, bound: Literal["memory", "compute"], rule: str) -> list[Finding]:
    findings: list[Finding] = []
    for stage, table in case.warm.items():
        rows = [
            row
            for row in table.rows
            if row.bound == bound and row.roof_share is not None and row.roof_share >= AT_ROOF
        ]
        share = time_of(rows) / table.wall_ms.median
        if share < BOUND_SHARE:
            continue
        roof_shares = [row.roof_share for row in rows if row.roof_share is not None]
        findings.append(
            Finding(
                rule=rule,
                stage=stage,
                state="measured",
                effect_ms=time_of(rows),
                values={
                    "stage": stage,
                    "share": share,
                    "operators": names(rows),
                    "roof_low": min(roof_shares),
                    "roof_high": max(roof_shares),
                    "gigabytes": sum(row.bytes for row in rows) / 1e9,
                    "gigaops": sum(row.ops for row in rows) / 1e9,
                },
                evidence=[
                    f"{row.operator}: {row.gbytes_per_second:.1f} GB/s, {row.gops:.1f} GOPS, "
                    f"{row.roof_share:.0%} {row.level}"
                    for row in largest(rows)
                ],
            )
        )
    return findings


def above_roof(case: Case) -> list[Finding]:
    """Figures that were refused; the bytes, the level or the clock behind them is wrong."""
    findings: list[Finding] = []
    for stage, table in case.warm.items():
        rows = [row for row in table.rows if row.refused]
        if rows:
            findings.append(
                Finding(
                    rule="above_roof",
                    stage=stage,
                    state="measured",
                    effect_ms=None,
                    values={"stage": stage, "count": len(rows), "operators": names(rows)},
                    evidence=[f"{row.operator}: {row.refused}" for row in largest(rows)],
                )
            )
    return findings


def thread_oversubscription(case: Case) -> list[Finding]:
    """More threads than the process may use cores; what that costs, only a second run can say."""
    machine, threads = case.profile.machine, case.profile.run.threads
    quota = math.inf if machine.cgroup_cpus is None else machine.cgroup_cpus
    cores = min(machine.cores_affinity, quota)
    if threads <= cores:
        return []
    evidence: list[str] = []
    switches = 0.0
    for stage in case.warm:
        passes = case.profile.passes_of(stage, "measured")
        per_pass = statistics.median(p.involuntary_switches for _, p in passes)
        switches = max(switches, per_pass)
        evidence.append(f"{stage}: involuntary_switches {per_pass:,.0f}")
    return [
        Finding(
            rule="thread_oversubscription",
            stage=None,
            state="measured",
            effect_ms=None,
            values={
                "threads": threads,
                "cores": cores,
                "affinity": machine.cores_affinity,
                "quota": "-" if machine.cgroup_cpus is None else f"{machine.cgroup_cpus:g}",
                "advised": max(1, math.floor(cores)),
                "switches": switches,
            },
            evidence=evidence[:EVIDENCE_LINES],
        )
    ]
