from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profile_builder import MACHINE, PROBE_NS, assemble, build_profile, pass_label, plant, record
from symptoms import checked
from trine.profiling.analysis import (
    OperatorRow,
    SpeedLimit,
    best_roofs,
    block_of,
    layer_rows,
    speed_limit,
    stage_table,
)
from trine.profiling.profile import STAGES, Kind, Model, Profile, Record, Roof, Run

MS = 1_000_000


def two_passes() -> Profile:
    """q_proj on two layers and one norm in two prefills; the second norm call is missing."""

    def q(layer: int, ms: int) -> Record:
        return record(
            "q_proj",
            "bitlinear",
            ms * MS,
            layer=layer,
            name=f"model.layers.{layer}.self_attn.q_proj",
            ops=6 * MS,
            weight_bytes=4 * MS,
            activation_bytes=1 * MS,
            temporary_bytes=2 * MS,
            minor_faults=10,
            rss_delta_bytes=-4096,
            user_ns=3 * MS,
            system_ns=1 * MS,
        )

    norm = record("norm", "norm", 2 * MS, name="model.norm")
    return assemble(
        [
            (pass_label("prefill", "measured", tokens=3), [q(0, 4), q(1, 6), norm]),
            (pass_label("prefill", "measured", repetition=1, tokens=3), [q(0, 8), q(1, 10)]),
        ]
    )


def test_an_operator_is_the_sum_of_its_calls_and_the_median_of_passes() -> None:
    table = stage_table(two_passes(), "prefill")
    assert table is not None
    assert (table.passes, table.tokens) == (2, 3)
    q = table.rows[0]
    assert (q.operator, q.kind, q.block, q.calls) == ("q_proj", "bitlinear", "attention", 2)
    assert (q.time_ms.median, q.call_ms.median) == (14.0, 7.0)
    assert (q.ops, q.weight_bytes, q.activation_bytes) == (12 * MS, 8 * MS, 2 * MS)
    assert (q.temporary_bytes, q.kv_bytes, q.bytes) == (4 * MS, 0, 14 * MS)
    assert q.intensity == pytest.approx(12 / 14)
    assert q.gops == pytest.approx(12 / 14)
    assert q.gbytes_per_second == pytest.approx(1.0)
    assert q.ops_share == 1.0
    assert (q.minor_faults, q.rss_delta_bytes, q.cpu_ms) == (20, -8192, 8.0)


def test_an_operator_that_one_pass_lacks_took_no_time_there() -> None:
    table = stage_table(two_passes(), "prefill")
    assert table is not None
    norm = table.rows[1]
    assert (norm.time_ms.median, norm.call_ms.median, norm.calls) == (1.0, 2.0, 1)


def test_the_table_adds_up_to_the_wall_time() -> None:
    table = stage_table(two_passes(), "prefill")
    assert table is not None
    wall = (4 + 6 + 2 + 8 + 10) / 2 + (3 + 2) / 2 * PROBE_NS / MS
    assert table.wall_ms.median == pytest.approx(wall)
    assert table.recorder_ms == pytest.approx(2.5 * PROBE_NS / MS)
    assert table.rest_ms == pytest.approx(0.0, abs=1e-9)
    assert table.rows[0].share == pytest.approx(14 / wall)


def test_states_and_stages_never_mix() -> None:
    profile = two_passes()
    assert stage_table(profile, "prefill", "cold") is None
    assert stage_table(profile, "decode") is None
    assert layer_rows(profile, "decode") == []


def test_rows_come_in_the_order_of_first_execution() -> None:
    table = stage_table(build_profile(), "decode")
    assert table is not None
    names = [row.operator for row in table.rows]
    assert names[:4] == ["embed_tokens", "causal_mask", "rotary_emb", "input_layernorm"]
    assert names[-3:] == ["norm", "lm_head", "sampling"]


def test_unattributed_is_the_sum_of_the_gaps_without_a_name() -> None:
    profile = assemble(
        [
            (
                pass_label("decode", "measured"),
                [
                    record("a → b", "unattributed", 2 * MS),
                    record("b → c", "unattributed", 3 * MS),
                    record("rope", "rope", 5 * MS),
                ],
            )
        ]
    )
    table = stage_table(profile, "decode")
    assert table is not None and table.unattributed_ms == 5.0


