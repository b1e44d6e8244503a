"""The words of a report: one table of texts per language, looked up by key.

In: "en" or "zh". Out: a `Words` whose call fills a template. The tables (`texts`) have the same
keys and placeholders in every language; a test says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trine.errors import UsageError
from trine.report.texts import (
    FindingText,
    en,
    findings_en,
    findings_zh,
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

LANGUAGES = ("en", "zh")

_TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {**en.TEXT, **plots_en.TEXT, **foreign_en.TEXT, **native_en.TEXT, **fpga_en.TEXT},
    "zh": {**zh.TEXT, **plots_zh.TEXT, **foreign_zh.TEXT, **native_zh.TEXT, **fpga_zh.TEXT},
}
_TERMS: Mapping[str, Mapping[str, str]] = {"en": en.TERMS, "zh": zh.TERMS}
_FINDINGS: Mapping[str, Mapping[str, FindingText]] = {
    "en": findings_en.FINDINGS,
    "zh": findings_zh.FINDINGS,
}


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language."""

    lang: str

    def __call__(self, key: str, /, **values: object) -> str:
        """The text of `key` with its placeholders filled; an unknown key is a KeyError."""
        return _TEXTS[self.lang][key].format(**values)

    def terms(self, formula: str) -> str:
        """A formula of `profiling.costs` with its words in this language."""
        for english, own in _TERMS[self.lang].items():
            formula = formula.replace(english, own)
        return formula

    def finding(self, rule: str) -> FindingText:
        """Title, reason and fix of a rule, as templates over the finding's values."""
        return _FINDINGS[self.lang][rule]


def languages(lang: str) -> tuple[str, ...]:
    """The languages that `lang` ("en", "zh" or "both") asks for; UsageError for another word."""
    if lang == "both":
        return LANGUAGES
    if lang in LANGUAGES:
        return (lang,)
    raise UsageError(f"--lang is en, zh or both, not {lang!r}")
