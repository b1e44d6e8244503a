"""The weight image of the ternary dot-product unit: what its AXI ports stream.

A matrix of N x K trits becomes `engines` streams. Stream p holds rows p, p + engines, ... in that
order, padded with rows of zeros so that all streams have the same length. A row is cut into beats
of `lanes` trits in the order of K, and its last beat is padded with the trit 0. Streams lie
`stride` bytes apart, a multiple of 4096 (an AXI burst must not cross 4 KiB) and, with more than
one stream, 8 KiB past a multiple of 32 KiB: a DDR3 chip of the target maps address bits 14:12 to
its eight banks, so streams that advance together stay in different banks.

A beat is `beat_bytes` bytes, little-endian: byte 0 is in data bits 7:0 and holds the first trits.

    code 2  four trits a byte, each t + 1 in two bits, the first in bits 1:0; 11 is illegal;
            a byte of zeros is four times -1, the pad byte is 0x55
    code 3  five trits a byte: v = 81 d0 + 27 d1 + 9 d2 + 3 d3 + d4 with d = t + 1 and d0 the first,
            stored as ceil(256 v / 243); 13 byte values are illegal; the pad byte is 0x80

The unit takes an illegal code for 0 and counts the beat. Bytes between streams are pad bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trine.errors import CheckpointError

TRITS_PER_BYTE = {2: 4, 3: 5}
PAD_BYTE = {2: 0x55, 3: 0x80}
PAGE = 4096
BANK_STEP = 2 * PAGE
BANK_PERIOD = 8 * PAGE

_POWERS = np.array([81, 27, 9, 3, 1], dtype=np.uint16)


@dataclass(frozen=True, slots=True)
class Layout:
    """Geometry of an image: rows N, columns K, code 2 or 3, engines 1-4, beat of 4, 8 or 16 bytes.

    `staggered` False drops the bank offset between streams, to measure what it is worth.
    """

    rows: int
    columns: int
    code: int
    engines: int
    beat_bytes: int = 8
    staggered: bool = True

    def __post_init__(self) -> None:
        if self.code not in TRITS_PER_BYTE:
            raise ValueError(f"code {self.code} is not 2 (two bits) or 3 (base 3)")
        if not 1 <= self.engines <= 4 or self.beat_bytes not in (4, 8, 16):
            raise ValueError(
                f"{self.engines} engines of {self.beat_bytes} bytes a beat; "
                "legal are 1 to 4 engines, and 4, 8 or 16 bytes"
            )
        if self.rows < 1 or self.columns < 1:
            raise ValueError(f"a matrix of {self.rows} x {self.columns} has no weights")

    @property
    def lanes(self) -> int:
        """Trits a beat."""
        return self.beat_bytes * TRITS_PER_BYTE[self.code]

    @property
    def words(self) -> int:
        """Beats a row."""
        return -(-self.columns // self.lanes)

    @property
    def groups(self) -> int:
        """Rows a stream."""
        return -(-self.rows // self.engines)

    @property
    def beats(self) -> int:
        """Beats a stream."""
        return self.groups * self.words

    @property
    def stride(self) -> int:
        """Bytes from one stream to the next."""
        size = -(-self.beats * self.beat_bytes // PAGE) * PAGE
        if self.engines == 1 or not self.staggered:
            return size
        return size + (BANK_STEP - size) % BANK_PERIOD

    @property
    def size(self) -> int:
        """Bytes of the image."""
        return self.stride * (self.engines - 1) + self.beats * self.beat_bytes


def pack_tdpu(codes: NDArray[np.int8], layout: Layout) -> NDArray[np.uint8]:
    """Image uint8 [layout.size] of trits int8 [N, K]."""
    if codes.shape != (layout.rows, layout.columns):
        raise ValueError(f"trits of shape {codes.shape} do not fit {layout}")
    padded = np.zeros((layout.groups * layout.engines, layout.words * layout.lanes), np.int8)
    padded[: layout.rows, : layout.columns] = codes
    streams = _pack_bytes(padded, layout.code).reshape(layout.groups, layout.engines, -1)
    image = np.full(layout.size, PAD_BYTE[layout.code], np.uint8)
    for port in range(layout.engines):
        data = streams[:, port].reshape(-1)
        image[port * layout.stride :][: data.size] = data
    return image


def unpack_tdpu(image: NDArray[np.uint8], layout: Layout) -> NDArray[np.int8]:
    """Trits int8 [N, K]; CheckpointError on illegal codes, a wrong size or non-zero padding."""
    if image.shape != (layout.size,):
        raise CheckpointError(f"image of {image.size} bytes, {layout.size} were expected")
    size = layout.beats * layout.beat_bytes
    streams = [image[port * layout.stride :][:size] for port in range(layout.engines)]
    packed = np.stack([stream.reshape(layout.groups, -1) for stream in streams], axis=1)
    codes = _unpack_bytes(packed.reshape(layout.groups * layout.engines, -1), layout.code)
    if np.any(codes[layout.rows :]) or np.any(codes[:, layout.columns :]):
        raise CheckpointError("the padding of a tdpu image is not zero")
    return codes[: layout.rows, : layout.columns]


def _pack_bytes(codes: NDArray[np.int8], code: int) -> NDArray[np.uint8]:
    """Bytes [N, K / trits] of trits [N, K]."""
    digits = (codes + 1).astype(np.uint16).reshape(len(codes), -1, TRITS_PER_BYTE[code])
    if code == 2:
        packed = (digits << np.arange(0, 8, 2, dtype=np.uint16)).sum(axis=-1)
    else:
        values = (digits * _POWERS).sum(axis=-1)
        packed = (256 * values + 242) // 243
    result: NDArray[np.uint8] = packed.astype(np.uint8)
    return result


def _unpack_bytes(packed: NDArray[np.uint8], code: int) -> NDArray[np.int8]:
    """Trits [N, K] of bytes [N, K / trits]."""
    if code == 2:
        digits = packed[..., None] >> np.arange(0, 8, 2, dtype=np.uint8) & 3
        if np.any(digits == 3):
            raise CheckpointError("packed ternary weights contain the illegal code 0b11")
    else:
        values = packed.astype(np.uint32) * 243 // 256
        if np.any((256 * values + 242) // 243 != packed):
            raise CheckpointError("packed ternary weights contain an illegal base-3 byte")
        digits = (values[..., None] // _POWERS % 3).astype(np.uint8)
    return digits.reshape(len(packed), -1).astype(np.int8) - 1
