"""The price of memory that is not there yet: page faults, and pages that come from storage."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trine.profiling.analysis import OperatorRow, StageTable
from trine.profiling.findings.finding import (
    EVIDENCE_LINES,
    WORTH,
    Case,
    Finding,
)
from trine.profiling.profile import NS_PER_MS, Record

# The page that one minor fault maps on x86-64 and on most arm64 systems.
PAGE = 4096
# 1 MiB of fresh pages a call; what an allocator touches for its own lists is far below.
STORM_FAULTS = 256
# M_MMAP_THRESHOLD starts here (mallopt(3)): smaller blocks never get a mapping of their own.
MMAP_THRESHOLD = 128 << 10
# The heap's free top holds a few temporaries and the top pad at once; glibc gives it back to the
# system above the trim threshold, so that has to lie above their sum.
TRIM_FACTOR = 4
_ITEMSIZE = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True)
class _Storm:
    """One operator's calls of a stage, by whether they faulted their block in anew."""

    row: OperatorRow
    block: float
    hit: list[Record]
    calm: list[Record]


def page_fault_storm(case: Case) -> list[Finding]:
    """Operators whose blocks are mapped and unmapped inside a call.

    glibc maps a block above M_MMAP_THRESHOLD on its own and returns it to the kernel at free, so
    that the call faults all its pages in anew, unless the heap happens to hold a hole of that
    size: calls of one operator can differ, and are judged one by one. The effect, a mean per pass,
    is the wall time of the calls that were hit x the kernel's share of their CPU time: system time
    is summed over threads, and this takes it as spread over them as user time is. Threads that
    spin while one faults make it too small.
    """
    findings: list[Finding] = []
    threshold = _mmap_threshold(case.profile.run.environment)
    for stage, table in case.warm.items():
        calls = [r for p in case.records_of(stage) for r in p]
        storms = [
            storm
            for row in table.rows
            if (storm := _split(row, calls, case.profile.model.dtype)).hit
            and storm.block > threshold
        ]
        effect = sum(_kernel_ms(storm.hit) for storm in storms) / table.passes
        if effect >= WORTH * table.wall_ms.median:
            findings.append(_storm_finding(table, storms, effect))
    return findings


def _split(row: OperatorRow, calls: list[Record], dtype: str) -> _Storm:
    own = [r for r in calls if r.operator == row.operator]
    return _Storm(
        row=row,
        block=_largest_block(row, dtype),
        hit=[r for r in own if r.minor_faults >= STORM_FAULTS],
        calm=[r for r in own if r.minor_faults < STORM_FAULTS],
    )


def _storm_finding(table: StageTable, storms: list[_Storm], effect: float) -> Finding:
    storms = sorted(storms, key=lambda s: -sum(r.duration_ns for r in s.hit))
    block = max(storm.block for storm in storms)
    hit = [r for storm in storms for r in storm.hit]
    calls = len(hit) + sum(len(storm.calm) for storm in storms)
    faults = sum(r.minor_faults for r in hit) / table.passes
    return Finding(
        rule="page_fault_storm",
        stage=table.stage,
        state="measured",
        effect_ms=effect,
        values={
            "stage": table.stage,
            "operators": ", ".join(storm.row.operator for storm in storms),
            "calls_share": len(hit) / calls,
            "faults": round(faults),
            "faults_per_call": round(max(_faults(s.hit) for s in storms)),
            "faulted_mb": faults * PAGE / 1e6,
            "temporary_mb": sum(r.temporary_bytes for r in hit) / 2 / 1e6 / table.passes,
            "block_mb": block / 1e6,
            "system_ms": sum(r.system_ns for r in hit) / NS_PER_MS / table.passes,
            "share": effect / table.wall_ms.median,
            "time_ms": sum(r.duration_ns for r in hit) / NS_PER_MS / table.passes,
        },
        evidence=[_storm_line(storm) for storm in storms[:EVIDENCE_LINES]],
        fix_environment=malloc_environment(block),
    )


