"""The native probes did the work they claim, on every instruction set of this machine."""

from __future__ import annotations

import ast
import math
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trine import _native

NAMES = ["scalar", "avx2", "avx_vnni", "avx512bw", "avx512_vnni", "neon_dotprod"]
USABLE = [level.name for level in _native.levels() if level.usable]
UNUSABLE = [level.name for level in _native.levels() if not level.usable]

# What one step of a probe multiplies: independent accumulators x multiply-adds of one register.
# The checksum is counted lane by lane, so the right number of OPs means registers of this width.
INT8_STEP = {
    "scalar": 4 * 4,
    "avx2": 12 * 32,
    "avx_vnni": 12 * 32,
    "avx512bw": 10 * 64,
    "avx512_vnni": 10 * 64,
    "neon_dotprod": 16 * 16,
}
FP32_STEP = {
    "scalar": 8 * 1,
    "avx2": 10 * 8,
    "avx_vnni": 10 * 8,
    "avx512bw": 10 * 16,
    "avx512_vnni": 10 * 16,
    "neon_dotprod": 16 * 4,
}

Peak = Callable[[str, int, int, int], _native.Probe]


def words_sum(words: int) -> int:
    """The sum of a read probe's buffer modulo 2**64, by NumPy."""
    index = np.arange(1, words + 1, dtype=np.uint64)
    return int((index * np.uint64(_native.FILL_FACTOR)).sum(dtype=np.uint64))


def test_every_level_is_listed_in_order_and_scalar_is_always_usable() -> None:
    assert [level.name for level in _native.levels()] == NAMES
    assert USABLE[0] == "scalar"


def test_a_level_is_usable_when_compiled_claimed_and_proved() -> None:
    for level in _native.levels():
        assert level.usable == (level.compiled and level.claimed and level.proved)


