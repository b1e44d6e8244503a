"""A file as memory: nothing is read until it is used, and what was read can be let go again."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trine.errors import CheckpointError


class MappedFile:
    """A private mapping of a file; `data` are its bytes, uint8, empty for an empty file.

    Raises CheckpointError when the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._mmap: mmap.mmap | None = None
        try:
            with path.open("rb") as file:
                if path.stat().st_size:
                    # Copy-on-write: torch wants writable memory even to read from.
                    self._mmap = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except OSError as error:
            raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from None
        self.data: NDArray[np.uint8] = np.frombuffer(self._mmap or b"", dtype=np.uint8)

    def release(self) -> None:
        """Take the pages out of the process's memory; the next use reads them from the file."""
        if self._mmap is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._mmap.madvise(mmap.MADV_DONTNEED)
