"""Cache sizes, as the kernel lists them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SYSFS = Path("/sys/devices/system/cpu")

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True, slots=True)
class Caches:
    """Sizes of one instance in bytes, 0 where there is none or it could not be read.

    l2_cpus: logical CPUs that share one L2. l3_count: how many separate L3s there are.
    """

    l2_bytes: int
    l2_cpus: int
    l3_bytes: int
    l3_count: int

    def l2_reach(self, threads: int) -> int:
        """Bytes of L2 that `threads` threads hold together, one on each CPU."""
        return self.l2_bytes // self.l2_cpus * threads

    def l3_reach(self, threads: int) -> int:
        """Bytes of all L3s that `threads` threads can reach, spread over the core complexes."""
        return self.l3_bytes * min(self.l3_count, threads)


def read_caches(cpus: Path = SYSFS) -> Caches:
    """The data caches of cpu0, and how often its kind of L3 occurs (one per core complex)."""
    l2_bytes, l2_shared = _level(cpus / "cpu0", 2)
    l3_bytes, _ = _level(cpus / "cpu0", 3)
    l3_groups = {shared for cpu in cpus.glob("cpu[0-9]*") if (shared := _level(cpu, 3)[1])}
    return Caches(l2_bytes, max(1, _count(l2_shared)), l3_bytes, len(l3_groups))


def _level(cpu: Path, level: int) -> tuple[int, str]:
    """Size in bytes and sharing CPU list of one CPU's cache; (0, "") when not listed."""
    for index in sorted((cpu / "cache").glob("index*")):
        try:
            if (index / "level").read_text().strip() != str(level):
                continue
            if (index / "type").read_text().strip() == "Instruction":
                continue
            return (
                _size((index / "size").read_text().strip()),
                (index / "shared_cpu_list").read_text().strip(),
            )
        except (OSError, ValueError):
            continue  # a virtual machine may list a cache and leave its files out
    return 0, ""


def _size(text: str) -> int:
    """Bytes from the kernel's "512K" or "32M"."""
    unit = _UNITS.get(text[-1:], 1)
    return int(text.rstrip("KMG")) * unit


def _count(cpu_list: str) -> int:
    """How many CPUs a list such as "0-3,8" names."""
    total = 0
    for part in filter(None, cpu_list.split(",")):
        first, _, last = part.partition("-")
        total += int(last or first) - int(first) + 1
    return total
