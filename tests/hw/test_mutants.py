"""The tests notice a wrong model and a wrong unit; what they notice is written down."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hw import units
from hw.units import OTHER, check, random_case, start
from trine.errors import ToolError
from trine.hw.mutate import shares
from trine.hw.mutate_source import SourceMutant, source_mutants, with_mutants
from trine.hw.sources import rtl_folder
from trine.kernels.reference import accumulate

ROOT = Path(__file__).parents[2]
Sums = NDArray[np.int32]
Model = Callable[[NDArray[np.int8], NDArray[np.int8]], Sums]


def one_more(codes: NDArray[np.int8], trits: NDArray[np.int8]) -> Sums:
    sums = accumulate(codes, trits)
    sums[-1, -1] += 1
    return sums


WRONG_MODELS: dict[str, Model] = {
    "the last sum is one larger": one_more,
    "signs are swapped": lambda codes, trits: -accumulate(codes, trits),
    "minus counts as zero": lambda codes, trits: accumulate(codes, np.maximum(trits, 0)),
    "the last column is forgotten": lambda c, t: accumulate(c[:, :-1].copy(), t[:, :-1].copy()),
    "sums have 16 bits": lambda c, t: accumulate(c, t).astype(np.int16).astype(np.int32),
    "-128 is taken for -127": lambda c, t: accumulate(np.maximum(c, -127), t),
    "rows are one off": lambda codes, trits: np.roll(accumulate(codes, trits), 1, axis=1),
    "vectors are one off": lambda codes, trits: np.roll(accumulate(codes, trits), 1, axis=0),
}


@pytest.mark.parametrize("name", WRONG_MODELS)
def test_the_golden_check_fails_with_a_wrong_model(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, driver = start(OTHER)
    trits, codes = random_case(7, 1000, OTHER.batch, seed=20)
    # Sums beyond 16 bits, and codes of -128 that count.
    trits[2], codes[1] = 1, -128
    check(driver, trits, codes)
    monkeypatch.setattr(units, "accumulate", WRONG_MODELS[name])
    with pytest.raises(AssertionError):
        check(driver, trits, codes)


def rows(kind: str) -> list[dict[str, str]]:
    with (ROOT / "docs" / f"hw-mutants-{kind}.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_table_of_source_mutants_is_that_of_the_list() -> None:
    assert [row["mutant"] for row in rows("source")] == [str(mutant) for mutant in source_mutants()]


def test_netlist_mutants_are_spread_by_cells() -> None:
    got = shares({"small": 1, "large": 900, "none": 0, "some": 99}, 200, least=8)
    assert got == {"small": 8, "large": 180, "some": 20}


def test_every_source_mutant_has_its_place() -> None:
    for mutant in source_mutants():
        text = (rtl_folder() / mutant.file).read_text()
        assert mutant.apply(text) != text


def test_mutants_that_overlap_are_refused() -> None:
    text = "assign a = b + c;"
    both = [
        SourceMutant(1, "a.sv", text, "b + c", "b", "adds nothing"),
        SourceMutant(2, "a.sv", text, "c", "d", "adds another"),
    ]
    with pytest.raises(ToolError, match="overlaps"):
        with_mutants(text, both)
    assert with_mutants(text, both[:1]) == "assign a = (tdpu_pkg::mutant == 1 ? (b) : (b + c));"


def test_a_few_mutants_are_caught_again() -> None:
    # Each by the test that the table names.
    command = [sys.executable, str(ROOT / "benchmarks" / "mutants.py"), "source"]
    done = subprocess.run(
        [*command, "--unit", "base 3", "--again", "6"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["lost"] == []
    assert told["caught"] >= 10
