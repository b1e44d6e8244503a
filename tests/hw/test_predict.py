"""Predictions: the memory model against published figures, and what a clock must show."""

from __future__ import annotations

import dataclasses

import pytest

from trine.checkpoint.open import open_checkpoint
from trine.errors import UsageError
from trine.hw import predict as module
from trine.hw.count import group_clocks
from trine.hw.explore import beats
from trine.hw.predict import Evidence, predict
from trine.hw.published import points
from trine.hw.sources import Unit
from trine.hw.traffic import PEAK_GBS, Streams, ddr_efficiency

UNIT = Unit()
QUIET = lambda phase, done, total: None  # noqa: E731


def test_the_model_is_within_a_tenth_of_published_reads() -> None:
    found = {point.what: point for point in points()}
    assert len(found) >= 10
    for name in ("sequential reads", "random reads", "one HP port at 50 MHz, reads"):
        assert abs(found[name].residual) < 10, found[name]
    # Where the model is known to be worse than the part, it must be so on the safe side.
    assert found["random writes"].residual < 0
    assert found["burst length 4, reads and writes"].residual < 0


def test_no_pattern_exceeds_the_peak_less_refresh() -> None:
    # tRFC and a precharge of every tREFI are lost to all.
    most = 1 - (160 + 13.125) / 7800
    for random in (False, True):
        for writes in ((0, 1), (1, 2), (1, 1)):
            assert ddr_efficiency(writes=writes, random=random) <= most


def test_the_cap_holds_and_stagger_and_depth_matter() -> None:
    capped = Streams(cap_gbs=3.2, beats=20_000)
    assert 0.95 * 3200 < capped.megabytes_per_second() <= 3200
    same_bank = Streams(cap_gbs=3.2, staggered=False, beats=20_000)
    assert same_bank.beats_per_clock() < 0.85 * capped.beats_per_clock()
    shallow = Streams(latency=60, fifo_beats=16, beats=20_000).beats_per_clock()
    assert shallow < 0.25  # a burst of 16 waits for more than 60 clocks
    alone = Streams(latency=60, fifo_beats=64, lock_step=False, beats=20_000).beats_per_clock()
    together = Streams(latency=60, fifo_beats=64, beats=20_000).beats_per_clock()
    assert together <= alone


def test_the_model_alone_agrees_with_the_rtl_in_front_of_it() -> None:
    clocks = group_clocks(UNIT, [[(2560, 2560)]], cap_gbs=0.75 * PEAK_GBS, clock_khz=100_000)
    rtl = 640 * 64 / clocks[0][0]
    assert rtl == pytest.approx(Streams(cap_gbs=0.75 * PEAK_GBS).beats_per_clock(), rel=0.03)


def evidence(fmax: float, logic: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "clock_evidence", lambda unit, progress: Evidence(fmax, logic))


@pytest.mark.parametrize(("fmax", "logic"), [(99.0, 3500), (110.0, 4100)])
def test_a_clock_without_evidence_is_refused(
    fmax: float, logic: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence(fmax, logic, monkeypatch)
    most = min(fmax, 0.4e6 / logic)
    with pytest.raises(UsageError, match=f"at most {most:.0f} MHz have evidence"):
        predict(open_checkpoint("synthetic:tiny").config, UNIT, 100.0, QUIET)


def test_terms_add_up_and_say_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence(110.0, 3500, monkeypatch)
    config = open_checkpoint("synthetic:tiny").config

    def counted(unit: Unit, groups: list[list[object]], *, cap_gbs: float, clock_khz: int):  # type: ignore[no-untyped-def]
        assert clock_khz == 100_000
        return [[round(1000 / cap_gbs)] * len(group) for group in groups]

    monkeypatch.setattr(module, "group_clocks", counted)
    found = predict(config, UNIT, 100.0, QUIET)
    kinds = {term.operator: term.kind for term in found.terms}
    assert kinds.pop("rescore") == "assumed"
    assert set(kinds.values()) == {"counted"} and len(kinds) == 8
    total = found.milliseconds()
    assert total.low > total.nominal > total.high
    each = round(1000 / (0.75 * PEAK_GBS))
    rescore = 256 * config.hidden_size / 2 / 667 * 100
    assert total.nominal == pytest.approx(((7 * config.layers + 1) * each + rescore) / 1e5)
    record = found.record()
    assert (record.part, record.clock_mhz, record.fmax_mhz) == ("XC7Z020", 100.0, 110.0)
    assert record.memory_gbs.nominal == pytest.approx(3.2)
    assert record.terms == list(found.terms)
    counted_ms = [round(1000 / (share * PEAK_GBS)) / 1e5 for share in (0.6, 0.75, 0.8)]
    each = record.milliseconds("q_proj", 3)
    assert each is not None
    assert dataclasses.astuple(each) == pytest.approx([3 * ms for ms in counted_ms])
    assert record.milliseconds("attention") is None


@pytest.mark.hardware
def test_a_2b_4t_token_takes_at_most_165_ms() -> None:
    config = open_checkpoint("synthetic:2b-4t").config
    found = predict(config, UNIT, 100.0, QUIET)
    # No faster than one beat a clock.
    assert beats(config, UNIT) / 1e5 < found.milliseconds().nominal <= 165
