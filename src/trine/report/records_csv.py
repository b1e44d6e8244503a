"""`records.csv`: every record of every pass, flat, for a spreadsheet or a data frame.

Columns: what identifies the pass, the fields of `Record` under their own names (ns, bytes, counts),
and the backend; shapes are JSON lists.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from trine.profiling.profile import Profile, Record

PASS_COLUMNS = ("stage", "state", "repetition", "step")
_FIELDS = tuple(f.name for f in dataclasses.fields(Record))
COLUMNS = (*PASS_COLUMNS, *_FIELDS, "backend")


def write(profile: Profile, path: Path) -> None:
    """Write all records in the order of the profile."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for part in (profile, profile.native):
            if part is not None:
                writer.writerows(_rows(part))


def _rows(profile: Profile) -> Iterator[list[object]]:
    for record in profile.records:
        pass_ = profile.passes[record.pass_index]
        label = [getattr(pass_, name) for name in PASS_COLUMNS]
        fields = [_cell(getattr(record, name)) for name in _FIELDS]
        yield [*label, *fields, profile.run.backend]


def _cell(value: object) -> object:
    return json.dumps(value) if isinstance(value, list) else value
