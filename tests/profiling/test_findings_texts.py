"""Every rule has its texts in every language, and every placeholder has its value."""

from __future__ import annotations

import dataclasses
import re
import string
from collections.abc import Mapping

import pytest

from symptoms import SYMPTOMS, one, rules
from trine.profiling.findings import RULES, find
from trine.report.texts import FindingText, findings_en, findings_zh

TABLES = {"en": findings_en.FINDINGS, "zh": findings_zh.FINDINGS}
TABLE = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
RULE = pytest.mark.parametrize("rule", SYMPTOMS)


def placeholders(text: str) -> set[tuple[str, str]]:
    """Names with their format, so that both languages write the same digits."""
    parsed = string.Formatter().parse(text)
    return {(name, spec or "") for _, name, spec, _ in parsed if name is not None}


def test_every_rule_has_a_symptom() -> None:
    # The one rule without a function of its own comes with the two repeated steps.
    assert {rule.__name__ for rule in RULES} | {"parts_disagree"} == set(SYMPTOMS)


@TABLE
def test_exactly_the_rules_that_exist_have_texts(table: Mapping[str, FindingText]) -> None:
    assert list(table) == list(SYMPTOMS)


@RULE
def test_the_symptom_fires_its_rule(rule: str) -> None:
    assert rule in rules(SYMPTOMS[rule]())


@TABLE
@RULE
def test_texts_are_filled_by_the_values(rule: str, table: Mapping[str, FindingText]) -> None:
    for finding in find(SYMPTOMS[rule]()):
        for template in dataclasses.astuple(table[finding.rule]):
            text = template.format(**finding.values)
            assert text and not set("{}") & set(text) and text == text.strip()


@RULE
def test_both_languages_give_the_same_figures(rule: str) -> None:
    english, chinese = (dataclasses.astuple(table[rule]) for table in TABLES.values())
    for ours, theirs in zip(english, chinese, strict=True):
        named = placeholders(ours) - {("stage", "")}
        assert named == placeholders(theirs) - {("stage", "")}


@RULE
def test_chinese_is_chinese(rule: str) -> None:
    for text in dataclasses.astuple(findings_zh.FINDINGS[rule]):
        assert re.search(r"[一-鿿]", text)
        assert not re.search(r"[,;:?!]\s*[一-鿿]", text), "full-width punctuation in Chinese"


def test_evidence_and_values_carry_no_sentences() -> None:
    for rule, build in SYMPTOMS.items():
        stages = [f.stage for f in find(build()) if f.rule == rule]
        found = one(build(), rule, stages[0])
        assert len(found.evidence) <= 5
        if rule != "partial_run":  # its note is what the recorder wrote
            assert not any(re.search(r"[a-z] [a-z]+ [a-z]+ ", line) for line in found.evidence)
