"""Tensors on their way into a file: sizes known beforehand, bytes made one tensor at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

# progress(tensors done, tensors in all)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """`kind` is the file format's own name or number of the type; `make` gives `nbytes` bytes."""

    name: str
    kind: str | int
    shape: tuple[int, ...]
    nbytes: int
    make: Callable[[], NDArray[Any]]


def write_tensors(
    file: BinaryIO, tensors: Sequence[StoredTensor], alignment: int, progress: Progress | None
) -> None:
    """The bytes of all tensors, each padded with zeros to a multiple of `alignment`."""
    for done, tensor in enumerate(tensors, start=1):
        data = np.ascontiguousarray(tensor.make()).reshape(-1).view(np.uint8)
        if data.nbytes != tensor.nbytes:
            raise ValueError(f"{tensor.name} has {data.nbytes} bytes, not {tensor.nbytes}")
        file.write(data.data)
        file.write(bytes(-data.nbytes % alignment))
        if progress is not None:
            progress(done, len(tensors))
