"""Where results go: a new dated folder, or the one that was named, checked before any work."""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from pathlib import Path

from trine.errors import OutputExists, UsageError


def discard_if_empty(folder: Path | None) -> None:
    """Remove a folder that `prepare` made and nothing was written to."""
    if folder is not None:
        with contextlib.suppress(OSError):
            folder.rmdir()


def prepare(out: Path | None, verb: str, *, force: bool) -> Path:
    """A writable directory for a verb's files; `out` None makes `trine-<verb>-<date>-<time>`.

    Raises OutputExists for a folder that already holds something, unless `force`, and UsageError
    when it is a file or cannot be written.
    """
    if out is None:
        out = Path(f"trine-{verb}-{datetime.now():%Y%m%d-%H%M%S}")
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; name a folder")
    if out.is_dir() and any(out.iterdir()) and not force:
        raise OutputExists(f"{out} is not empty; use --force to overwrite, or another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out} cannot be made: {error.strerror}") from None
    if not os.access(out, os.W_OK | os.X_OK):
        raise UsageError(f"--out {out} is not writable")
    return out
