"""Progress on stderr for the phases of a long command."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Bar:
    """Call it with (phase, done, total): a bar in a terminal, elsewhere a line as a phase begins.

    `quiet` leaves the lines out, for a command whose output another program reads.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True)
        self._lines = not self._console.is_terminal and not quiet
        self._bar = Progress(
            TextColumn("{task.description:18}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            # Two redraws a second cost the measured process well under 0.1 % of a core.
            refresh_per_second=2,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, int] = {}

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Move the bar of `phase` to `done` of `total`; a new phase gets a new bar."""
        if phase not in self._tasks:
            self._tasks[phase] = self._bar.add_task(phase, total=total)
            if self._lines:
                self._console.print(f"trine: {phase}", highlight=False)
        self._bar.update(self._tasks[phase], completed=done, total=total)  # type: ignore[arg-type]

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
