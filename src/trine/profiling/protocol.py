"""The protocol of a run, whatever executes it: cold, warm-up, repetitions, and what follows them.

In: sessions, each one backend with a loaded model. Out: how the run ended; each session keeps its
passes. One cold prefill and its decode steps, then `warmup` repetitions that no statistic uses,
then `repeat` measured ones. Each measured repetition is preceded by a quick probe of the roofs,
because a shared machine drifts. Several sessions take turns within every repetition, in
alternating order (A B B A), so that a drift meets all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from trine.profiling import roofs
from trine.profiling.profile import Pass, Roof, State

# A phase's name, and what to do in it.
Task = tuple[str, Callable[[], None]]


class Progress(Protocol):
    """Where a run reports how far it is; `total` steps of the phase named `phase`."""

    def __call__(self, phase: str, done: int, total: int) -> None:
        """`done` of `total` steps of `phase` are finished."""


class Session(Protocol):
    """One backend, ready to run."""

    @property
    def passes(self) -> Sequence[Pass]:
        """The passes that ended."""

    def play(self, state: State, repetition: int) -> None:
        """A prefill and its decode steps under the recorder.

        A measured one is paired with a prefill without the recorder, in alternating order.
        """

    def tasks(self) -> list[Task]:
        """What follows the repetitions: checks, experiments."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The fields `status`, `status_note` and `ended_by` of a Profile."""

    status: Literal["complete", "partial"]
    note: str
    ended_by: Literal["end", "interrupt", "error"]


def carry_out(
    sessions: Sequence[Session],
    *,
    threads: int,
    warmup: int,
    repeat: int,
    ceilings: list[Roof],
    progress: Progress,
    last: Sequence[Task] = (),
) -> Ending:
    """Run everything; probes are added to `ceilings`, `last` comes after the sessions' own tasks.

    After Ctrl-C or a failure the passes that are complete are worth keeping: it is told, not
    raised.
    """
    phase = "the cold run"
    total = 1 + warmup + repeat
    try:
        progress("cold run", 0, total)
        for session in sessions:
            session.play("cold", 0)
        for repetition in range(warmup):
            phase = f"warm-up {repetition + 1} of {warmup}"
            progress("warm-up", 1 + repetition, total)
            for session in sessions:
                session.play("warmup", repetition)
        for repetition in range(repeat):
            phase = f"repetition {repetition + 1} of {repeat}"
            progress("measured", 1 + warmup + repetition, total)
            ceilings += roofs.measure([threads], phase=f"between:{repetition}", quick=True)
            for session in sessions if repetition % 2 == 0 else reversed(sessions):
                session.play("measured", repetition)
        progress("measured", total, total)
        for name, task in [*(task for session in sessions for task in session.tasks()), *last]:
            phase = name
            task()
        phase = "the last probe of the roofs"
        ceilings += roofs.measure([threads], phase="after", quick=True)
    except KeyboardInterrupt:
        done = sum(len(session.passes) for session in sessions)
        return Ending("partial", f"interrupted during {phase}; {done} passes", "interrupt")
    # Whatever failed; the caller sees the note.
    except Exception as error:
        first = (str(error).strip() or repr(error)).splitlines()[0]
        note = f"failed during {phase}: {type(error).__name__}: {first}"
        return Ending("partial", note, "error")
    return Ending("complete", "", "end")
