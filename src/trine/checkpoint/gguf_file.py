"""A bounds-checked, mapped reader of GGUF files, versions 2 and 3, little endian.

Layout (docs/gguf.md of ggml), all integers little endian:

    "GGUF", uint32 version, uint64 tensors, uint64 pairs
    pairs    string key, uint32 type, value       string: uint64 length, UTF-8
                                                  array: uint32 type, uint64 count, values
    tensors  string name, uint32 dimensions, uint64 each (the innermost first), uint32 type,
             uint64 offset from the start of the data
    data     from the next multiple of `general.alignment` (32 where it is absent)

Our own reader because gguf-py refuses a whole file for one type that it does not know, and because
every damaged file must end in one line. Counts and lengths are held against the bytes that are left
before anything is allocated.
"""

from __future__ import annotations

import itertools
import math
import reprlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.mapping import MappedFile
from trine.checkpoint.safetensors import is_name
from trine.errors import CheckpointError
from trine.ternary.gguf import LAYOUTS

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = 32
_MAX_DIMENSIONS = 4
# Above every key and tensor name there is; GGUF's own limit is 65,535.
_MAX_NAME = 65_535
_MAX_ALIGNMENT = 1 << 16
STRING, ARRAY = 8, 9
# Value types that are no string and no array.
SCALARS: Mapping[int, np.dtype[Any]] = MappingProxyType(
    {
        number: np.dtype(name)
        for number, name in enumerate(("<u1", "<i1", "<u2", "<i2", "<u4", "<i4", "<f4", "?"))
    }
    | {10: np.dtype("<u8"), 11: np.dtype("<i8"), 12: np.dtype("<f8")}
)
# Types that are not ternary: id, name, weights and bytes of a block.
PLAIN: Mapping[int, tuple[str, int, int]] = MappingProxyType(
    {
        0: ("F32", 1, 4),
        1: ("F16", 1, 2),
        8: ("Q8_0", 32, 34),
        14: ("Q6_K", 256, 210),
        30: ("BF16", 1, 2),
    }
)


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor: `shape` outermost first, `type_id` of ggml, where its bytes are in the file.

    `nbytes` is None for a type that trine does not know.
    """

    name: str
    shape: tuple[int, ...]
    type_id: int
    offset: int
    nbytes: int | None

    @property
    def type_name(self) -> str:
        """The type's name in ggml, or its number."""
        if self.type_id in PLAIN:
            return PLAIN[self.type_id][0]
        return LAYOUTS[self.type_id].name if self.type_id in LAYOUTS else f"type {self.type_id}"


