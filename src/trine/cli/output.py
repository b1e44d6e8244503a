"""Where results go: a new dated folder, or the one that was named, made before any work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from trine.errors import ToolError


@contextlib.contextmanager
def result_folder(
    out: Path | None, verb: str, names: Iterable[str], *, force: bool
) -> Iterator[Path]:
    """A writable directory for the files `names`; `out` None makes `trine-<verb>-<date>-<time>`.

    When the block fails, what it made and wrote nothing to is removed again. Raises OutputExists
    for a folder that holds one of the files, unless `force`, and UsageError for one that cannot be.
    """
    from trine.report.folder import prepare

    folder = out or Path(f"trine-{verb}-{datetime.now():%Y%m%d-%H%M%S}")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    prepare(folder, names, force=force)
    try:
        yield folder
    except BaseException:
        with contextlib.suppress(OSError):  # the first that holds something, and all above it
            for path in made:
                path.rmdir()
        raise


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A block that writes into `folder`: a full disk is a ToolError and not a traceback."""
    try:
        yield
    except OSError as error:
        raise ToolError(
            f"cannot write {error.filename or folder}: {error.strerror}; make room, or choose "
            f"another --out"
        ) from None
