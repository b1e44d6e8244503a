"""Profiles with one symptom each, and short ways to look at what `find` says about them.

`SYMPTOMS` has one profile per rule, so that a test of texts or reports can go through all rules.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from profile_builder import Edit, assemble, build_profile, pass_label, plant, record
from trine.checkpoint import Mode
from trine.profiling.analysis import StageTable, stage_table
from trine.profiling.findings import Finding, find
from trine.profiling.profile import (
    Experiment,
    FixTrial,
    Measured,
    NumericCheck,
    Overhead,
    Pass,
    Profile,
    Record,
    Stage,
)

MS = 1_000_000
S = 1_000_000_000


def rules(profile: Profile) -> set[str]:
    """The rules that fired."""
    return {f.rule for f in find(profile)}


def one(profile: Profile, rule: str, stage: Stage | None = None) -> Finding:
    """The only finding of a rule (in a stage)."""
    (found,) = [f for f in find(profile) if f.rule == rule and stage in (None, f.stage)]
    return found


def table_of(profile: Profile, stage: Stage) -> StageTable:
    """The measured table of a stage that the profile has."""
    table = stage_table(profile, stage)
    assert table is not None
    return table


def time_of(profile: Profile, stage: Stage, *operators: str) -> float:
    """Median ms per measured pass of some operators together."""
    rows = table_of(profile, stage).rows
    return sum(row.time_ms.median for row in rows if row.operator in operators)


def single(stage: Stage, *records: Record, **changes: Any) -> Profile:
    """One measured pass of these records."""
    return assemble([(pass_label(stage, "measured"), list(records))], **changes)


def compiling(operator: str, ns: int, *, graphs: int = 1, **changes: Any) -> Edit:
    """One compilation of `ns`, by default in layer 0 of the cold prefill."""
    where: dict[str, Any] = {"state": "cold", "stage": "prefill", "layer": 0}
    cost = {"add_ns": ns, "compile_ns": ns, "graphs_compiled": graphs}
    return plant(operator=operator, **(where | cost | changes))


def dissect(operator: str, *, tokens: int = 3, **nanoseconds: int) -> Experiment:
    """An operator's steps timed apart, three equal samples each."""
    samples = {key: [ns] * 3 for key, ns in nanoseconds.items()}
    return Experiment("dissect", operator, 2, tokens, samples)


def dtypes(operator: str, *, tokens: int = 3, **nanoseconds: int) -> Experiment:
    """An operator timed in several dtypes, three equal samples each."""
    samples = {key: [ns] * 3 for key, ns in nanoseconds.items()}
    return Experiment("dtype", operator, 2, tokens, samples)


def repeating(mode: Mode, *trials: Experiment) -> Profile:
    """Two layers of the 2B-4T geometry with these experiments."""
    return build_profile(geometry="2b-4t", layers=2, repeat=3, mode=mode, experiments=list(trials))


def storming(faults: int) -> Profile:
    """gate_proj of 2B-4T with `faults` per call; a quarter of its CPU time is the kernel's."""
    edit = plant(
        operator="gate_proj",
        slower=4,
        minor_faults=faults,
        user_ns=30 * MS,
        system_ns=10 * MS,
        temporary_bytes=2 * 70_778_880,
    )
    return build_profile(edit, geometry="2b-4t", layers=2, repeat=3)


def half_storming() -> Profile:
    """The same storm in every other call: four passes of two calls, the second of each calm."""

    def calm(pass_: Pass, record: Record) -> Record:
        if record.operator != "gate_proj" or record.layer != 1:
            return record
        return dataclasses.replace(
            record, minor_faults=0, system_ns=0, duration_ns=record.duration_ns // 4
        )

    storm = plant(
        operator="gate_proj",
        slower=16,
        minor_faults=17_280,
        user_ns=30 * MS,
        system_ns=10 * MS,
        temporary_bytes=2 * 70_778_880,
    )
    return build_profile(storm, calm, geometry="2b-4t", layers=2, repeat=4)


def busy(switches: int) -> Profile:
    """Measured passes of 1 s on two threads with `switches` involuntary switches each."""
    return build_profile(
        plant(operator="lm_head", state="measured", add_ns=10**9, involuntary_switches=switches)
    )


def at_roof(share: float, *, ops: int = 0) -> Profile:
    """Two operators of 10 ms each, the first with DRAM traffic at `share` of the 30 GB/s roof."""
    moved = round(share * 30e9 * 10e-3)
    busy = record("gate_proj", "bitlinear", 10 * MS, weight_bytes=moved, ops=ops)
    return single("decode", busy, record("x", "norm", 10 * MS))


def computing(share: float) -> Profile:
    """As `at_roof`, with OPs at `share` of the 200 GOPS roof and well above the ridge."""
    return at_roof(0.5, ops=round(share * 200e9 * 10e-3))


def with_head(share: float) -> Profile:
    """A decode step of about 100 ms, `share` of them in the lm_head."""
    ns = round(share * 100 * MS)
    head, norm = record("lm_head", "linear", ns), record("norm", "norm", 100 * MS - ns)
    return single("decode", head, norm)


def split(mlp: int, attention: int, *, mlp_ops: int = 76) -> Profile:
    """A layer with these ms in its two halves, 76 % of their OPs in the MLP, and 500 ms outside."""
    path = "model.layers.0"
    q, up = f"{path}.self_attn.q_proj", f"{path}.mlp.up_proj"
    return single(
        "prefill",
        record("q_proj", "bitlinear", attention * MS, layer=0, name=q, ops=100 - mlp_ops),
        record("up_proj", "bitlinear", mlp * MS, layer=0, name=up, ops=mlp_ops),
        record("norm", "norm", 500 * MS, name="model.norm"),
    )


