"""A missing tool skips its test by name, and fails it with CI=true."""

import sys
from pathlib import Path

import pytest

from requirements import require_module, require_program

TESTS = Path(__file__).resolve().parent


@pytest.mark.parametrize("require", [require_module, require_program])
def test_what_is_missing_is_skipped_by_name(require, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no_such_tool is not installed"):
        require("no_such_tool")


@pytest.mark.parametrize("require", [require_module, require_program])
def test_in_ci_it_fails(require, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no_such_tool is not installed"):
        require("no_such_tool")


def test_what_is_there_is_returned() -> None:
    assert require_module("sys") is sys
    assert Path(require_program("sh")).is_file()


def test_no_test_skips_for_a_tool_by_another_way() -> None:
    """`importorskip` and `skipif` skip silently whatever CI says."""
    words = ("importorskip(", "mark.skipif(")
    others = [path for path in TESTS.rglob("*.py") if path.name != Path(__file__).name]
    assert [p.name for p in others if any(word in p.read_text() for word in words)] == []
