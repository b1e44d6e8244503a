"""Induction over a circuit: CaDiCaL decides, output by output, whether all steps keep it at 0.

PDR invents the invariants it needs, and drowns in a master with eight bursts in flight. A property
module that states its invariants itself needs no invention: if they hold at reset, and one clock
leads from a state where all hold only to states where all hold, they hold for all time.

Runs as a program (a native solver shares no process with torch), on a binary AIGER file whose bad
states or outputs must stay 0 under its constraints:

    python -m trine.hw.induction induct circuit.aig DEPTH
    python -m trine.hw.induction reach circuit.aig CLOCKS     each output by itself
    python -m trine.hw.induction refute circuit.aig CLOCKS    any output
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Circuit:
    """An and-inverter graph; a literal is twice a variable, plus one for its complement."""

    inputs: int
    latches: list[tuple[int, int]]  # next state; 0, 1 or the latch's own literal after reset
    ands: list[tuple[int, int, int]]
    bad: list[int]
    constraints: list[int]

    @classmethod
    def read(cls, path: Path) -> Circuit:
        """A binary AIGER 1.9 file: http://fmv.jku.at/aiger/."""
        data = path.read_bytes()
        at = data.index(b"\n") + 1
        header = [int(field) for field in data[: at - 1].split()[1:]]
        _, inputs, latches, outputs, ands, bads, constraints = [*header, 0, 0][:7]

        def line() -> list[int]:
            nonlocal at
            start, at = at, data.index(b"\n", at) + 1
            return [int(field) for field in data[start : at - 1].split()]

        def delta() -> int:
            nonlocal at
            value = shift = 0
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value

        state = [(fields[0], [*fields, 0][1]) for fields in (line() for _ in range(latches))]
        plain = [line()[0] for _ in range(outputs)]
        bad = [line()[0] for _ in range(bads)]
        assumed = [line()[0] for _ in range(constraints)]
        gates = []
        for index in range(ands):
            literal = 2 * (inputs + latches + 1 + index)
            left = literal - delta()
            gates.append((literal, left, left - delta()))
        return cls(inputs, state, gates, bad or plain, assumed)


class Unrolling:
    """Clocks of a circuit as clauses, one `step` at a time; equal gates are shared."""

    def __init__(self, circuit: Circuit, *, reset: bool) -> None:
        self.circuit = circuit
        self.reset = reset
        self.solver: Any = importlib.import_module("pysat.solvers").Solver("cadical195")
        self.solver.add_clause([1])  # variable 1 is true
        self._variables = 1
        self._gates: dict[tuple[int, int], int] = {}
        self._values: list[int] = []

    def step(self) -> list[int]:
        """One more clock under the constraints; what the bad states are in it."""
        circuit = self.circuit
        before = self._values
        values = [-1] + [self._new() for _ in range(circuit.inputs)]
        for index, (follows, initial) in enumerate(circuit.latches):
            if before:
                values.append(self._of(before, follows))
            elif self.reset and initial < 2:
                values.append(1 if initial else -1)
            else:
                assert not self.reset or initial == 2 * (circuit.inputs + 1 + index)
                values.append(self._new())
        for _, left, right in circuit.ands:
            values.append(self._and(self._of(values, left), self._of(values, right)))
        self._values = values
        for literal in circuit.constraints:
            self.solver.add_clause([self._of(values, literal)])
        return [self._of(values, literal) for literal in circuit.bad]

    def possible(self, literal: int) -> bool:
        """Whether it can be true; what cannot is remembered."""
        if literal == -1:
            return False
        found = bool(self.solver.solve(assumptions=[literal]))
        if not found:
            self.solver.add_clause([-literal])
        return found

    def any_of(self, literals: list[int]) -> int | None:
        """The place of one that can be true."""
        switch = self._new()
        self.solver.add_clause([-switch, *literals])
        if not self.solver.solve(assumptions=[switch]):
            return None
        true = {literal for literal in self.solver.get_model() if literal > 0}
        return next(
            place
            for place, literal in enumerate(literals)
            if (literal in true if literal > 0 else -literal not in true)
        )

    def _new(self) -> int:
        self._variables += 1
        return self._variables

    @staticmethod
    def _of(values: list[int], literal: int) -> int:
        value = values[literal >> 1]
        return -value if literal & 1 else value

    def _and(self, left: int, right: int) -> int:
        if left == -1 or right == -1 or left == -right:
            return -1
        if left == 1 or left == right:
            return right
        if right == 1:
            return left
        key = (min(left, right), max(left, right))
        if key not in self._gates:
            gate = self._gates[key] = self._new()
            for clause in ([-gate, left], [-gate, right], [gate, -left, -right]):
                self.solver.add_clause(clause)
        return self._gates[key]


def induct(circuit: Circuit, depth: int) -> tuple[str, int] | None:
    """None, or what cannot be proved: ("reset", output) in the first clocks, ("step", output)."""
    first = Unrolling(circuit, reset=True)
    for _ in range(depth):
        for index, literal in enumerate(first.step()):
            if first.possible(literal):
                return "reset", index
    later = Unrolling(circuit, reset=False)
    for _ in range(depth):
        for literal in later.step():
            later.solver.add_clause([-literal])
    for index, literal in enumerate(later.step()):
        if later.possible(literal):
            return "step", index
    return None


def reach(circuit: Circuit, clocks: int) -> dict[int, int]:
    """A clock after reset in which each output can be 1, of those that can within `clocks`."""
    unrolling = Unrolling(circuit, reset=True)
    steps = [unrolling.step() for _ in range(clocks)]
    found: dict[int, int] = {}
    for index in range(len(circuit.bad)):
        clock = unrolling.any_of([literals[index] for literals in steps])
        if clock is not None:
            found[index] = clock
    return found


def refute(circuit: Circuit, clocks: int) -> tuple[int, int] | None:
    """An output that can be 1 within `clocks` after reset, and when."""
    unrolling = Unrolling(circuit, reset=True)
    literals = [literal for _ in range(clocks) for literal in unrolling.step()]
    place = unrolling.any_of(literals)
    if place is None:
        return None
    return place % len(circuit.bad), place // len(circuit.bad)


def _main(verb: str, file: str, number: str) -> None:
    circuit = Circuit.read(Path(file))
    if verb == "induct":
        fault = induct(circuit, int(number))
        print("holds" if fault is None else f"fails {fault[0]} {fault[1]}")
        return
    if verb == "refute":
        found = refute(circuit, int(number))
        print("holds" if found is None else f"fails {found[0]} {found[1]}")
        return
    print(f"outputs {len(circuit.bad)}")
    for index, clock in reach(circuit, int(number)).items():
        print(f"reached {index} {clock}")


if __name__ == "__main__":
    _main(*sys.argv[1:])