def logits(head_ms: int, decode_ms: int | None, positions: int = 4) -> Profile:
    """A prefill of 100 ms with a head of `head_ms`, and perhaps a decode step's head."""
    head = record("lm_head", "linear", head_ms * MS, output_shapes=[[1, positions, 1000]])
    rest = record("norm", "norm", (100 - head_ms) * MS)
    drafts = [(pass_label("prefill", "measured", tokens=positions), [head, rest])]
    if decode_ms is not None:
        short = record("lm_head", "linear", decode_ms * MS, output_shapes=[[1, 1, 1000]])
        drafts.append((pass_label("decode", "measured"), [short]))
    return assemble(drafts)


def with_gap(ms: int) -> Profile:
    """A pass of about 100 ms with a nameless gap."""
    gap, b = record("a → b", "unattributed", ms * MS), record("b", "norm", (100 - ms) * MS)
    return single("prefill", gap, b)


def repeated(*ms: int) -> Profile:
    """Measured prefills of these lengths."""
    return assemble(
        [
            (pass_label("prefill", "measured", repetition=i), [record("x", "norm", v * MS)])
            for i, v in enumerate(ms)
        ]
    )


def watched(share: float) -> Profile:
    """A healthy run whose recorder takes this share of every pass."""
    base = build_profile(overhead=Overhead([], [], 300))
    passes = []
    for pass_ in base.passes:
        rest = pass_.duration_ns - pass_.recorder_ns
        own = round(rest * share / (1 - share))
        passes.append(dataclasses.replace(pass_, duration_ns=rest + own, recorder_ns=own))
    profile = dataclasses.replace(base, passes=passes)
    profile.check()
    return profile


def interrupted() -> Profile:
    """One measured repetition, then Ctrl-C."""
    note = "interrupted during repetition 2 of 5"
    ended: dict[str, Any] = {"status": "partial", "status_note": note, "ended_by": "interrupt"}
    return build_profile(repeat=1, decode=1, **ended)


def swapped(ns: int = MS) -> Profile:
    """Every measured decode step reads seven pages of one operator from storage, in `ns` more."""
    where: dict[str, Any] = {"operator": "up_proj", "layer": 1, "stage": "decode"}
    return build_profile(plant(**where, state="measured", major_faults=7, add_ns=ns))


def checked(error: float = 0.5, **changes: Any) -> Profile:
    """A run with a numeric check of two operators, of which up_proj is this far off in decode."""
    good = NumericCheck("decode", 2, "gate_proj", "bitlinear", 1, 712, 2e-7, 1e-6)
    bad = dataclasses.replace(good, operator="up_proj", error=error, **changes)
    return build_profile(checks=[good, bad])


def fixed() -> Profile:
    """A fix that was predicted to save 40 ms and saved 30."""
    before = Measured(passes=5, median_ms=100.0, p10_ms=95.0, p90_ms=110.0, minor_faults=9000.0)
    after = Measured(passes=5, median_ms=70.0, p10_ms=66.0, p90_ms=74.0, minor_faults=12.0)
    environment = {"MALLOC_TOP_PAD_": "9"}
    trial = FixTrial("page_fault_storm", "prefill", environment, before, 60.0, after)
    return build_profile(fix_trials=[trial])


SYMPTOMS: Mapping[str, Callable[[], Profile]] = MappingProxyType(
    {
        "partial_run": interrupted,
        "numeric_check": checked,
        "above_roof": lambda: at_roof(1.2),
        "busy_machine": lambda: busy(400),
        "unstable": lambda: repeated(100, 100, 200, 200, 200),
        "unattributed": lambda: with_gap(6),
        "recorder_overhead": lambda: watched(0.05),
        "compile_first_call": lambda: build_profile(compiling("q_proj", 3 * S)),
        "compile_new_shape": lambda: build_profile(
            compiling("q_proj", 3 * S), compiling("gate_proj", S)
        ),
        "compile_in_measured": lambda: build_profile(
            compiling("norm", 50 * MS, state="measured", layer=-1)
        ),
        "cold_share": lambda: build_profile(
            plant(operator="embed_tokens", state="cold", add_ns=200 * MS)
        ),
        "requantise_every_call": lambda: repeating(
            "online", dissect("gate_proj", whole=1000, weight_quant=600, linear=350)
        ),
        "unpack_every_call": lambda: repeating(
            "packed", dissect("gate_proj", whole=1000, unpack=600, linear=350)
        ),
        "parts_disagree": lambda: repeating(
            "online", dissect("gate_proj", whole=1000, weight_quant=600, linear=100)
        ),
        "slow_dtype": lambda: build_profile(
            experiments=[dtypes("gate_proj", float32=100, bfloat16=50)]
        ),
        "page_fault_storm": lambda: storming(17_280),
        "swapping": swapped,
        "thread_oversubscription": lambda: build_profile(threads=8),
        "bandwidth_bound": lambda: at_roof(0.7),
        "compute_bound": lambda: computing(0.7),
        "attention_bound": lambda: build_profile(
            plant(operator="attention", slower=80), tokens=200
        ),
        "all_position_logits": lambda: logits(60, 30),
        "lm_head_share": lambda: with_head(0.21),
        "mlp_attention_split": lambda: split(55, 45),
        "amdahl_bitlinear": lambda: build_profile(geometry="2b-4t", layers=2, repeat=1),
        "fix_verified": fixed,
    }
)
