"""Progress of a training on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from trine.torch.train.loop import StepRecord

LINE_EVERY = 50


class TrainingBar:
    """Call it with each StepRecord."""

    def __init__(self, steps: int, done: int) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=self._console,
            refresh_per_second=2,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=steps, completed=done)
        self._steps = steps

    def __call__(self, record: StepRecord) -> None:
        """Show one step; every `LINE_EVERY` steps, and with each validation, as a line."""
        losses = ", ".join(f"{name} {value:.3f}" for name, value in record.loss.items())
        speed = f"{record.tokens_per_second:.0f} tokens/s"
        self._bar.update(self._task, completed=record.step, description=f"loss {losses}, {speed}")
        judged = record.validation or {}
        held_out = "".join(f", held out {name} {value:.3f}" for name, value in judged.items())
        due = record.step % LINE_EVERY == 0 and not self._console.is_terminal
        if due or judged:
            self.say(f"step {record.step}/{self._steps}: loss {losses}{held_out}, {speed}")

    def say(self, line: str) -> None:
        """One line above the bar."""
        self._console.print(f"trine: {line}", soft_wrap=True)

    def __enter__(self) -> TrainingBar:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
