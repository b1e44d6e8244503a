"""`trace.json`: the run on a time line, for Perfetto or chrome://tracing.

Trace Event Format (JSON object form). One track: passes, in them the containers that the records'
names imply (decoder layer, then attention or MLP), in those the records. Counters beside it: the
resident set and page faults since the start. `ts` and `dur` are microseconds by the format's
definition; three decimals keep the recorder's nanoseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from trine.profiling.profile import Pass, Profile, Record

_PROCESS, _TRACK = 1, 1
_NATIVE_PROCESS = 2
Event = dict[str, Any]


def write(profile: Profile, path: Path) -> None:
    """Write the trace of all passes."""
    document = {
        "displayTimeUnit": "ns",
        "otherData": {"model": profile.model.id, "started": profile.run.started},
        "traceEvents": [*events(profile), *_native_events(profile)],
    }
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    path.write_text(text, encoding="utf-8")


def events(profile: Profile) -> Iterator[Event]:
    """All events; enclosing slices come before what they enclose."""
    yield _name("process_name", f"trine {profile.model.id} {profile.run.backend}")
    yield _name("thread_name", "passes")
    groups = profile.records_by_pass()
    for index, pass_ in enumerate(profile.passes):
        yield _pass_event(pass_)
        yield from _nested(groups.get(index, []), 0)
    yield from _counters(profile.records)


def _native_events(profile: Profile) -> Iterator[Event]:
    """The native engine's passes, on the same clock in a process of their own."""
    if profile.native is not None:
        for event in events(profile.native):
            yield event | {"pid": _NATIVE_PROCESS}


def _counters(records: Sequence[Record]) -> Iterator[Event]:
    """A point per change: most calls move neither, and a trace should stay small."""
    rss, minor, major = -1, 0, 0
    for record in records:
        if record.rss_bytes != rss:
            rss = record.rss_bytes
            yield _counter("RSS (MB)", record.end_ns, {"rss": rss / 1e6})
        if record.minor_faults or record.major_faults:
            minor, major = minor + record.minor_faults, major + record.major_faults
            yield _counter("page faults", record.end_ns, {"minor": minor, "major": major})


def _nested(records: Sequence[Record], depth: int) -> Iterator[Event]:
    """Slices for `records`, with a slice around each run that shares its path's next part."""
    for container, group in groupby(records, key=lambda r: _container(r, depth)):
        inner = list(group)
        if container is None:
            yield from map(_record_event, inner)
            continue
        start, end = inner[0].start_ns, inner[-1].end_ns
        yield _slice(container, "container", start, end - start, {})
        yield from _nested(inner, depth + 1)


def _container(record: Record, depth: int) -> str | None:
    """The container at `depth`: 0 the decoder layer, 1 its attention or MLP; None at the leaf."""
    if record.layer < 0:
        return None
    parts = record.name.removesuffix(record.operator).strip(".").split(".")
    # "model.layers.3.self_attn" -> ["layers.3", "self_attn"]
    path = [".".join(parts[1:3]), *parts[3:]]
    return path[depth] if depth < len(path) else None


def _pass_event(pass_: Pass) -> Event:
    step = f".{pass_.step}" if pass_.stage == "decode" else ""
    name = f"{pass_.stage} {pass_.state} {pass_.repetition}{step}"
    args = {
        "tokens": pass_.tokens,
        "context": pass_.context,
        "recorder_us": pass_.recorder_ns / 1000,
        "graphs_compiled": pass_.graphs_compiled,
        "compile_ms": pass_.compile_ns / 1e6,
        "minor_faults": pass_.minor_faults,
    }
    return _slice(name, "pass", pass_.start_ns, pass_.duration_ns, args)


def _record_event(record: Record) -> Event:
    args: dict[str, Any] = {
        "name": record.name,
        "type": record.type,
        "source": record.source,
        "in": record.input_shapes,
        "out": record.output_shapes,
        "ops": record.ops,
        "bytes": record.bytes,
        "minor_faults": record.minor_faults,
    }
    if record.compile_ns or record.graphs_compiled:
        args |= {
            "graphs_compiled": record.graphs_compiled,
            "compile_cache_hits": record.compile_cache_hits,
            "compile_ms": record.compile_ns / 1e6,
        }
    return _slice(record.operator, record.kind, record.start_ns, record.duration_ns, args)


def _slice(name: str, category: str, start: int, duration: int, args: dict[str, Any]) -> Event:
    return {
        "ph": "X",
        "pid": _PROCESS,
        "tid": _TRACK,
        "name": name,
        "cat": category,
        "ts": start / 1000,
        "dur": duration / 1000,
        "args": args,
    }


def _counter(name: str, at: int, values: dict[str, float]) -> Event:
    return {"ph": "C", "pid": _PROCESS, "name": name, "ts": at / 1000, "args": values}


def _name(kind: str, value: str) -> Event:
    return {"ph": "M", "pid": _PROCESS, "tid": _TRACK, "name": kind, "args": {"name": value}}
