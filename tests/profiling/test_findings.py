"""Each rule: a profile that has the symptom yields it with the right effect, its twin does not.

Findings about single calls are in `test_findings_calls.py`, the texts in `test_findings_texts.py`.
"""

from __future__ import annotations

import dataclasses

import pytest

from profile_builder import MACHINE, assemble, build_profile, pass_label, plant, record
from symptoms import (
    MS,
    at_roof,
    busy,
    checked,
    computing,
    fixed,
    interrupted,
    logits,
    one,
    repeated,
    rules,
    single,
    split,
    table_of,
    time_of,
    watched,
    with_gap,
    with_head,
)
from trine.profiling.findings import find
from trine.profiling.profile import Roof, Stage, State


@pytest.mark.parametrize("tokens", [1, 3, 24])
def test_a_healthy_run_has_no_findings(tokens: int) -> None:
    assert find(build_profile(tokens=tokens)) == []


def test_a_run_without_any_pass_has_no_findings() -> None:
    assert find(assemble([])) == []


def test_passes_that_took_no_time_have_no_shares() -> None:
    labels: list[tuple[Stage, State]] = [("prefill", "cold"), ("prefill", "measured")]
    assert find(assemble([(pass_label(stage, state), []) for stage, state in labels])) == []


def test_the_largest_effect_comes_first_and_facts_last() -> None:
    profile = build_profile(geometry="2b-4t", mode="online", layers=2, repeat=3)
    effects = [f.effect_ms for f in find(profile)]
    timed = [e for e in effects if e is not None]
    assert timed == sorted(timed, reverse=True) and len(timed) >= 2
    assert effects[len(timed) :] == [None] * (len(effects) - len(timed))


def test_thread_oversubscription() -> None:
    profile = build_profile(plant(operator="lm_head", involuntary_switches=40), threads=8)
    found = one(profile, "thread_oversubscription")
    assert (found.values["threads"], found.values["cores"]) == (8, 2)
    assert (found.values["advised"], found.values["switches"]) == (2, 40.0)
    assert found.evidence[0] == "prefill: involuntary_switches 40"


def test_a_quota_counts_like_cores() -> None:
    quota = dataclasses.replace(MACHINE, cgroup_cpus=1.5)
    found = one(build_profile(machine=quota), "thread_oversubscription")
    assert (found.values["cores"], found.values["advised"]) == (1.5, 1)
    wide = dataclasses.replace(MACHINE, cgroup_cpus=2.0)
    assert "thread_oversubscription" not in rules(build_profile(machine=wide))


def test_bandwidth_bound() -> None:
    found = one(at_roof(0.61), "bandwidth_bound")
    assert (found.effect_ms, found.values["operators"]) == (10.0, "gate_proj")
    assert found.values["roof_low"] == found.values["roof_high"] == pytest.approx(0.61)
    assert "bandwidth_bound" not in rules(at_roof(0.59))


def test_compute_bound() -> None:
    assert one(computing(0.61), "compute_bound").effect_ms == 10.0
    assert "bandwidth_bound" not in rules(computing(0.61))
    assert "compute_bound" not in rules(computing(0.59))


def test_operators_at_their_roof_must_carry_the_stage() -> None:
    busy = record("gate_proj", "bitlinear", 10 * MS, weight_bytes=round(0.9 * 30e9 * 10e-3))
    profile = single("decode", busy, record("x", "norm", 30 * MS))
    assert "bandwidth_bound" not in rules(profile)


def test_above_roof() -> None:
    found = one(at_roof(1.2), "above_roof")
    assert (found.effect_ms, found.values["count"]) == (None, 1)
    assert found.evidence == ["gate_proj: 36.0 GB/s > 1.15 × 30.0 GB/s (DRAM)"]
    assert "above_roof" not in rules(at_roof(1.1))


def test_without_probes_nothing_is_bound_or_refused() -> None:
    profile = dataclasses.replace(at_roof(5.0), roofs=[])
    assert find(profile) == []
    one_thread = Roof("DRAM", 1, 1e9, "B/s", "avx2", 0, 0.1, "before", exact=True)
    assert find(dataclasses.replace(profile, roofs=[one_thread])) == []


def test_lm_head_share() -> None:
    found = one(with_head(0.21), "lm_head_share")
    assert found.effect_ms == pytest.approx(21.0)
    assert found.values["share"] == pytest.approx(0.21, rel=1e-4)
    assert "lm_head_share" not in rules(with_head(0.19))


def test_mlp_attention_split_is_time_against_operations() -> None:
    # 45 % of the time with 24 % of the operations; what lies outside the layers does not count.
    found = one(split(55, 45), "mlp_attention_split")
    assert found.values["block"] == "attention"
    assert (found.values["share"], found.values["ops_share"]) == (0.45, 0.24)
    assert found.effect_ms == pytest.approx(21.0)
    assert one(split(97, 3), "mlp_attention_split").values["block"] == "mlp"
    # The geometry's own split says nothing, and neither does a little more or less than that.
    for mlp in (60, 76, 95):
        assert "mlp_attention_split" not in rules(split(mlp, 100 - mlp))


def test_amdahl_for_the_2b_4t_model_with_a_bfloat16_head_is_1_8() -> None:
    profile = build_profile(geometry="2b-4t", mode="offline", dtype="bfloat16", repeat=1)
    found = one(profile, "amdahl_bitlinear")
    # 2,084,044,800 ternary weights at 2 bits, and a bfloat16 head of 128,256 x 2,560.
    assert found.values["body_mb"] == pytest.approx(521.01, abs=0.01)
    assert found.values["byte_bound"] == pytest.approx(1.8, abs=0.05)
    assert found.values["head_share"] == pytest.approx(0.55, abs=0.01)
    table = table_of(profile, "decode")
    ternary = sum(r.time_ms.median for r in table.rows if r.kind == "bitlinear")
    wall = table.wall_ms.median
    assert found.values["time_bound"] == pytest.approx(wall / (wall - ternary))


