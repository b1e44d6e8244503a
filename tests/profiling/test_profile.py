from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profile_builder import assemble, build_profile, pass_label, record
from trine.errors import ProfileError
from trine.profiling.profile import Profile

Document = dict[str, Any]


def three_records() -> Profile:
    """One decode step of three operators, 10, 20 and 30 ns long."""
    records = [record(name, "linear", ns) for name, ns in (("a", 10), ("b", 20), ("c", 30))]
    return assemble([(pass_label("decode", "measured"), records)])


def shifted(profile: Profile, index: int, **changes: Any) -> Profile:
    records = list(profile.records)
    records[index] = dataclasses.replace(records[index], **changes)
    return dataclasses.replace(profile, records=records)


def small() -> Profile:
    return build_profile(layers=1, repeat=1, decode=1)


def document() -> Document:
    result: Document = json.loads(small().to_json())
    return result


@pytest.mark.parametrize("mode", ["online", "offline", "packed"])
def test_json_and_back_is_the_same_profile(mode: Any) -> None:
    profile = build_profile(mode=mode, dtype="bfloat16")
    assert Profile.from_json(profile.to_json()) == profile


@given(st.lists(st.integers(0, 10**12), max_size=20), st.text(max_size=20))
@settings(max_examples=30)
def test_any_durations_and_any_text_survive(durations: list[int], note: str) -> None:
    records = [record(f"op{i}", "linear", ns, type=note) for i, ns in enumerate(durations)]
    profile = assemble([(pass_label("decode", "cold"), records)], status_note=note)
    assert Profile.from_json(profile.to_json()) == profile


def test_save_and_load(tmp_path: Path) -> None:
    profile, path = small(), tmp_path / "profile.json"
    profile.save(path)
    profile.save(path)
    assert Profile.load(path) == profile
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"cannot read .*missing\.json"):
        Profile.load(tmp_path / "missing.json")


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProfileError, match=r"cannot read .*profile\.json"):
        Profile.load(path)


def test_passes_are_found_by_stage_and_state() -> None:
    profile = build_profile(repeat=2, decode=3, warmup=0)
    found = profile.passes_of("decode", "measured")
    assert [(p.repetition, p.step) for _, p in found] == [(r, s) for r in (0, 1) for s in (0, 1, 2)]
    assert all(profile.passes[i] is p for i, p in found)


def test_records_are_grouped_by_pass_in_order_of_time() -> None:
    profile = three_records()
    backwards = dataclasses.replace(profile, records=profile.records[::-1])
    assert [r.name for r in backwards.records_by_pass()[0]] == ["a", "b", "c"]
    backwards.check()


def test_overlapping_records_fail() -> None:
    profile = three_records()
    start = profile.records[1].start_ns - 155
    with pytest.raises(ProfileError, match=r"b starts 5 ns before a ends; records overlap"):
        shifted(profile, 1, start_ns=start).check()


def test_a_record_before_its_pass_fails() -> None:
    profile = three_records()
    early = profile.passes[0].start_ns - 1
    with pytest.raises(ProfileError, match="a starts 1 ns before the start of the pass"):
        shifted(profile, 0, start_ns=early).check()


def test_a_record_after_its_pass_fails() -> None:
    profile = three_records()
    late = profile.records[2].start_ns + 1
    with pytest.raises(ProfileError, match="c ends after its pass"):
        shifted(profile, 2, start_ns=late).check()


def test_a_negative_duration_fails() -> None:
    with pytest.raises(ProfileError, match="a lasts -1 ns"):
        shifted(three_records(), 0, duration_ns=-1).check()


def test_time_that_nobody_recorded_fails() -> None:
    with pytest.raises(ProfileError, match=r"sum to 509 ns, the pass lasted 510 ns"):
        shifted(three_records(), 1, duration_ns=19).check()


@pytest.mark.parametrize("index", [-1, 1])
def test_a_record_of_no_pass_fails(index: int) -> None:
    with pytest.raises(ProfileError, match=f"refer to pass {index} of 1"):
        shifted(three_records(), 0, pass_index=index).check()


def test_a_contradiction_in_a_file_fails_at_the_door() -> None:
    text = shifted(three_records(), 1, duration_ns=19).to_json()
    with pytest.raises(ProfileError, match="the pass lasted 510 ns"):
        Profile.from_json(text)


def _drop(*path: str) -> Callable[[Document], None]:
    def edit(data: Document) -> None:
        for key in path[:-1]:
            data = data[key]
        del data[path[-1]]

    return edit


def _put(value: Any, *path: Any) -> Callable[[Document], None]:
    def edit(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_put(1, "colour"), r"x\.json: unknown key 'colour'; legal: machine, versions"),
        (_put(1, "machine", "colour"), r"x\.json: machine: unknown key 'colour'"),
        (_drop("model"), r"x\.json: key 'model' is missing"),
        (_drop("run", "threads"), r"x\.json: run: key 'threads' is missing"),
        (_drop("records"), "records must be an object with columns and rows"),
        (_drop("passes", "rows"), "passes must be an object with columns and rows"),
        (_put([[1, 2]], "records", "rows"), "records: row 0 does not have"),
        (_put("two", "run", "threads"), "run: threads must be int, not 'two'"),
        (_put(2.5, "run", "threads"), "run: threads must be int, not 2.5"),
        (_put(True, "run", "threads"), "run: threads must be int, not True"),
        (_put("fast", "roofs", 0, "value"), r"roofs\[0\]: value must be float"),
        (_put(1e999, "roofs", 0, "value"), r"roofs\[0\]: value must be finite"),
        (_put([], "roofs", 0), r"roofs\[0\] must be an object, not list"),
        (_put({}, "roofs"), r"roofs must be list"),
        (_put("done", "status"), "status must be .*, not 'done'"),
        (_put(7, "versions", "torch"), r"versions\['torch'\] must be str"),
        (_put([["a"]], "experiments", 0, "samples_ns", "whole"), r"\['whole'\]\[0\] must be int"),
        (_put(1, "schema_version"), "has schema_version 1, this trine reads 2"),
        (_drop("schema_version"), "no trine profile: it has no schema_version"),
    ],
)
def test_a_wrong_document_is_refused_with_the_place(
    edit: Callable[[Document], None], message: str
) -> None:
    data = document()
    edit(data)
    with pytest.raises(ProfileError, match=message):
        Profile.from_json(json.dumps(data), "x.json")


def test_a_wrong_value_in_a_row_is_found() -> None:
    data = document()
    column = data["records"]["columns"].index("kind")
    data["records"]["rows"][3][column] = "convolution"
    with pytest.raises(ProfileError, match=r"records\[3\]: kind must be .*, not 'convolution'"):
        Profile.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"profile"'])
def test_what_is_no_profile_is_refused(text: str) -> None:
    with pytest.raises(ProfileError, match=r"x\.json is (not JSON|no trine profile)"):
        Profile.from_json(text, "x.json")


def test_a_truncated_file_is_refused_wherever_it_ends() -> None:
    text = three_records().to_json()
    for end in range(0, len(text) - 1, 97):
        with pytest.raises(ProfileError, match="is not JSON"):
            Profile.from_json(text[:end])


def test_no_column_order_is_assumed() -> None:
    data = document()
    table = data["passes"]
    table["columns"].reverse()
    for row in table["rows"]:
        row.reverse()
    assert Profile.from_json(json.dumps(data)) == small()
