"""A Document as Markdown (GitHub flavour: tables, fenced code).

In: a `Document` and the file of each plot. Out: one string. Next: `bundle` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping

from trine.report.document import (
    Block,
    Bullets,
    Callout,
    Cards,
    Code,
    Document,
    Heading,
    Paragraph,
    Picture,
    Table,
)


def render(document: Document, plots: Mapping[str, str]) -> str:
    """The whole file; `plots` maps a picture's name to its path relative to the file.

    A picture that is not in `plots` (nothing to draw) is left out.
    """
    parts = [f"# {document.title}"]
    parts += [text for block in document.blocks if (text := _block(block, plots))]
    return "\n\n".join(parts) + "\n"


def _block(block: Block, plots: Mapping[str, str]) -> str:
    match block:
        case Heading(level, text, _):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return text
        case Bullets(items, ordered):
            return "\n".join(
                f"{f'{i}.' if ordered else '-'} {item}" for i, item in enumerate(items, start=1)
            )
        case Code(text):
            return f"```\n{text}\n```"
        case Cards(items):
            return "\n".join(
                f"- {label} **{value}**" + (f" · {detail}" if detail else "")
                for label, value, detail in items
            )
        case Table():
            return _table(block)
        case Picture(name, caption, alt):
            return f"![{alt}]({plots[name]})\n\n*{caption}*" if name in plots else ""
        case Callout(_, title, body):
            inner = "\n\n".join([f"**{title}**", *(_block(b, plots) for b in body)])
            return "\n".join(f"> {line}".rstrip() for line in inner.split("\n"))


def _table(block: Table) -> str:
    rule = ["---:" if i in block.numeric else "---" for i in range(len(block.columns))]
    lines = [_line(block.columns), _line(rule)]
    for row in block.rows:
        cells = [f"**{c}**" if c and row.role == "sum" else c for c in row.cells]
        lines.append(_line(cells))
    text = "\n".join(lines)
    return f"{text}\n\n{block.note}" if block.note else text


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"
