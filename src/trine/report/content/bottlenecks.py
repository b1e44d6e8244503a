"""Section 4.3: the findings, fixes that were tried, operators taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from trine.profiling.findings import Finding
from trine.profiling.profile import Experiment, FixTrial, Measured
from trine.report import quantity as q
from trine.report.content.common import effect, interval, titles
from trine.report.document import (
    Block,
    Bullets,
    Callout,
    Heading,
    Paragraph,
    Row,
    Table,
    code,
    table,
)
from trine.report.facts import Facts
from trine.report.language import Words

_TRIAL_COLUMNS = (
    "rule",
    "pass",
    "environment",
    "before",
    "predicted",
    "measured",
    "predicted_gain",
    "measured_gain",
    "faults",
)
# The keys of an Experiment, in the order in which a call does them; then those of whole calls.
_STEPS = ("weight_quant", "unpack", "act_quant", "linear", "rescale")
_WHOLE_CALLS = ("whole", "float32", "bfloat16")


def blocks(facts: Facts, words: Words) -> list[Block]:
    """A box per finding in the order of effect, then what was tried and taken apart."""
    result: list[Block] = [Heading(3, words("findings.title"), "findings")]
    if facts.findings:
        result.append(Paragraph(words("findings.intro")))
        result += [_finding(facts, words, finding) for finding in facts.findings]
    else:
        result.append(Paragraph(words("findings.none")))
    if facts.profile.fix_trials:
        result += [
            Heading(4, words("trials.title"), "trials"),
            Paragraph(words("trials.intro")),
            _trials(facts, words, facts.profile.fix_trials),
        ]
    if facts.profile.experiments:
        result += [
            Heading(4, words("dissect.title"), "dissect"),
            Paragraph(words("dissect.intro")),
            _dissections(words, facts.profile.experiments),
        ]
    return result


def _finding(facts: Facts, words: Words, finding: Finding) -> Callout:
    text = words.finding(finding.rule)
    lines = []
    if finding.effect_ms is not None:
        lines.append(words("findings.effect", text=effect(facts, words, finding)))
    lines.append(words("findings.why", text=text.why.format(**finding.values)))
    if text.fix:
        lines.append(words("findings.fix", text=text.fix.format(**finding.values)))
    if finding.fix_environment:
        variables = _environment(finding.fix_environment)
        lines.append(words("findings.environment", text=variables))
    body: list[Paragraph | Bullets | Table] = [Paragraph(line) for line in lines]
    if finding.evidence:
        body.append(Paragraph(words("findings.evidence")))
        body.append(Bullets([code(line) for line in finding.evidence]))
    return Callout("finding", text.title.format(**finding.values), body)


def _environment(variables: dict[str, str]) -> str:
    return code(" ".join(f"{k}={v}" for k, v in sorted(variables.items())))


def _trials(facts: Facts, words: Words, trials: Sequence[FixTrial]) -> Table:
    known = titles(facts, words)
    rows = [
        Row(
            [
                known.get(trial.rule, code(trial.rule)),
                words(f"stage.{trial.stage}"),
                _environment(trial.environment),
                _spread(trial.before),
                q.ms(trial.predicted_ms),
                _spread(trial.after),
                _gain(trial.before.median_ms, trial.predicted_ms),
                _gain(trial.before.median_ms, trial.after.median_ms),
                f"{q.count(trial.before.minor_faults)} → {q.count(trial.after.minor_faults)}",
            ]
        )
        for trial in trials
    ]
    columns = [words(f"trials.{name}") for name in _TRIAL_COLUMNS]
    return table(columns, rows, text_columns=3, note=words("trials.note"))


def _spread(measured: Measured) -> str:
    """The median, with p10 to p90 in brackets."""
    return f"{q.ms(measured.median_ms)} ({interval(measured.p10_ms, measured.p90_ms)})"


def _gain(before: float, after: float) -> str:
    return f"{q.rate(before / after)}×" if after > 0 else q.MISSING


def _dissections(words: Words, experiments: Sequence[Experiment]) -> Table:
    """One row an operator: its steps, their sum, the whole call, the call in each dtype."""
    medians: dict[tuple[str, int], dict[str, float]] = {}
    for experiment in experiments:
        found = medians.setdefault((experiment.operator, experiment.tokens), {})
        found |= {key: median(ns) / 1e6 for key, ns in experiment.samples_ns.items() if ns}
    steps = [key for key in _STEPS if any(key in found for found in medians.values())]
    rows = [
        Row(
            [
                code(operator),
                q.count(tokens),
                *(_step(found.get(key), found.get("whole")) for key in steps),
                _step(sum(found[key] for key in steps if key in found), found.get("whole")),
                *(q.ms(found.get(key)) for key in _WHOLE_CALLS),
            ]
        )
        for (operator, tokens), found in medians.items()
    ]
    columns = [words("dissect.operator"), words("dissect.tokens")]
    columns += [words(f"step.{key}") for key in (*steps, "sum", *_WHOLE_CALLS)]
    return table(columns, rows, note=words("dissect.note"))


def _step(ms: float | None, whole: float | None) -> str:
    """A step's time and its share of the whole call."""
    if ms is None or not whole:
        return q.MISSING
    return f"{q.ms(ms)} ({q.percent(ms / whole)})"
