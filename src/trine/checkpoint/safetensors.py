"""A bounds-checked, mapped reader of safetensors files.

Layout (huggingface/safetensors README): 8 bytes little-endian header length N, N bytes of JSON
{name: {dtype, shape, data_offsets: [begin, end]}}, then the data; offsets count from its start.
Our own reader because bfloat16 has no NumPy dtype in the library's NumPy front end, and because
every damaged file must end in one line that names file and tensor.
"""

from __future__ import annotations

import json
import math
import reprlib
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.mapping import MappedFile
from trine.errors import CheckpointError

DTYPES: Mapping[str, Any] = {
    "BF16": ml_dtypes.bfloat16,
    "F16": np.float16,
    "F32": np.float32,
    "U8": np.uint8,
}
# The library's own limit on the header; a larger one is damage or an attack.
MAX_HEADER_BYTES = 100_000_000


# Far above every name there is, and short enough for a message of one line.
_LONGEST_NAME = 200


def is_name(text: str) -> bool:
    """Whether a file's word for a tensor or key can stand in a message of one line."""
    return text.isprintable() and len(text) <= _LONGEST_NAME


class SafetensorsFile:
    """The tensors of one file as views of its private mapping; nothing is read until used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mapping = MappedFile(path)
        data, size = self._mapping.data, self._mapping.data.size
        if size < 8:
            raise CheckpointError(f"{path} is truncated: {size} bytes hold no safetensors header")
        (length,) = struct.unpack("<Q", data[:8].tobytes())
        if length > min(size - 8, MAX_HEADER_BYTES):
            raise CheckpointError(
                f"{path} is truncated or damaged: its header claims {length} bytes, the file has "
                f"{size}; download it again"
            )
        try:
            header = json.loads(data[8 : 8 + length].tobytes())
        except (ValueError, RecursionError):
            raise CheckpointError(f"{path} is damaged: its header is not JSON") from None
        if not isinstance(header, dict):
            raise CheckpointError(f"{path} is damaged: its header is not an object")
        header.pop("__metadata__", None)
        self._data = data[8 + length :]
        self._entries = {name: self._entry(name, entry) for name, entry in header.items()}

    def names(self) -> list[str]:
        """The tensors of this file."""
        return list(self._entries)

    def tensor(self, name: str) -> NDArray[Any]:
        """A view; CheckpointError when the file has no such tensor or its dtype is not handled."""
        try:
            dtype, shape, begin, end = self._entries[name]
        except KeyError:
            raise CheckpointError(f"{self.path}: there is no tensor {name}") from None
        if dtype not in DTYPES:
            raise CheckpointError(
                f"{self.path}: {name} has dtype {dtype}; handled are {', '.join(DTYPES)}"
            )
        view: NDArray[Any] = self._data[begin:end].view(DTYPES[dtype])
        return view.reshape(shape)

    def release(self) -> None:
        """Let go of the memory that tensors took by being read; they stay valid."""
        self._mapping.release()

    def describe(self, name: str) -> tuple[str, tuple[int, ...], int]:
        """Dtype as the file names it, shape and bytes of a tensor of `names`."""
        dtype, shape, begin, end = self._entries[name]
        return dtype, shape, end - begin

    def _entry(self, name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
        if not is_name(name):
            raise CheckpointError(
                f"{self.path} is damaged: {reprlib.repr(name)} is no tensor's name"
            )
        where = f"{self.path}: {name}"
        try:
            dtype = entry["dtype"]
            shape = tuple(entry["shape"])
            begin, end = entry["data_offsets"]
        except (TypeError, KeyError, ValueError):
            raise CheckpointError(f"{where} has a malformed header entry") from None
        if not isinstance(dtype, str):
            raise CheckpointError(f"{where} has a dtype that is no name")
        if any(type(n) is not int or n < 0 for n in (*shape, begin, end)):
            raise CheckpointError(f"{where} has a shape or an offset that is no natural number")
        if not begin <= end <= self._data.size:
            raise CheckpointError(
                f"{where} lies at bytes {begin}..{end} of {self._data.size}: the file is "
                f"truncated; download it again"
            )
        if dtype in DTYPES:
            expected = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
            if end - begin != expected:
                raise CheckpointError(
                    f"{where} has {end - begin} bytes, its shape {list(shape)} needs {expected}"
                )
        return dtype, shape, begin, end
