"""Try a finding's fix: the same run in a child process with the fix's environment variables.

Only fixes that are environment variables can be tried (the allocator reads them at start). The
child is this program with the same arguments; its warm passes are set beside those of the
profile and beside what the finding predicted. One run follows the other, so that a machine that
changes in between is in the difference; the spread of both stands beside it.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

from trine.errors import ToolError
from trine.profiling.analysis import StageTable, stage_table
from trine.profiling.findings import Finding, find
from trine.profiling.profile import FixTrial, Measured, Profile


def verify(profile: Profile, arguments: list[str]) -> Profile:
    """`profile` with one FixTrial per finding that carries `fix_environment`.

    `arguments` are those of `trine profile` without --verify-fixes, --out and --json; findings
    with the same environment share one child. ToolError when a child fails.
    """
    groups: dict[tuple[tuple[str, str], ...], list[Finding]] = {}
    for finding in find(profile):
        if finding.fix_environment and finding.stage is not None:
            groups.setdefault(tuple(sorted(finding.fix_environment.items())), []).append(finding)
    trials: list[FixTrial] = []
    for environment, findings in groups.items():
        after = _run(arguments, dict(environment))
        trials += [_trial(profile, after, finding) for finding in findings]
    return dataclasses.replace(profile, fix_trials=trials)


def _trial(before: Profile, after: Profile, finding: Finding) -> FixTrial:
    assert finding.stage is not None
    old, new = stage_table(before, finding.stage), stage_table(after, finding.stage)
    assert old is not None and new is not None
    return FixTrial(
        rule=finding.rule,
        stage=finding.stage,
        environment=finding.fix_environment,
        before=_measured(old),
        predicted_ms=old.wall_ms.median - (finding.effect_ms or 0.0),
        after=_measured(new),
    )


def _measured(table: StageTable) -> Measured:
    wall = table.wall_ms
    faults = sum(row.minor_faults or 0 for row in table.rows)
    return Measured(table.passes, wall.median, wall.p10, wall.p90, faults)


def _run(arguments: list[str], environment: dict[str, str]) -> Profile:
    child = subprocess.run(
        [sys.executable, "-m", "trine", "profile", *arguments, "--json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        lines = child.stderr.strip().splitlines() or ["no message"]
        raise ToolError(
            f"the run with {environment} ended with exit code {child.returncode}: {lines[-1]}"
        )
    return Profile.from_json(child.stdout, "the verification run")
