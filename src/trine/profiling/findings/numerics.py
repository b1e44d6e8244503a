"""Work that a mode or a dtype repeats at every call, from operators timed step by step."""

from __future__ import annotations

from trine.profiling.analysis import StageTable
from trine.profiling.findings.finding import EVIDENCE_LINES, WORTH, Case, Finding, row_of
from trine.profiling.profile import Experiment
from trine.profiling.stats import stat

# The steps, timed apart, must add up to the call within this; else they do not explain it.
PARTS_LOW, PARTS_HIGH = 0.9, 1.1
# Each step is timed with its operands in other cache states than inside the call; below a fifth
# the two dtypes cannot be told apart with certainty.
DTYPE_RATIO = 1.2


def requantise_every_call(case: Case) -> list[Finding]:
    """Master weights made ternary again in each forward (mode online)."""
    return _repeated_step(case, "online", "weight_quant", "requantise_every_call")


def unpack_every_call(case: Case) -> list[Finding]:
    """2-bit weights spread to a dense matrix in each forward (mode packed)."""
    return _repeated_step(case, "packed", "unpack", "unpack_every_call")


def _repeated_step(case: Case, mode: str, step: str, rule: str) -> list[Finding]:
    """The step's share of the dissected call x the operator's time, over dissected operators.

    The step's cost does not depend on the tokens and the rest grows with them, so for a stage
    with fewer tokens than the experiment the effect is a lower bound; with more, none is given.
    """
    if case.profile.model.mode != mode:
        return []
    trials = _trials(case, "dissect", "whole", step)
    findings: list[Finding] = []
    for table in case.warm.values():
        effects = {
            e.operator: e.median_ns(step) / e.median_ns("whole") * row.time_ms.median
            for e in trials
            if (row := row_of(table, e.operator)) and table.tokens <= e.tokens
        }
        if effects and sum(effects.values()) >= WORTH * table.wall_ms.median:
            findings.append(_repeated(table, rule, step, trials, effects))
    if findings:
        findings += _disagreement(trials)
    return findings


def _repeated(
    table: StageTable, rule: str, step: str, trials: list[Experiment], effects: dict[str, float]
) -> Finding:
    effect = sum(effects.values())
    used = sorted((e for e in trials if e.operator in effects), key=lambda e: -effects[e.operator])
    ratios = [_parts_ratio(e) for e in used]
    times = [row.time_ms.median for row in table.rows if row.operator in effects]
    return Finding(
        rule=rule,
        stage=table.stage,
        state="measured",
        effect_ms=effect,
        values={
            "stage": table.stage,
            "share": effect / table.wall_ms.median,
            "call_share": effect / sum(times),
            "dissected": len(used),
            "bitlinears": sum(row.kind == "bitlinear" for row in table.rows),
            "tokens": max(e.tokens for e in used),
            "parts_within": int(all(PARTS_LOW <= ratio <= PARTS_HIGH for ratio in ratios)),
            "parts_low": min(ratios),
            "parts_high": max(ratios),
        },
        evidence=[
            f"{e.operator}: {e.median_ns(step) / 1e6:.2f} / {e.median_ns('whole') / 1e6:.2f} ms, "
            f"{effects[e.operator]:.1f} ms"
            for e in used[:EVIDENCE_LINES]
        ],
    )


def _disagreement(trials: list[Experiment]) -> list[Finding]:
    """Operators whose steps, timed apart, do not add up to the whole call."""
    wrong = {e.operator: _parts_ratio(e) for e in trials}
    wrong = {o: ratio for o, ratio in wrong.items() if not PARTS_LOW <= ratio <= PARTS_HIGH}
    if not wrong:
        return []
    return [
        Finding(
            rule="parts_disagree",
            stage=None,
            state=None,
            effect_ms=None,
            values={
                "operators": ", ".join(wrong),
                "parts_low": min(wrong.values()),
                "parts_high": max(wrong.values()),
            },
            evidence=[f"{o}: {ratio:.0%}" for o, ratio in wrong.items()][:EVIDENCE_LINES],
        )
    ]


def slow_dtype(case: Case) -> list[Finding]:
    """The dtype in use against another one, on operators timed in both with equal tokens."""
    dtype = case.profile.model.dtype
    trials = _trials(case, "dtype", dtype)
    others = sorted({key for e in trials for key in e.samples_ns} - {dtype})
    findings: list[Finding] = []
    for table in case.warm.values():
        for other in others:
            # Operator -> ms of a pass as it is, and as it would be in the other dtype.
            times = {
                e.operator: (row.time_ms.median, row.time_ms.median / _slowness(e, dtype, other))
                for e in trials
                if (row := row_of(table, e.operator))
                and e.tokens == table.tokens
                and e.median_ns(other) > 0
            }
            before = sum(now for now, _ in times.values())
            after = sum(then for _, then in times.values())
            worth = before - after >= WORTH * table.wall_ms.median
            if times and worth and before >= DTYPE_RATIO * after:
                findings.append(_slow(table, dtype, other, times))
    return findings


def _slow(
    table: StageTable, dtype: str, other: str, times: dict[str, tuple[float, float]]
) -> Finding:
    before = sum(now for now, _ in times.values())
    after = sum(then for _, then in times.values())
    ordered = sorted(times.items(), key=lambda item: item[1][1] - item[1][0])
    return Finding(
        rule="slow_dtype",
        stage=table.stage,
        state="measured",
        effect_ms=before - after,
        values={
            "stage": table.stage,
            "dtype": dtype,
            "other": other,
            "ratio": before / after,
            "operators": ", ".join(times),
            "before_ms": before,
            "after_ms": after,
        },
        evidence=[
            f"{operator}: {dtype} {now:.2f} ms, {other} {then:.2f} ms"
            for operator, (now, then) in ordered[:EVIDENCE_LINES]
        ],
    )


def _slowness(experiment: Experiment, dtype: str, other: str) -> float:
    """How many times as long `dtype` takes; 1 where interleaved samples do not tell them apart."""
    samples = experiment.samples_ns
    ratios = [a / b for a, b in zip(samples[dtype], samples[other], strict=False) if a and b]
    if not ratios or stat(ratios).low <= 1 <= stat(ratios).high:
        return 1.0
    return experiment.median_ns(dtype) / experiment.median_ns(other)


def _trials(case: Case, kind: str, *keys: str) -> list[Experiment]:
    """The experiments of one kind that have samples of every key."""
    experiments = (e for e in case.profile.experiments if e.kind == kind)
    return [e for e in experiments if all(e.median_ns(key) > 0 for key in keys)]


def _parts_ratio(experiment: Experiment) -> float:
    parts = (experiment.median_ns(key) for key in experiment.samples_ns if key != "whole")
    return sum(parts) / experiment.median_ns("whole")
