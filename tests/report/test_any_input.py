"""`trine report` on any input: a report, or one line that says why not; never a traceback."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profile_builder import build_profile
from trine import cli
from trine.profiling.profile import Profile
from trine.report.layer_csv import COLUMNS

SMALL = build_profile(layers=2, decode=1, repeat=1, warmup=0, mode="online")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
TEXT = st.text(max_size=12) | st.sampled_from(["q_proj", "$\\frac{$", "a|b", "`", "{}", "\0"])
NUMBER = st.sampled_from(["0", "1", "2.5", "1e17", "1e-300", "-1", "nan", "1e300", "x", ""])


@contextlib.contextmanager
def without_plots() -> Iterator[None]:
    """Drawing takes seconds; that every name and figure can be drawn has tests of its own."""
    with (
        mock.patch("trine.report.plots.draw", return_value={}),
        mock.patch("trine.report.foreign.draw", return_value={}),
    ):
        yield


def report(path: Path) -> int:
    """The exit code; what it said is one line at the most."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), without_plots():
        code = cli.run(["report", str(path), "--out", str(path.parent / "out"), "--force"])
    said = [line for line in err.getvalue().splitlines() if line != "trine: writing the report"]
    if code:
        assert len(said) == 1 and said[0].startswith("trine: "), said
    assert len(out.getvalue().splitlines()) == (code == 0)
    return code


def written(factory: pytest.TempPathFactory, name: str, content: bytes) -> Path:
    folder = factory.mktemp("any")
    (folder / name).write_bytes(content)
    return folder / name


NAMES = ("profile.json", "raw_layer_data.csv", "inference_profile_report.json")


@given(st.sampled_from(NAMES), st.binary(max_size=200))
def test_bytes(tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes) -> None:
    assert report(written(tmp_path_factory, name, content)) in (1, 2)


@given(st.sampled_from(NAMES), st.dictionaries(st.text(max_size=8), JSON) | JSON)
def test_json(tmp_path_factory: pytest.TempPathFactory, name: str, content: Any) -> None:
    assert report(written(tmp_path_factory, name, json.dumps(content).encode())) in (1, 2)


@pytest.mark.parametrize("name", NAMES)
def test_deep_nesting(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("[" * 200_000)
    assert report(tmp_path / name) == 1


def test_a_huge_field_is_no_csv(tmp_path: Path) -> None:
    header = ",".join(COLUMNS)
    for content in ("x" * 200_000, f"{header}\n{'x' * 200_000}"):
        (tmp_path / "raw_layer_data.csv").write_text(content)
        assert report(tmp_path / "raw_layer_data.csv") == 1


ROW = st.tuples(TEXT, NUMBER, TEXT, TEXT, TEXT, NUMBER, NUMBER, NUMBER, NUMBER, TEXT)
SUMMARY = st.fixed_dictionaries(
    {},
    optional={
        "meta": JSON | st.fixed_dictionaries({"model_path": JSON, "seq_len": JSON}),
        "inference_summary": JSON | st.fixed_dictionaries({"total_time_ms": JSON}),
        "global_layers": JSON | st.fixed_dictionaries({"rotary_time_ms": JSON}),
        "all_operator_stats": JSON,
        "raw_data_file": JSON,
    },
)


@settings(max_examples=60)
@given(st.lists(ROW, max_size=6), SUMMARY)
def test_tables(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], summary: dict[str, Any]
) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([COLUMNS, *rows])
    content = text.getvalue().encode("utf-8", "replace")
    path = written(tmp_path_factory, "raw_layer_data.csv", content)
    path.with_name("inference_profile_report.json").write_text(json.dumps(summary))
    assert report(path) in (0, 1)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values inside `value`, containers too."""
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield (*path, key)
        yield from leaves(inner, (*path, key))


DOCUMENT = json.loads(SMALL.to_json())
# The first record stands for all of them: thousands of paths would hide the hundred others.
PATHS = [p for p in leaves(DOCUMENT) if p[:2] != ("records", "rows") or p[2:3] in ((), (0,))]
VALUES = st.sampled_from([0, -1, 1, 2**62, 1e300, 0.5, "", "x", "\ud800", None, True, [], {}, [[]]])


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=3))
def test_a_profile_with_other_values(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[tuple[Any, ...], Any]]
) -> None:
    document = json.loads(SMALL.to_json())
    for path, value in changes:
        place = document
        with contextlib.suppress(LookupError, TypeError):  # an earlier change took the place away
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value
    content = json.dumps(document).encode()
    assert report(written(tmp_path_factory, "profile.json", content)) in (0, 1)


def timeless(profile: Profile) -> Profile:
    """The same run on a clock that stood still."""
    still = {"start_ns": 0, "duration_ns": 0}
    return dataclasses.replace(
        profile,
        passes=[dataclasses.replace(p, **still, recorder_ns=0) for p in profile.passes],
        records=[dataclasses.replace(r, **still) for r in profile.records],
    )


def empty(profile: Profile) -> Profile:
    """A run that ended before its first pass."""
    nothing: dict[str, Any] = {"passes": [], "records": [], "experiments": [], "roofs": []}
    return dataclasses.replace(profile, **nothing, overhead=None, status="partial")


@pytest.mark.parametrize("change", [timeless, empty])
def test_a_run_without_time_is_drawn_and_written(tmp_path: Path, change: Any) -> None:
    change(SMALL).save(tmp_path / "profile.json")
    assert cli.run(["report", str(tmp_path), "--out", str(tmp_path / "out"), "--lang", "en"]) == 0


def test_a_name_that_looks_like_a_formula_is_drawn(tmp_path: Path) -> None:
    rows = [["m", n, "$\\frac{$", "T", "linear", 1 + n, 2, 0, 1, "[1]"] for n in range(3)]
    with (tmp_path / "raw_layer_data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    assert cli.run(["report", str(tmp_path), "--out", str(tmp_path / "out"), "--lang", "en"]) == 0
    assert "\\frac{" in (tmp_path / "out/report.html").read_text()
