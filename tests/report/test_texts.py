"""The two languages have the same texts, with the same placeholders."""

from __future__ import annotations

import re
import string

import pytest

from trine.errors import UsageError
from trine.profiling import native_steps
from trine.profiling.costs import DEFINITIONS
from trine.report.language import Words, languages
from trine.report.texts import (
    en,
    foreign_en,
    foreign_zh,
    fpga_en,
    fpga_zh,
    native_en,
    native_zh,
    plots_en,
    plots_zh,
    zh,
)

PAIRS = [
    (en, zh),
    (plots_en, plots_zh),
    (foreign_en, foreign_zh),
    (native_en, native_zh),
    (fpga_en, fpga_zh),
]


def fields(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda m: m.__name__)
def test_both_languages_have_the_same_keys_and_placeholders(
    english: object, chinese: object
) -> None:
    ours, theirs = english.TEXT, chinese.TEXT  # type: ignore[attr-defined]
    assert list(ours) == list(theirs)
    assert {key: fields(text) for key, text in ours.items()} == {
        key: fields(text) for key, text in theirs.items()
    }


def test_chinese_bold_is_closed_where_markdown_can_see_it() -> None:
    # CommonMark does not close ** between a full-width sign and a letter.
    for text in (*zh.TEXT.values(), *foreign_zh.TEXT.values(), *native_zh.TEXT.values()):
        pieces = text.split("**")
        for bold, after in zip(pieces[1::2], pieces[2::2], strict=True):
            assert bold[-1].isalnum() or not after[:1].isalnum(), text


def test_formulas_are_translated_to_the_last_word() -> None:
    known = {"argmax", "cos", "kv", "logit"}
    for formulas in (*DEFINITIONS.values(), *native_steps.DEFINITIONS.values()):
        for formula in formulas:
            words = set(re.findall(r"[a-z]{2,}", Words("zh").terms(formula)))
            assert words <= known, formula
            assert Words("en").terms(formula) == formula


def test_languages_are_asked_for_by_name() -> None:
    assert languages("both") == ("en", "zh")
    assert languages("zh") == ("zh",)
    with pytest.raises(UsageError, match="en, zh or both"):
        languages("de")
