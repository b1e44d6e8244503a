"""The neutral document: what a report says, before anything decides how it looks.

Content modules build it once per language; `markdown` and `webpage` render it. Text fields may
carry three inline marks and nothing else: ``**strong**``, `` `code` `` and ``[label](target)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Heading:
    """`level` 2 to 4; `anchor` is the same in every language."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list, numbered if `ordered`."""

    items: list[str]
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """Preformatted text; no inline marks."""

    text: str


@dataclass(frozen=True, slots=True)
class Cards:
    """Key figures: (label, value, detail)."""

    items: list[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Row:
    """`role` "sum" sets the row off as a total, "quiet" as remainder."""

    cells: list[str]
    role: Literal["", "sum", "quiet"] = ""


@dataclass(frozen=True, slots=True)
class Table:
    """`numeric` names the columns that align right; `note` says what ratios are of."""

    columns: list[str]
    rows: list[Row]
    numeric: frozenset[int] = frozenset()
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(f"{len(row.cells)} cells under {len(self.columns)} columns")


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot by name (see `plots.draw`); `alt` says in words what it shows."""

    name: str
    caption: str
    alt: str


@dataclass(frozen=True, slots=True)
class Callout:
    """A box: "warning" (read this first), "finding" (a computed bottleneck) or "note"."""

    level: Literal["warning", "finding", "note"]
    title: str
    body: list[Paragraph | Bullets | Table]


Block = Heading | Paragraph | Bullets | Code | Cards | Table | Picture | Callout


@dataclass(frozen=True, slots=True)
class Document:
    """One report in one language ("en" or "zh")."""

    lang: str
    title: str
    blocks: list[Block] = field(default_factory=list)


def table(
    columns: Sequence[str], rows: Sequence[Row], *, text_columns: int = 1, note: str = ""
) -> Table:
    """A Table whose first `text_columns` columns are text and the others numbers."""
    numeric = frozenset(range(text_columns, len(columns)))
    return Table(list(columns), list(rows), numeric, note)


def code(value: object) -> str:
    """`value` as inline code; foreign text (a prompt, a path) can carry no mark of its own."""
    text = " ".join(str(value).split()).replace("`", "'")
    return f"`{text}`" if text else ""
