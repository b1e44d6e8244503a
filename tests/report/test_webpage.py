"""The page stands alone: no network, well formed, readable on a phone."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from trine.report import webpage
from trine.report.document import Bullets, Code, Document, Heading, Paragraph, Row, Table

VOID = {"meta", "br", "img", "path", "use", "input", "link"}


class Page(HTMLParser):
    """Collects attributes and checks that every element is closed by its own tag."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def source(bundle: Path) -> str:
    return (bundle / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    parser = Page()
    parser.feed(source)
    parser.close()
    return parser


def test_it_is_well_formed(page: Page) -> None:
    assert page.open == []


def test_nothing_is_fetched(source: str, page: Page) -> None:
    links = [v for _, name, v in page.attributes if name in ("src", "href", "srcset", "data")]
    assert links
    assert not [v for v in links if re.match(r"(?:[a-z]+:)?//", v)]
    assert "@import" not in source
    assert "url(http" not in source
    assert not [tag for tag, _, _ in page.attributes if tag in ("script", "link", "iframe")]


def test_a_phone_lays_it_out_at_its_own_width(page: Page) -> None:
    assert ("meta", "content", "width=device-width, initial-scale=1") in page.attributes
    tables, boxes = (page.attributes.count(a) for a in (("table",), ("div", "class", "scroll")))
    assert tables <= boxes


def test_every_table_scrolls_in_its_own_box(source: str) -> None:
    assert source.count("<table") == source.count('<div class="scroll"') > 10


def test_ids_are_unique_and_links_inside_the_page_lead_somewhere(page: Page) -> None:
    ids = Counter(value for _, name, value in page.attributes if name == "id")
    assert [value for value, n in ids.items() if n > 1] == []
    targets = [v[1:] for _, name, v in page.attributes if name == "href" and v.startswith("#")]
    assert set(targets) <= set(ids)


def test_plots_take_the_colours_of_the_page(source: str) -> None:
    svgs = re.findall(r"<svg.*?</svg>", source, flags=re.DOTALL)
    assert len(svgs) == 10
    assert all("var(--plot-ink)" in svg or "var(--plot-soft)" in svg for svg in svgs)
    assert not [svg for svg in svgs if re.search(r"(?:fill|stroke): #(?!000)", svg)]
    assert "prefers-color-scheme: dark" in source


def test_plots_keep_their_labels_as_text(source: str) -> None:
    assert ">q_proj</text>" in source


def test_both_languages_are_there(page: Page) -> None:
    assert [v for tag, n, v in page.attributes if (tag, n) == ("div", "lang")] == ["en", "zh"]


def test_foreign_text_is_escaped_and_only_three_marks_are_read() -> None:
    blocks = [
        Heading(2, "<b> & **bold**", "a"),
        Paragraph("`<i> **no**` and [file](x.csv)"),
        Bullets(["one"]),
        Code("<script>"),
        Table(["a", "b"], [Row(["x", "1"])], frozenset({1})),
    ]
    text = webpage.render([(Document("en", "<title>", list(blocks)), {})])
    assert "&lt;b&gt; &amp; <strong>bold</strong>" in text
    assert "<code>&lt;i&gt; **no**</code>" in text
    assert '<a href="x.csv">file</a>' in text
    assert "<script>" not in text


def test_a_shape_does_not_break_between_its_numbers() -> None:
    text = webpage.render([(Document("en", "t", [Paragraph("[1, 3, 264] of [3](x.csv)")]), {})])
    assert '<span class="whole">[1, 3, 264]</span> of <a href="x.csv">3</a>' in text
