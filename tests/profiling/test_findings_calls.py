"""Findings about single calls: compilation, steps repeated at every call, page faults."""

from __future__ import annotations

import dataclasses

import pytest

from profile_builder import build_profile, plant
from symptoms import (
    MS,
    SYMPTOMS,
    S,
    compiling,
    dissect,
    dtypes,
    half_storming,
    one,
    repeating,
    rules,
    storming,
    swapped,
    table_of,
    time_of,
)
from trine.checkpoint import Mode
from trine.profiling.findings import find
from trine.profiling.findings.memory import malloc_environment
from trine.profiling.profile import Experiment, Profile


def test_compile_first_call() -> None:
    profile = build_profile(
        compiling("q_proj", 3 * S, graphs=2), compiling("gate_proj", S, compile_cache_hits=1)
    )
    found = one(profile, "compile_first_call")
    assert (found.stage, found.state, found.effect_ms) == ("prefill", "cold", 4000.0)
    assert found.values["graphs"] == 3 and found.values["cache_hits"] == 1
    assert found.values["record"] == "model.layers.0.self_attn.q_proj"
    assert found.values["record_seconds"] == 3.0
    assert found.evidence[0] == "model.layers.0.self_attn.q_proj [[1, 3, 264]]: 3.00 s"


def test_compile_new_shape_starts_after_the_first_call() -> None:
    profile = build_profile(
        compiling("q_proj", 3 * S),
        compiling("gate_proj", S),
        compiling("q_proj", 2 * S, stage="decode"),
        decode=1,
    )
    prefill = one(profile, "compile_new_shape", "prefill")
    assert (prefill.effect_ms, prefill.values["operators"]) == (1000.0, "gate_proj 1")
    assert prefill.values["new_shapes"] == 1
    decode = one(profile, "compile_new_shape", "decode")
    assert (decode.effect_ms, decode.values["events"]) == (2000.0, 1)


def test_a_compilation_for_a_shape_seen_before_is_not_called_a_new_shape() -> None:
    # up_proj has the shapes of gate_proj: whatever made it compile, its shape did not.
    profile = build_profile(compiling("gate_proj", 3 * S), compiling("up_proj", S))
    found = one(profile, "compile_new_shape", "prefill")
    assert (found.values["events"], found.values["new_shapes"]) == (1, 0)


def test_one_compilation_is_no_new_shape() -> None:
    assert "compile_new_shape" not in rules(build_profile(compiling("q_proj", 3 * S)))


def test_compile_in_measured_passes_is_a_mean_per_pass() -> None:
    profile = build_profile(compiling("norm", 50 * MS, state="measured", layer=-1), repeat=4)
    found = one(profile, "compile_in_measured")
    assert (found.stage, found.effect_ms, found.values["events"]) == ("prefill", 50.0, 4)
    assert "compile_first_call" not in rules(profile)


def test_cold_share() -> None:
    profile = SYMPTOMS["cold_share"]()
    found = one(profile, "cold_share", "prefill")
    cold, warm = profile.passes[0].duration_ns / MS, table_of(profile, "prefill").wall_ms.median
    assert found.effect_ms == pytest.approx(cold - warm)
    assert found.evidence[0].startswith("model.embed_tokens: 200.")


def test_a_cold_pass_that_nobody_notices_is_no_finding() -> None:
    # More than twice as long, but by less than 100 ms.
    assert "cold_share" not in rules(
        build_profile(plant(operator="embed_tokens", state="cold", add_ns=90 * MS))
    )
    # More than 100 ms longer, but less than twice as long.
    slow = plant(operator="lm_head", add_ns=300 * MS)
    cold = plant(operator="embed_tokens", state="cold", add_ns=200 * MS)
    assert "cold_share" not in rules(build_profile(slow, cold))


