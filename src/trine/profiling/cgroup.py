"""What a container may use: the CPU and memory limits of this process's control group.

Both versions are read. A limit may be set on any ancestor, so every directory up to the mount is
asked and the tightest answer counts. Source: Linux, Documentation/admin-guide/cgroup-v{1,2}.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")

# Version 1 writes "no limit" as the largest multiple of a page below 2**63.
_UNLIMITED = 1 << 60


def cpu_limit(root: Path = ROOT) -> float | None:
    """CPUs' worth of time this process may use; None without a limit."""
    limits = []
    for directory in _directories(root, "cpu"):
        quota, period = _words(directory / "cpu.max") or (
            _word(directory / "cpu.cfs_quota_us"),
            _word(directory / "cpu.cfs_period_us"),
        )
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            limits.append(int(quota) / int(period))
    return min(limits, default=None)


def memory_headroom(root: Path = ROOT) -> int | None:
    """Bytes this process's group may still take before its limit; None without a limit.

    Page cache that the kernel would drop first (inactive_file) counts as free.
    """
    headrooms = []
    for directory in _directories(root, "memory"):
        limit = _word(directory / "memory.max") or _word(directory / "memory.limit_in_bytes")
        used = _word(directory / "memory.current") or _word(directory / "memory.usage_in_bytes")
        if limit.isdigit() and used.isdigit() and int(limit) < _UNLIMITED:
            free = int(limit) - int(used) + _reclaimable(directory)
            headrooms.append(max(0, min(free, int(limit))))
    return min(headrooms, default=None)


def _directories(root: Path, controller: str) -> Iterator[Path]:
    """This process's directory in the hierarchy of `controller`, and its ancestors."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mount = root / "sys/fs/cgroup"
        elif controller in controllers.split(","):
            mount = root / "sys/fs/cgroup" / controller
        else:
            continue
        directory = mount / path.lstrip("/")
        # In a container the path may be the host's and not exist; the mount itself is then ours.
        yield directory
        yield from (up for up in directory.parents if up.is_relative_to(mount))


def _reclaimable(directory: Path) -> int:
    for line in _text(directory / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        # Version 1 has the figure of the whole subtree under the second name.
        if name in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def _words(path: Path) -> tuple[str, str] | None:
    words = _text(path).split()
    return (words[0], words[1]) if len(words) == 2 else None


def _word(path: Path) -> str:
    return _text(path).strip()


def _text(path: Path) -> str:
    """The file's text, empty when it is not there: absent files mean no limit."""
    try:
        return path.read_text()
    except OSError:
        return ""