def test_layers_come_in_order_and_what_is_outside_them_last() -> None:
    rows = layer_rows(two_passes(), "prefill")
    assert [(r.layer, r.blocks, r.total_ms) for r in rows] == [
        (0, {"attention": 6.0}, 6.0),
        (1, {"attention": 8.0}, 8.0),
        (-1, {"norm": 1.0}, 1.0),
    ]


def test_a_layer_has_its_blocks() -> None:
    row = layer_rows(build_profile(), "prefill")[0]
    assert set(row.blocks) == {"norm", "other", "attention", "residual", "mlp"}
    assert row.total_ms == pytest.approx(sum(row.blocks.values()))


@pytest.mark.parametrize(
    ("name", "kind", "block"),
    [
        ("model.layers.3.self_attn.q_proj", "bitlinear", "attention"),
        ("model.layers.3.self_attn.attention", "attention", "attention"),
        ("model.layers.3.self_attn.rope", "rope", "attention"),
        ("model.layers.3.self_attn.attn_sub_norm", "norm", "norm"),
        ("model.layers.3.mlp.up_proj", "bitlinear", "mlp"),
        ("model.layers.3.mlp.gate_x_up", "gating", "mlp"),
        ("model.layers.3.mlp.act_fn", "activation", "mlp"),
        ("model.layers.3.mlp_residual", "residual", "residual"),
        ("model.layers.3.mlp.a → b", "unattributed", "other"),
        ("model.embed_tokens", "embedding", "embedding"),
        ("model.rotary_emb", "rope", "attention"),
        ("lm_head", "linear", "lm_head"),
        ("sampling", "sampling", "sampling"),
        ("projector", "linear", "other"),
    ],
)
def test_the_block_follows_kind_and_place(name: str, kind: Kind, block: str) -> None:
    assert block_of(name, name.rsplit(".", 1)[-1], kind) == block


def test_the_best_probe_at_the_run_s_threads_is_the_roof() -> None:
    def roof(level: str, threads: int, value: float) -> Roof:
        return Roof(level, threads, value, "B/s", "avx2", 0, 0.1, "before", exact=True)

    probes = [roof("DRAM", 2, 20e9), roof("DRAM", 2, 30e9), roof("DRAM", 1, 50e9)]
    probes += [roof("int8", 2, 8e11), roof("fp32", 1, 1e11)]
    best = best_roofs(assemble([], roofs=probes))
    assert (best.bandwidth, best.int8, best.fp32) == ({"DRAM": 30e9}, 8e11, None)
    assert best.exact


def with_scalar_roofs(profile: Profile) -> Profile:
    roofs = [dataclasses.replace(r, isa="scalar", exact=False) for r in profile.roofs]
    return dataclasses.replace(profile, roofs=roofs)


def test_a_roof_of_scalar_code_refuses_nothing() -> None:
    """One lane at a time is a floor: a library's vector loops are above it without any error."""
    computing = one_call(ops=10**9, weight_bytes=1, duration_ns=2 * MS)  # 500 GOPS of 200
    reading = one_call(weight_bytes=1 << 30, duration_ns=10 * MS)  # 107 GB/s of 30
    for profile in (computing, reading):
        assert row_of(profile).refused
        scalar = row_of(with_scalar_roofs(profile))
        assert not scalar.refused and scalar.roof_share is None


def test_a_failed_numeric_check_refuses_the_speeds_of_its_stage_only() -> None:
    profile = checked()
    speeds = {
        stage: {row.operator: (row.gops, row.refused) for row in table.rows}
        for stage in STAGES
        if (table := stage_table(profile, stage))
    }
    assert speeds["decode"]["up_proj"] == (None, "|Δ| = 5.0e-01 (1.0e-06)")
    assert speeds["decode"]["gate_proj"][0] and speeds["prefill"]["up_proj"][0]
    prefill, decode = (stage_table(profile, stage) for stage in STAGES)
    assert prefill is not None and decode is not None
    assert (prefill.wrong, decode.wrong) == ([], ["up_proj"])


