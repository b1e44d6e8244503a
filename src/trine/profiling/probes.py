"""Counters of this process, read in a few microseconds."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

from trine.profiling.recorder import Sample

_PAGE = resource.getpagesize()


def rss_bytes() -> int:
    """Resident set size of this process, from /proc/self/statm."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def file_bytes() -> int:
    """The part of it that maps files, from /proc/self/status; 0 where the kernel does not say."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "RssFile":
            return int(value.split()[0]) * 1024
    return 0


class ProcessProbe:
    """One getrusage of the whole process, so worker threads count, and one read of statm.

    `compile_counters` returns (graphs compiled, cache hits, ns spent compiling) since the start;
    a backend without a compiler leaves it out. Linux only: other systems have no statm.
    """

    def __init__(self, compile_counters: Callable[[], tuple[int, int, int]] | None = None) -> None:
        self._compile_counters = compile_counters
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def __call__(self) -> Sample:
        """All counters now."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        resident = int(os.pread(self._statm, 96, 0).split()[1])
        compiled = (0, 0, 0) if self._compile_counters is None else self._compile_counters()
        return (
            resident * _PAGE,
            usage.ru_minflt,
            usage.ru_majflt,
            round(usage.ru_utime * 1e9),
            round(usage.ru_stime * 1e9),
            usage.ru_nvcsw,
            usage.ru_nivcsw,
            *compiled,
        )

    def close(self) -> None:
        """Release the file descriptor."""
        os.close(self._statm)
