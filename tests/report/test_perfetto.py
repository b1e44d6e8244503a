"""The trace: events nest, carry the records, and keep their nanoseconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from profile_builder import assemble, pass_label, record
from trine.profiling.profile import Profile
from trine.report.perfetto import events


@pytest.fixture(scope="module")
def trace(bundle: Path) -> list[dict[str, Any]]:
    document = json.loads((bundle / "trace.json").read_text(encoding="utf-8"))
    assert document["displayTimeUnit"] == "ns"
    return list(document["traceEvents"])


def nanoseconds(event: dict[str, Any]) -> tuple[int, int]:
    return round(event["ts"] * 1000), round((event["ts"] + event["dur"]) * 1000)


def test_slices_nest(trace: list[dict[str, Any]]) -> None:
    open_until: list[int] = []
    for event in (e for e in trace if e["ph"] == "X"):
        start, end = nanoseconds(event)
        while open_until and open_until[-1] <= start:
            open_until.pop()
        assert all(end <= until for until in open_until), event["name"]
        open_until.append(end)


def test_records_match_to_the_nanosecond(profile: Profile, trace: list[dict[str, Any]]) -> None:
    slices = [e for e in trace if e["ph"] == "X" and e["cat"] not in ("pass", "container")]
    assert [
        (e["args"]["name"], round(e["ts"] * 1000), round(e["dur"] * 1000), e["args"]["ops"])
        for e in slices
    ] == [(r.name, r.start_ns, r.duration_ns, r.ops) for r in profile.records]
    assert slices[0]["args"]["in"] == profile.records[0].input_shapes


def test_passes_hold_layers_that_hold_attention_and_mlp(
    profile: Profile, trace: list[dict[str, Any]]
) -> None:
    passes = [e for e in trace if e.get("cat") == "pass"]
    assert len(passes) == len(profile.passes)
    assert passes[0]["name"] == "prefill cold 0"
    first_end = passes[0]["ts"] + passes[0]["dur"]
    names = [e["name"] for e in trace if e.get("cat") == "container" and e["ts"] < first_end]
    assert names[:3] == ["layers.0", "self_attn", "mlp"]
    assert names.count("self_attn") == profile.model.layers


def test_counters_have_a_point_per_change() -> None:
    grown = {"rss_bytes": 2 << 30, "minor_faults": 7, "major_faults": 1}
    drafts = [
        (
            pass_label("prefill", "cold"),
            [record("a", "norm", 1000), record("b", "norm", 2000, **grown), record("c", "norm", 1)],
        )
    ]
    counters = [e for e in events(assemble(drafts)) if e["ph"] == "C"]
    assert [(e["name"], e["args"]) for e in counters] == [
        ("RSS (MB)", {"rss": 1073.741824}),
        ("RSS (MB)", {"rss": 2147.483648}),
        ("page faults", {"minor": 7, "major": 1}),
        ("RSS (MB)", {"rss": 1073.741824}),
    ]
