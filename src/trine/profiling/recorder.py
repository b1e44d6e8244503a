"""From enter/leave events to passes and records that tile time without a hole.

A backend calls `enter` and `leave` around every operator. Each event is a pair of clock readings
with the probe between them: the interval before an event ends when the event *arrives*, the
interval after it begins when it *departs*, and what lies between is the recorder's own time. So
no probe is ever inside a measured interval, and the recorder's cost is itself measured.

Clock and probe are injected; tests use fake ones and assert exact numbers.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from trine.errors import ProfileError
from trine.profiling.costs import Call, cost
from trine.profiling.profile import Counters, Kind, Pass, Record, Source, Stage, State

Clock = Callable[[], int]
Shapes = Sequence[Sequence[int]]
ShapesOf = Callable[[], tuple[Shapes, Shapes]]
_COUNTERS = tuple(f.name for f in dataclasses.fields(Counters))


# The fields of `Counters` in their order; a plain tuple, since one is taken at every event.
Sample = tuple[int, ...]
Probe = Callable[[], Sample]


@dataclass(frozen=True, slots=True)
class Operator:
    """A leaf: one module, or a seam such as the attention core. `mode` as in `costs.Call`."""

    name: str
    operator: str
    kind: Kind
    source: Source
    type: str
    layer: int
    dtype: str
    itemsize: int
    weight_itemsize: int
    mode: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """A container module (decoder layer, attention, MLP, model): it has time only between leaves.

    `role` is what gap rules match on; `name` prefixes the names of gaps inside.
    """

    name: str
    role: str
    layer: int


class GapContext(NamedTuple):
    """Where a gap lies: its scope, what ran before and after ("start"/"end" at the edges)."""

    scope: Scope
    before: str
    after: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Gap:
    """What a backend knows about a gap: its name, its kind and the shapes that pass through."""

    operator: str
    kind: Kind
    inputs: Shapes
    outputs: Shapes


class _Event(NamedTuple):
    entering: bool
    node: Operator | Scope
    arrived: int
    sample: Sample
    departed: int
    inputs: Shapes
    outputs: Shapes


@dataclass(frozen=True, slots=True)
class _PassLabel:
    stage: Stage
    state: State
    repetition: int
    step: int
    tokens: int
    context: int


class Recorder:
    """Collects events of one run. `name_gap` returns None for a gap that has no name.

    `zero` is the start of the run's clock. `passes` and `records` grow only when a pass ends, so
    an interrupted pass leaves no trace.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        probe: Probe,
        name_gap: Callable[[GapContext], Gap | None],
        dtype: str,
        itemsize: int,
    ) -> None:
        self.passes: list[Pass] = []
        self.records: list[Record] = []
        self.events_per_pass = 0
        self._clock = clock
        self._probe = probe
        self._name_gap = name_gap
        self._dtype = dtype
        self._itemsize = itemsize
        self.zero = clock()
        self._events: list[_Event] = []
        self._label: _PassLabel | None = None
        self._root = Scope("", "pass", -1)

    def begin_pass(
        self, stage: Stage, state: State, repetition: int, step: int, tokens: int, context: int
    ) -> None:
        """Start a pass of `tokens` new tokens, with `context` keys after it."""
        self._label = _PassLabel(stage, state, repetition, step, tokens, context)
        self._events = []
        self._add(True, self._root)

    def enter(self, node: Operator | Scope) -> None:
        """The model is about to run `node`. Outside a pass this does nothing."""
        if self._label is not None:
            self._add(True, node)

    def leave(self, node: Operator | Scope, shapes: ShapesOf | None = None) -> None:
        """`node` has run; `shapes` gives those of inputs and outputs, after the clock is read."""
        if self._label is not None:
            arrived = self._clock()
            sample = self._probe()
            inputs, outputs = shapes() if shapes is not None else ((), ())
            self._events.append(
                _Event(False, node, arrived, sample, self._clock(), inputs, outputs)
            )

    def end_pass(self) -> Pass:
        """Close the pass, turn its events into records, check that they tile it."""
        if self._label is None:
            raise ProfileError("end_pass without begin_pass")
        self.leave(self._root)
        label, self._label = self._label, None
        events, self._events = self._events, []
        first, last = events[0], events[-1]
        records = self._records(events, label)
        result = Pass(
            stage=label.stage,
            state=label.state,
            repetition=label.repetition,
            step=label.step,
            tokens=label.tokens,
            context=label.context,
            start_ns=first.departed - self.zero,
            duration_ns=last.arrived - first.departed,
            recorder_ns=sum(e.departed - e.arrived for e in events[1:-1]),
            **delta(first.sample, last.sample),
        )
        self.events_per_pass = len(events)
        # In this order: an interrupt in between leaves records without a pass, which
        # `complete_records` drops.
        self.records.extend(records)
        self.passes.append(result)
        return result

    def complete_records(self) -> list[Record]:
        """The records of all passes that ended."""
        return [record for record in self.records if record.pass_index < len(self.passes)]

    def abandon_pass(self) -> None:
        """Forget the pass in progress (it was interrupted)."""
        self._label = None
        self._events = []

    def _add(self, entering: bool, node: Operator | Scope) -> None:
        arrived = self._clock()
        sample = self._probe()
        self._events.append(_Event(entering, node, arrived, sample, self._clock(), (), ()))

    def _records(self, events: list[_Event], label: _PassLabel) -> list[Record]:
        index = len(self.passes)
        records: list[Record] = []
        scopes: list[Scope] = []
        before = "start"
        for event, following in itertools.pairwise(events):
            if event.entering and isinstance(event.node, Operator):
                if following.node is not event.node or following.entering:
                    raise ProfileError(
                        f"{event.node.name} was entered and {following.node.name} ran inside it; "
                        f"leaf operators must not overlap"
                    )
                records.append(self._operator_record(index, event.node, event, following))
                before = event.node.operator
                continue
            if event.entering:
                assert isinstance(event.node, Scope)
                scopes.append(event.node)
                before = "start"
            elif isinstance(event.node, Scope):
                if not scopes or scopes.pop() != event.node:
                    raise ProfileError(f"{event.node.name or 'pass'} was left but not entered")
                before = event.node.role
            after = _label_of(following)
            context = GapContext(scopes[-1], before, after, label.tokens)
            gap = self._gap_record(index, context, event, following)
            if gap is not None:
                records.append(gap)
        return records

    def _operator_record(self, index: int, node: Operator, start: _Event, end: _Event) -> Record:
        call = Call(
            node.kind,
            node.operator,
            end.inputs,
            end.outputs,
            node.itemsize,
            node.weight_itemsize,
            node.mode,
        )
        return self._record(index, node, call, start, end)

    def _gap_record(
        self, index: int, context: GapContext, start: _Event, end: _Event
    ) -> Record | None:
        scope, before, after, _ = context
        gap = self._name_gap(context)
        if gap is None:
            if end.arrived == start.departed:
                return None
            gap = Gap(f"{scope.role}: {before} → {after}", "unattributed", (), ())
        name = f"{scope.name}.{gap.operator}" if scope.name else gap.operator
        node = Operator(
            name=name,
            operator=gap.operator,
            kind=gap.kind,
            source="gap",
            type=f"{before} → {after}",
            layer=scope.layer,
            dtype=self._dtype,
            itemsize=self._itemsize,
            weight_itemsize=0,
        )
        call = Call(gap.kind, gap.operator, gap.inputs, gap.outputs, self._itemsize, 0)
        return self._record(index, node, call, start, end)

    def _record(self, index: int, node: Operator, call: Call, start: _Event, end: _Event) -> Record:
        duration = end.arrived - start.departed
        if duration < 0:
            raise ProfileError(f"{node.name} lasts {duration} ns: the clock ran backwards")
        model = cost(call)
        return Record(
            pass_index=index,
            layer=node.layer,
            name=node.name,
            operator=node.operator,
            kind=node.kind,
            source=node.source,
            type=node.type,
            input_shapes=[list(s) for s in call.inputs],
            output_shapes=[list(s) for s in call.outputs],
            dtype=node.dtype,
            start_ns=start.departed - self.zero,
            duration_ns=duration,
            ops=model.ops,
            weight_bytes=model.weights,
            activation_bytes=model.activations,
            temporary_bytes=model.temporaries,
            kv_bytes=model.kv,
            **delta(start.sample, end.sample),
        )


def _label_of(event: _Event) -> str:
    if not event.entering:
        return "end"
    node = event.node
    return node.operator if isinstance(node, Operator) else node.role


def delta(start: Sample, end: Sample) -> dict[str, int]:
    """The fields of `Interval` that are counters, for the interval between two samples."""
    changes = {name: b - a for name, a, b in zip(_COUNTERS, start, end, strict=True)}
    resident = end[_COUNTERS.index("rss_bytes")]
    return changes | {"rss_bytes": resident, "rss_delta_bytes": changes["rss_bytes"]}
