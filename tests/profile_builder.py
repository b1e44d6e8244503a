"""Hand-made Profiles for tests: real geometry, invented but plausible times, planted symptoms.

`build_profile()` is a healthy run of `synthetic:tiny`. A symptom is planted by an edit, which
sees each record with its pass before the records are laid out in time::

    build_profile(plant(operator="q_proj", state="cold", layer=0, add_ns=10**9, compile_ns=10**9))

`assemble` lays out records that a test writes itself (`record`), for figures done by hand.
Everything is deterministic, and every Profile returned has passed `Profile.check`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from profile_parts import (
    MACHINE,
    forward_records,
    healthy_experiments,
    model_of,
    record,
    roofs_of,
    run_of,
)
from trine.checkpoint import Mode
from trine.checkpoint.synthetic import PRESETS
from trine.profiling.profile import (
    Experiment,
    Kind,
    Machine,
    Overhead,
    Pass,
    Profile,
    Record,
    Stage,
    State,
)

__all__ = [
    "MACHINE",
    "PROBE_NS",
    "Edit",
    "assemble",
    "build_profile",
    "pass_label",
    "plant",
    "record",
]

Edit = Callable[[Pass, Record], Record]
Draft = tuple[Pass, list[Record]]

PROBE_NS = 150  # recorder time per record
_COUNTERS = (
    "rss_delta_bytes",
    "minor_faults",
    "major_faults",
    "user_ns",
    "system_ns",
    "voluntary_switches",
    "involuntary_switches",
    "graphs_compiled",
    "compile_cache_hits",
    "compile_ns",
)


def build_profile(
    *edits: Edit,
    geometry: str = "tiny",
    layers: int | None = None,
    mode: Mode = "offline",
    dtype: str = "float32",
    tokens: int = 3,
    decode: int = 2,
    warmup: int = 1,
    repeat: int = 5,
    threads: int = 2,
    backend: str = "torch",
    machine: Machine = MACHINE,
    experiments: Sequence[Experiment] | None = None,
    **changes: Any,
) -> Profile:
    """A run of `synthetic:<geometry>` with `edits` planted; `changes` replace Profile fields.

    Experiments default to healthy ones on the middle layer (none for `experiments=[]`).
    """
    config = PRESETS[geometry]
    count = config.layers if layers is None else layers
    model = model_of(geometry, config, count, mode, dtype)
    drafts: list[Draft] = []
    schedule: list[tuple[State, int]] = [("cold", 0)]
    schedule += [("warmup", i) for i in range(warmup)]
    schedule += [("measured", i) for i in range(repeat)]
    for state, repetition in schedule:
        for step in range(decode + 1):
            stage: Stage = "decode" if step else "prefill"
            new = 1 if step else tokens
            label = pass_label(
                stage,
                state,
                repetition=repetition,
                step=max(0, step - 1),
                tokens=new,
                context=tokens + step,
            )
            records = list(forward_records(config, count, model, new, tokens + step, repetition))
            for edit in edits:
                records = [edit(label, r) for r in records]
            drafts.append((label, records))
    if experiments is None:
        experiments = healthy_experiments(config, count, model, tokens)
    settings: dict[str, Any] = {
        "machine": machine,
        "model": model,
        "run": run_of(backend, tokens, decode, warmup, repeat, threads),
        "roofs": roofs_of(threads, repeat),
        "experiments": list(experiments),
    }
    profile = assemble(drafts, **(settings | changes))
    if "overhead" in changes:
        return profile
    return dataclasses.replace(profile, overhead=_overhead(profile))


def assemble(drafts: Sequence[Draft], **changes: Any) -> Profile:
    """Lay the records of each draft out in time and sum the counters of its pass."""
    passes: list[Pass] = []
    records: list[Record] = []
    clock = 0
    for index, (label, drafted) in enumerate(drafts):
        start = clock
        for r in drafted:
            clock += PROBE_NS
            records.append(dataclasses.replace(r, pass_index=index, start_ns=clock))
            clock += r.duration_ns
        counters = {name: sum(getattr(r, name) for r in drafted) for name in _COUNTERS}
        passes.append(
            dataclasses.replace(
                label,
                start_ns=start,
                duration_ns=clock - start,
                recorder_ns=PROBE_NS * len(drafted),
                **counters,
            )
        )
        clock += 1_000_000
    settings: dict[str, Any] = {
        "machine": MACHINE,
        "versions": {"python": "3.11.2", "torch": "2.13.0", "transformers": "5.23.0"},
        "model": model_of("tiny", PRESETS["tiny"], 4, "offline", "float32"),
        "run": run_of("torch", 3, 2, 1, 5, 2),
        "roofs": roofs_of(2, 0),
    }
    profile = Profile(**(settings | changes), passes=passes, records=records)
    profile.check()
    return profile


def pass_label(
    stage: Stage,
    state: State,
    *,
    repetition: int = 0,
    step: int = 0,
    tokens: int = 1,
    context: int = 1,
) -> Pass:
    """A Pass that still lacks its times and counters."""
    values = dict.fromkeys((f.name for f in dataclasses.fields(Pass)), 0)
    labels = {"repetition": repetition, "step": step, "tokens": tokens, "context": context}
    return Pass(**(values | labels | {"rss_bytes": 1 << 30, "stage": stage, "state": state}))  # type: ignore[arg-type]


def plant(
    *,
    operator: str | tuple[str, ...] | None = None,
    kind: Kind | tuple[Kind, ...] | None = None,
    stage: Stage | None = None,
    state: State | None = None,
    layer: int | None = None,
    slower: float = 1.0,
    add_ns: int = 0,
    **changes: Any,
) -> Edit:
    """An edit of the records that match all that is given: longer times, other field values."""

    def among(wanted: Any, value: Any) -> bool:
        return wanted is None or value == wanted or (isinstance(wanted, tuple) and value in wanted)

    def edit(label: Pass, r: Record) -> Record:
        pairs = (
            (operator, r.operator),
            (kind, r.kind),
            (stage, label.stage),
            (state, label.state),
            (layer, r.layer),
        )
        if not all(among(wanted, value) for wanted, value in pairs):
            return r
        return dataclasses.replace(r, duration_ns=round(r.duration_ns * slower) + add_ns, **changes)

    return edit


def _overhead(profile: Profile) -> Overhead | None:
    recorded = [p.duration_ns for _, p in profile.passes_of("prefill", "measured")]
    if not recorded:
        return None
    events = 2 * len(profile.records_by_pass()[0])
    return Overhead(recorded, [round(ns * 0.99) for ns in recorded], events)
