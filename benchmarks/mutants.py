"""Which mutants of the RTL do the tests catch, and which test catches each?

    python benchmarks/mutants.py netlist --count 400
    python benchmarks/mutants.py source
    python benchmarks/mutants.py survivors
    python benchmarks/mutants.py refute
    python benchmarks/mutants.py prove

A campaign that was interrupted goes on where it was, unless a source or a test changed since.

The golden check is tests of `tests/hw` themselves, collected once and run on a simulator that
carries the mutants (trine.hw.mutate, trine.hw.mutate_source), each mutant in a forked process. A
mutant is caught by the first test that fails, that crashes, or that takes TIMES as much CPU time as
it does without a mutant. A source mutant that the tests do not catch is given to the proofs of
`tests/rtl/test_proofs.py`. The table goes to docs/hw-mutants-netlist.csv or -source.csv; the last
line is JSON. `survivors` runs those of the netlist's table again, `refute` gives them to the
properties of their module's proof. `prove` asks of each survivor in
the tables whether it is the unit as it is (trine.hw.mutate_proof) and writes down what it learns:
equivalent, or not proved.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import ctypes
import io
import json
import multiprocessing
import os
import re
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
sys.path.insert(0, str(TESTS))

from hw import units  # noqa: E402
from trine.errors import ToolError  # noqa: E402
from trine.hw import driver, simulation  # noqa: E402
from trine.hw.build import cache_folder  # noqa: E402
from trine.hw.mutate import Mutant, Mutation, choose_mutants, modules  # noqa: E402
from trine.hw.mutate_proof import equivalent, equivalent_source  # noqa: E402
from trine.hw.mutate_source import SourceMutant, source_mutants, source_simulator  # noqa: E402
from trine.hw.sources import Unit, digest, rtl_folder  # noqa: E402

# The ones that catch most come first.
GOLDEN = [
    str(TESTS / "hw" / f"test_{name}.py")
    for name in ("results", "jobs", "control", "abort", "counts", "timeout")
]
# What a verdict depends on, beside the simulator.
TOLD_BY = [*map(Path, GOLDEN), TESTS / "hw" / "units.py", Path(driver.__file__)]
TIMES = 4
# CPU seconds that no test needs to differ by.
LEAST = 0.3
SEED = 20261123

# Two units that differ in everything: code, engines, batch, beat. One has an odd number of results
# a row group, so that words wait in a beat that is half full. Rows are long enough for every test,
# FIFOs and a counter small enough to fill.
_SMALL = Unit(k_max=2560, fifo_depth=128, illegal_bits=12)
UNITS = {
    "base 3": replace(_SMALL, engines=3, batch=2, code=3, beat_bits=64),
    "two bit": replace(_SMALL, engines=2, batch=4, code=2, beat_bits=32),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `caught` is a test, `hang in` or `crash in` one, or nothing.

    `proof` is equivalent, not proved, or nothing when no proof was tried.
    """

    unit: str
    index: int
    module: str
    mutant: str
    caught: str
    proof: str = ""


