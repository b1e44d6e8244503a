"""The summary in a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from profile_builder import build_profile
from trine.profiling.profile import Profile
from trine.report.console import print_summary


def printed(profile: Profile, width: int, lang: str = "en") -> str:
    console = Console(width=width)
    with console.capture() as capture:
        print_summary(profile, Path("out"), lang=lang, console=console)
    return capture.get()


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_no_line_is_wider_than_the_terminal(profile: Profile, width: int, lang: str) -> None:
    assert all(cell_len(line) <= width for line in printed(profile, width, lang).splitlines())


def test_findings_come_with_effect_and_fix(profile: Profile) -> None:
    text = " ".join(printed(profile, 200).split())
    assert "Synthetic weights." in text
    assert "2,400.0 ms" in text
    assert "fix: " in text
    assert "Report: out" in text
    assert "**" not in text
    assert "`" not in text


def test_a_healthy_run_says_so() -> None:
    text = printed(build_profile(), 120)
    assert "wall time" in text
    assert "unattributed" in text


def test_columns_go_where_there_is_no_room(profile: Profile) -> None:
    assert "Bound by" in printed(profile, 120)
    assert "Bound by" not in printed(profile, 80)
    assert "GOPS" in printed(profile, 80)
    assert "GOPS" not in printed(profile, 60)
