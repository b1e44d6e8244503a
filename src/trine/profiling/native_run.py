"""The native engine under the recorder: the protocol's session, and the profile it leaves.

The engine takes its own times in C++ (`Engine.forward(events=...)`, on the clock of
`perf_counter_ns`), so that no probe runs between its steps: counters exist for whole passes only.
What Python does in a pass, from the call to the chosen token, is in the pass; turning the events
into Python objects is the recorder's own time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint import Checkpoint
from trine.checkpoint.tensors import EMBEDDING
from trine.model.engine import Engine, Event, Run
from trine.model.session import Session
from trine.profiling import machine, roofs
from trine.profiling.inputs import Tokens
from trine.profiling.native_check import check_engine
from trine.profiling.native_steps import Span, Steps
from trine.profiling.probes import ProcessProbe, file_bytes, rss_bytes
from trine.profiling.profile import (
    Agreement,
    Machine,
    Model,
    NumericCheck,
    Overhead,
    Pass,
    Profile,
    Record,
    Roof,
    Stage,
    State,
)
from trine.profiling.profile import Run as RunFacts
from trine.profiling.protocol import Ending, Progress, Task, carry_out
from trine.profiling.recorder import delta

# Variables that change how fast the engine is; recorded so that two profiles can be compared.
SPEED_VARIABLES = ("TRINE_KERNEL", "LD_PRELOAD", "GLIBC_TUNABLES")
# The recorder is compared with no recorder in so many pairs of prefills, or as many as fit the
# time: below 1 % is less than a busy machine's noise, which only the number of pairs averages.
_PAIRS, _PAIR_SECONDS = 25, 3.0


@dataclass(frozen=True, slots=True)
class NativeSettings:
    """What to run; `layers` None means all. Names as in `trine bench`."""

    threads: int
    decode: int
    warmup: int
    repeat: int
    layers: int | None
    body: str
    head: str
    cache: str
    command: str


class NativeSession:
    """One loaded engine being run; times count from `zero`, `passes` grow when a pass ends."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        tokens: Tokens,
        settings: NativeSettings,
        progress: Progress,
        clock: Callable[[], int] = time.perf_counter_ns,
        zero: int | None = None,
    ) -> None:
        self.passes: list[Pass] = []
        self.records: list[Record] = []
        self.checks: list[NumericCheck] = []
        self.overhead: Overhead | None = None
        self.agreement: Agreement | None = None
        self.settings = settings
        self._checkpoint = checkpoint
        self._tokens = tokens
        self._ids = np.asarray(tokens.ids, dtype=np.int64)
        self._progress = progress
        self._clock = clock
        self._probe = ProcessProbe()
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self.engine, self._model, self._steps = self._load()
        self._session = self.engine.session(len(self._ids) + settings.decode, settings.cache)
        self._zero = clock() if zero is None else zero

    def close(self) -> None:
        """Release what the probe holds."""
        self._probe.close()

    def play(self, state: State, repetition: int) -> None:
        """A prefill and its decode steps under the recorder."""
        self._session.rewind(0)
        count = len(self._ids)
        token = self._recorded("prefill", state, repetition, 0, self._ids)
        for step in range(self.settings.decode):
            token = self._recorded("decode", state, repetition, step, np.array([token]))
        assert self._session.length == count + self.settings.decode

    def tasks(self) -> list[Task]:
        """The recorder's overhead and the numeric check."""
        return [
            ("the recorder's overhead", self._measure_overhead),
            ("the numeric check of the native engine", self._check),
        ]

    def profile(self, host: Machine, ceilings: list[Roof], ending: Ending) -> Profile:
        """What has been measured."""
        settings, tokens = self.settings, self._tokens
        return Profile(
            machine=host,
            versions=machine.versions(),
            model=self._model,
            run=RunFacts(
                backend="native",
                started=self._started,
                command=settings.command,
                threads=settings.threads,
                prompt=tokens.prompt,
                tokens=tokens.ids,
                decode_steps=settings.decode,
                warmup=settings.warmup,
                repeat=settings.repeat,
                compile_cache="none",
                environment={n: os.environ[n] for n in SPEED_VARIABLES if n in os.environ},
                options={
                    "kernel": self.engine.kernel,
                    "body": self.engine.body,
                    "head": self.engine.head.kind,
                    "head_dtype": self.engine.head.dtype,
                    "cache": settings.cache,
                },
            ),
            roofs=ceilings,
            passes=self.passes,
            records=[r for r in self.records if r.pass_index < len(self.passes)],
            checks=self.checks,
            overhead=self.overhead,
            agreement=self.agreement,
            status=ending.status,
            status_note=ending.note,
            ended_by=ending.ended_by,
        )

    def _load(self) -> tuple[Engine, Model, Steps]:
        settings, checkpoint = self.settings, self._checkpoint
        before, start = rss_bytes(), time.perf_counter()
        engine = Engine.from_checkpoint(
            checkpoint,
            threads=settings.threads,
            body=settings.body,
            head=settings.head,
            layers=settings.layers,
            progress=lambda done, total: self._progress("packing the engine", done, total),
        )
        seconds = time.perf_counter() - start
        embedding = checkpoint.dense(EMBEDDING)
        steps = Steps(engine, engine.session(1, settings.cache), embedding.itemsize)
        config, origin = checkpoint.config, checkpoint.provenance
        # The head's rows are the embedding itself, or a copy in another form beside it.
        stored = 0 if engine.head.kind == "float" and config.tied_embeddings else embedding.nbytes
        model = Model(
            id=origin.id,
            synthetic=origin.synthetic,
            seed=origin.seed,
            revision=origin.revision,
            architecture="Engine",
            structure=steps.structure(),
            mode="native",
            dtype="float32",
            layers=engine.layers,
            layers_total=config.layers,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            heads=config.heads,
            kv_heads=config.kv_heads,
            head_dim=config.head_dim,
            vocab_size=config.vocab_size,
            context=config.context,
            tied_embeddings=config.tied_embeddings,
            parameters=config.parameters(engine.layers),
            ternary_parameters=engine.layers * config.ternary_per_layer,
            weight_bytes=engine.body_nbytes + engine.head.nbytes + stored,
            load_seconds=seconds,
            rss_before_load_bytes=before,
            rss_after_load_bytes=rss_bytes(),
            file_after_load_bytes=file_bytes(),
        )
        return engine, model, steps

    def _recorded(
        self, stage: Stage, state: State, repetition: int, step: int, ids: NDArray[np.int64]
    ) -> int:
        """One pass: forward, lm_head, choice of the token; returns the token."""
        spans: list[Span] = []
        first = self._probe()
        start = self._clock()
        hidden = self._forward(self._session, ids, spans)
        at_head = self._clock()
        logits = self.engine.head.logits(hidden)
        at_choice = self._clock()
        token = int(logits[0].argmax())
        end = self._clock()
        last = self._probe()
        context, zero = self._session.length, self._zero
        edge = (len(ids), context)
        spans += [
            Span("lm_head", -1, at_head, at_choice, *edge),
            Span("sampling", -1, at_choice, end, *edge),
        ]
        spans = [s._replace(begin=s.begin - zero, end=s.end - zero) for s in spans]
        pass_ = Pass(
            stage=stage,
            state=state,
            repetition=repetition,
            step=step,
            tokens=len(ids),
            context=context,
            start_ns=start - zero,
            duration_ns=end - start,
            recorder_ns=sum(s.end - s.begin for s in spans if not s.step),
            **delta(first, last),
        )
        # In this order: an interrupt in between leaves records without a pass, which `profile`
        # drops.
        self.records += self._steps.records(pass_, len(self.passes), spans)
        self.passes.append(pass_)
        return token

    def _forward(
        self, session: Session, ids: NDArray[np.int64], spans: list[Span] | None
    ) -> NDArray[np.float32]:
        """The last hidden state [1, H] of `ids`, in passes as the engine takes them."""
        engine = self.engine
        hidden = np.empty((0, 0), np.float32)
        for begin in range(0, len(ids), engine.max_rows):
            part = ids[begin : begin + engine.max_rows]
            events: list[Event] | None = None if spans is None else []
            hidden = engine.forward([Run(session, part)], events=events)
            if spans is not None and events:
                handed = self._clock()
                edge = (len(part), session.length)
                spans += [Span(*event, *edge) for event in events]
                spans.append(Span("", -1, events[-1][3], handed, *edge))
        return hidden[-1:]

    def _measure_overhead(self) -> None:
        """Prefills with and without events, in alternating order."""
        recorded: list[int] = []
        bare: list[int] = []
        events: list[Span] = []
        deadline = time.perf_counter() + _PAIR_SECONDS
        for pair in range(_PAIRS):
            if pair >= self.settings.repeat and time.perf_counter() > deadline:
                break
            for watched in (True, False) if pair % 2 else (False, True):
                self._session.rewind(0)
                events = []
                start = self._clock()
                hidden = self._forward(self._session, self._ids, events if watched else None)
                self.engine.head.logits(hidden)[0].argmax()
                (recorded if watched else bare).append(self._clock() - start)
                count = len(events) or (self.overhead.events_per_pass if self.overhead else 0)
            self.overhead = Overhead(recorded[:], bare[:], count)

    def _check(self) -> None:
        self.checks = check_engine(
            self._checkpoint,
            self.engine,
            self._tokens.ids,
            cache=self.settings.cache,
            decode=self.settings.decode > 0,
            progress=lambda done, total: self._progress("numeric check, native", done, total),
        )


def run(
    checkpoint: Checkpoint, tokens: Tokens, settings: NativeSettings, progress: Progress
) -> Profile:
    """Profile the native engine alone; after Ctrl-C or a failure, what is complete so far."""
    host = machine.describe()
    session = NativeSession(checkpoint, tokens, settings, progress)
    try:
        ceilings = measure_roofs(settings.threads, progress)
        ending = carry_out(
            [session],
            threads=settings.threads,
            warmup=settings.warmup,
            repeat=settings.repeat,
            ceilings=ceilings,
            progress=progress,
        )
    finally:
        session.close()
    profile = session.profile(host, ceilings, ending)
    profile.check()
    return profile


def measure_roofs(threads: int, progress: Progress) -> list[Roof]:
    """One thread and the run's own count: what one core can read, and what they share."""
    progress("measuring roofs", 0, 1)
    ceilings = roofs.measure(sorted({1, threads}), phase="before")
    progress("measuring roofs", 1, 1)
    return ceilings
