"""The ternary layouts of GGUF files: one spec comment each, decoded to the HF layout and encoded.

    type     id   bytes of a matrix [N, K]           K multiple of   scales
    I2_S     36   N K / 4 + 32                       128             one float32 after the data
    I2_S_ARM 36   the same                           64              the same
    TQ1_0    34   54 a block of 256 weights          256             float16 in each block
    TQ2_0    35   66 a block of 256 weights          256             float16 in each block
    IQ1_BN   134  2 + 13 a 64 weights, each row      64              float16 before each row
    IQ2_BN   135  4 + 16 a 64 weights, each row      64              float32 before each row
    IQ2_BN_R4 335 the same, four rows together       64              four float32 before four rows

A code is t + 1 as everywhere, and 11 is illegal. Where there are several scales, they must be one:
BitNet b1.58 has one scale a matrix. A scale of 0 is allowed beside zeros alone, because quantisers
write the maximum of a block. Sources: quantize_i2_s of bitnet.cpp, ggml-quants.c of llama.cpp,
iqk_quantize.cpp of ik_llama.cpp.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from trine.errors import CheckpointError
from trine.ternary.hf import CODES_PER_BYTE, illegal_codes, pack_digits, unpack_hf
from trine.ternary.quads import Bytes, hf_to_quads, quads_to_hf

Order = NDArray[np.intp]

# llama.cpp's block of TQ1_0 and TQ2_0, ik_llama.cpp's block of IQ1_BN and IQ2_BN.
_TQ_BLOCK, _BN_BLOCK = 256, 64
# I2_S: one float32 in 32 bytes, so that the next tensor is aligned.
_I2_S_TAIL = 32
_POWERS = np.array([81, 27, 9, 3, 1], np.uint16)


@dataclass(frozen=True, slots=True)
class GgufTernary(ABC):
    """A layout: `name` as in ggml, `type_id`, and `block`, which K must be a multiple of."""

    name: str
    type_id: int
    block: int

    @abstractmethod
    def nbytes(self, n: int, k: int) -> int:
        """Bytes of a matrix [N, K]."""

    @abstractmethod
    def decode(
        self, raw: Bytes, n: int, k: int, order: Order | None = None
    ) -> tuple[Bytes, np.float32]:
        """The HF-packed codes [N/4, K] and their scale; row i of the result is row `order[i]`.

        Raises CheckpointError for several scales, a scale that is not above 0, and an illegal code.
        """

    @abstractmethod
    def encode(self, packed: Bytes, scale: np.float32) -> Bytes:
        """The bytes of a matrix from its HF-packed codes [N/4, K]; rounds to the layout's scale."""

    def require(self, n: int, k: int) -> None:
        """Raise CheckpointError for a shape that this layout cannot hold."""
        if k % self.block:
            raise CheckpointError(
                f"{self.name} holds rows of a multiple of {self.block} weights, not of {k}"
            )
        if n % CODES_PER_BYTE:
            raise CheckpointError(f"a ternary matrix needs a multiple of 4 rows, not {n}")


@dataclass(frozen=True, slots=True)
class I2S(GgufTernary):
    """Blocks of 4 `width` weights in `width` bytes, then the scale.

    Byte j of a block holds weights j, j + width, j + 2 width, j + 3 width in bits 6-7, 4-5, 2-3,
    0-1. The width is 32 where bitnet.cpp quantised on x86 and 16 where it did on ARM.
    """

    width: int

    def nbytes(self, n: int, k: int) -> int:
        """A quarter byte a weight and the tail."""
        return n * k // CODES_PER_BYTE + _I2_S_TAIL

    def codes(self, raw: Bytes, n: int) -> Bytes:
        """The codes alone, uint8 [N, K/4]."""
        return raw[:-_I2_S_TAIL].reshape(n, -1)

    def decode(
        self, raw: Bytes, n: int, k: int, order: Order | None = None
    ) -> tuple[Bytes, np.float32]:
        """See the base class."""
        data = self.codes(raw, n)
        scale = raw[-_I2_S_TAIL:][:4].view("<f4")
        packed = quads_to_hf(_ordered(data, order), self.width, high_first=True)
        return _legal(packed), _judged(scale[0])

    def encode(self, packed: Bytes, scale: np.float32) -> Bytes:
        """See the base class."""
        tail = np.zeros(_I2_S_TAIL, np.uint8)
        tail[:4] = np.array([scale], "<f4").view(np.uint8)
        return np.concatenate([hf_to_quads(packed, self.width, high_first=True).reshape(-1), tail])


