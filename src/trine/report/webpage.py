"""Documents as one self-contained HTML page: no network, no script.

In: one `Document` per language with its plots as SVG. Out: one string. Next: `bundle` writes it.

Plots are inline and take their colours from CSS variables, so the page is legible in light, dark
and print. With two languages both are in the file; `#zh` in the address, or the switch at the
top, shows the other one.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

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
from trine.report.plots.style import PALETTE

_NAMES = {"en": "English", "zh": "中文"}
_CONTENTS = {"en": "Contents", "zh": "目录"}

# From this many columns on a table scrolls in its box instead of squeezing its texts.
_WIDE_COLUMNS = 5

Svgs = Mapping[str, str]


def render(documents: Sequence[tuple[Document, Svgs]]) -> str:
    """The page; the first document is the one shown when the address names no language."""
    first = documents[0][0]
    body = "\n".join(_report(document, svgs) for document, svgs in documents)
    switch = "".join(
        f'<a href="#{d.lang}" lang="{d.lang}" class="to-{d.lang}">{_NAMES[d.lang]}</a>'
        for d, _ in documents
    )
    bar = f'<nav class="languages">{switch}</nav>\n' if len(documents) > 1 else ""
    return (
        f'<!DOCTYPE html>\n<html lang="{first.lang}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(first.title)}</title>\n<style>\n{_sheet()}</style>\n</head>\n"
        f"<body>\n{bar}{body}\n</body>\n</html>\n"
    )


def _sheet() -> str:
    light = "".join(f"--plot-{name}:{pair[0]};" for name, pair in PALETTE.items())
    dark = "".join(f"--plot-{name}:{pair[1]};" for name, pair in PALETTE.items())
    rules = files("trine.report").joinpath("webpage.css").read_text(encoding="utf-8")
    return (
        f":root{{{light}}}\n"
        f"@media screen and (prefers-color-scheme: dark){{:root{{{dark}}}}}\n{rules}"
    )


def _report(document: Document, svgs: Svgs) -> str:
    lang = document.lang
    headings = [b for b in document.blocks if isinstance(b, Heading) and b.level == 2]
    links = "".join(
        f'<li><a href="#{lang}-{h.anchor}">{_inline(h.text)}</a></li>' for h in headings
    )
    contents = (
        f'<nav class="contents" aria-label="{_CONTENTS[lang]}"><p>{_CONTENTS[lang]}</p>'
        f"<ol>{links}</ol></nav>"
    )
    blocks = "\n".join(_block(b, lang, svgs) for b in document.blocks)
    return (
        f'<div class="report" id="{lang}" lang="{lang}">\n{contents}\n<main>\n'
        f"<h1>{_inline(document.title)}</h1>\n{blocks}\n</main>\n</div>"
    )


def _block(block: Block, lang: str, svgs: Svgs) -> str:
    match block:
        case Heading(level, text, anchor):
            return f'<h{level} id="{lang}-{anchor}">{_inline(text)}</h{level}>'
        case Paragraph(text):
            return f"<p>{_inline(text)}</p>"
        case Bullets(items, ordered):
            tag = "ol" if ordered else "ul"
            return f"<{tag}>{''.join(f'<li>{_inline(i)}</li>' for i in items)}</{tag}>"
        case Code(text):
            return f'<pre tabindex="0">{html.escape(text)}</pre>'
        case Cards(items):
            cards = "".join(
                f"<div><dt>{_inline(label)}</dt><dd><strong>{_inline(value)}</strong>"
                f"<small>{_inline(detail)}</small></dd></div>"
                for label, value, detail in items
            )
            return f'<dl class="cards">{cards}</dl>'
        case Table():
            return _table(block)
        case Picture(name, caption, alt):
            if name not in svgs:
                return ""
            label = html.escape(alt, quote=True)
            svg = svgs[name].replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
            return f"<figure>{svg}<figcaption>{_inline(caption)}</figcaption></figure>"
        case Callout(level, title, body):
            inner = "\n".join(_block(b, lang, svgs) for b in body)
            return f'<aside class="{level}"><p class="title">{_inline(title)}</p>{inner}</aside>'


def _table(block: Table) -> str:
    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if i in block.numeric else ''}>{_inline(v)}</{tag}>"
            for i, v in enumerate(values)
        )

    rows = "\n".join(
        f"<tr{f' class={row.role}' if row.role else ''}>{cells('td', row.cells)}</tr>"
        for row in block.rows
    )
    wide = ' class="wide"' if len(block.columns) >= _WIDE_COLUMNS else ""
    note = f'<p class="base">{_inline(block.note)}</p>' if block.note else ""
    head = f"<thead><tr>{cells('th', block.columns)}</tr></thead>"
    inner = f"<table{wide}>{head}\n<tbody>\n{rows}\n</tbody></table>"
    return f'<div class="scroll" tabindex="0">{inner}</div>{note}'


def _inline(text: str) -> str:
    """Escaped text with the three inline marks as elements; nothing is marked inside code."""
    parts = text.split("`")
    for i, part in enumerate(parts):
        safe = html.escape(part, quote=False)
        if i % 2:
            parts[i] = f"<code>{safe}</code>"
        else:
            # A shape does not break between its numbers.
            safe = re.sub(r"\[\d+(, \d+)+\]", r'<span class="whole">\g<0></span>', safe)
            safe = re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", r'<a href="\2">\1</a>', safe)
            parts[i] = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", safe)
    return "".join(parts)
