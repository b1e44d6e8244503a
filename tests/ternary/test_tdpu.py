"""The tdpu weight image: its bytes as the spec comment says, round trips, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trine.errors import CheckpointError
from trine.ternary.tdpu import PAD_BYTE, Layout, pack_tdpu, unpack_tdpu

layouts = st.builds(
    Layout,
    rows=st.integers(1, 20),
    columns=st.integers(1, 200),
    code=st.sampled_from([2, 3]),
    engines=st.integers(1, 4),
    beat_bytes=st.sampled_from([4, 8, 16]),
    staggered=st.booleans(),
)


@given(layouts, st.integers(0, 2**32 - 1))
def test_an_image_holds_its_matrix(layout: Layout, seed: int) -> None:
    trits = np.random.default_rng(seed).integers(-1, 2, (layout.rows, layout.columns))
    image = pack_tdpu(trits.astype(np.int8), layout)
    assert image.shape == (layout.size,)
    np.testing.assert_array_equal(unpack_tdpu(image, layout), trits)


def test_bytes_of_the_two_bit_code() -> None:
    trits = np.array([[-1, 0, 1, 1, 1]], np.int8)
    image = pack_tdpu(trits, Layout(1, 5, code=2, engines=1, beat_bytes=4))
    # -1 = 00 lowest, then 01, 10, 10; the fifth trit, then zeros.
    assert image.tolist() == [0b10_10_01_00, 0b01_01_01_10, 0x55, 0x55]


def test_bytes_of_the_base_3_code() -> None:
    trits = np.array([[1, 0, -1, 1, 0]], np.int8)
    image = pack_tdpu(trits, Layout(1, 5, code=3, engines=1, beat_bytes=4))
    value = 81 * 2 + 27 * 1 + 9 * 0 + 3 * 2 + 1
    assert image.tolist() == [-(-256 * value // 243), 0x80, 0x80, 0x80]


def test_rows_go_round_the_ports_and_streams_fall_on_different_banks() -> None:
    layout = Layout(8, 2560, code=3, engines=4)
    trits = np.zeros((8, 2560), np.int8)
    trits[5] = 1
    image = pack_tdpu(trits, layout)
    # Row 5 is the second of port 1.
    start = layout.stride + layout.words * 8
    assert np.all(image[start : start + layout.words * 8] == 255)
    assert np.count_nonzero(image != PAD_BYTE[3]) == layout.words * 8
    banks = {port * layout.stride >> 12 & 7 for port in range(4)}
    assert len(banks) == 4
    assert layout.stride % 4096 == 0


@pytest.mark.parametrize(("code", "byte"), [(2, 0xFF), (3, 1), (3, 237)])
def test_an_illegal_code_is_refused(code: int, byte: int) -> None:
    layout = Layout(1, 8, code, engines=1)
    image = pack_tdpu(np.zeros((1, 8), np.int8), layout)
    image[0] = byte
    with pytest.raises(CheckpointError, match="illegal"):
        unpack_tdpu(image, layout)


def test_padding_that_is_not_zero_is_refused() -> None:
    layout = Layout(1, 8, code=2, engines=1)
    image = pack_tdpu(np.zeros((1, 8), np.int8), layout)
    image[-1] = 0
    with pytest.raises(CheckpointError, match="padding"):
        unpack_tdpu(image, layout)
    with pytest.raises(CheckpointError, match="bytes"):
        unpack_tdpu(image[1:], layout)


@pytest.mark.parametrize(
    "values", [{"code": 1}, {"engines": 5}, {"beat_bytes": 2}, {"rows": 0}, {"columns": 0}]
)
def test_an_impossible_layout_is_refused(values: dict[str, int]) -> None:
    legal = {"rows": 4, "columns": 8, "code": 2, "engines": 1, "beat_bytes": 8}
    with pytest.raises(ValueError, match=r"legal|no weights|is not 2"):
        Layout(**legal | values)