@dataclass(frozen=True, slots=True)
class TQ2(GgufTernary):
    """64 bytes and a float16 scale.

    Byte m of each 32 holds weights m, m + 32, m + 64, m + 96 of its 128, low bits first.
    """

    def nbytes(self, n: int, k: int) -> int:
        """66 bytes a block."""
        return n * (k // self.block) * 66

    def decode(
        self, raw: Bytes, n: int, k: int, order: Order | None = None
    ) -> tuple[Bytes, np.float32]:
        """See the base class."""
        blocks = _ordered(raw.reshape(n, k // self.block, 66), order)
        data = np.ascontiguousarray(blocks[..., :64])
        zero = (data == 0b01010101).all(axis=-1)
        scale = _one_scale(np.ascontiguousarray(blocks[..., 64:]).view("<f2")[..., 0], zero)
        packed = quads_to_hf(data.reshape(n, k // CODES_PER_BYTE), 32, high_first=False)
        return _legal(packed), scale

    def encode(self, packed: Bytes, scale: np.float32) -> Bytes:
        """See the base class."""
        data = hf_to_quads(packed, 32, high_first=False).reshape(-1, 64)
        return _with_scale(data, np.array([scale], "<f2"), before=False)


@dataclass(frozen=True, slots=True)
class TQ1(GgufTernary):
    """52 bytes of base 3 and a float16 scale; byte = ceil(256 v / 243).

    Bytes 0-31 hold weights m + 32 n (m the byte, n the digit, most significant first), bytes 32-47
    weights 160 + m + 16 n, and bytes 48-51, whose last digit is 0, weights 240 + m + 4 n.
    """

    # First byte, bytes, first weight, digits of each part.
    _PARTS = ((0, 32, 0, 5), (32, 16, 160, 5), (48, 4, 240, 4))

    def nbytes(self, n: int, k: int) -> int:
        """54 bytes a block."""
        return n * (k // self.block) * 54

    def decode(
        self, raw: Bytes, n: int, k: int, order: Order | None = None
    ) -> tuple[Bytes, np.float32]:
        """See the base class."""
        blocks = _ordered(raw.reshape(n, k // self.block, 54), order)
        digits = np.empty((n, k // self.block, self.block), np.uint8)
        for first, count, weight, places in self._PARTS:
            part = np.ascontiguousarray(blocks[..., first : first + count])
            for place, digit in enumerate(_digits(part, places)):
                start = weight + place * count
                digits[..., start : start + count] = digit
        zero = (digits == 1).all(axis=-1)
        scale = _one_scale(np.ascontiguousarray(blocks[..., 52:]).view("<f2")[..., 0], zero)
        return pack_digits(digits.reshape(n, k)), scale

    def encode(self, packed: Bytes, scale: np.float32) -> Bytes:
        """See the base class."""
        digits = (unpack_hf(packed) + np.int8(1)).view(np.uint8).reshape(-1, self.block)
        data = np.empty((len(digits), 52), np.uint8)
        for first, count, weight, places in self._PARTS:
            part = digits[:, weight : weight + places * count].reshape(-1, places, count)
            value = (part * _POWERS[:places, None]).sum(axis=1, dtype=np.uint16)
            data[:, first : first + count] = _ceiled(value)
        return _with_scale(data, np.array([scale], "<f2"), before=False)


@dataclass(frozen=True, slots=True)
class IQ1BN(GgufTernary):
    """13 bytes of base 3 for 64 weights; byte = ceil(256 v / 243).

    Byte 3 i + j holds weights 16 i + 5 j .. + 4, the first as the *least* significant digit; byte
    12 holds weights 15, 31, 47, 63 likewise.
    """

    def nbytes(self, n: int, k: int) -> int:
        """A float16 and 13 bytes a block, each row."""
        return n * (2 + k // self.block * 13)

    def decode(
        self, raw: Bytes, n: int, k: int, order: Order | None = None
    ) -> tuple[Bytes, np.float32]:
        """See the base class."""
        rows = _ordered(raw.reshape(n, -1), order)
        blocks = np.ascontiguousarray(rows[:, 2:]).reshape(n, k // self.block, 13)
        groups = np.empty((n, k // self.block, 4, 16), np.uint8)
        bulk = np.ascontiguousarray(blocks[..., :12]).reshape(n, -1, 4, 3)
        for place, digit in enumerate(_digits(bulk, 5)):
            groups[..., 4 - place : 15 : 5] = digit
        # Its first of five digits is 0: four groups have one weight each.
        for place, digit in enumerate(_digits(np.ascontiguousarray(blocks[..., 12]), 5)):
            if place:
                groups[..., 4 - place, 15] = digit
        digits = groups.reshape(n, k)
        scales = np.ascontiguousarray(rows[:, :2]).view("<f2")[:, 0]
        return pack_digits(digits), _one_scale(scales, (digits == 1).all(axis=-1))

    def encode(self, packed: Bytes, scale: np.float32) -> Bytes:
        """See the base class."""
        n, k = packed.shape[0] * CODES_PER_BYTE, packed.shape[1]
        digits = (unpack_hf(packed) + np.int8(1)).view(np.uint8).reshape(n, -1, 4, 16)
        data = np.empty((n, k // self.block, 13), np.uint8)
        bulk = digits[..., :15].reshape(n, -1, 12, 5) * _POWERS[::-1]
        data[..., :12] = _ceiled(bulk.sum(axis=-1, dtype=np.uint16))
        last = digits[..., 15] * _POWERS[:0:-1]
        data[..., 12] = _ceiled(last.sum(axis=-1, dtype=np.uint16))
        return _with_scale(data.reshape(n, -1), np.array([scale], "<f2"), before=True)


@dataclass(frozen=True, slots=True)
class IQ2BN(GgufTernary):
    """16 bytes for 64 weights: byte j holds weights j, j + 16, j + 32, j + 48, low bits first."""

    def nbytes(self, n: int, k: int) -> int:
        """A float32 and a quarter byte a weight, each row."""
        return n * (4 + k // CODES_PER_BYTE)

    def decode(
        self, raw: Bytes, n: int, k: int, order: Order | None = None
    ) -> tuple[Bytes, np.float32]:
        """See the base class."""
        rows = _ordered(raw.reshape(n, -1), order)
        return _row_scaled(np.ascontiguousarray(rows[:, 4:]), rows[:, :4], 16)

    def encode(self, packed: Bytes, scale: np.float32) -> Bytes:
        """See the base class."""
        data = hf_to_quads(packed, 16, high_first=False)
        return _with_scale(data, np.array([scale], "<f4"), before=True)


@dataclass(frozen=True, slots=True)
class IQ2BNR4(GgufTernary):
    """IQ2_BN with four rows interleaved: four scales, then 64 bytes for 64 columns of four rows.

    Byte 16 l + 4 r + i holds columns 16 l + i, + 4, + 8, + 12 of row r, low bits first.
    """

    def nbytes(self, n: int, k: int) -> int:
        """As IQ2_BN."""
        return n * (4 + k // CODES_PER_BYTE)

    def decode(
        self, raw: Bytes, n: int, k: int, order: Order | None = None
    ) -> tuple[Bytes, np.float32]:
        """See the base class."""
        fours = raw.reshape(n // 4, -1)
        data = fours[:, 16:].reshape(n // 4, k // self.block, 4, 4, 4)
        data = data.transpose(0, 3, 1, 2, 4).reshape(n, k // CODES_PER_BYTE)
        scales = np.ascontiguousarray(fours[:, :16]).reshape(n, 4)
        return _row_scaled(_ordered(data, order), _ordered(scales, order), 4)

    def encode(self, packed: Bytes, scale: np.float32) -> Bytes:
        """See the base class."""
        n, k = packed.shape[0] * CODES_PER_BYTE, packed.shape[1]
        data = hf_to_quads(packed, 4, high_first=False).reshape(n // 4, 4, k // self.block, 4, 4)
        data = data.transpose(0, 2, 3, 1, 4).reshape(n // 4, -1)
        return _with_scale(data, np.full(4, scale, "<f4"), before=True)


I2_S = I2S("I2_S", 36, 128, 32)
I2_S_ARM = I2S("I2_S (ARM)", 36, 64, 16)
TQ1_0 = TQ1("TQ1_0", 34, _TQ_BLOCK)
TQ2_0 = TQ2("TQ2_0", 35, _TQ_BLOCK)
IQ1_BN = IQ1BN("IQ1_BN", 134, _BN_BLOCK)
IQ2_BN = IQ2BN("IQ2_BN", 135, _BN_BLOCK)
IQ2_BN_R4 = IQ2BNR4("IQ2_BN_R4", 335, _BN_BLOCK)
# By type id; I2_S_ARM shares the id of I2_S, and who opens the file tells them apart.
LAYOUTS: Mapping[int, GgufTernary] = MappingProxyType(
    {each.type_id: each for each in (I2_S, TQ1_0, TQ2_0, IQ1_BN, IQ2_BN, IQ2_BN_R4)}
)


def _ordered(rows: Bytes, order: Order | None) -> Bytes:
    return rows if order is None else rows[order]


def _row_scaled(data: Bytes, scales: Bytes, width: int) -> tuple[Bytes, np.float32]:
    zero = (data == 0b01010101).all(axis=-1)
    scale = _one_scale(np.ascontiguousarray(scales).view("<f4")[:, 0], zero)
    return _legal(quads_to_hf(data, width, high_first=False)), scale


def _with_scale(data: Bytes, scale: NDArray[np.floating], *, before: bool) -> Bytes:
    """`data` [blocks, bytes] with the same scale beside each block."""
    column = np.broadcast_to(scale.view(np.uint8), (len(data), scale.nbytes))
    return np.concatenate([column, data] if before else [data, column], axis=1).reshape(-1)


def _digits(data: Bytes, places: int) -> Iterator[Bytes]:
    """The first `places` base-3 digits of bytes, the most significant one first."""
    rest = data.copy()
    for _ in range(places):
        # 3 b >= 256 and 3 b >= 512: the integer part of 3 b / 256.
        yield (rest >= 86).view(np.uint8) + (rest >= 171).view(np.uint8)
        rest *= 3


def _ceiled(value: NDArray[np.uint16]) -> Bytes:
    return ((value * 256 + 242) // 243).astype(np.uint8)


def _one_scale(scales: NDArray[np.floating], zero: NDArray[np.bool_]) -> np.float32:
    """The scale that all blocks share; `zero` marks the blocks without a weight that is not 0."""
    distinct = np.unique(scales[~zero])
    if len(distinct) > 1:
        raise CheckpointError(
            f"it has {len(distinct)} different scales, from {distinct[0]:g} to {distinct[-1]:g}; "
            f"trine computes BitNet b1.58, which has one for a matrix"
        )
    # A matrix of zeros has any scale; the largest one may be the matrix's own.
    return _judged(distinct[0] if len(distinct) else scales.max(initial=0) or np.float32(1))


def _judged(scale: np.floating) -> np.float32:
    if not np.isfinite(scale) or scale <= 0:
        raise CheckpointError(f"its scale is {scale}; a scale is a number above 0")
    return np.float32(scale)


def _legal(packed: Bytes) -> Bytes:
    if illegal_codes(packed):
        raise CheckpointError("it contains the illegal code 0b11")
    return packed
