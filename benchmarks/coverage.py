"""Coverage of tdpu_top by its tests: functional bins, lines and toggles of the hand-written RTL.

    python benchmarks/coverage.py

Runs the tests that also catch the mutants (benchmarks/mutants.py) on the same two units, built with
Verilator's counters. The bins with their hits go to docs/hw-coverage.csv; what was missed is
printed, and the last line is JSON. The exit status is 1 when a bin was not hit, or lines or toggles
of a file are below LEAST.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import multiprocessing
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mutants import GOLDEN, ROOT, UNITS, plain, units

from trine.hw import simulation
from trine.hw.coverage import (
    LINE,
    TOGGLE,
    Point,
    bins,
    counts_of,
    shares,
    simulator,
)

LEAST = 0.95


class Collector:
    """Pytest plugin: the tests run on the unit that counts."""

    def __init__(self, name: str) -> None:
        self.failed: list[str] = []
        self.path = path = simulator(UNITS[name])
        simulation.simulator = lambda unit: path
        for other in ("HEADLINE", "OTHER", "WIDE", "BATCHED", "SINGLE"):
            setattr(units, other, UNITS[name])

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Once each, as all units are one."""
        first = {plain(item.nodeid): item for item in reversed(items)}
        items[:] = reversed(first.values())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what failed: its counts prove nothing."""
        if report.failed:
            self.failed.append(f"{report.nodeid}: {report.longreprtext}")


def collect(name: str) -> Counter[Point]:
    """The counts of all tests on a unit."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        collector = Collector(name)
        code = pytest.main(
            ["-q", "-p", "no:cacheprovider", "-m", "not hardware", *GOLDEN], plugins=[collector]
        )
    if code:
        raise SystemExit("\n".join(collector.failed) or said.getvalue())
    return counts_of(collector.path)


def main() -> None:
    """Run, write the bins, print the rest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1, help="units at a time")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "hw-coverage.csv")
    arguments = parser.parse_args()
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.jobs, mp_context=fresh, max_tasks_per_child=1) as pool:
        counts = Counter[Point]()
        for own in pool.map(collect, UNITS):
            counts.update(own)
    found = bins(counts)
    with arguments.out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("bin", "hits"))
        writer.writerows(found.items())
    unhit = [name for name, hits in found.items() if not hits]
    figures: dict[str, object] = {"bins": len(found), "unhit": unhit}
    print("| file | lines | toggles | excluded |\n|---|---|---|---|")
    lines, toggles = shares(counts, LINE), shares(counts, TOGGLE)
    for name in toggles:
        line, toggle = lines.get(name), toggles[name]
        part = f"{line.part:.1%}" if line else "none"
        out = toggle.excluded + (line.excluded if line else 0)
        print(f"| `{name}` | {part} | {toggle.part:.1%} | {out} |")
    for kind, table in ((LINE, lines), (TOGGLE, toggles)):
        hit = sum(share.hit for share in table.values())
        missed = [point for share in table.values() for point in share.missed]
        figures[kind] = round(hit / (hit + len(missed)), 4)
        for point in missed:
            print(f"missed {kind} {point.file}:{point.line} {point.what}", file=sys.stderr)
    shown = [*lines.items(), *toggles.items()]
    figures["low"] = low = sorted({name for name, share in shown if share.part < LEAST})
    print(json.dumps(figures))
    sys.exit(bool(unhit or low))


if __name__ == "__main__":
    main()
