"""`trine train`: quantisation-aware training on a folder of books, resumable at any moment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trine.checkpoint import open_checkpoint
from trine.errors import OutputExists, UsageError

if TYPE_CHECKING:
    from trine.torch.train.loop import Run

NAME = "train"
DEFAULTS = {"steps": 4000, "seed": 0, "batch": 4, "peak_lr": 2e-3}


def command(
    data: Annotated[Path, typer.Argument(help="folder of .txt files, one book a file")],
    out: Annotated[Path, typer.Option(help="folder of the run and of the model it makes")],
    model: Annotated[
        str | None,
        typer.Option(help="fine-tune this checkpoint; default: new weights, 5.5 M parameters"),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="updates  [default: 4000]")] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="windows of 512 tokens an update  [default: 4]")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(min=1e-8, max=1.0, help="peak learning rate  [default: 2e-3]")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="of weights and batches  [default: 0]")
    ] = None,
    held_out: Annotated[
        list[str] | None,
        typer.Option(help="file name or pattern of books to keep out; may be repeated"),
    ] = None,
    twin: Annotated[
        bool | None, typer.Option("--twin", help="train a float32 twin on the same batches")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on from the last checkpoint in --out")
    ] = False,
) -> int:
    """Train a BitNet b1.58 model on text, or fine-tune one; Ctrl-C saves, --resume goes on."""
    options = {"steps": steps, "seed": seed, "batch": batch, "peak_lr": lr, "twin": twin}
    asked = {name: value for name, value in options.items() if value is not None}
    run = (
        _resumed(data, out, asked, model, held_out)
        if resume
        else _started(data, out, asked, model, held_out or [])
    )
    _train(run, out)
    return 0


def _started(
    data: Path, out: Path, asked: dict[str, Any], model: str | None, held_out: list[str]
) -> Run:
    checkpoint = None if model is None else open_checkpoint(model)
    from trine.torch.train.prepare import Request, start_run
    from trine.torch.train.recipe import STORIES

    _require_empty(out)
    settings = {**DEFAULTS, "twin": False, **asked}
    return start_run(
        Request(data=data, out=out, held_out=held_out, model=STORIES, start=checkpoint, **settings)
    )


def _require_empty(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; --out needs a folder")
    if (out / "training" / "state.pt").exists():
        raise OutputExists(f"{out} holds a run; --resume goes on with it, or choose another --out")
    if out.is_dir() and any(out.iterdir()):
        raise OutputExists(f"{out} is not empty; choose another --out")


def _resumed(
    data: Path, out: Path, asked: dict[str, Any], model: str | None, held_out: list[str] | None
) -> Run:
    from trine.torch.train.corpus import read_books
    from trine.torch.train.prepare import resume_run

    if model is not None:
        asked["start"] = model
    if held_out is not None:
        asked["held_out"] = tuple(read_books(data, held_out).held_out)
    return resume_run(data, out, asked)


def _train(run: Run, out: Path) -> None:
    from trine.cli.training_bar import TrainingBar
    from trine.torch.train.folder import RunFolder
    from trine.torch.train.loop import read_log
    from trine.torch.train.loss_plot import draw

    if run.step >= run.recipe.steps:
        raise UsageError(f"{out} has done all of its {run.recipe.steps} steps")
    folder = RunFolder(out)
    try:
        with TrainingBar(run.recipe.steps, run.step) as bar:
            run.train(bar)
    except KeyboardInterrupt:
        bar.say(f"--resume goes on from step {run.saved_step} of {run.recipe.steps}")
        raise
    finally:
        records = read_log(folder)
        if records:
            draw(records, folder.plot)
    bar.say(f"model in {out}, log and loss plot in {folder.training}")