@pytest.mark.parametrize(
    ("mode", "step", "rule"),
    [
        ("online", "weight_quant", "requantise_every_call"),
        ("packed", "unpack", "unpack_every_call"),
    ],
)
def test_a_repeated_step_is_its_share_of_the_operators_timed_apart(
    mode: Mode, step: str, rule: str
) -> None:
    trials = [
        dissect("gate_proj", whole=1000, linear=350, **{step: 600}),
        dissect("up_proj", whole=1000, linear=450, **{step: 500}),
    ]
    profile = repeating(mode, *trials)
    found = one(profile, rule, "prefill")
    effect = 0.6 * time_of(profile, "prefill", "gate_proj")
    effect += 0.5 * time_of(profile, "prefill", "up_proj")
    assert found.effect_ms == pytest.approx(effect)
    wall = table_of(profile, "prefill").wall_ms.median
    assert found.values["share"] == pytest.approx(effect / wall)
    assert (found.values["dissected"], found.values["bitlinears"]) == (2, 7)
    assert (found.values["parts_low"], found.values["parts_high"]) == (0.95, 0.95)
    assert found.values["parts_within"] == 1 and "parts_disagree" not in rules(profile)
    # One token is less work around the same step, so decode has a lower bound, too.
    assert one(profile, rule, "decode").values["tokens"] == 3
    assert rule not in rules(repeating("offline", *trials))


def test_no_share_is_carried_to_more_tokens_than_were_timed() -> None:
    trial = dissect("gate_proj", tokens=2, whole=1000, weight_quant=950, linear=50)
    assert one(repeating("online", trial), "requantise_every_call").stage == "decode"


@pytest.mark.parametrize(("linear", "within"), [(310, 1), (490, 1), (280, 0), (520, 0)])
def test_parts_that_do_not_add_up_are_said_to(linear: int, within: int) -> None:
    trial = dissect("gate_proj", whole=1000, weight_quant=600, linear=linear)
    profile = repeating("online", trial)
    assert one(profile, "requantise_every_call", "prefill").values["parts_within"] == within
    assert ("parts_disagree" in rules(profile)) == (not within)


def test_experiments_without_samples_say_nothing() -> None:
    empty = Experiment("dissect", "gate_proj", 2, 3, {"whole": [], "weight_quant": []})
    assert "requantise_every_call" not in rules(repeating("online", empty))


def test_slow_dtype() -> None:
    trials = [
        dtypes("gate_proj", float32=100, bfloat16=50),
        dtypes("up_proj", float32=100, bfloat16=75),
    ]
    profile = build_profile(experiments=trials)
    found = one(profile, "slow_dtype")
    gate, up = (time_of(profile, "prefill", name) for name in ("gate_proj", "up_proj"))
    assert found.stage == "prefill"
    assert found.effect_ms == pytest.approx(gate / 2 + up / 4)
    assert found.values["ratio"] == pytest.approx((gate + up) / (gate / 2 + up * 3 / 4))
    assert (found.values["dtype"], found.values["other"]) == ("float32", "bfloat16")


def test_a_dtype_a_sixth_slower_is_not_called_slow() -> None:
    trials = [dtypes("gate_proj", float32=100, bfloat16=84)]
    assert "slow_dtype" not in rules(build_profile(experiments=trials))


def test_dtypes_that_the_samples_do_not_tell_apart_are_equal() -> None:
    sure = dtypes("gate_proj", float32=200, bfloat16=100)
    noisy = dataclasses.replace(sure, samples_ns=sure.samples_ns | {"float32": [90, 200, 300]})
    assert "slow_dtype" in rules(build_profile(experiments=[sure]))
    assert "slow_dtype" not in rules(build_profile(experiments=[noisy]))


@pytest.mark.parametrize("mode", ["offline", "packed"])
def test_decode_has_a_comparison_of_its_own(mode: Mode) -> None:
    trials = [
        dtypes("gate_proj", tokens=3, float32=100, bfloat16=100),
        dtypes("gate_proj", tokens=1, float32=100, bfloat16=50),
    ]
    profile = build_profile(experiments=trials, mode=mode)
    assert [f.stage for f in find(profile) if f.rule == "slow_dtype"] == ["decode"]


def test_a_dtype_timed_on_other_tokens_says_nothing() -> None:
    trials = [dtypes("gate_proj", tokens=64, float32=100, bfloat16=10)]
    assert "slow_dtype" not in rules(build_profile(experiments=trials))


def gate_calls(profile: Profile, layer: int | None = None) -> list[float]:
    """Milliseconds of the measured prefill calls of gate_proj, of one layer or of all."""
    passes = {i for i, _ in profile.passes_of("prefill", "measured")}
    return [
        r.duration_ns / MS
        for r in profile.records
        if r.pass_index in passes and r.operator == "gate_proj" and layer in (None, r.layer)
    ]


