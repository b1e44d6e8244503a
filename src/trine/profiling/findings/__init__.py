"""What a Profile says about its own causes: computed, with evidence and effect, without words.

In: a `Profile`. Out: `Finding`s, largest effect first.
Next: `trine.report` puts them in words by rule; `verify` tries those that carry an environment.

A rule is one function; `RULES` lists them all. A healthy run yields no finding: what every run
has (a split, a bound, a share) belongs in a table until it crosses a rule's threshold.
"""

from __future__ import annotations

from trine.profiling.findings.compile import (
    cold_share,
    compile_first_call,
    compile_in_measured,
    compile_new_shape,
)
from trine.profiling.findings.finding import Finding, Rule, open_case
from trine.profiling.findings.health import (
    fix_verified,
    numeric_check,
    partial_run,
    recorder_overhead,
    unattributed,
    unstable,
)
from trine.profiling.findings.machine import (
    above_roof,
    bandwidth_bound,
    busy_machine,
    compute_bound,
    thread_oversubscription,
)
from trine.profiling.findings.memory import page_fault_storm, swapping
from trine.profiling.findings.numerics import requantise_every_call, slow_dtype, unpack_every_call
from trine.profiling.findings.structure import (
    all_position_logits,
    amdahl_bitlinear,
    attention_bound,
    lm_head_share,
    mlp_attention_split,
)
from trine.profiling.profile import Profile

__all__ = ["RULES", "Finding", "Rule", "find"]

# In the order in which findings without an effect are told: trust first, then facts.
RULES: tuple[Rule, ...] = (
    partial_run,
    numeric_check,
    above_roof,
    busy_machine,
    unstable,
    unattributed,
    recorder_overhead,
    compile_first_call,
    compile_new_shape,
    compile_in_measured,
    cold_share,
    requantise_every_call,
    unpack_every_call,
    slow_dtype,
    page_fault_storm,
    swapping,
    thread_oversubscription,
    bandwidth_bound,
    compute_bound,
    attention_bound,
    all_position_logits,
    lm_head_share,
    mlp_attention_split,
    amdahl_bitlinear,
    fix_verified,
)


def find(profile: Profile) -> list[Finding]:
    """All findings of `profile`: largest effect first, those without one last."""
    case = open_case(profile)
    found = [finding for rule in RULES for finding in rule(case)]
    return sorted(found, key=lambda f: (f.effect_ms is None, -(f.effect_ms or 0.0)))