def _storm_line(storm: _Storm) -> str:
    """Calls that were hit, and beside them the calls of the same operator that were not."""
    parts = [
        f"{_faults(calls):,.0f} × {PAGE // 1024} KiB, {storm.block / 1e6:.1f} MB, "
        f"{statistics.median(map(_ms, calls)):.2f} ms ({len(calls)})"
        for calls in (storm.hit, storm.calm)
        if calls
    ]
    return f"{storm.row.operator}: {'; '.join(parts)}"


def _faults(calls: list[Record]) -> float:
    """Minor page faults of the median call."""
    return statistics.median(r.minor_faults for r in calls)


def malloc_environment(block_bytes: float) -> dict[str, str]:
    """Settings of glibc that keep blocks of this size on the heap, where their pages stay mapped.

    The mmap threshold is the next power of two above the block with its header. glibc 2.36 takes
    any value; releases with HEAP_MAX_SIZE / 2 as the limit ignore one above 32 MiB.
    """
    threshold = 1 << math.ceil(math.log2(block_bytes + PAGE))
    return {
        "MALLOC_MMAP_THRESHOLD_": str(threshold),
        "MALLOC_TRIM_THRESHOLD_": str(TRIM_FACTOR * threshold),
        "MALLOC_TOP_PAD_": str(threshold),
    }


def swapping(case: Case) -> list[Finding]:
    """Pages read from storage in measured passes: swap, or a mapped file that was evicted.

    The effect is what the calls with major faults took beyond their operator's median call,
    as a mean per pass.
    """
    findings: list[Finding] = []
    for stage, table in case.warm.items():
        hit = [r for p in case.records_of(stage) for r in p if r.major_faults > 0]
        if not hit:
            continue
        usual = {row.operator: row.call_ms.median for row in table.rows}
        excess = sum(max(0.0, _ms(r) - usual[r.operator]) for r in hit)
        if excess / table.passes < WORTH * table.wall_ms.median:
            continue
        machine = case.profile.machine
        worst = sorted(hit, key=lambda r: -r.major_faults)[:EVIDENCE_LINES]
        findings.append(
            Finding(
                rule="swapping",
                stage=stage,
                state="measured",
                effect_ms=excess / table.passes,
                values={
                    "stage": stage,
                    "faults": sum(r.major_faults for r in hit),
                    "passes": table.passes,
                    "rss_gb": max(p.rss_bytes for _, p in case.profile.passes_of(stage, "measured"))
                    / 1e9,
                    "available_gb": machine.memory_available_bytes / 1e9,
                    "swap_gb": machine.swap_bytes / 1e9,
                },
                evidence=[f"{r.name}: {r.major_faults}, {_ms(r):.1f} ms" for r in worst],
            )
        )
    return findings


def _mmap_threshold(environment: Mapping[str, str]) -> int:
    """Bytes: what the run was told, else where glibc starts."""
    told = environment.get("MALLOC_MMAP_THRESHOLD_", "")
    return int(told) if told.isdecimal() else MMAP_THRESHOLD


def _largest_block(row: OperatorRow, dtype: str) -> float:
    """Bytes of the largest block that one call allocates: its temporary or one of its outputs."""
    outputs = (math.prod(shape) * _ITEMSIZE.get(dtype, 4) for shape in row.output_shapes)
    # A temporary is counted when written and when read.
    return max(row.temporary_bytes / 2 / row.calls, *outputs, 0.0)


def _kernel_ms(records: Sequence[Record]) -> float:
    """Wall ms of these records x the kernel's share of their CPU time, operator by operator."""
    total = 0.0
    for operator in {r.operator for r in records}:
        own = [r for r in records if r.operator == operator]
        system = sum(r.system_ns for r in own)
        cpu = system + sum(r.user_ns for r in own)
        if cpu:
            total += sum(map(_ms, own)) * system / cpu
    return total


def _ms(record: Record) -> float:
    return record.duration_ns / NS_PER_MS
