"""A second, plain GGUF writer: what `trine convert` does not write, and files that are wrong."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

ALIGNMENT = 32
STRING, ARRAY, BOOL, UINT32, FLOAT32 = 8, 9, 7, 4, 6


@dataclass
class Entry:
    """A tensor: `shape` outermost first; `offset` overrides where its entry says that it lies."""

    name: str
    type_id: int
    shape: tuple[int, ...]
    data: bytes
    offset: int | None = None


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def pair(key: str, value: Any) -> bytes:
    return text(key) + typed(value)


def typed(value: Any) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", STRING) + text(value)
    if isinstance(value, bool):
        return struct.pack("<I?", BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", UINT32, value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT32, value)
    items = [typed(item) for item in value]
    head = struct.pack("<IIQ", ARRAY, struct.unpack("<I", items[0][:4])[0], len(items))
    return head + b"".join(item[4:] for item in items)


def gguf(metadata: dict[str, Any], entries: list[Entry], version: int = 3) -> bytes:
    """A whole file."""
    head = struct.pack("<4sIQQ", b"GGUF", version, len(entries), len(metadata))
    head += b"".join(pair(key, value) for key, value in metadata.items())
    data = b""
    for entry in entries:
        head += text(entry.name) + struct.pack("<I", len(entry.shape))
        head += b"".join(struct.pack("<Q", size) for size in reversed(entry.shape))
        place = len(data) if entry.offset is None else entry.offset
        head += struct.pack("<IQ", entry.type_id, place)
        data += entry.data + bytes(-len(entry.data) % ALIGNMENT)
    return head + bytes(-len(head) % ALIGNMENT) + data


def q8_0(values: np.ndarray) -> bytes:
    """ggml's Q8_0: d = max|w| / 127, rounded half away from zero."""
    blocks = values.astype(np.float32).reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / 127
    codes = np.round(np.divide(blocks, scale, where=scale > 0, out=np.zeros_like(blocks)))
    parts = [scale.astype("<f2").view(np.uint8), codes.astype(np.int8).view(np.uint8)]
    return np.concatenate(parts, axis=1).tobytes()
