"""The thread count of a command: what was asked for, or the usable cores."""

from __future__ import annotations

from trine.errors import UsageError
from trine.profiling.profile import Machine

# Oversubscription is worth measuring, thousands of threads only hang the machine.
PER_CORE = 16


def thread_count(asked: int | None, host: Machine) -> int:
    """`asked`, or the usable cores of `host`; UsageError above `PER_CORE` threads a core."""
    from trine.profiling.machine import usable_cores

    if asked is None:
        return usable_cores(host)
    limit = PER_CORE * host.cores_logical
    if asked > limit:
        raise UsageError(
            f"--threads {asked} is more than {PER_CORE} per core; at most {limit} here"
        )
    return asked
