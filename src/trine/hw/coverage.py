"""Coverage of `tdpu_top`: functional bins, lines and toggles, counted by Verilator.

The bins are those of `rtl/coverage/tdpu_coverage.sv`, bound into the unit. Lines and toggles are
counted for the hand-written RTL, instances of a module together; what can not be hit is taken out
by `rtl/coverage/exclusions.toml`, each with its reason.
"""

from __future__ import annotations

import ctypes
import re
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trine.hw.build import library
from trine.hw.sources import Unit, files, rtl_folder

BINS = "tdpu_coverage.sv"
TOGGLE, LINE = "toggle", "line"
# Vectors of activations are wider than what Verilator counts by itself.
_OPTIONS = (
    *("--assert", "--coverage-line", "--coverage-toggle", "--coverage-user"),
    *("--coverage-max-width", "4096"),
)
# C 'key value ...' count, with these two bytes between fields, and between a key and its value.
_POINT = re.compile(r"C '(.*)' (\d+)")


@dataclass(frozen=True, slots=True)
class Point:
    """What is counted: `what` happens at `line` of `file`; `kind` is line, toggle or user."""

    kind: str
    file: str
    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Points of `kind` in `file` whose text matches `points` do not count, for the reason `why`."""

    kind: str
    file: str
    points: re.Pattern[str]
    why: str

    def holds(self, point: Point) -> bool:
        """Whether it takes out this point."""
        own = (point.kind, point.file) == (self.kind, self.file)
        return own and bool(self.points.fullmatch(described(point)))


def described(point: Point) -> str:
    """What an exclusion's pattern is held against: the signal's bit, or the source line."""
    if point.kind == TOGGLE:
        return point.what.split(":")[0]
    source = (rtl_folder() / point.file).read_text().splitlines()
    return f"{point.what}: {source[point.line - 1].strip()}"


def exclusions() -> list[Exclusion]:
    """The list, in its order."""
    entries = tomllib.loads((rtl_folder() / "coverage" / "exclusions.toml").read_text())
    return [
        Exclusion(entry["kind"], entry["file"], re.compile(entry["points"]), entry["why"])
        for entry in entries.get("exclusion", [])
    ]


def simulator(unit: Unit) -> Path:
    """The shared library of the unit that counts, built unless it is cached."""
    sources = [*files("tdpu_top"), rtl_folder() / "coverage" / BINS]
    return library(unit, sources, unit.parameters(), options=_OPTIONS, quick=True)


def counts_of(path: Path) -> Counter[Point]:
    """What all simulations of this library counted in this process.

    Points that several instances of a module have are added.
    """
    with tempfile.NamedTemporaryFile() as file:
        ctypes.CDLL(str(path)).tdpu_write_coverage(file.name.encode())
        text = Path(file.name).read_text(encoding="latin-1")
    counts = Counter[Point]()
    for fields, hits in _POINT.findall(text):
        told = dict(field.split("\x02", 1) for field in fields.split("\x01")[1:])
        kind = told["page"].split("/")[0].removeprefix("v_")
        kind = LINE if kind == "branch" else kind
        # Verilator writes the second of two underscores as its code.
        label = told["h"].rsplit(".", 1)[-1].replace("___05F", "__")
        what = label if kind == "user" else told["o"]
        counts[Point(kind, Path(told["f"]).name, int(told["l"]), what)] += int(hits)
    return counts


@dataclass(frozen=True, slots=True)
class Share:
    """Points of a module that were hit, those that were not, and how many were excluded."""

    hit: int
    missed: tuple[Point, ...]
    excluded: int

    @property
    def part(self) -> float:
        """Of those that count."""
        total = self.hit + len(self.missed)
        return self.hit / total if total else 1.0


def bins(counts: Counter[Point]) -> dict[str, int]:
    """Hits of every functional bin, in the order of their file."""
    found = sorted((p.line, p.what, hits) for p, hits in counts.items() if p.kind == "user")
    return {name: hits for _, name, hits in found}


def shares(counts: Counter[Point], kind: str) -> dict[str, Share]:
    """Line or toggle coverage of every hand-written file."""
    out = exclusions()
    own = [path.name for path in files("tdpu_top") if path.parent.name != "generated"]
    points: defaultdict[str, list[Point]] = defaultdict(list)
    for point in counts:
        if point.kind == kind and point.file in own:
            points[point.file].append(point)
    return {name: _share(counts, points[name], out) for name in own if points[name]}


def _share(counts: Counter[Point], points: Iterable[Point], out: list[Exclusion]) -> Share:
    hit, missed, excluded = 0, [], 0
    for point in points:
        if counts[point]:
            hit += 1
        elif any(exclusion.holds(point) for exclusion in out):
            excluded += 1
        else:
            missed.append(point)
    missed.sort(key=lambda point: (point.line, point.what))
    return Share(hit, tuple(missed), excluded)
