"""`trine report`: render a saved profile again, or read another program's layer data."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from trine.cli.output import result_folder, writing
from trine.cli.profile import Language
from trine.cli.progress import Bar
from trine.errors import UsageError

NAME = "report"


def command(
    path: Annotated[
        Path,
        typer.Argument(
            help="profile.json, raw_layer_data.csv, inference_profile_report.json, or their folder"
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="folder; default: a new dated one")] = None,
    lang: Annotated[Language, typer.Option(help="language of the reports")] = Language.both,
    force: Annotated[bool, typer.Option("--force", help="overwrite files in --out")] = False,
) -> int:
    """Write the reports of a profile, or of a foreign raw_layer_data.csv."""
    if not path.exists():
        raise UsageError(f"{path} does not exist; give a profile.json or a raw_layer_data.csv")
    from trine.report.folder import ALL_FILES, REPORT_FILES
    from trine.report.foreign import is_foreign

    saved = path / "profile.json" if path.is_dir() else path
    foreign = is_foreign(saved)
    names = REPORT_FILES if foreign else ALL_FILES
    with result_folder(out, NAME, names, force=force) as folder:
        # Reading comes before the first line of progress: its errors stand alone.
        write = _foreign(path) if foreign else _own(saved)
        with Bar() as bar, writing(folder):
            bar("writing the report", 0, 1)
            written = write(folder, lang=lang.value, force=True)
            bar("writing the report", 1, 1)
    print(f"{len(written)} files in {folder}")
    return 0


def _own(path: Path) -> Callable[..., list[Path]]:
    """A profile, read and waiting for its folder."""
    from trine.profiling.profile import Profile
    from trine.report.bundle import write_all

    return partial(write_all, Profile.load(path))


def _foreign(path: Path) -> Callable[..., list[Path]]:
    """Another program's table, read and waiting for its folder."""
    from trine.report.foreign import read, write_foreign

    return partial(write_foreign, read(path))