def test_bytes_bound_nothing_in_a_model_that_a_cache_holds() -> None:
    assert "amdahl_bitlinear" not in rules(build_profile())
    no_cache = dataclasses.replace(MACHINE, l2_bytes=0, l3_bytes=0)
    assert "amdahl_bitlinear" in rules(build_profile(machine=no_cache))


def test_attention_bound() -> None:
    slow = plant(operator=("attention", "kv_update"), slower=20)
    profile = build_profile(slow, tokens=200, decode=4)
    found = one(profile, "attention_bound", "decode")
    operators = ("rotary_emb", "rope", "kv_update", "attention")
    assert found.effect_ms == pytest.approx(time_of(profile, "decode", *operators))
    assert found.values["context"] == 204
    healthy = build_profile(plant(operator="attention", slower=2), tokens=200)
    assert "attention_bound" not in rules(healthy)
    # At a short context the same share is overhead of small calls.
    assert "attention_bound" not in rules(build_profile(slow, tokens=20))


def test_all_position_logits_is_measured_against_one_position() -> None:
    found = one(logits(60, 30), "all_position_logits")
    assert found.effect_ms == pytest.approx(30.0)
    assert (found.values["positions"], found.values["bound_ms"]) == (4, 45.0)


def test_all_position_logits_is_bounded_by_the_positions() -> None:
    assert one(logits(60, 1), "all_position_logits").effect_ms == pytest.approx(45.0)
    assert one(logits(60, None), "all_position_logits").effect_ms == pytest.approx(45.0)


def test_without_decode_one_position_reads_the_weights_once() -> None:
    # 900 MB at 30 GB/s are 30 ms.
    head = record("lm_head", "linear", 60 * MS, output_shapes=[[1, 4, 1000]], weight_bytes=900 * MS)
    profile = single("prefill", head, record("norm", "norm", 40 * MS))
    assert one(profile, "all_position_logits").effect_ms == pytest.approx(30.0)


def test_logits_that_cost_nothing_or_are_needed_are_no_finding() -> None:
    assert "all_position_logits" not in rules(logits(60, 55))
    assert "all_position_logits" not in rules(logits(60, 1, positions=1))


def test_unattributed() -> None:
    found = one(with_gap(6), "unattributed")
    assert (found.effect_ms, found.evidence) == (6.0, ["a → b: 6.00 ms"])
    assert "unattributed" not in rules(with_gap(4))


def test_numeric_check() -> None:
    found = one(checked(), "numeric_check")
    assert (found.stage, found.effect_ms) == ("decode", None)
    assert (found.values["failed"], found.values["checked"]) == (1, 2)
    assert found.values["operators"] == "up_proj"
    assert found.evidence == ["up_proj [2]: |Δ| = 5.0e-01 (1.0e-06)"]
    # Its speeds are refused, but no roof refuses them.
    assert "above_roof" not in rules(checked())
    assert "numeric_check" not in rules(checked(error=1e-7))


def test_recorder_overhead() -> None:
    profile = watched(0.05)
    found = one(profile, "recorder_overhead", "prefill")
    assert found.effect_ms == pytest.approx(table_of(profile, "prefill").recorder_ms)
    assert found.values["share"] == pytest.approx(0.05, rel=1e-3)
    assert found.values["events"] == 300
    assert "recorder_overhead" not in rules(watched(0.029))


def test_unstable() -> None:
    found = one(repeated(100, 100, 200, 200, 200), "unstable")
    assert found.effect_ms is None and found.values["ratio"] == pytest.approx(2.0)
    assert "unstable" not in rules(repeated(100, 110, 120, 130, 140))
    # Two passes are no spread.
    assert "unstable" not in rules(repeated(100, 300))


def test_more_context_is_no_instability() -> None:
    profile = assemble(
        [
            (
                pass_label("decode", "measured", repetition=i, step=step),
                [record("x", "norm", (step + 1) * 100 * MS)],
            )
            for i in range(3)
            for step in range(5)
        ]
    )
    assert "unstable" not in rules(profile)


def test_partial_run() -> None:
    found = one(interrupted(), "partial_run")
    note = "interrupted during repetition 2 of 5"
    assert found.values == {"note": note, "passes": 6, "measured": 2}


def test_fix_verified_sets_prediction_and_measurement_side_by_side() -> None:
    found = one(fixed(), "fix_verified")
    assert found.effect_ms == 30.0 and found.fix_environment == {}
    assert (found.values["predicted_gain_ms"], found.values["measured_gain_ms"]) == (40.0, 30.0)
    assert (found.values["after_low_ms"], found.values["after_high_ms"]) == (66.0, 74.0)
    assert (found.values["before_faults"], found.values["after_faults"]) == (9000.0, 12.0)
    assert found.evidence == ["MALLOC_TOP_PAD_=9"]


def test_busy_machine() -> None:
    found = one(busy(400), "busy_machine")
    assert found.effect_ms is None
    assert 75 < found.values["rate"] < 200
    assert "busy_machine" not in rules(busy(100))
    # With more threads than cores the threads displace each other, which is another finding.
    crowded = dataclasses.replace(busy(400).run, threads=8)
    assert "busy_machine" not in rules(dataclasses.replace(busy(400), run=crowded))
