"""The computer a profile was made on, and the versions of what ran."""

from __future__ import annotations

import math
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from trine import _native
from trine.profiling.caches import read_caches
from trine.profiling.cgroup import cpu_limit, memory_headroom
from trine.profiling.profile import Machine

_PACKAGES = ("trine", "numpy", "torch", "transformers", "safetensors", "tokenizers")


def describe() -> Machine:
    """This machine. Sizes in bytes, 0 where the system does not tell; l2 and l3 of one instance."""
    cpuinfo = _cpuinfo()
    caches = read_caches()
    logical = os.cpu_count() or 1
    return Machine(
        cpu_model=cpuinfo.get("model name") or platform.processor() or "unknown",
        architecture=platform.machine(),
        platform=_platform(),
        cores_logical=logical,
        cores_physical=psutil.cpu_count(logical=False) or logical,
        cores_affinity=_affinity(logical),
        cgroup_cpus=cpu_limit(),
        memory_bytes=psutil.virtual_memory().total,
        memory_available_bytes=memory_available(),
        swap_bytes=psutil.swap_memory().total,
        l2_bytes=caches.l2_bytes,
        l2_cpus=caches.l2_cpus,
        l3_bytes=caches.l3_bytes,
        l3_count=caches.l3_count,
        simd=[level.name for level in _native.levels() if level.usable],
        hypervisor="hypervisor" in cpuinfo.get("flags", "").split(),
    )


def memory_available() -> int:
    """Bytes that can still be allocated: the system's figure, or the container's if lower."""
    available = int(psutil.virtual_memory().available)
    headroom = memory_headroom()
    return available if headroom is None else min(available, headroom)


def allowed_cpus(machine: Machine) -> float:
    """CPUs' worth of time that the process may use: its affinity, and the quota of its cgroup."""
    quota = math.inf if machine.cgroup_cpus is None else machine.cgroup_cpus
    return min(machine.cores_affinity, quota)


def usable_cores(machine: Machine) -> int:
    """The cores that compute threads can have: what is allowed, hyperthreads apart."""
    return max(1, min(machine.cores_physical, math.floor(allowed_cpus(machine))))


def versions() -> dict[str, str]:
    """Versions by name; a package that is not installed has no entry. Imports none of them."""
    found = {"python": platform.python_version(), "compiler": _native.COMPILER}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _affinity(logical: int) -> int:
    """CPUs this process may run on; all of them where the system has no such mask."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return logical


def _platform() -> str:
    """System and kernel series, for example "Linux-6.1"; the build's name is nobody's business."""
    series = ".".join(platform.release().split("-")[0].split(".")[:2])
    return f"{platform.system()}-{series}"


def _cpuinfo(path: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """The first processor's entries; empty where there is no such file."""
    try:
        block = path.read_text().split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