@pytest.mark.parametrize(
    ("changes", "passed"),
    [
        ({"error": 1e-6}, True),
        ({"error": 1.01e-6}, False),
        ({"error": 0.0, "at_ties": 3}, True),
        ({"error": 0.0, "wrong_codes": 1}, False),
        ({"error": 0.0, "wrong_sums": 0}, True),
        ({"error": 0.0, "wrong_sums": 1}, False),
    ],
)
def test_what_a_numeric_check_lets_pass(changes: dict[str, Any], passed: bool) -> None:
    profile = checked(**changes)
    assert profile.checks[-1].passed == passed
    table = stage_table(profile, "decode")
    assert table is not None
    (row,) = (row for row in table.rows if row.operator == "up_proj")
    assert (row.gops is not None) == passed


def test_the_speed_limit_is_the_lower_roof() -> None:
    def limit(**work: Any) -> SpeedLimit | None:
        profile = one_call(**work)
        table = stage_table(profile, "prefill")
        assert table is not None
        return speed_limit(profile, table)

    # One token: 3 GB at 30 GB/s are 0.1 s, 40 GOP at 200 GOPS are 0.2 s.
    assert limit(weight_bytes=3 * 10**9, ops=10**9) == SpeedLimit(pytest.approx(10.0), "memory")
    both = {"weight_bytes": 3 * 10**9, "ops": 40 * 10**9}
    assert limit(**both) == SpeedLimit(pytest.approx(5.0), "compute")
    bfloat16 = dataclasses.replace(build_profile().model, dtype="bfloat16")
    assert limit(**both, model=bfloat16) == SpeedLimit(pytest.approx(10.0), "memory")
    assert limit() is None


@pytest.mark.parametrize(("count", "level"), [(1, "DRAM"), (2, "L3")])
def test_threads_on_two_core_complexes_hold_more(count: int, level: str) -> None:
    """1.5 MiB of weights: more than one L3 of 1 MiB, less than two."""
    profile = one_call(weight_bytes=3 << 19)
    split = dataclasses.replace(profile.machine, l3_count=count)
    assert row_of(dataclasses.replace(profile, machine=split)).level == level


def test_hyperthreads_do_not_double_an_l2() -> None:
    profile = one_call(weight_bytes=64 << 10)
    assert row_of(profile).level == "L2"
    shared = dataclasses.replace(profile.machine, l2_cpus=2)
    assert row_of(dataclasses.replace(profile, machine=shared)).level == "L3"


def one_call(run: Run | None = None, model: Model | None = None, **fields: Any) -> Profile:
    """One measured call of 10 ms on a machine with 64 KiB of L2 in all and 1 MiB of L3."""
    base = build_profile(repeat=0, decode=0)
    call: dict[str, Any] = {"operator": "q_proj", "kind": "bitlinear", "duration_ns": 10 * MS}
    return assemble(
        [(pass_label("prefill", "measured"), [record(**(call | fields))])],
        machine=dataclasses.replace(MACHINE, l2_bytes=32 << 10, l3_bytes=1 << 20),
        model=model or base.model,
        run=run or base.run,
    )


def row_of(profile: Profile) -> OperatorRow:
    table = stage_table(profile, "prefill")
    assert table is not None
    return table.rows[0]


@pytest.mark.parametrize(
    ("size", "level"),
    [(64 << 10, "L2"), ((64 << 10) + 1, "L3"), (1 << 20, "L3"), ((1 << 20) + 1, "DRAM")],
)
def test_the_level_is_that_of_one_call_on_all_threads(size: int, level: str) -> None:
    assert row_of(one_call(weight_bytes=size)).level == level
    # A temporary is written and read, so its bytes are twice its size.
    assert row_of(one_call(temporary_bytes=2 * size)).level == level


def test_online_weights_are_read_twice_and_held_once() -> None:
    online = dataclasses.replace(build_profile().model, mode="online")
    profile = one_call(weight_bytes=2 << 20, model=online)
    assert row_of(profile).level == "L3"


