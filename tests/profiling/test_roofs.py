"""Roofs: which buffers are read, and what is reported. How fast is never asserted."""

from __future__ import annotations

import math

import pytest

from trine import _native
from trine.errors import UsageError
from trine.profiling import roofs
from trine.profiling.caches import Caches

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
ZEN3 = Caches(l2_bytes=512 * KIB, l2_cpus=1, l3_bytes=32 * MIB, l3_count=1)


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches so small that measuring them takes no time."""
    monkeypatch.setattr(roofs, "read_caches", lambda: Caches(64 * KIB, 1, 2 * MIB, 1))
    monkeypatch.setattr(roofs, "memory_available", lambda: 64 * MIB)
    monkeypatch.setattr(roofs, "_PASS_BYTES", MIB)
    monkeypatch.setattr(roofs, "_PEAK_STEPS", 1000)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.usefixtures("small_machine")
def test_every_level_is_probed_at_every_thread_count(quick: bool) -> None:
    found = roofs.measure([1, 2], quick=quick, phase="between:3")
    levels = ["L2", "L3", "DRAM", "int8", "fp32"]
    assert [(roof.threads, roof.level) for roof in found] == [
        (t, n) for t in (1, 2) for n in levels
    ]
    fastest = [level.name for level in _native.levels() if level.usable][-1]
    for roof in found:
        assert math.isfinite(roof.value)
        assert roof.value > 0
        assert roof.seconds > 0
        assert roof.isa == fastest
        assert roof.phase == "between:3"
        compute = roof.level in ("int8", "fp32")
        assert roof.unit == ("OP/s" if compute else "B/s")
        assert (roof.buffer_bytes == 0) == compute
        assert roof.exact == (fastest != "scalar")


@pytest.mark.usefixtures("small_machine")
def test_a_probe_in_scalar_code_is_only_a_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    scalar = [level for level in _native.levels() if level.name == "scalar"]
    monkeypatch.setattr(_native, "levels", lambda: scalar)
    found = roofs.measure([1], quick=True)
    assert {(roof.isa, roof.exact) for roof in found} == {("scalar", False)}


@pytest.mark.parametrize("threads", [[], [0], [1, -1]])
def test_impossible_thread_counts_are_refused(threads: list[int]) -> None:
    with pytest.raises(UsageError, match="threads must be"):
        roofs.measure(threads)


@pytest.mark.parametrize(
    ("threads", "expected"),
    [
        (1, {"L2": 256 * KIB, "L3": 4 * MIB, "DRAM": 512 * MIB}),
        (2, {"L2": 512 * KIB, "L3": 8 * MIB, "DRAM": 512 * MIB}),
        (8, {"L2": 2 * MIB, "L3": 16 * MIB, "DRAM": 512 * MIB}),
    ],
)
def test_buffers_of_a_desktop(threads: int, expected: dict[str, int]) -> None:
    assert roofs.buffer_sizes(ZEN3, threads, 24 * GIB) == expected


def test_hyperthreads_share_the_l2() -> None:
    shared = Caches(l2_bytes=MIB, l2_cpus=2, l3_bytes=32 * MIB, l3_count=1)
    assert roofs.buffer_sizes(shared, 4, 24 * GIB)["L2"] == MIB


def test_dram_must_leave_every_l3_that_the_threads_reach() -> None:
    many = Caches(l2_bytes=512 * KIB, l2_cpus=1, l3_bytes=32 * MIB, l3_count=8)
    assert roofs.buffer_sizes(many, 64, 512 * GIB)["DRAM"] == 16 * 8 * 32 * MIB
    assert roofs.buffer_sizes(many, 2, 512 * GIB)["DRAM"] == 2 * 16 * 32 * MIB


def test_little_memory_caps_the_dram_buffer_or_leaves_the_level_out() -> None:
    assert roofs.buffer_sizes(ZEN3, 1, GIB)["DRAM"] == 128 * MIB
    assert "DRAM" not in roofs.buffer_sizes(ZEN3, 1, GIB // 4)


def test_a_level_that_is_not_there_gives_no_roof() -> None:
    assert "L3" not in roofs.buffer_sizes(Caches(MIB, 1, 0, 0), 1, 24 * GIB)
    # Server parts whose L2s together are as large as the L3: a stream cannot tell them apart.
    assert "L3" not in roofs.buffer_sizes(Caches(2 * MIB, 1, 96 * MIB, 1), 48, 24 * GIB)


def test_unreadable_caches_still_give_a_core_local_and_a_memory_roof() -> None:
    sizes = roofs.buffer_sizes(Caches(0, 1, 0, 0), 1, 24 * GIB)
    assert sizes == {"L2": 256 * KIB, "DRAM": 256 * MIB}


@pytest.mark.parametrize("threads", [1, 3, 7, 64])
def test_every_buffer_is_whole_blocks_for_each_thread(threads: int) -> None:
    for total in roofs.buffer_sizes(ZEN3, threads, 24 * GIB).values():
        assert total > 0
        assert total % (threads * _native.READ_BLOCK) == 0
