"""Whether the figures of this run can be trusted, and whether a fix did what was predicted."""

from __future__ import annotations

import statistics

from trine.profiling.analysis import describe
from trine.profiling.findings.finding import EVIDENCE_LINES, Case, Finding, largest, time_of
from trine.profiling.profile import NS_PER_MS, STAGES, Pass
from trine.profiling.stats import stat

# What a profile may leave unnamed before its table misleads, and what watching may cost: the
# recorder is built to stay below 3 % of a warm 2B-4T prefill.
UNATTRIBUTED_SHARE = 0.05
OVERHEAD_SHARE = 0.03
# Repetitions of the same work; half as long again is another machine than a moment before.
UNSTABLE_SPREAD = 1.5
# Two repetitions differ; from three on, the deciles begin to say something.
UNSTABLE_PASSES = 3


def unattributed(case: Case) -> list[Finding]:
    """Gaps between operators that no rule names; the effect is all their time."""
    findings: list[Finding] = []
    for stage, table in case.warm.items():
        share = table.unattributed_ms / table.wall_ms.median
        if share <= UNATTRIBUTED_SHARE:
            continue
        rows = [row for row in table.rows if row.kind == "unattributed"]
        findings.append(
            Finding(
                rule="unattributed",
                stage=stage,
                state="measured",
                effect_ms=time_of(rows),
                values={"stage": stage, "share": share, "gaps": len(rows)},
                evidence=[f"{row.operator}: {row.time_ms.median:.2f} ms" for row in largest(rows)],
            )
        )
    return findings


def recorder_overhead(case: Case) -> list[Finding]:
    """The recorder's own time in warm passes, which it measures; the effect is all of it.

    Its other cost, hooks that are called at all, shows only in the interleaved passes without it,
    whose difference is noise on any but a quiet machine: it is reported, not judged.
    """
    findings: list[Finding] = []
    overhead = case.profile.overhead
    for stage, table in case.warm.items():
        share = table.recorder_ms / table.wall_ms.median if table.wall_ms.median else 0.0
        if share <= OVERHEAD_SHARE:
            continue
        findings.append(
            Finding(
                rule="recorder_overhead",
                stage=stage,
                state="measured",
                effect_ms=table.recorder_ms,
                values={
                    "stage": stage,
                    "share": share,
                    "recorder_ms": table.recorder_ms,
                    "events": overhead.events_per_pass if overhead else 0,
                },
                evidence=[f"{table.recorder_ms:.2f} / {table.wall_ms.median:.2f} ms"],
            )
        )
    return findings


def unstable(case: Case) -> list[Finding]:
    """Repetitions of the same step that spread too far; a fact about all other figures."""
    findings: list[Finding] = []
    for stage in case.warm:
        passes = [p for _, p in case.profile.passes_of(stage, "measured") if p.duration_ns > 0]
        relative = _relative_times(passes)
        if len(relative) < UNSTABLE_PASSES:
            continue
        spread = stat(relative)
        if spread.p90 <= UNSTABLE_SPREAD * spread.p10:
            continue
        times = stat([p.duration_ns / NS_PER_MS for p in passes])
        findings.append(
            Finding(
                rule="unstable",
                stage=stage,
                state="measured",
                effect_ms=None,
                values={
                    "stage": stage,
                    "ratio": spread.p90 / spread.p10,
                    "passes": len(passes),
                    "p10_ms": times.p10,
                    "p90_ms": times.p90,
                },
                evidence=[f"{stage}: {times.p10:.2f} - {times.p90:.2f} ms, n = {len(passes)}"],
            )
        )
    return findings


def numeric_check(case: Case) -> list[Finding]:
    """Operators whose output is not what the reference computes from the same input."""
    findings: list[Finding] = []
    for stage in STAGES:
        checks = [c for c in case.profile.checks if c.stage == stage]
        failed = sorted((c for c in checks if not c.passed), key=lambda c: -c.error)
        if failed:
            findings.append(
                Finding(
                    rule="numeric_check",
                    stage=stage,
                    state=None,
                    effect_ms=None,
                    values={
                        "stage": stage,
                        "failed": len(failed),
                        "checked": len(checks),
                        "operators": ", ".join(dict.fromkeys(c.operator for c in failed)),
                    },
                    evidence=[
                        f"{c.operator} [{c.layer}]: {describe(c)}" for c in failed[:EVIDENCE_LINES]
                    ],
                )
            )
    return findings


def partial_run(case: Case) -> list[Finding]:
    """The run was interrupted; what is there is complete passes."""
    profile = case.profile
    if profile.status != "partial":
        return []
    measured = sum(p.state == "measured" for p in profile.passes)
    return [
        Finding(
            rule="partial_run",
            stage=None,
            state=None,
            effect_ms=None,
            values={
                "note": profile.status_note,
                "passes": len(profile.passes),
                "measured": measured,
            },
            evidence=[profile.status_note] if profile.status_note else [],
        )
    ]


def fix_verified(case: Case) -> list[Finding]:
    """What a fix gained in a second process, beside what its finding predicted."""
    return [
        Finding(
            rule="fix_verified",
            stage=trial.stage,
            state="measured",
            effect_ms=trial.before.median_ms - trial.after.median_ms,
            values={
                "stage": trial.stage,
                "fixed": trial.rule,
                "before_ms": trial.before.median_ms,
                "before_low_ms": trial.before.p10_ms,
                "before_high_ms": trial.before.p90_ms,
                "after_ms": trial.after.median_ms,
                "after_low_ms": trial.after.p10_ms,
                "after_high_ms": trial.after.p90_ms,
                "before_faults": trial.before.minor_faults,
                "after_faults": trial.after.minor_faults,
                "predicted_ms": trial.predicted_ms,
                "predicted_gain_ms": trial.before.median_ms - trial.predicted_ms,
                "measured_gain_ms": trial.before.median_ms - trial.after.median_ms,
            },
            evidence=[f"{name}={value}" for name, value in trial.environment.items()],
        )
        for trial in case.profile.fix_trials
    ]


def _relative_times(passes: list[Pass]) -> list[float]:
    """Each pass over the median of its own step, since later steps have more context to read."""
    by_step: dict[int, list[int]] = {}
    for pass_ in passes:
        by_step.setdefault(pass_.step, []).append(pass_.duration_ns)
    return [
        duration / statistics.median(durations)
        for durations in by_step.values()
        if len(durations) >= UNSTABLE_PASSES
        for duration in durations
    ]