def test_page_fault_storm() -> None:
    profile = storming(17_280)
    found = one(profile, "page_fault_storm", "prefill")
    # A quarter of the CPU time was the kernel's; two calls a pass.
    hit = gate_calls(profile)
    assert found.effect_ms == pytest.approx(2 * sum(hit) / len(hit) / 4)
    assert found.values["faults"] == 2 * 17_280
    assert found.values["faults_per_call"] == 17_280
    assert found.values["faulted_mb"] == pytest.approx(2 * 70.78, abs=0.01)
    assert found.values["temporary_mb"] == pytest.approx(2 * 70.78, abs=0.01)
    assert found.values["system_ms"] == pytest.approx(20.0)
    assert found.evidence[0].startswith("gate_proj: 17,280 × 4 KiB, 70.8 MB, ")
    assert found.fix_environment == {
        "MALLOC_MMAP_THRESHOLD_": str(128 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(512 << 20),
        "MALLOC_TOP_PAD_": str(128 << 20),
    }


def test_a_storm_in_every_other_call_counts_those_calls() -> None:
    # A median over passes or calls would miss it: an allocator changes its mind within a run.
    profile = half_storming()
    found = one(profile, "page_fault_storm", "prefill")
    hit = gate_calls(profile, layer=0)
    assert found.effect_ms == pytest.approx(sum(hit) / len(hit) / 4)
    assert found.values["calls_share"] == 0.5
    assert found.values["faults"] == 17_280
    with_faults, without = found.evidence[0].split("; ")
    assert with_faults.startswith("gate_proj: 17,280 × 4 KiB, ") and with_faults.endswith("(4)")
    assert without.startswith("0 × 4 KiB, ") and without.endswith("(4)")


def test_few_faults_are_no_storm() -> None:
    assert "page_fault_storm" not in rules(storming(255))
    assert "page_fault_storm" in rules(storming(256))


def test_faults_without_a_block_above_the_threshold_are_no_malloc_problem() -> None:
    small = plant(
        operator="gate_proj", minor_faults=300, system_ns=10 * MS, temporary_bytes=2 * 131_072
    )
    assert "page_fault_storm" not in rules(build_profile(small))


def test_faults_that_cost_the_kernel_nothing_are_no_finding() -> None:
    profile = storming(17_280)
    idle = [dataclasses.replace(r, system_ns=0) for r in profile.records]
    assert "page_fault_storm" not in rules(dataclasses.replace(profile, records=idle))


def test_a_threshold_that_was_raised_already_is_respected() -> None:
    profile = storming(17_280)
    run = dataclasses.replace(profile.run, environment={"MALLOC_MMAP_THRESHOLD_": str(128 << 20)})
    assert "page_fault_storm" not in rules(dataclasses.replace(profile, run=run))


def test_an_output_is_a_block_too() -> None:
    storm = plant(operator="lm_head", minor_faults=300, user_ns=MS, system_ns=MS)
    found = one(build_profile(storm, geometry="2b-4t", layers=1), "page_fault_storm", "prefill")
    assert found.values["block_mb"] == pytest.approx(3 * 128_256 * 4 / 1e6)


@pytest.mark.parametrize("size", [1 << 20, 70_778_880, (128 << 20) - 4096, 128 << 20])
def test_the_cure_is_larger_than_the_block(size: int) -> None:
    cure = malloc_environment(size)
    threshold = int(cure["MALLOC_MMAP_THRESHOLD_"])
    assert size + 4096 <= threshold <= 2 * (size + 4096)
    assert int(cure["MALLOC_TRIM_THRESHOLD_"]) > threshold + int(cure["MALLOC_TOP_PAD_"])


def test_swapping_is_the_time_beyond_the_median_call() -> None:
    profile = swapped()
    found = one(profile, "swapping")
    assert (found.stage, found.values["faults"], found.values["passes"]) == ("decode", 70, 10)
    rows = table_of(profile, "decode").rows
    (usual,) = (row.call_ms.median for row in rows if row.operator == "up_proj")
    hit = [r.duration_ns / MS for r in profile.records if r.major_faults]
    assert found.effect_ms == pytest.approx(sum(ms - usual for ms in hit) / 10)


def test_major_faults_of_the_cold_pass_are_no_swapping() -> None:
    assert "swapping" not in rules(build_profile(plant(state="cold", major_faults=3)))


def test_pages_that_cost_no_time_are_no_swapping() -> None:
    # A library's page read once from the disk is no reason to buy memory.
    assert "swapping" not in rules(swapped(ns=0))
