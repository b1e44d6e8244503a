"""The published JSON Schema of `profile.json`, derived from the dataclasses of `profile`.

In: the types. Out: the schema as plain data; `docs/profile.schema.json` is a copy of it, and a
test compares the two. What no schema can say (records tile their pass) `Profile.check` says.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from typing import Any, Literal

from trine.profiling.profile import SCHEMA_VERSION, Pass, Profile, Record

# Stored as columns plus rows; see `trine.profiling.codec`.
_TABLES: dict[str, type] = {"passes": Pass, "records": Record}
_SCALARS = {int: "integer", float: "number", str: "string", bool: "boolean"}


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of the document that `Profile.to_json` writes."""
    schema = _object(Profile)
    schema["properties"] |= {name: _table(cls) for name, cls in _TABLES.items()}
    schema["properties"]["schema_version"] = {"const": SCHEMA_VERSION}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "trine profile",
        **schema,
    }


def schema_text() -> str:
    """The schema as the file in `docs` holds it."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def _object(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]
    return {
        "description": _summary(cls),
        "type": "object",
        "properties": {name: _value(hints[name]) for name in names},
        "required": names,
        "additionalProperties": False,
    }


def _table(cls: type) -> dict[str, Any]:
    """Columns in the order of the fields, rows with one value for each of them."""
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]
    row = {
        "type": "array",
        "prefixItems": [_value(hints[name]) for name in names],
        "items": False,
        "minItems": len(names),
    }
    return {
        "description": _summary(cls),
        "type": "object",
        "properties": {"columns": {"const": names}, "rows": {"type": "array", "items": row}},
        "required": ["columns", "rows"],
        "additionalProperties": False,
    }


def _value(hint: Any) -> dict[str, Any]:
    if hint is Profile:
        return {"$ref": "#"}
    if dataclasses.is_dataclass(hint):
        return _object(typing.cast(type, hint))
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": _value(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _value(arguments[1])}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_value(option) for option in arguments]}
    if hint is type(None):
        return {"type": "null"}
    return {"type": _SCALARS[hint]}


def _summary(cls: type) -> str:
    """The first paragraph of a docstring on one line."""
    paragraph = (cls.__doc__ or "").strip().split("\n\n")[0]
    return " ".join(paragraph.split())
