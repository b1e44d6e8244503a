"""The machine's roofs, measured: read bandwidth by memory level, int8 and fp32 peak.

In: thread counts. Out: one `Roof` per level and thread count. The native extension does the work;
what is chosen here is how much of it, and over which buffer.

A roof is the *best* pass of several: everything that disturbs a probe, a neighbour on a shared
machine above all, makes it slower and nothing makes it faster than the hardware. A single naive
pass under-reads the roof by up to 30 %.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from trine import _native
from trine.errors import UsageError
from trine.profiling.caches import Caches, read_caches
from trine.profiling.machine import memory_available
from trine.profiling.profile import Roof

MIB = 1 << 20

# An L2 of unknown size is taken to be this large: no server or laptop core of the last decade that
# runs the native kernels at speed has less than 256 KiB, and the buffer is half of it.
_L2_FALLBACK = MIB // 2

# A pass over a cache reads this much per thread (about 1 ms), so that the start of the threads
# and the clock are lost in it.
_PASS_BYTES = 64 * MIB

# One to three milliseconds of multiply-adds on a vector unit, 10 in scalar code.
_PEAK_STEPS = 1 << 19


@dataclass(frozen=True, slots=True)
class _Effort:
    """How many rounds of all read patterns, by level, and passes of a compute peak."""

    l2: int
    l3: int
    dram: int
    peak: int


_FULL = _Effort(l2=12, l3=24, dram=3, peak=24)
# Between repetitions: about 0.2 s for one thread count (0.8 in fresh memory), most of it the
# filling of the DRAM buffer.
_QUICK = _Effort(l2=4, l3=8, dram=2, peak=12)


def measure(threads: Sequence[int], *, quick: bool = False, phase: str = "before") -> list[Roof]:
    """Probe every roof at each thread count, with the fastest usable instruction set.

    A level that this machine has not (no L3, or one no larger than the L2s together) gives no
    roof. `quick` takes about 0.2 s for one thread count, up to a second where the system must find
    fresh memory first; `phase` is copied into the roofs.

    Raises UsageError for an empty list and for counts below 1.
    """
    if not threads or min(threads) < 1:
        raise UsageError(f"threads must be one or more counts of at least 1, not {list(threads)}")
    isa = [level.name for level in _native.levels() if level.usable][-1]
    effort = _QUICK if quick else _FULL
    caches = read_caches()
    roofs: list[Roof] = []
    for count in threads:
        buffers = buffer_sizes(caches, count, memory_available())
        for level, total in buffers.items():
            rounds = {"L2": effort.l2, "L3": effort.l3, "DRAM": effort.dram}[level]
            roofs.append(_read_roof(level, isa, count, total, rounds, phase))
        roofs.append(_peak_roof("int8", isa, count, effort.peak, phase))
        roofs.append(_peak_roof("fp32", isa, count, effort.peak, phase))
    return roofs


def buffer_sizes(caches: Caches, threads: int, available_bytes: int) -> dict[str, int]:
    """Bytes to read per level, all threads together; a level that cannot be isolated is left out.

    L2: half of each thread's share, the rest is for whatever else runs. L3: eight times the L2s in
    use, so that at most an eighth of the reads can hit there, but at most half of one L3. DRAM:
    16 times all L3s that the threads can reach (a pass finds part of what the last one left there:
    over four times the rate was a third too high, over eight 8 %, docs/log.md), at least 256 MiB,
    and at most an eighth of the available memory.
    """
    block = _native.READ_BLOCK * threads
    l2_in_use = caches.l2_reach(threads) or _L2_FALLBACK * threads
    sizes = {"L2": l2_in_use // 2 // block * block}
    l3 = min(8 * l2_in_use, caches.l3_bytes // 2) // block * block
    if l3 >= 2 * l2_in_use:
        sizes["L3"] = l3
    reachable = caches.l3_reach(threads)
    dram = min(max(16 * reachable, 256 * MIB), available_bytes // 8) // block * block
    if dram >= 2 * max(reachable, l2_in_use):
        sizes["DRAM"] = dram
    return sizes


def _read_roof(level: str, isa: str, threads: int, total: int, rounds: int, phase: str) -> Roof:
    per_thread = total // threads
    sweeps = max(1, _PASS_BYTES // per_thread) if level != "DRAM" else 1
    passes = rounds * _native.READ_PATTERNS
    start = time.perf_counter()
    probe = _native.probe_read(isa, threads, per_thread, sweeps, passes)
    seconds = time.perf_counter() - start
    return _roof(level, probe, "B/s", total, seconds, phase)


def _peak_roof(level: str, isa: str, threads: int, passes: int, phase: str) -> Roof:
    run = {"int8": _native.probe_int8, "fp32": _native.probe_fp32}[level]
    start = time.perf_counter()
    probe = run(isa, threads, _PEAK_STEPS, passes)
    seconds = time.perf_counter() - start
    return _roof(level, probe, "OP/s", 0, seconds, phase)


def _roof(
    level: str, probe: _native.Probe, unit: str, buffer_bytes: int, seconds: float, phase: str
) -> Roof:
    return Roof(
        level=level,
        threads=probe.threads,
        value=probe.work / min(probe.seconds),
        unit=unit,
        isa=probe.isa,
        buffer_bytes=buffer_bytes,
        seconds=seconds,
        phase=phase,
        # Scalar code computes one lane at a time and may be too slow to load a cache fully.
        exact=probe.isa != "scalar",
    )
