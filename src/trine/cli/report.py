"""`trine report`: render a saved profile again, or read another program's layer data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trine.cli.output import discard_if_empty, prepare
from trine.cli.profile import Language
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
    folder = prepare(out, NAME, force=force)
    try:
        written = _write(path, folder, lang.value)
    except BaseException:
        discard_if_empty(folder)
        raise
    print(f"{len(written)} files in {folder}")
    return 0


def _write(path: Path, folder: Path, lang: str) -> list[Path]:
    from trine.profiling.profile import Profile
    from trine.report import write_all
    from trine.report.foreign import is_foreign, write_foreign

    saved = path / "profile.json" if path.is_dir() else path
    if is_foreign(saved):
        return write_foreign(path, folder, lang=lang, force=True)
    return write_all(Profile.load(saved), folder, lang=lang, force=True)
