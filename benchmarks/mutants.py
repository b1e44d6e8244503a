"""Which mutants of the RTL do the tests catch, and which test catches each?

    python benchmarks/mutants.py netlist --count 400
    python benchmarks/mutants.py source

The golden check is `tests/hw/test_results.py` and `tests/hw/test_control.py` themselves, collected
once and run on a simulator that carries the mutants (trine.hw.mutate, trine.hw.mutate_source), each
mutant in a forked process. A mutant is caught by the first test that fails, that crashes, or that
takes TIMES as much CPU time as the longest does without a mutant. The table goes to
docs/hw-mutants-netlist.csv or -source.csv; the last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import ctypes
import io
import json
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
sys.path.insert(0, str(TESTS))

from hw import units  # noqa: E402
from trine.hw import simulation  # noqa: E402
from trine.hw.mutate import Mutant, choose_mutants, modules  # noqa: E402
from trine.hw.mutate_source import SourceMutant, source_mutants, source_simulator  # noqa: E402
from trine.hw.sources import Unit  # noqa: E402

GOLDEN = [str(TESTS / "hw" / name) for name in ("test_results.py", "test_control.py")]
TIMES = 4
SEED = 20261123

# Two units that differ in everything: code, engines, batch, beat. Rows are long enough for every
# test, FIFOs small enough to fill.
UNITS = {
    "base 3": Unit(engines=2, batch=2, code=3, beat_bits=64, k_max=2560, fifo_depth=128),
    "two bit": Unit(engines=3, batch=4, code=2, beat_bits=32, k_max=2560, fifo_depth=128),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `caught` is a test, `hang in` or `crash in` one, or nothing."""

    unit: str
    index: int
    module: str
    mutant: str
    caught: str


class Campaign:
    """Pytest plugin: instead of once, the collected tests run once a mutant."""

    def __init__(self, name: str, library: Path, mutants: Sequence[Mutant | SourceMutant]) -> None:
        self.name, self.mutants, self.rows = name, mutants, list[Row]()
        self.select = ctypes.CDLL(str(library)).tdpu_mutate
        self.longest = 100.0
        self.pipe = -1
        # Every test runs on the unit with the mutants, whichever it was written for.
        simulation.simulator = lambda unit: library
        for other in ("HEADLINE", "OTHER", "WIDE", "BATCHED", "SINGLE"):
            setattr(units, other, UNITS[name])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """In a child: tell of the first failure, and of a test's CPU time."""
        if report.failed:
            self.tell({"failed": report.nodeid.split("/")[-1]})
            os._exit(0)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """First without a mutant, then with each."""
        # What runs twice, as units that differ elsewhere are one here.
        items = {item.name.split("[Unit")[0]: item for item in reversed(session.items)}
        tests = sorted(items.values(), key=session.items.index)
        told = self.child(0, tests)
        if "failed" in told:
            raise SystemExit(f"{told['failed']} fails without a mutant")
        self.longest = max(told["longest"], 0.5)
        print(f"{self.name}: {len(self.mutants)} mutants, {told}", file=sys.stderr, flush=True)
        for mutant in self.mutants:
            told = self.child(mutant.index, tests)
            row = Row(
                self.name, mutant.index, mutant.module, str(mutant), str(told.get("failed", ""))
            )
            self.rows.append(row)
            told_as = row.caught or f"SURVIVES {mutant}"
            print(f"{mutant.index} {told_as}", file=sys.stderr, flush=True)
        return True

    def child(self, index: int, tests: list[pytest.Item]) -> dict[str, float | str]:
        """What a forked process tells that runs the tests on mutant `index`."""
        reader, self.pipe = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            self.select(index)
            longest = total = 0.0
            for number, item in enumerate(tests):
                self.tell({"test": item.nodeid.split("/")[-1]})
                # CPU time: on a shared machine the wall clock says nothing.
                signal.setitimer(signal.ITIMER_PROF, TIMES * self.longest)
                before = time.process_time()
                following = tests[number + 1] if number + 1 < len(tests) else None
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                took = time.process_time() - before
                longest, total = max(longest, took), total + took
            self.tell({"longest": longest, "total": total, "tests": len(tests)})
            os._exit(0)
        os.close(self.pipe)
        told: dict[str, float | str] = {}
        with os.fdopen(reader) as pipe:
            for line in pipe:
                told.update(json.loads(line))
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            how = "hang" if os.WTERMSIG(status) == signal.SIGPROF else "crash"
            told["failed"] = f"{how} in {told['test']}"
        return told

    def tell(self, what: dict[str, float | str]) -> None:
        """One line to the parent."""
        os.write(self.pipe, json.dumps(what).encode() + b"\n")


def run(campaign: Campaign) -> list[Row]:
    """All mutants of one simulator."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        pytest.main(
            ["-q", "--tb=short", "-p", "no:cacheprovider", "-m", "not hardware", *GOLDEN],
            plugins=[campaign],
        )
    if len(campaign.rows) < len(campaign.mutants):
        raise SystemExit(f"the tests did not run: {said.getvalue()}")
    return campaign.rows


def netlist(count: int, names: list[str]) -> tuple[list[Row], Counter[str]]:
    """The netlist mutants of these units, and cells by module."""
    rows, cells = [], Counter[str]()
    for name in names:
        mutation = choose_mutants(UNITS[name], count // len(UNITS), seed=SEED)
        cells.update(mutation.cells)
        rows += run(Campaign(name, mutation.simulator(), mutation.mutants))
    return rows, cells


def source(names: list[str]) -> list[Row]:
    """The source mutants; those that one unit does not catch go on to the next."""
    caught: dict[int, Row] = {}
    left = source_mutants()
    for name in names:
        for row in run(Campaign(name, source_simulator(UNITS[name]), left)):
            caught[row.index] = row
        left = [mutant for mutant in left if not caught[mutant.index].caught]
    return [caught[index] for index in sorted(caught)]


def main() -> None:
    """Run, write the table, print a summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("netlist", "source"))
    parser.add_argument("--count", type=int, default=400, help="netlist mutants of both units")
    parser.add_argument("--unit", choices=UNITS, action="append", help="only this unit")
    parser.add_argument("--out", type=Path, help="the table")
    arguments = parser.parse_args()
    start = time.perf_counter()
    names = arguments.unit or list(UNITS)
    cells: Counter[str] = Counter()
    if arguments.kind == "netlist":
        rows, cells = netlist(arguments.count, names)
    else:
        rows = source(names)
    out = arguments.out or ROOT / "docs" / f"hw-mutants-{arguments.kind}.csv"
    with out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row.__slots__)
        writer.writerows([getattr(row, field) for field in Row.__slots__] for row in rows)
    print("| module | cells | mutants | caught | survive |\n|---|---|---|---|---|")
    for module in modules():
        own = [row for row in rows if row.module == module]
        caught = sum(bool(row.caught) for row in own)
        print(f"| `{module}` | {cells[module]} | {len(own)} | {caught} | {len(own) - caught} |")
    caught = sum(bool(row.caught) for row in rows)
    figures = {"mutants": len(rows), "caught": caught, "seconds": time.perf_counter() - start}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
