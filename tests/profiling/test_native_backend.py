"""The native engine as a backend of the profile: its passes, costs, checks, and the comparison."""

from __future__ import annotations

import dataclasses
import json

import pytest

from profile_builder import assemble, build_profile, pass_label, record
from small_models import TINY, Changed
from trine.checkpoint.config import LINEARS
from trine.errors import ProfileError
from trine.model import Engine
from trine.profiling import native_run, roofs
from trine.profiling.analysis import stage_table
from trine.profiling.comparison import compare
from trine.profiling.inputs import Tokens, make_tokens
from trine.profiling.native_run import NativeSettings, run
from trine.profiling.native_steps import REPLACES
from trine.profiling.profile import NumericCheck, Profile, Run
from trine.ternary.tiles import LAYOUTS
from wrong_weights import one_trit

SETTINGS = NativeSettings(
    threads=1,
    decode=2,
    warmup=1,
    repeat=2,
    layers=2,
    body="base3",
    head="int8",
    cache="float16",
    command="trine profile",
)
MS = 1_000_000


@pytest.fixture(autouse=True)
def known_roofs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probing takes a second each; the healthy run's roofs are as good here."""
    monkeypatch.setattr(roofs, "measure", lambda *_, **__: build_profile(layers=1).roofs[:10])


def play(settings: NativeSettings = SETTINGS, tokens: int = 3) -> Profile:
    ids = make_tokens(TINY, prompt=None, tokens=tokens, decode=settings.decode)
    return run(TINY, ids, settings, lambda *_: None)


@pytest.fixture(scope="module")
def profile() -> Profile:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roofs, "measure", lambda *_, **__: build_profile(layers=1).roofs[:10])
        return play()


def test_every_step_of_every_layer_is_recorded_in_every_pass(profile: Profile) -> None:
    states = [(p.stage, p.state) for p in profile.passes]
    assert states == [
        (stage, state)
        for state in ("cold", "warmup", "measured", "measured")
        for stage in ("prefill", "decode", "decode")
    ]
    inside = set(REPLACES) - {"embed_tokens", "norm", "lm_head", "sampling"}
    for records in profile.records_by_pass().values():
        steps = [r for r in records if r.source == "step"]
        assert [r.operator for r in steps if r.layer == 1] == [s for s in REPLACES if s in inside]
        assert {r.operator for r in steps if r.layer < 0} == set(REPLACES) - inside
        assert all(r.kind == "unattributed" for r in records if r.source == "gap")


def test_bytes_are_packed_and_operations_are_those_of_pytorch(profile: Profile) -> None:
    config = TINY.config
    packed = 2 * sum(LAYOUTS["base3"].nbytes(*config.linear_shape(name)) for name in LINEARS)
    table = stage_table(profile, "prefill")
    assert table is not None
    ternary = [row for row in table.rows if row.kind == "bitlinear"]
    assert sum(row.weight_bytes for row in ternary) == packed
    # Torch's operators, less the lm_head's: the engine computes the last position's logits only.
    torch = stage_table(build_profile(layers=2), "prefill")
    assert torch is not None
    theirs = sum(r.ops for r in torch.rows if r.operator not in ("lm_head", "rotary_emb"))
    ours = sum(row.ops for row in table.rows if row.operator != "lm_head")
    assert ours == theirs
    head = next(row for row in table.rows if row.operator == "lm_head")
    assert head.ops == 2 * config.vocab_size * config.hidden_size
    assert head.weight_bytes == config.vocab_size * (config.hidden_size + 4)


def test_counters_are_of_the_pass_and_not_of_its_steps(profile: Profile) -> None:
    table = stage_table(profile, "decode")
    assert table is not None
    assert {(r.minor_faults, r.rss_delta_bytes, r.cpu_ms) for r in table.rows} == {(None,) * 3}
    assert sum(p.user_ns + p.system_ns for p in profile.passes) > 0


def test_the_engine_is_checked_and_its_recorder_measured(profile: Profile) -> None:
    assert profile.status == "complete" and profile.agreement is None
    assert {c.layer for c in profile.checks} == {-1, 0, 1}
    assert all(c.passed for c in profile.checks)
    overhead = profile.overhead
    assert overhead is not None and overhead.events_per_pass == 2 * 10 + 2 + 1
    assert len(overhead.recorded_ns) == len(overhead.bare_ns) >= SETTINGS.repeat
    assert profile.model.mode == "native" and profile.run.options == {
        "kernel": profile.run.options["kernel"],
        "body": "base3",
        "head": "int8",
        "head_dtype": "int8",
        "cache": "float16",
    }


def test_a_prompt_longer_than_a_pass_of_the_engine_is_one_pass_of_the_profile() -> None:
    settings = dataclasses.replace(SETTINGS, decode=0, warmup=0, repeat=1, layers=1)
    found = play(settings, tokens=513)
    assert [p.tokens for p in found.passes] == [513, 513]
    rope = [r for r in found.records if r.operator == "rope" and r.pass_index == 1]
    assert [r.input_shapes[0][0] for r in rope] == [512, 1]
    attention = [r for r in found.records if r.operator == "attention" and r.pass_index == 1]
    assert [r.input_shapes[1][0] for r in attention] == [512, 513]


