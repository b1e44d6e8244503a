"""The order of the sections."""

from __future__ import annotations

from trine.report.content import (
    anomalies,
    appendix,
    bottlenecks,
    fpga,
    head,
    layers,
    native,
    operators,
    structure,
    summary,
)
from trine.report.document import Document
from trine.report.facts import Facts
from trine.report.language import Words

_SECTIONS = (
    head,
    structure,
    layers,
    operators,
    bottlenecks,
    anomalies,
    summary,
    native,
    fpga,
    appendix,
)


def build(facts: Facts, words: Words) -> Document:
    """The whole report of a profile in one language."""
    title = words("title", model=facts.profile.model.id)
    blocks = [block for section in _SECTIONS for block in section.blocks(facts, words)]
    return Document(words.lang, title, blocks)
