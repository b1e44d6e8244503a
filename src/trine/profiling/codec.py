"""Dataclasses to and from JSON values: exact keys, checked types, one-line errors.

Tables of many rows are stored as `{"columns": [...], "rows": [[...], ...]}`, which is a third of
the size of a list of objects.
"""

from __future__ import annotations

import dataclasses
import functools
import reprlib
import types
import typing
from collections.abc import Iterable
from typing import Any, Literal, TypeVar

from trine.errors import ProfileError

T = TypeVar("T")
# No counter of a run is larger; a damaged one is, and would overflow what is computed from it.
_LARGEST = 2**63 - 1


def to_columns(items: Iterable[Any], cls: type) -> dict[str, Any]:
    """A table of `items`, all of the dataclass `cls`; nested values as `dataclasses` keeps them."""
    names = [f.name for f in dataclasses.fields(cls)]
    return {"columns": names, "rows": [[getattr(item, n) for n in names] for item in items]}


def from_columns(table: Any, where: str) -> list[dict[str, Any]]:
    """The rows of a table as mappings; ProfileError, naming `where`, when it is no table."""
    if not isinstance(table, dict) or set(table) != {"columns", "rows"}:
        raise ProfileError(f"{where} must be an object with columns and rows")
    columns, rows = table["columns"], table["rows"]
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise ProfileError(f"{where}: columns and rows must be lists")
    if not all(isinstance(name, str) for name in columns):
        raise ProfileError(f"{where}: column names must be strings, not {reprlib.repr(columns)}")
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            raise ProfileError(f"{where}: row {number} does not have {len(columns)} values")
    return [dict(zip(columns, row, strict=True)) for row in rows]


def build(cls: type[T], data: Any, where: str) -> T:
    """A dataclass from a mapping: exact keys, checked types, nested dataclasses and lists."""
    if not isinstance(data, dict):
        raise ProfileError(f"{where} must be an object, not {type(data).__name__}")
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if unknown := sorted(set(data) - set(fields)):
        raise ProfileError(f"{where}: unknown key {unknown[0]!r}; legal: {', '.join(fields)}")
    if missing := sorted(set(fields) - set(data)):
        raise ProfileError(f"{where}: key {missing[0]!r} is missing")
    hints = _hints(typing.cast(typing.Hashable, cls))
    return cls(**{name: _convert(hints[name], data[name], f"{where}: {name}") for name in fields})


@functools.cache
def _hints(cls: typing.Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, where)
    if origin is list and isinstance(value, list):
        (item,) = typing.get_args(hint)
        return [_convert(item, v, f"{where}[{i}]") for i, v in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        _, item = typing.get_args(hint)
        return {
            str(_storable(k, where)): _convert(item, v, f"{where}[{k!r}]") for k, v in value.items()
        }
    if origin is Literal and value in typing.get_args(hint):
        return value
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        return _convert(next(o for o in options if o is not type(None)), value, where)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not -_LARGEST <= value <= _LARGEST:
            shown = reprlib.repr(value)
            raise ProfileError(f"{where} must be finite and within ±2^63, not {shown}")
        return float(value)
    if hint in (int, bool, str) and type(value) is hint:
        return _storable(value, where)
    expected = getattr(hint, "__name__", str(hint))
    raise ProfileError(f"{where} must be {expected}, not {reprlib.repr(value)}")


def _storable(value: int | bool | str, where: str) -> int | bool | str:
    """`value` if every file of a report can hold it: 64-bit integers, text that is UTF-8."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ProfileError(f"{where} is no valid Unicode text") from None
    elif not -_LARGEST <= value <= _LARGEST:
        raise ProfileError(f"{where} must be within ±2^63, not {reprlib.repr(value)}")
    return value
