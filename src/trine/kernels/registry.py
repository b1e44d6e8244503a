"""The native kernels: which there are, which may be used here, which one is chosen.

A kernel set is one instruction set's code for every operator. It may be used when this build
contains it, CPU and system claim it, and its self-test ran here with the right results: CPUID can
lie in virtual machines.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from trine import _native
from trine.errors import UsageError

# Forces one set, for tests and for comparisons.
VARIABLE = "TRINE_KERNEL"

_ABOUT = {
    "scalar": "portable C++, no vector instructions; always there",
    "avx2": "256-bit: vpmaddubsw into 16-bit sums, widened in time; FMA, F16C",
    "avx_vnni": "256-bit: vpdpbusd into 32-bit sums, without AVX-512",
    "avx512bw": "512-bit: vpmaddubsw into 16-bit sums, widened in time",
    "avx512_vnni": "512-bit: vpdpbusd into 32-bit sums",
    "neon_dotprod": "Arm 128-bit: sdot into 32-bit sums",
}


@dataclass(frozen=True, slots=True)
class KernelSet:
    """One instruction set's kernels; `usable` when compiled, claimed and proved."""

    name: str
    about: str
    compiled: bool
    claimed: bool
    proved: bool
    usable: bool

    @property
    def reason(self) -> str:
        """Why it can or cannot be used here, in a few words."""
        if self.usable:
            return "self-test passed"
        if not self.compiled:
            return "not in this build"
        return "self-test failed" if self.claimed else "the CPU or the system has it not"


def kernel_sets() -> list[KernelSet]:
    """All sets, slowest first. The self-tests run at the first call."""
    return [
        KernelSet(
            level.name,
            _ABOUT[level.name],
            level.compiled,
            level.claimed,
            level.proved,
            level.usable,
        )
        for level in _native.levels()
    ]


def choose(name: str | None = None) -> str:
    """The set to use: `name`, else what TRINE_KERNEL says, else the fastest usable one.

    Raises UsageError for a set that is unknown or cannot be used here.
    """
    usable = [kernels.name for kernels in kernel_sets() if kernels.usable]
    asked = name or os.environ.get(VARIABLE)
    if not asked:
        return usable[-1]
    if asked not in usable:
        source = "" if name else f" (from {VARIABLE})"
        known = {kernels.name: kernels for kernels in kernel_sets()}
        why = f": {known[asked].reason}" if asked in known else ": unknown"
        raise UsageError(
            f"kernel {asked!r}{source} cannot be used{why}; usable: {', '.join(usable)}"
        )
    return asked
