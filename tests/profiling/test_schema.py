from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from profile_builder import build_profile
from symptoms import checked, fixed
from trine.profiling.schema import json_schema, schema_text

PUBLISHED = Path(__file__).parents[2] / "docs" / "profile.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def test_the_published_schema_is_the_one_of_the_code() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == schema_text(), (
        "write trine.profiling.schema.schema_text() to docs/profile.schema.json"
    )


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_what_a_profile_writes_is_valid() -> None:
    for profile in (build_profile(layers=1), fixed(), checked()):
        VALIDATOR.validate(json.loads(profile.to_json()))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("colour",), 1),
        (("machine", "colour"), 1),
        (("schema_version",), 1),
        (("model", "mode"), "hybrid"),
        (("run", "threads"), "two"),
        (("passes", "columns"), ["stage"]),
        (("records", "rows", 0), [1, 2, 3]),
        (("records", "rows", 0, 0), "first"),
        (("records", "rows", 0, 4), "convolution"),
    ],
)
def test_what_the_reader_refuses_is_invalid(path: tuple[Any, ...], value: Any) -> None:
    document = json.loads(build_profile(layers=1, repeat=1).to_json())
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert not VALIDATOR.is_valid(document)
