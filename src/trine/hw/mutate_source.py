"""Source mutants of the RTL: a readable list of wrong expressions, all in one simulator.

`rtl/mutants/source.toml` is the list. Each mutant replaces one expression of one file; all of them
go into one copy of the sources as `(mutant == n ? (new) : (old))`, with `tdpu_pkg::mutant` set when
a simulation starts. So the list costs one build, and 0 is the unit as it is.
"""

from __future__ import annotations

import tempfile
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from trine.errors import ToolError
from trine.hw.build import library
from trine.hw.sources import Unit, files, rtl_folder

TOP = "tdpu_top"
# A mutant may be what lint would find.
_LINT = "/* verilator lint_off WIDTHEXPAND */ /* verilator lint_off UNSIGNED */\n"
_VARIABLE = """
  import "DPI-C" function int unsigned tdpu_mutant();
  int unsigned mutant = tdpu_mutant();

endpackage"""


@dataclass(frozen=True, slots=True)
class SourceMutant:
    """Mutant `index` (from 1): `new` for the `old` in `within` of `file`, and what that does."""

    index: int
    file: str
    within: str
    old: str
    new: str
    why: str

    @property
    def module(self) -> str:
        """The module, which has the file's name."""
        return Path(self.file).stem

    def __str__(self) -> str:
        return f"{self.file} {self.old} -> {self.new}: {self.why}"

    def place(self, text: str) -> tuple[int, int]:
        """Where `old` begins and ends in the file's text; ToolError unless it is there once."""
        for part, whole in ((self.within, text), (self.old, self.within)):
            if whole.count(part) != 1:
                raise ToolError(
                    f"{self.file} holds {part!r} {whole.count(part)} times, not once; mend source "
                    f"mutant {self.index} in rtl/mutants/source.toml"
                )
        begin = text.index(self.within) + self.within.index(self.old)
        return begin, begin + len(self.old)

    def apply(self, text: str) -> str:
        """The file's text with this mutant alone."""
        begin, end = self.place(text)
        return text[:begin] + self.new + text[end:]


def source_mutants() -> list[SourceMutant]:
    """The list, in its order."""
    entries = tomllib.loads((rtl_folder() / "mutants" / "source.toml").read_text())["mutant"]
    return [
        SourceMutant(
            index, entry["file"], entry.get("within", entry["old"]), *map(entry.get, _FIELDS)
        )
        for index, entry in enumerate(entries, 1)
    ]


_FIELDS = ("old", "new", "why")


def with_mutants(text: str, mutants: list[SourceMutant]) -> str:
    """A file's text with all its mutants, each active while `tdpu_pkg::mutant` is its index.

    ToolError where two replace parts of each other.
    """
    at: defaultdict[tuple[int, int], list[SourceMutant]] = defaultdict(list)
    for mutant in mutants:
        at[mutant.place(text)].append(mutant)
    limit = len(text)
    for (begin, end), here in sorted(at.items(), reverse=True):
        if end > limit:
            raise ToolError(f"source mutant {here[0].index} overlaps another one of {here[0].file}")
        chosen = text[begin:end]
        for mutant in here:
            chosen = f"(tdpu_pkg::mutant == {mutant.index} ? ({mutant.new}) : ({chosen}))"
        text, limit = text[:begin] + chosen + text[end:], begin
    return text


def source_simulator(unit: Unit) -> Path:
    """The shared library in which `tdpu_mutate` chooses one of the source mutants."""
    mutants = source_mutants()
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for path in files(TOP):
            own = [mutant for mutant in mutants if mutant.file == path.name]
            text = with_mutants(path.read_text(), own)
            if path.name == "tdpu_pkg.sv":
                text = text.replace("\nendpackage", _VARIABLE)
            elif not own:
                paths.append(path)
                continue
            paths.append(Path(folder) / path.name)
            paths[-1].write_text(_LINT + text)
        return library(unit, paths, unit.parameters(), quick=True)
