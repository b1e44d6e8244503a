"""What the machine allows: operators at a roof, figures above one, more threads than cores."""

from __future__ import annotations

import statistics
from typing import Literal

from trine.profiling.findings.finding import EVIDENCE_LINES, Case, Finding, largest, names, time_of
from trine.profiling.machine import allowed_cpus, usable_cores

# From 60 % of what the roofs allow, tuning the same work gains less than a factor of 1.7.
AT_ROOF = 0.6
# Threads taken off their core, a second and thread. A quiet machine showed 16 to 40 (timer and
# kernel threads), one busy neighbour process on two cores 76 to 141 (docs/log.md).
BUSY_SWITCHES = 75.0
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
        wrong = {c.operator for c in case.profile.checks if c.stage == stage and not c.passed}
        rows = [row for row in table.rows if row.refused and row.operator not in wrong]
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


def busy_machine(case: Case) -> list[Finding]:
    """Other work took the cores away during measured passes; no table can correct for that.

    More threads than cores do the same to themselves, so then `thread_oversubscription` speaks.
    """
    if case.profile.run.threads > allowed_cpus(case.profile.machine):
        return []
    passes = [p for p in case.profile.passes if p.state == "measured" and p.duration_ns > 0]
    seconds = sum(p.duration_ns for p in passes) / 1e9
    switches = sum(p.involuntary_switches for p in passes)
    if not passes or switches <= BUSY_SWITCHES * seconds * case.profile.run.threads:
        return []
    worst = max(passes, key=lambda p: p.involuntary_switches / p.duration_ns)
    return [
        Finding(
            rule="busy_machine",
            stage=None,
            state="measured",
            effect_ms=None,
            values={
                "rate": switches / seconds / case.profile.run.threads,
                "usual": BUSY_SWITCHES,
                "switches": switches,
                "seconds": seconds,
            },
            evidence=[
                f"{worst.stage} {worst.repetition}.{worst.step}: involuntary_switches "
                f"{worst.involuntary_switches:,}, {worst.duration_ns / 1e6:,.1f} ms"
            ],
        )
    ]


def thread_oversubscription(case: Case) -> list[Finding]:
    """More threads than the process may use cores; what that costs, only a second run can say."""
    machine, threads = case.profile.machine, case.profile.run.threads
    cores = allowed_cpus(case.profile.machine)
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
                "advised": usable_cores(machine),
                "switches": switches,
            },
            evidence=evidence[:EVIDENCE_LINES],
        )
    ]
