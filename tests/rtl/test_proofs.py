"""Unbounded proofs of the stream and AXI modules, and the bugs that each of them must find."""

from __future__ import annotations

from pathlib import Path

import pytest

from proof_cases import (
    BUG_CLOCKS,
    BUGS,
    BUGS_OF_INDUCTIONS,
    CLOCKS,
    INDUCTIONS,
    PROOFS,
    QUICK,
    RTL,
    SLOW_INDUCTIONS,
    SMALL_SEQUENCER,
    Case,
    name_of,
    sources,
    written,
)
from requirements import require_package
from trine.hw.proof import cover, induct, prove, reach, refute

require_package("pyosys")
require_package("pysat")


@pytest.mark.parametrize(("top", "parameters"), PROOFS)
def test_the_property_holds_for_all_time(top: str, parameters: dict[str, int]) -> None:
    assert prove(top, sources(top), parameters).proved


@pytest.mark.parametrize(("top", "parameters"), PROOFS)
def test_every_cover_is_reached(top: str, parameters: dict[str, int]) -> None:
    verdicts = cover(top, sources(top), parameters)
    text = (RTL / "formal" / f"{top}.sv").read_text()
    assert len(verdicts) == text[text.index("gen_cover") :].count("assert (") > 0
    assert not [index for index, verdict in enumerate(verdicts) if verdict.proved]


@pytest.mark.parametrize("name", BUGS)
def test_a_seeded_bug_is_found(name: str, tmp_path: Path) -> None:
    top, parameters, file, correct, wrong = BUGS[name]
    text = (RTL / file).read_text()
    assert text.count(correct) == 1, f"{file} no longer holds what the bug replaces"
    changed = tmp_path / file
    changed.write_text(text.replace(correct, wrong))
    assert not prove(top, sources(top, {file: changed}), parameters).proved


# ---- Proofs by induction ----


@pytest.mark.parametrize("case", INDUCTIONS, ids=name_of)
def test_the_invariants_are_inductive(case: Case, tmp_path: Path) -> None:
    assert induct(case[0], written(tmp_path, case), case[1]) is None


@pytest.mark.hardware
@pytest.mark.parametrize("case", SLOW_INDUCTIONS, ids=name_of)
def test_the_invariants_are_inductive_at_full_size(case: Case, tmp_path: Path) -> None:
    assert induct(case[0], written(tmp_path, case), case[1]) is None


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case, marks=pytest.mark.hardware if case == SMALL_SEQUENCER else (), id=name_of(case)
        )
        for case in INDUCTIONS
    ],
)
def test_every_cover_of_an_induction_is_reached(case: Case, tmp_path: Path) -> None:
    top, parameters, _ = case
    found = reach(top, written(tmp_path, case), {**parameters, "COVER": 1}, CLOCKS[top])
    text = (RTL / "formal" / f"{top}.sv").read_text()
    assert len(found) == text[text.index("gen_cover") :].count("assert (") > 0
    assert None not in found


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.hardware)
        for name in BUGS_OF_INDUCTIONS
    ],
)
def test_a_seeded_bug_breaks_a_property(name: str, tmp_path: Path) -> None:
    case, bug = BUGS_OF_INDUCTIONS[name]
    top, parameters, _ = case
    found = refute(top, written(tmp_path, case, bug), {**parameters, "HELP": 0}, BUG_CLOCKS)
    assert found is not None