class Campaign:
    """Pytest plugin: instead of once, the collected tests run once a mutant."""

    def __init__(
        self,
        name: str,
        library: Path,
        mutants: Sequence[Mutant | SourceMutant],
        only: Mapping[str, str] | None = None,
        *,
        tests: str = "",
    ) -> None:
        """`only`: the one test that a mutant gets, by the mutants' text.

        `tests`: those of the tests that are run, as pytest's -k; slow ones too.
        """
        self.name, self.mutants, self.rows = name, mutants, list[Row]()
        self.only, self.tests = only, tests
        told_by = digest(TOLD_BY, library.name, *filter(None, [tests]))
        self.journal = cache_folder() / f"mutants-{told_by[:24]}.jsonl"
        self.select = ctypes.CDLL(str(library)).tdpu_mutate
        self.usual: dict[str, float] = {}
        self.pipe = -1
        # Every test runs on the unit with the mutants, whichever it was written for.
        simulation.simulator = lambda unit: library
        for other in ("HEADLINE", "OTHER", "WIDE", "BATCHED", "SINGLE"):
            setattr(units, other, UNITS[name])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """In a child: tell of the first failure, and of a test's CPU time."""
        if report.failed:
            self.tell({"failed": plain(report.nodeid)})
            os._exit(0)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """First without a mutant, then with each."""
        # What runs twice, as units that differ elsewhere are one here.
        items = {plain(item.nodeid): item for item in reversed(session.items)}
        tests = sorted(items.values(), key=session.items.index)
        if self.only is not None:
            tests = [item for item in tests if plain(item.nodeid) in self.only.values()]
        told = self.child(0, tests)
        if "failed" in told:
            raise SystemExit(f"{told['failed']} fails without a mutant")
        self.usual = {name: seconds for name, seconds in told.items() if name in items}
        total = sum(self.usual.values())
        say(f"{self.name}: {len(self.mutants)} mutants; {len(tests)} tests take {total:.1f} s")
        known = self.known() if self.only is None else {}
        for mutant in self.mutants:
            caught = known.get(str(mutant))
            if caught is None:
                given = tests
                if self.only is not None:
                    one = self.only[str(mutant)]
                    given = [item for item in tests if plain(item.nodeid) == one]
                caught = str(self.child(mutant.index, given).get("failed", ""))
            if self.only is None and str(mutant) not in known:
                with self.journal.open("a") as file:
                    print(json.dumps([str(mutant), caught]), file=file)
            self.rows.append(Row(self.name, mutant.index, mutant.module, str(mutant), caught))
            say(f"{self.name} {mutant.index} {caught or f'SURVIVES {mutant}'}")
        return True

    def known(self) -> dict[str, str]:
        """What an interrupted campaign with this simulator and these tests found."""
        if not self.journal.is_file():
            return {}
        return dict(json.loads(line) for line in self.journal.read_text().splitlines())

    def child(self, index: int, tests: list[pytest.Item]) -> dict[str, float | str]:
        """What a forked process tells that runs the tests on mutant `index`."""
        reader, self.pipe = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            self.select(index)
            for number, item in enumerate(tests):
                name = plain(item.nodeid)
                self.tell({"test": name})
                # CPU time: on a shared machine the wall clock says nothing.
                signal.setitimer(signal.ITIMER_PROF, TIMES * self.usual.get(name, 1000) + LEAST)
                before = time.process_time()
                following = tests[number + 1] if number + 1 < len(tests) else None
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                self.tell({name: time.process_time() - before})
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


def say(line: str) -> None:
    """Progress."""
    print(line, file=sys.stderr, flush=True)


def plain(nodeid: str) -> str:
    """A test's name without the unit it was written for."""
    return re.sub(r"Unit\([^)]*\)\d*", "unit", nodeid.rsplit("/", maxsplit=1)[-1])


def run(campaign: Campaign) -> list[Row]:
    """All mutants of one simulator."""
    chosen = ["-k", campaign.tests] if campaign.tests else ["-m", "not hardware"]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        pytest.main(
            ["-q", "--tb=short", "-p", "no:cacheprovider", *chosen, *GOLDEN],
            plugins=[campaign],
        )
    if len(campaign.rows) < len(campaign.mutants):
        raise SystemExit(f"the tests did not run: {said.getvalue()}")
    return campaign.rows


def survivors(name: str, count: int, tests: str = "") -> list[Row]:
    """The rows of a unit; what was neither caught nor proved equivalent is run again."""
    rows = [row for row in read_table(table_path("netlist")) if row.unit == name]
    mutation = choose_mutants(UNITS[name], count, seed=SEED)
    if [str(mutant) for mutant in mutation.mutants] != [row.mutant for row in rows]:
        raise SystemExit("the table is of other sources; run the campaign again")
    rest = {row.index for row in rows if not row.caught and row.proof != "equivalent"}
    left = [mutant for mutant in mutation.mutants if mutant.index in rest]
    for row in run(Campaign(name, mutation.simulator(), left, tests=tests)):
        rows[row.index - 1] = replace(row, proof=rows[row.index - 1].proof)
    return rows


def netlist(name: str, count: int) -> tuple[list[Row], Counter[str]]:
    """The netlist mutants of a unit, and its cells by module."""
    mutation = choose_mutants(UNITS[name], count, seed=SEED)
    rows = run(Campaign(name, mutation.simulator(), mutation.mutants))
    return rows, Counter(mutation.cells)


def source(name: str) -> tuple[list[Row], Counter[str]]:
    """The source mutants on a unit; no cells."""
    return run(Campaign(name, source_simulator(UNITS[name]), source_mutants())), Counter()


