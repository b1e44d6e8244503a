"""Results that are there whole or not at all: written aside, synced, then renamed into place."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from trine.errors import OutputExists, TrineError, UsageError


@contextlib.contextmanager
def replacing(path: Path, *, directory: bool, force: bool) -> Iterator[Path]:
    """A new file or directory to write to, which becomes `path` when the block ends.

    When the block raises, what was written is removed and `path` holds what it held. Raises
    OutputExists where there is something, unless `force`; UsageError where there is a thing of the
    other kind, or no folder to write in; TrineError in one line when the disk refuses.
    """
    path = path.expanduser().absolute()
    _require_replaceable(path, directory=directory, force=force)
    try:
        aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror or error}; choose another place"
        ) from None
    new = aside / path.name
    try:
        if directory:
            new.mkdir()
        yield new
        for file in new.iterdir() if directory else [new]:
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        if directory and path.exists():
            path.rename(aside / "old")
        new.replace(path)
    except OSError as error:
        raise TrineError(
            f"cannot write {path}: {error.strerror or error}; nothing was changed, make room or "
            f"choose another place"
        ) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _require_replaceable(path: Path, *, directory: bool, force: bool) -> None:
    if not path.exists():
        return
    if path.is_dir() != directory:
        wanted, found = ("directory", "file") if directory else ("file", "directory")
        raise UsageError(f"{path} is a {found}, and a {wanted} is to be written; choose another")
    if not force:
        raise OutputExists(f"{path} exists; --force replaces it, or choose another place")
    # A directory is replaced as a whole, so it must be a model and not somebody's home.
    if directory and any(path.iterdir()) and not (path / "config.json").is_file():
        raise OutputExists(f"{path} holds something else than a model; choose another place")
