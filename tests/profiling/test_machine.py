"""Facts about the machine, read from directories made to look like one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trine import _native
from trine.profiling import machine
from trine.profiling.caches import Caches, read_caches
from trine.profiling.cgroup import cpu_limit, memory_headroom

KIB, MIB = 1 << 10, 1 << 20


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def cache(cpu: int, index: int, level: int, kind: str, size: str, shared: str) -> dict[str, str]:
    folder = f"cpu{cpu}/cache/index{index}"
    return {
        f"{folder}/level": str(level),
        f"{folder}/type": kind,
        f"{folder}/size": size,
        f"{folder}/shared_cpu_list": shared,
    }


def test_caches_of_two_core_complexes_with_hyperthreads(tmp_path: Path) -> None:
    files: dict[str, str] = {}
    for cpu in range(8):
        complex_ = "0-1,4-5" if cpu % 4 < 2 else "2-3,6-7"
        files |= cache(cpu, 0, 1, "Data", "32K", f"{cpu % 4},{cpu % 4 + 4}")
        files |= cache(cpu, 1, 2, "Instruction", "64K", str(cpu))
        files |= cache(cpu, 2, 2, "Unified", "512K", f"{cpu % 4},{cpu % 4 + 4}")
        files |= cache(cpu, 3, 3, "Unified", "16M", complex_)
    assert read_caches(write(tmp_path, files)) == Caches(512 * KIB, 2, 16 * MIB, 2)


def test_caches_that_are_missing_or_half_listed_read_as_zero(tmp_path: Path) -> None:
    assert read_caches(tmp_path) == Caches(0, 1, 0, 0)
    write(tmp_path, {"cpu0/cache/index2/level": "2", "cpu0/cache/index3/level": "nonsense"})
    assert read_caches(tmp_path) == Caches(0, 1, 0, 0)


def test_limits_of_version_2_come_from_the_tightest_ancestor(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/outer/inner"
    files = {
        "proc/self/cgroup": "0::/outer/inner",
        f"{group}/cpu.max": "max 100000",
        "sys/fs/cgroup/outer/cpu.max": "150000 100000",
        f"{group}/memory.max": "max",
        f"{group}/memory.current": "1000",
        "sys/fs/cgroup/outer/memory.max": "10000",
        "sys/fs/cgroup/outer/memory.current": "6000",
        "sys/fs/cgroup/outer/memory.stat": "anon 5000\ninactive_file 500",
    }
    write(tmp_path, files)
    assert cpu_limit(tmp_path) == 1.5
    assert memory_headroom(tmp_path) == 4500


def test_limits_of_version_1_in_a_container_that_sees_the_hosts_path(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "8000",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "9000",
    }
    write(tmp_path, files)
    assert cpu_limit(tmp_path) == 0.5
    assert memory_headroom(tmp_path) == 0


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "0::/"},
        {
            "proc/self/cgroup": "0::/",
            "sys/fs/cgroup/cpu.max": "max 100000",
            "sys/fs/cgroup/memory.max": "max",
            "sys/fs/cgroup/memory.current": "5",
        },
        {
            "proc/self/cgroup": "2:memory:/\n1:cpu:/",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "5",
        },
    ],
    ids=["no cgroups", "no files", "version 2 unlimited", "version 1 unlimited"],
)
def test_no_limit_is_none(tmp_path: Path, files: dict[str, str]) -> None:
    write(tmp_path, files)
    assert cpu_limit(tmp_path) is None
    assert memory_headroom(tmp_path) is None


def test_available_memory_is_the_lower_of_system_and_container(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "memory_headroom", lambda: 12345)
    assert machine.memory_available() == 12345
    monkeypatch.setattr(machine, "memory_headroom", lambda: 1 << 62)
    assert 0 < machine.memory_available() < 1 << 62


def test_this_machine_is_described() -> None:
    found = machine.describe()
    assert 1 <= found.cores_affinity <= found.cores_logical
    assert 1 <= found.cores_physical <= found.cores_logical
    assert 0 < found.memory_available_bytes <= found.memory_bytes
    assert found.cpu_model
    assert found.platform.count("-") == 1
    assert found.simd == [level.name for level in _native.levels() if level.usable]


def test_versions_are_known_without_importing_torch() -> None:
    program = (
        "import json, sys; from trine.profiling import machine; "
        "print(json.dumps([machine.versions(), 'torch' in sys.modules]))"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    found, imported_torch = json.loads(output)
    assert {"python", "compiler", "trine", "numpy"} <= set(found)
    assert all(found.values())
    assert not imported_torch