def again(name: str, every: int) -> tuple[list[Row], Counter[str]]:
    """Every so many of the caught source mutants of a unit, each on the test that caught it."""
    rows = [row for row in read_table(table_path("source")) if row.unit == name and row.caught]
    by_test = {
        row.mutant: row.caught.removeprefix("hang in ").removeprefix("crash in ")
        for row in rows
        if not row.caught.startswith("test_proofs.py")
    }
    mutants = [mutant for mutant in source_mutants() if str(mutant) in by_test][::every]
    only = {str(mutant): by_test[str(mutant)] for mutant in mutants}
    return run(Campaign(name, source_simulator(UNITS[name]), mutants, only)), Counter()


def first_caught(tables: Sequence[Sequence[Row]]) -> list[Row]:
    """Of the same mutants on several units: the first row in which each is caught."""
    return [
        next((row for row in rows if row.caught), rows[0]) for rows in zip(*tables, strict=True)
    ]


def proved_wrong(row: Row) -> Row:
    """A survivor, or the proof of its module that no longer holds."""
    from rtl import test_proofs as proofs
    from trine.hw.proof import prove, refute

    mutant = source_mutants()[row.index - 1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for top, parameters in proofs.PROOFS:
            if mutant.file in [path.name for path in proofs.sources(top)]:
                changed = folder / mutant.file
                changed.write_text(mutant.apply((rtl_folder() / mutant.file).read_text()))
                wrong = proofs.sources(top, {mutant.file: changed})
                if not prove(top, wrong, parameters).proved:
                    return replace(row, caught=f"test_proofs.py: {top} {parameters}")
        # The properties alone, from reset, as for a seeded bug.
        bug = (mutant.file, mutant.within, mutant.within.replace(mutant.old, mutant.new))
        for case in proofs.INDUCTIONS:
            top, parameters, _ = case
            if mutant.file in [path.name for path in proofs.written(folder, case)]:
                wrong = proofs.written(folder, case, bug)
                if refute(top, wrong, {**parameters, "HELP": 0}, proofs.CLOCKS[top]) is not None:
                    return replace(row, caught=f"test_proofs.py: {top} {parameters}")
    return row


# The property module that sees a netlist mutant's module by itself.
SEEN_BY = {
    "tdpu_queue": "fv_queue",
    "tdpu_watchdog": "fv_watchdog",
    "tdpu_axi_read": "fv_axi_read",
    "tdpu_axi_write": "fv_axi_write",
    "tdpu_calc": "fv_calc",
    "tdpu_sequencer": "fv_sequencer",
}
# More than for a seeded bug: the upper half of the watchdog's count.
REFUTE_CLOCKS = {"fv_queue": 24, "fv_watchdog": 160}


def netlist_proved_wrong(row: Row, mutant: Mutant) -> Row:
    """A survivor, or the proof of its module whose properties, alone, no longer hold."""
    from rtl import test_proofs as proofs
    from trine.hw.proof import refute

    top = SEEN_BY.get(row.module)
    if top is None:
        return row
    with tempfile.TemporaryDirectory() as folder:
        if top == "fv_queue":
            paths, parameters = proofs.sources(top), {"KIND": 0}
        else:
            case = next(case for case in proofs.INDUCTIONS if case[0] == top)
            paths, parameters = proofs.written(Path(folder), case), {**case[1], "HELP": 0}
        clocks = REFUTE_CLOCKS.get(top) or proofs.CLOCKS[top]
        try:
            found = refute(top, paths, parameters, clocks, wrong=mutant.command)
        except ToolError as error:
            # The property module's parameters leave it no such cell.
            say(f"not given to {top}: {error}")
            return row
    named = {name: value for name, value in parameters.items() if name != "HELP"}
    return row if found is None else replace(row, caught=f"test_proofs.py: {top} {named}")


def refute_survivors(count: int) -> None:
    """Give the netlist's survivors to the proofs."""
    rows = read_table(table_path("netlist"))
    chosen = {name: choose_mutants(unit, count, seed=SEED) for name, unit in UNITS.items()}
    for number, row in enumerate(rows):
        if row.caught or row.proof == "equivalent":
            continue
        mutant = chosen[row.unit].mutants[row.index - 1]
        if str(mutant) != row.mutant:
            raise SystemExit(f"{row} is another mutant now; run the campaign again")
        rows[number] = netlist_proved_wrong(row, mutant)
        say(f"{rows[number].caught or 'SURVIVES'}: {row.unit} {row.mutant}")
        write_table(table_path("netlist"), rows)
    summarise(rows)


def table_path(kind: str) -> Path:
    """Where a table is kept."""
    return ROOT / "docs" / f"hw-mutants-{kind}.csv"


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """One line a mutant."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row.__slots__)
        writer.writerows([getattr(row, field) for field in Row.__slots__] for row in rows)


def read_table(path: Path) -> list[Row]:
    """What `write_table` wrote."""
    with path.open() as file:
        return [Row(**{**line, "index": int(line["index"])}) for line in csv.DictReader(file)]


def prove_survivors(kind: str, count: int, seconds: int) -> None:
    """Add proofs to a table; those that were tried stay."""
    rows = read_table(table_path(kind))
    chosen: dict[str, Mutation] = {}
    for number, row in enumerate(rows):
        if row.caught or row.proof:
            continue
        unit = UNITS[row.unit]
        if kind == "source":
            found = equivalent_source(unit, source_mutants()[row.index - 1], seconds=seconds)
        else:
            if row.unit not in chosen:
                chosen[row.unit] = choose_mutants(unit, count // len(UNITS), seed=SEED)
            mutant = chosen[row.unit].mutants[row.index - 1]
            if str(mutant) != row.mutant:
                raise SystemExit(f"{row} is another mutant now; run the campaign again")
            found = equivalent(chosen[row.unit], mutant, seconds=seconds)
        proof = "equivalent" if found else "not proved"
        rows[number] = replace(row, proof=proof)
        say(f"{proof}: {row.unit} {row.mutant}")
        write_table(table_path(kind), rows)
    summarise(rows)


def summarise(rows: Sequence[Row], cells: Mapping[str, int] | None = None) -> None:
    """A line a module; the share is of the mutants that are not proved to be none."""
    print("| module | cells | mutants | caught | equivalent | survive | share |")
    print("|---|---|---|---|---|---|---|")
    for module in modules():
        own = [row for row in rows if row.module == module]
        caught = sum(bool(row.caught) for row in own)
        equal = sum(row.proof == "equivalent" for row in own)
        share = f"{caught / (len(own) - equal):.1%}" if len(own) > equal else ""
        counts = f"{len(own)} | {caught} | {equal} | {len(own) - caught - equal} | {share}"
        print(f"| `{module}` | {cells[module] if cells else ''} | {counts} |")


def main() -> None:
    """Run, write the table, print a summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("netlist", "source", "survivors", "refute", "prove"))
    parser.add_argument("--count", type=int, default=400, help="netlist mutants of both units")
    parser.add_argument("--unit", choices=UNITS, action="append", help="only this unit")
    parser.add_argument(
        "--again", type=int, help="each so many of the caught source mutants, by its own test"
    )
    parser.add_argument(
        "--tests", default="", help="survivors: these tests (as pytest -k), slow ones too"
    )
    parser.add_argument("--seconds", type=int, default=60, help="for a proof of equivalence")
    parser.add_argument("--jobs", type=int, default=1, help="units at a time")
    parser.add_argument("--out", type=Path, help="the table")
    arguments = parser.parse_args()
    if arguments.kind == "prove":
        for kind in ("source", "netlist"):
            prove_survivors(kind, arguments.count, arguments.seconds)
        return
    if arguments.kind == "refute":
        refute_survivors(arguments.count // len(UNITS))
        return
    start = time.perf_counter()
    names = arguments.unit or list(UNITS)
    # Tests are collected for one unit: each has a process of its own.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.jobs, mp_context=fresh, max_tasks_per_child=1) as pool:
        if arguments.kind == "survivors":
            count = arguments.count // len(UNITS)
            given = [count] * len(UNITS), [arguments.tests] * len(UNITS)
            rows = sum(pool.map(survivors, UNITS, *given), list[Row]())
            write_table(table_path("netlist"), rows)
            summarise(rows)
            return
        if arguments.again:
            tables = list(pool.map(again, names, [arguments.again] * len(names)))
            rows = [row for table, _ in tables for row in table]
        elif arguments.kind == "netlist":
            tables = list(pool.map(netlist, names, [arguments.count // len(UNITS)] * len(names)))
            rows = [row for table, _ in tables for row in table]
        else:
            tables = list(pool.map(source, names))
            rows = first_caught([table for table, _ in tables])
            rows = [row if row.caught else proved_wrong(row) for row in rows]
    cells = sum((own for _, own in tables), Counter[str]())
    if not arguments.again:
        write_table(arguments.out or table_path(arguments.kind), rows)
    summarise(rows, cells)
    caught = sum(bool(row.caught) for row in rows)
    figures = {
        "mutants": len(rows),
        "caught": caught,
        "lost": [row.mutant for row in rows if not row.caught] if arguments.again else [],
        "seconds": time.perf_counter() - start,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
