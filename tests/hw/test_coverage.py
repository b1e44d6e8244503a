"""Coverage: every bin of the list was hit, and a run of all tests hits them again."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trine.hw.coverage import BINS, exclusions
from trine.hw.sources import rtl_folder

ROOT = Path(__file__).parents[2]
SOURCE = (rtl_folder() / "coverage" / BINS).read_text()


def names() -> list[str]:
    """The bins' names, as the macros of the list make them."""
    suffixes = {"BIN": [""], "ISSUED": [""], "REFUSED": [""]}
    body = SOURCE[SOURCE.index("\nmodule") :]
    for macro in ("IN_SEQUENCER", "IN_WRITER", "IN_CALC"):
        text = SOURCE[SOURCE.index(f"define {macro}(") : SOURCE.index("\nmodule")]
        suffixes[macro] = re.findall(r"NAME``(\w+)", text.split("`define", 2)[0].split("\n\n")[0])
    found = re.findall(r"^ *`(\w+)\((\w+),", body, re.MULTILINE)
    return [name + suffix for macro, name in found for suffix in suffixes[macro]]


def table() -> dict[str, int]:
    with (ROOT / "docs" / "hw-coverage.csv").open() as file:
        return {row["bin"]: int(row["hits"]) for row in csv.DictReader(file)}


def test_the_table_has_every_bin_and_none_is_empty() -> None:
    assert len(names()) > 150
    assert sorted(table()) == sorted(names())
    assert [name for name, hits in table().items() if not hits] == []


def test_every_exclusion_has_a_reason() -> None:
    for exclusion in exclusions():
        assert (rtl_folder() / exclusion.file).is_file()
        assert len(exclusion.why) > 20


@pytest.mark.hardware
def test_all_bins_lines_and_toggles_are_hit(tmp_path: Path) -> None:
    out = tmp_path / "bins.csv"
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "coverage.py"), "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["unhit"] == []
    assert figures["bins"] == len(names())
    # 95 % of the lines and of the toggles of every file.
    assert figures["low"] == []