def test_a_wrong_engine_gets_no_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "model.layers.1.mlp.down_proj.weight"
    wrong = Changed(**{name.replace(".", "__"): one_trit(name)})
    right = Engine.from_checkpoint

    def load(_: object, **options: object) -> Engine:
        return right(wrong, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(native_run.Engine, "from_checkpoint", load)
    table = stage_table(play(), "decode")
    assert table is not None and table.wrong == ["down_proj"]
    row = next(row for row in table.rows if row.operator == "down_proj")
    assert "sums: 1" in row.refused and row.gbytes_per_second is None and row.roof_share is None


def test_an_interrupt_leaves_complete_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    forward = Engine.forward

    def stopping(self: Engine, *arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return forward(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Engine, "forward", stopping)
    found = play()
    assert (found.status, found.ended_by, len(found.passes)) == ("partial", "interrupt", 4)
    assert found.status_note == "interrupted during warm-up 1 of 1; 4 passes"


def test_a_text_prompt_is_kept() -> None:
    settings = dataclasses.replace(SETTINGS, decode=0, warmup=0, repeat=1, layers=1)
    found = run(TINY, Tokens([1, 2], "Hi"), settings, lambda *_: None)
    assert (found.run.prompt, found.run.tokens) == ("Hi", [1, 2])


def beside(scale: float = 1.0, *, checks: bool = True, wrong: str = "") -> Profile:
    """PyTorch and the engine, two measured decode steps each, with figures done by hand."""
    passed = NumericCheck("decode", 0, "q_proj", "bitlinear", 1, 1, 0.0, 1e-6)
    failed = dataclasses.replace(passed, operator=wrong, error=1.0)
    found = ([passed] if checks else []) + ([failed] if wrong else [])
    labels = [pass_label("decode", "measured", repetition=n) for n in range(2)]
    torch = [
        (
            label,
            [
                record("q_proj", "bitlinear", 40 * MS, ops=8, weight_bytes=100),
                record("k_proj", "bitlinear", 10 * MS, ops=2, weight_bytes=20),
                record("a: b → c", "unattributed", 5 * MS),
                record("v_proj", "bitlinear", 10 * MS, ops=2, weight_bytes=20),
                record("lm_head", "linear", 30 * MS, ops=6, weight_bytes=60),
            ],
        )
        for label in labels
    ]
    native = [
        (
            label,
            [
                record("qkv_proj", "bitlinear", int(time * MS), ops=12, weight_bytes=14),
                record("engine: x → y", "unattributed", 1 * MS),
                record("lm_head", "linear", 10 * MS, ops=6, weight_bytes=30),
            ],
        )
        for label, time in zip(labels, (2 * scale, 4 * scale), strict=True)
    ]
    theirs = assemble(torch, checks=found)
    other = assemble(native, checks=found, run=Run(**{**_fields(theirs.run), "backend": "native"}))
    return dataclasses.replace(theirs, native=other)


def _fields(run: Run) -> dict[str, object]:
    return {f.name: getattr(run, f.name) for f in dataclasses.fields(run)}


def test_a_step_stands_beside_all_that_it_replaces() -> None:
    (stage,) = compare(beside())
    rows = {row.step: row for row in stage.rows}
    assert list(rows) == ["qkv_proj", "lm_head", "", "wall"] and stage.passes == 2
    qkv = rows["qkv_proj"]
    assert (qkv.torch_ms, qkv.native_ms) == (60.0, 3.0)
    # The median of 60 / 2 and 60 / 4, and not 60 over the median of 2 and 4.
    assert qkv.ratio is not None and qkv.ratio.median == 22.5
    assert (qkv.torch_bytes, qkv.native_bytes) == (140, 14)
    assert (qkv.torch_ops, qkv.native_ops) == (12, 12)
    # 150 ns of recorder a record lie in a pass, and are nobody's.
    assert rows[""].torch_ms == pytest.approx(5 + 5 * 150e-6)
    assert rows[""].native_ms == pytest.approx(1 + 3 * 150e-6)
    assert rows["wall"].torch_ms == pytest.approx(95 + 5 * 150e-6)
    for name in ("torch_ms", "native_ms", "torch_bytes", "native_bytes"):
        parts = sum(getattr(row, name) for row in stage.rows if row.step != "wall")
        assert parts == pytest.approx(getattr(rows["wall"], name))


def test_no_ratio_without_a_passed_check() -> None:
    for profile, refused in (
        (beside(checks=False), {"qkv_proj", "lm_head", "", "wall"}),
        (beside(wrong="k_proj"), {"qkv_proj", "", "wall"}),
        (beside(wrong="lm_head"), {"lm_head", "", "wall"}),
    ):
        (stage,) = compare(profile)
        assert {row.step for row in stage.rows if row.refused} == refused
        assert {row.step for row in stage.rows if row.ratio is None} == refused


def test_one_backend_alone_is_compared_with_nothing(profile: Profile) -> None:
    assert compare(profile) == [] and compare(build_profile(layers=1)) == []


def test_the_document_holds_both(profile: Profile) -> None:
    both = beside()
    assert Profile.from_json(both.to_json()) == both
    assert Profile.from_json(profile.to_json()) == profile


def test_a_document_of_version_2_is_read() -> None:
    new = build_profile(layers=1, repeat=1)
    document = json.loads(new.to_json())
    del document["native"], document["agreement"], document["run"]["options"]
    document["schema_version"] = 2
    assert Profile.from_json(json.dumps(document)) == new


def test_a_native_part_within_a_native_part_is_refused() -> None:
    document = json.loads(beside().to_json())
    document["native"]["native"] = json.loads(beside().to_json())
    with pytest.raises(ProfileError, match="native must be one profile"):
        Profile.from_json(json.dumps(document))