def test_only_a_native_bitlinear_is_held_against_int8() -> None:
    work: dict[str, Any] = {"ops": 10**9, "weight_bytes": 1, "duration_ns": 2 * MS}  # 500 GOPS
    torch_row = row_of(one_call(**work))
    assert torch_row.refused == "500.0 GOPS > 1.15 × 200.0 GOPS"
    native = dataclasses.replace(build_profile().run, backend="native")
    assert row_of(one_call(**work, run=native)).gops == 500.0
    linear = row_of(one_call(**work, run=native, kind="linear"))
    assert linear.refused


def test_the_float32_probe_refuses_no_bfloat16() -> None:
    row = row_of(one_call(ops=10**9, weight_bytes=1, duration_ns=2 * MS, dtype="bfloat16"))
    assert (row.gops, row.roof_share) == (500.0, None)


# Durations of up to five operators in up to six passes.
drafts = st.lists(st.lists(st.integers(0, 10**9), min_size=1, max_size=5), min_size=1, max_size=6)


def drafted(durations: list[list[int]]) -> Profile:
    return assemble(
        [
            (
                pass_label("decode", "measured", repetition=i),
                [record(f"op{j}", "linear", ns, ops=ns % 7) for j, ns in enumerate(row)],
            )
            for i, row in enumerate(durations)
        ]
    )


@given(drafts)
@settings(max_examples=50)
def test_shares_lie_within_the_wall_and_the_parts_make_it_up(durations: list[list[int]]) -> None:
    table = stage_table(drafted(durations), "decode")
    assert table is not None
    assert all(0 <= row.share <= 1 for row in table.rows)
    parts = sum(row.time_ms.median for row in table.rows) + table.recorder_ms + table.rest_ms
    assert parts == pytest.approx(table.wall_ms.median)
    assert sum(row.ops_share for row in table.rows) in (pytest.approx(1.0), 0)


@given(drafts, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_order_of_the_repetitions_has_no_influence(
    durations: list[list[int]], shuffle: random.Random
) -> None:
    before = stage_table(drafted(durations), "decode")
    shuffle.shuffle(durations)
    after = stage_table(drafted(durations), "decode")
    assert before is not None and after is not None
    assert before.wall_ms == after.wall_ms
    assert {r.operator: r.time_ms for r in before.rows} == {
        r.operator: r.time_ms for r in after.rows
    }


def test_a_slower_operator_takes_a_larger_share() -> None:
    shares = []
    for factor in (1, 2, 4):
        profile = build_profile(plant(operator="down_proj", slower=factor))
        table = stage_table(profile, "decode")
        assert table is not None
        shares += [row.share for row in table.rows if row.operator == "down_proj"]
    assert shares == sorted(shares) and shares[0] < shares[-1]


def test_weights_that_the_pass_evicts_stream_from_dram() -> None:
    """Two matrices of 600 KB: either alone fits the L3 of 1 MiB, both together do not."""
    base = build_profile(repeat=0, decode=0)
    call: dict[str, Any] = {"kind": "linear", "duration_ns": 10 * MS, "weight_bytes": 600_000}

    def rows(*operators: str) -> list[OperatorRow]:
        profile = assemble(
            [
                (
                    pass_label("prefill", "measured"),
                    [record(operator=name, **call) for name in operators],
                )
            ],
            machine=dataclasses.replace(MACHINE, l2_bytes=32 << 10, l3_bytes=1 << 20),
            model=base.model,
            run=base.run,
        )
        table = stage_table(profile, "prefill")
        assert table is not None
        return table.rows

    (alone,) = rows("lm_head")
    first, second = rows("lm_head", "other")
    assert (alone.level, first.level, second.level) == ("L3", "DRAM", "DRAM")
    roofs = best_roofs(base).bandwidth
    assert alone.roof_share == pytest.approx(0.06e9 / roofs["L3"])
    assert first.roof_share == pytest.approx(0.06e9 / roofs["DRAM"])


def test_decode_steps_are_clustered_by_repetition() -> None:
    table = stage_table(build_profile(decode=8, repeat=3), "decode")
    assert table is not None
    assert (table.wall_ms.n, table.wall_ms.repetitions) == (24, 3)
    assert {row.time_ms.repetitions for row in table.rows} == {3}
