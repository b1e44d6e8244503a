"""Read a `raw_layer_data.csv` that another program wrote, with its JSON summary if there is one.

In: the CSV, the JSON, or the folder that holds them. Out: `ForeignRun`, checked.
Next: `foreign_report` says what the rows show and what they cannot show.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trine.errors import ProfileError, UsageError
from trine.report.layer_csv import COLUMNS

# Times in ms, operations, MiB: none is larger, and squares of it are still finite.
_LARGEST = 1e18

CSV_NAME, JSON_NAME = "raw_layer_data.csv", "inference_profile_report.json"


@dataclass(frozen=True, slots=True)
class ForeignRow:
    """One line of the CSV: ms, OPs as its author counted them, MiB."""

    name: str
    layer: int
    operator: str
    type: str
    category: str
    time_ms: float
    ops: float
    delta_mib: float
    rss_mib: float
    input_shape: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What the JSON beside it adds; None where it does not say."""

    file: str
    total_ms: float | None
    model: str | None
    tokens: int | None
    operators: frozenset[str]
    rotary_ms: float | None
    features: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class ForeignRun:
    """The rows in file order; `mixed_states` when they are not all of one pass."""

    file: str
    rows: list[ForeignRow]
    mixed_states: bool
    summary: Summary | None


def is_foreign(path: Path) -> bool:
    """Whether `path` is layer data or its summary, and not a profile.json of trine's own."""
    if path.suffix != ".json" or not path.is_file():
        return True
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and "inference_summary" in document


def read(path: Path) -> ForeignRun:
    """Read `path` (CSV, JSON, or their folder) and what lies beside it.

    UsageError when there is nothing to read, ProfileError when it is malformed.
    """
    table, document = _find(path)
    rows, mixed = _rows(table)
    summary = _summary(document) if document.is_file() else None
    return ForeignRun(table.name, rows, mixed, summary)


def _find(path: Path) -> tuple[Path, Path]:
    if path.is_dir():
        table, document = path / CSV_NAME, path / JSON_NAME
    elif path.suffix == ".json":
        named = _load(path).get("raw_data_file")
        # A name only: a document must not lead to files outside its folder.
        table = path.with_name(Path(named).name if isinstance(named, str) else CSV_NAME)
        document = path
    else:
        table, document = path, path.with_name(JSON_NAME)
    if not table.is_file():
        raise UsageError(f"{table} does not exist; give a profile.json or a {CSV_NAME}")
    return table, document


def _rows(path: Path) -> tuple[list[ForeignRow], bool]:
    reader = csv.DictReader(io.StringIO(_text(path)))
    try:
        columns = reader.fieldnames
    except csv.Error as error:
        raise ProfileError(f"{path} is not CSV: {error}") from None
    if not columns:
        raise ProfileError(f"{path} is empty; a {CSV_NAME} begins with its column names")
    if missing := [name for name in COLUMNS if name not in columns]:
        raise ProfileError(
            f"{path} lacks {len(missing)} of the {len(COLUMNS)} columns of a {CSV_NAME}: "
            f"{', '.join(missing)}"
        )
    rows: list[ForeignRow] = []
    states = set()
    try:
        for cells in reader:
            rows.append(_row(cells, f"{path} row {reader.line_num}"))
            states.add(cells.get("State"))
    except csv.Error as error:
        raise ProfileError(f"{path} row {reader.line_num} is not CSV: {error}") from None
    if not rows:
        raise ProfileError(f"{path} has column names but no rows; nothing was recorded")
    return rows, len(states) > 1


def _row(cells: dict[str, str | Any], where: str) -> ForeignRow:
    if short := [name for name in COLUMNS if cells.get(name) is None]:
        raise ProfileError(f"{where} ends before the column {short[0]!r}")

    def number(column: str) -> float:
        try:
            value = float(cells[column])
        except ValueError:
            value = math.nan
        if not abs(value) <= _LARGEST:
            shown = reprlib.repr(cells[column])
            raise ProfileError(f"{where}, column {column!r}: {shown} is not a number")
        return value

    time_ms, layer = number("Time (ms)"), number("Layer Num")
    if time_ms < 0:
        raise ProfileError(f"{where}, column 'Time (ms)': {time_ms} is negative")
    if layer != int(layer):
        raise ProfileError(f"{where}, column 'Layer Num': {layer} is not a whole number")
    return ForeignRow(
        name=cells["Layer Name"],
        layer=int(layer),
        operator=cells["Submodule"],
        type=cells["Type"],
        category=cells["Category"],
        time_ms=time_ms,
        ops=number("OPs"),
        delta_mib=number("Mem Delta (MB)"),
        rss_mib=number("Abs Mem (MB)"),
        input_shape=cells["Input Shape"],
    )


def _summary(path: Path) -> Summary:
    document = _load(path)
    structure = _section(document, "model_info").get("structure")
    stats = document.get("all_operator_stats")
    entries = stats if isinstance(stats, list) else []
    operators = [entry.get("Submodule") for entry in entries if isinstance(entry, dict)]
    tokens = _section(document, "meta").get("seq_len")
    model = _section(document, "meta").get("model_path")
    return Summary(
        file=path.name,
        total_ms=_number(_section(document, "inference_summary"), "total_time_ms", path),
        model=model if isinstance(model, str) else None,
        tokens=tokens if isinstance(tokens, int) else None,
        operators=frozenset(name for name in operators if isinstance(name, str)),
        rotary_ms=_number(_section(document, "global_layers"), "rotary_time_ms", path),
        features=_features(structure if isinstance(structure, str) else ""),
    )


def _features(structure: str) -> dict[str, tuple[int, int]]:
    """(in, out) features by operator, from a printed module tree."""
    pattern = r"\((\w+)\): \w+\(in_features=(\d+), out_features=(\d+)"
    return {name: (int(k), int(n)) for name, k, n in re.findall(pattern, structure)}


def _section(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _number(section: dict[str, Any], key: str, path: Path) -> float | None:
    value = section.get(key)
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= _LARGEST:
        raise ProfileError(f"{path}: {key} must be a number, not {reprlib.repr(value)}")
    return float(value)


def _load(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(_text(path))
        # A lone surrogate can be escaped in JSON, and then be written to no file.
        json.dumps(document, ensure_ascii=False).encode()
    except RecursionError:
        raise ProfileError(f"{path} is not JSON: it is nested too deeply") from None
    except ValueError as error:
        raise ProfileError(f"{path} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ProfileError(f"{path} must hold a JSON object, not {type(document).__name__}")
    return document


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ProfileError(f"{path} is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