class GGUFFile:
    """Metadata and tensors of one file; tensors are views of its private mapping."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mapping = MappedFile(path)
        self._data = data = self._mapping.data
        cursor = _Cursor(path, data)
        if cursor.take(4).tobytes() != MAGIC:
            raise CheckpointError(f"{path} is no GGUF file: it does not begin with GGUF")
        version = cursor.unsigned(4)
        if version not in VERSIONS:
            raise CheckpointError(
                f"{path} is GGUF version {version}; trine reads versions 2 and 3, little endian"
            )
        tensors, pairs = cursor.unsigned(8), cursor.unsigned(8)
        # A pair is at least a key length, a type and a byte; a tensor 8 + 4 + 8 + 4 + 8 bytes.
        cursor.require(pairs, 13, "metadata pairs")
        self.metadata: dict[str, Any] = {}
        for _ in range(pairs):
            key = cursor.string("a metadata key", _MAX_NAME)
            if key in self.metadata:
                raise CheckpointError(f"{path} is damaged: the key {key!r} occurs twice")
            self.metadata[key] = cursor.value(key)
        cursor.require(tensors, 32, "tensors")
        entries = [self._entry(cursor) for _ in range(tensors)]
        start = -(-cursor.position // self._alignment()) * self._alignment()
        self.tensors: dict[str, TensorEntry] = {}
        for name, shape, type_id, offset in entries:
            if name in self.tensors:
                raise CheckpointError(f"{path} is damaged: the tensor {name!r} occurs twice")
            self.tensors[name] = self._placed(name, shape, type_id, start + offset)
        self._judge_overlaps()

    def raw(self, name: str) -> NDArray[np.uint8]:
        """The bytes of a tensor of a known type; CheckpointError where there is none."""
        entry = self.entry(name)
        if entry.nbytes is None:
            known = [PLAIN[number][0] for number in PLAIN] + [
                each.name for each in LAYOUTS.values()
            ]
            raise CheckpointError(
                f"{self.path}: {name} is of ggml's {entry.type_name}; handled are "
                f"{', '.join(known)}"
            )
        return self._data[entry.offset : entry.offset + entry.nbytes]

    def release(self) -> None:
        """Let go of the memory that tensors took by being read; they stay valid."""
        self._mapping.release()

    def entry(self, name: str) -> TensorEntry:
        """The entry of a tensor; CheckpointError when the file has none of this name."""
        if name not in self.tensors:
            raise CheckpointError(f"{self.path}: the tensor {name} is missing")
        return self.tensors[name]

    def _alignment(self) -> int:
        value = self.metadata.get("general.alignment", ALIGNMENT)
        if type(value) is not int or not 8 <= value <= _MAX_ALIGNMENT or value & (value - 1):
            raise CheckpointError(
                f"{self.path}: general.alignment is {value!r}; it must be a power of two from 8 "
                f"to {_MAX_ALIGNMENT}"
            )
        return value

    def _entry(self, cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
        name = cursor.string("a tensor's name", _MAX_NAME)
        dimensions = cursor.unsigned(4)
        if not 1 <= dimensions <= _MAX_DIMENSIONS:
            raise CheckpointError(f"{self.path}: {name} has {dimensions} dimensions, 1 to 4 can be")
        shape = tuple(cursor.unsigned(8) for _ in range(dimensions))
        return name, shape[::-1], cursor.unsigned(4), cursor.unsigned(8)

    def _placed(self, name: str, shape: tuple[int, ...], type_id: int, offset: int) -> TensorEntry:
        where = f"{self.path}: {name}"
        if 0 in shape:
            raise CheckpointError(f"{where} is empty: its shape is {list(shape)}")
        if offset % self._alignment():
            raise CheckpointError(f"{where} is not aligned: it begins at byte {offset}")
        nbytes = _nbytes(where, shape, type_id)
        if offset + (nbytes or 0) > self._data.size:
            raise CheckpointError(
                f"{where} lies at bytes {offset}..{offset + (nbytes or 0)} of {self._data.size}: "
                f"the file is truncated; download it again"
            )
        return TensorEntry(name, shape, type_id, offset, nbytes)

    def _judge_overlaps(self) -> None:
        """Tensors that share bytes are two names for one thing, or damage; none is believed."""
        order = sorted(self.tensors.values(), key=lambda entry: entry.offset)
        for before, after in itertools.pairwise(order):
            if before.offset + (before.nbytes or 1) > after.offset:
                raise CheckpointError(
                    f"{self.path} is damaged: {before.name} and {after.name} overlap"
                )


class _Cursor:
    """Reads the header from its start to its end and never past it."""

    def __init__(self, path: Path, data: NDArray[np.uint8]) -> None:
        self._path, self._data = path, data
        self.position = 0

    def take(self, count: int) -> NDArray[np.uint8]:
        left = self._data.size - self.position
        if count > left:
            raise CheckpointError(
                f"{self._path} is truncated or damaged: its header needs {count} bytes at byte "
                f"{self.position}, and {left} are left; download it again"
            )
        piece = self._data[self.position : self.position + count]
        self.position += count
        return piece

    def require(self, count: int, least: int, what: str) -> None:
        """Refuse a count of things of `least` bytes each that the file has no room for."""
        left = self._data.size - self.position
        if count > left // least:
            raise CheckpointError(
                f"{self._path} is truncated or damaged: it claims {count} {what}, and {left} bytes "
                f"are left; download it again"
            )

    def unsigned(self, width: int) -> int:
        return int.from_bytes(self.take(width).tobytes(), "little")

    def string(self, what: str, limit: int | None = None) -> str:
        length = self.unsigned(8)
        if limit is not None and length > limit:
            raise CheckpointError(
                f"{self._path} is damaged: {what} of {length} bytes, at most {limit} can be"
            )
        try:
            text = self.take(length).tobytes().decode("utf-8")
        except UnicodeDecodeError:
            raise CheckpointError(
                f"{self._path} is damaged: {what} before byte {self.position} is not UTF-8"
            ) from None
        if limit is not None and not is_name(text):
            raise CheckpointError(f"{self._path} is damaged: {what} is {reprlib.repr(text)}")
        return text

    def value(self, key: str) -> Any:
        kind = self.unsigned(4)
        if kind == STRING:
            return self.string(f"the value of {key!r}")
        if kind != ARRAY:
            return self._scalars(key, kind, 1)[0]
        kind, count = self.unsigned(4), self.unsigned(8)
        if kind != STRING:
            return self._scalars(key, kind, count)
        self.require(count, 8, f"strings in {key!r}")
        return self._strings(key, count)

    def _strings(self, key: str, count: int) -> list[str]:
        # A vocabulary has 400,000 of them: one view and one unpacker, not four calls each.
        rest = self._data.data[self.position :]
        start, texts, unpack = 0, [], struct.Struct("<Q").unpack_from
        for _ in range(count):
            if start + 8 > len(rest):
                self.take(len(rest) + 1)
            (length,) = unpack(rest, start)
            start += 8
            if length > len(rest) - start:
                self.take(start + length)
            try:
                texts.append(str(rest[start : start + length], "utf-8"))
            except UnicodeDecodeError:
                raise CheckpointError(
                    f"{self._path} is damaged: a string of {key!r} is not UTF-8"
                ) from None
            start += length
        self.position += start
        return texts

    def _scalars(self, key: str, kind: int, count: int) -> list[Any]:
        if kind not in SCALARS:
            raise CheckpointError(
                f"{self._path} is damaged: {key!r} holds values of the unknown type {kind}"
            )
        dtype = SCALARS[kind]
        self.require(count, dtype.itemsize, f"values in {key!r}")
        values: list[Any] = self.take(count * dtype.itemsize).view(dtype).tolist()
        return values


def _nbytes(where: str, shape: tuple[int, ...], type_id: int) -> int | None:
    rows, columns = math.prod(shape[:-1]), shape[-1]
    if type_id in LAYOUTS:
        layout = LAYOUTS[type_id]
        # I2_S of ARM has blocks of 64.
        block = min(layout.block, 64)
        if columns % block:
            raise CheckpointError(
                f"{where} is {layout.name} of shape {list(shape)}, whose rows are no multiple of "
                f"{block}"
            )
        return layout.nbytes(rows, columns)
    if type_id not in PLAIN:
        return None
    name, weights, size = PLAIN[type_id]
    if columns % weights:
        raise CheckpointError(
            f"{where} is {name} of shape {list(shape)}, whose rows are no multiple of {weights}"
        )
    return rows * (columns // weights) * size