def test_the_claims_are_those_of_the_kernel() -> None:
    """Linux lists the same CPUID bits in /proc/cpuinfo, read by other code than ours."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        pytest.skip("no /proc/cpuinfo on this system")
    words = set(cpuinfo.read_text().split())
    flags = {
        "scalar": set(),
        "avx2": {"avx2", "fma"},
        "avx_vnni": {"avx2", "fma", "avx_vnni"},
        "avx512bw": {"avx512f", "avx512bw"},
        "avx512_vnni": {"avx512f", "avx512bw", "avx512_vnni"},
        "neon_dotprod": {"asimddp"},
    }
    for level in _native.levels():
        assert level.claimed == (level.compiled and flags[level.name] <= words)


@pytest.mark.parametrize("isa", USABLE)
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("passes", [1, 7])
def test_a_read_probe_reads_every_word(isa: str, threads: int, passes: int) -> None:
    per_thread = 3 * _native.READ_BLOCK
    sweeps = 2
    probe = _native.probe_read(isa, threads, per_thread, sweeps, passes)
    assert probe.work == threads * per_thread * sweeps
    expected = words_sum(threads * per_thread // 8) * sweeps * passes
    assert probe.checksum == expected % 2**64


@pytest.mark.parametrize("isa", USABLE)
@pytest.mark.parametrize("threads", [1, 3])
def test_an_int8_probe_does_every_multiply_add(isa: str, threads: int) -> None:
    steps, passes = 1000, 2
    probe = _native.probe_int8(isa, threads, steps, passes)
    macs = threads * steps * INT8_STEP[isa]
    group = int(np.dot([1, 2, 3, 4], [-5, 6, -7, 8]))
    assert probe.work == 2 * macs
    assert probe.checksum == passes * macs // 4 * group


@pytest.mark.parametrize("isa", USABLE)
@pytest.mark.parametrize("threads", [1, 3])
def test_an_fp32_probe_does_every_multiply_add(isa: str, threads: int) -> None:
    steps, passes = 1000, 2
    probe = _native.probe_fp32(isa, threads, steps, passes)
    macs = threads * steps * FP32_STEP[isa]
    assert probe.work == 2 * macs
    assert probe.checksum == passes * macs


@pytest.mark.parametrize("isa", USABLE)
def test_an_fp32_accumulator_still_counts_at_the_longest_probe(isa: str) -> None:
    steps = 2**24
    assert _native.probe_fp32(isa, 1, steps, 1).checksum == steps * FP32_STEP[isa]


@pytest.mark.parametrize("isa", USABLE)
def test_a_probe_reports_its_run(isa: str) -> None:
    probe = _native.probe_read(isa, 2, _native.READ_BLOCK, 1, 5)
    assert (probe.isa, probe.threads, len(probe.seconds)) == (isa, 2, 5)
    assert all(math.isfinite(seconds) and seconds >= 0 for seconds in probe.seconds)


def test_an_unknown_level_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'sse9'.*known: scalar, avx2"):
        _native.probe_read("sse9", 1, _native.READ_BLOCK, 1, 1)
    with pytest.raises(ValueError, match="sse9"):
        _native.prove("sse9")


@pytest.mark.parametrize("isa", UNUSABLE)
def test_an_unusable_level_is_refused_with_the_usable_ones(isa: str) -> None:
    for probe in (_native.probe_int8, _native.probe_fp32):
        with pytest.raises(ValueError, match=rf"'{isa}' cannot be used here.*usable: scalar"):
            probe(isa, 1, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((0, 1024, 1, 1), "threads"),
        ((1025, 1024, 1, 1), "threads"),
        ((1, 0, 1, 1), "bytes_per_thread"),
        ((1, 1025, 1, 1), "bytes_per_thread"),
        ((1, 2**50, 1, 1), "bytes_per_thread"),
        ((1, 1024, 0, 1), "sweeps"),
        ((1, 1024, 1, 0), "passes"),
    ],
)
def test_a_read_argument_out_of_range_is_named(
    arguments: tuple[int, int, int, int], name: str
) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be"):
        _native.probe_read("scalar", *arguments)


@pytest.mark.parametrize("peak", [_native.probe_int8, _native.probe_fp32])
@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((0, 1, 1), "threads"),
        ((1, 0, 1), "steps"),
        ((1, 2**24 + 1, 1), "steps"),
        ((1, 1, 0), "pas"),
    ],
)
def test_a_peak_argument_out_of_range_is_named(
    peak: Peak, arguments: tuple[int, int, int], name: str
) -> None:
    with pytest.raises(ValueError, match=f"^{name}"):
        peak("scalar", *arguments)


@pytest.mark.parametrize("isa", NAMES)
def test_proving_any_level_leaves_the_process_alive(isa: str) -> None:
    """Levels this CPU lacks execute an illegal instruction here; the answer must be False."""
    level = next(level for level in _native.levels() if level.name == isa)
    proved = _native.prove(isa)
    assert proved or not level.usable
    assert level.compiled or not proved


def test_proving_puts_the_signal_handler_back() -> None:
    before = signal.signal(signal.SIGILL, handler := lambda number, frame: None)
    try:
        for name in NAMES:
            _native.prove(name)
        assert signal.getsignal(signal.SIGILL) is handler
        signal.raise_signal(signal.SIGILL)  # reaches the handler above, not a stale jump
    finally:
        signal.signal(signal.SIGILL, before)


def test_an_illegal_instruction_elsewhere_still_ends_the_process() -> None:
    program = """
        import os, signal
        from trine import _native
        for level in _native.levels():
            _native.prove(level.name)
        os.kill(os.getpid(), signal.SIGILL)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert run.returncode == -signal.SIGILL


def test_the_stub_lists_exactly_what_the_module_has() -> None:
    import trine

    stub = Path(trine.__file__).with_name("_native.pyi")
    names: set[str] = set()
    for node in ast.parse(stub.read_text()).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
    assert names == {name for name in dir(_native) if not name.startswith("_")}
