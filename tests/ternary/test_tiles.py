"""The packed layouts: the bytes of the spec comment, by hand, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trine.ternary.tiles import BASE3, LAYOUTS, TWO_BIT, TileLayout, pack_tiles, unpack_tiles

EACH_LAYOUT = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.code)


def one_trit(n: int, k: int, row: int, column: int, trit: int, layout: TileLayout) -> np.ndarray:
    """A matrix of zeros but for one trit, packed."""
    codes = np.zeros((n, k), dtype=np.int8)
    codes[row, column] = trit
    return pack_tiles(codes, layout)


@EACH_LAYOUT
@given(n=st.integers(1, 50), k=st.integers(1, 130), seed=st.integers(0, 2**32))
def test_packing_and_unpacking_gives_the_same(
    layout: TileLayout, n: int, k: int, seed: int
) -> None:
    codes = np.random.default_rng(seed).integers(-1, 2, (n, k)).astype(np.int8)
    packed = pack_tiles(codes, layout)
    assert packed.nbytes == layout.nbytes(n, k)
    assert np.array_equal(unpack_tiles(packed, (n, k), layout), codes)


def test_sizes_by_hand() -> None:
    # 2B-4T's down_proj: 160 tiles; 6912 / 16 = 432 lines, 6912 / 20 = 345.6 -> 346.
    assert TWO_BIT.nbytes(2560, 6912) == 160 * 432 * 64
    assert BASE3.nbytes(2560, 6912) == 160 * 346 * 64
    assert (TWO_BIT.line_k, BASE3.line_k) == (16, 20)
    assert pack_tiles(np.zeros((17, 21), np.int8), TWO_BIT).shape == (2, 2, 64)
    assert pack_tiles(np.zeros((17, 21), np.int8), BASE3).shape == (2, 2, 64)


# Row 35 is lane 3 of tile 2, so bytes 12..15 of a line. Column 27 is k = 16 * 1 + 4 * 2 + 3 in two
# bits, k = 20 * 1 + 4 * 1 + 3 in base 3: byte 15 of line 1, position 2 or digit 1.
def test_a_two_bit_trit_by_hand() -> None:
    zeros = 0b01_01_01_01
    packed = one_trit(40, 40, 35, 27, 1, TWO_BIT)
    assert packed.shape == (3, 3, 64)
    assert packed[2, 1, 15] == 0b01_10_01_01
    packed[2, 1, 15] = zeros
    assert (packed == zeros).all()
    assert one_trit(40, 40, 35, 27, -1, TWO_BIT)[2, 1, 15] == 0b01_00_01_01


def test_a_base3_trit_by_hand() -> None:
    zeros = -(-256 * (81 + 27 + 9 + 3 + 1) // 243)
    assert zeros == 128
    packed = one_trit(40, 40, 35, 27, 1, BASE3)
    assert packed.shape == (3, 2, 64)
    assert packed[2, 1, 15] == -(-256 * (81 + 2 * 27 + 9 + 3 + 1) // 243)
    packed[2, 1, 15] = zeros
    assert (packed == zeros).all()
    assert one_trit(40, 40, 35, 27, -1, BASE3)[2, 1, 15] == -(-256 * (81 + 9 + 3 + 1) // 243)


def test_every_base3_byte_is_the_ceiling_and_its_digits_come_back() -> None:
    values = np.arange(243)
    digits = np.stack([values // 3**power % 3 for power in (4, 3, 2, 1, 0)], axis=1)
    # Digit i of byte 0 of a lane is k = 4 i; the other bytes hold zeros.
    codes = np.zeros((243, 20), dtype=np.int8)
    codes[:, ::4] = digits - 1
    packed = pack_tiles(codes, BASE3)
    byte_0 = packed.reshape(16, 16, 4)[:, :, 0].reshape(-1)[:243]
    assert byte_0.tolist() == [-(-256 * value // 243) for value in range(243)]
    assert len(set(byte_0.tolist())) == 243
    # Multiplying by 3 and taking the carry out of the byte gives the digits, first one first.
    rest = byte_0.astype(int)
    for digit in digits.T:
        rest *= 3
        assert np.array_equal(rest >> 8, digit)
        rest &= 255


@EACH_LAYOUT
def test_padding_holds_zeros(layout: TileLayout) -> None:
    packed = pack_tiles(np.ones((3, 7), np.int8), layout)
    whole = unpack_tiles(packed, (16, layout.line_k), layout)
    assert whole[:3, :7].all()
    assert not whole[3:].any()
    assert not whole[:, 7:].any()


@EACH_LAYOUT
@pytest.mark.parametrize("value", [2, -2, 127, -128])
def test_what_is_no_trit_is_refused(layout: TileLayout, value: int) -> None:
    with pytest.raises(ValueError, match="trits must be -1, 0 or 1"):
        pack_tiles(np.array([[0, value]], dtype=np.int8), layout)


@EACH_LAYOUT
@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_an_empty_matrix_is_refused(layout: TileLayout, shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="empty matrix"):
        pack_tiles(np.empty(shape, np.int8), layout)


@EACH_LAYOUT
@pytest.mark.parametrize("shape", [(17, 7), (3, 21), (0, 7)])
def test_bytes_of_another_shape_are_refused(layout: TileLayout, shape: tuple[int, int]) -> None:
    packed = pack_tiles(np.ones((3, 7), np.int8), layout)
    with pytest.raises(ValueError, match=rf"a {layout.code} matrix {shape[0]} x {shape[1]} is"):
        unpack_tiles(packed, shape, layout)
