"""The ternary layouts of GGUF, read weight by weight as their specifications say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from requirements import require_module
from trine.errors import CheckpointError
from trine.ternary import pack_hf
from trine.ternary.gguf import (
    I2_S,
    I2_S_ARM,
    IQ1_BN,
    IQ2_BN,
    IQ2_BN_R4,
    LAYOUTS,
    TQ1_0,
    TQ2_0,
    GgufTernary,
)
from trine.ternary.quads import hf_to_quads, quads_to_hf

ALL = {each.name: each for each in (*LAYOUTS.values(), I2_S_ARM)}
N, K = 8, 512
ONE = np.float32(1)


def digit(byte: int, place: int) -> int:
    """Digit `place` of a base-3 byte, the most significant first."""
    return ((byte * 3**place) % 256) * 3 >> 8


def i2_s(raw: np.ndarray, row: int, k: int, block: int) -> int:
    run, at = divmod(row * K + k, block)
    width = block // 4
    return raw[run * width + at % width] >> (6 - 2 * (at // width)) & 3


def tq2_0(raw: np.ndarray, row: int, k: int) -> int:
    block, at = divmod(row * K + k, 256)
    half, at = divmod(at, 128)
    return raw[66 * block + 32 * half + at % 32] >> 2 * (at // 32) & 3


def tq1_0(raw: np.ndarray, row: int, k: int) -> int:
    block, at = divmod(row * K + k, 256)
    qs = raw[54 * block :]
    if at < 160:
        return digit(int(qs[at % 32]), at // 32)
    if at < 240:
        return digit(int(qs[32 + (at - 160) % 16]), (at - 160) // 16)
    return digit(int(qs[48 + (at - 240) % 4]), (at - 240) // 4)


def iq1_bn(raw: np.ndarray, row: int, k: int) -> int:
    block, at = divmod(k, 64)
    data = raw[row * (2 + K // 64 * 13) + 2 + 13 * block :]
    group, within = divmod(at, 16)
    if within == 15:
        return digit(int(data[12]), 4 - group)
    return digit(int(data[3 * group + within // 5]), 4 - within % 5)


def iq2_bn(raw: np.ndarray, row: int, k: int) -> int:
    block, at = divmod(k, 64)
    data = raw[row * (4 + K // 4) + 4 + 16 * block :]
    return data[at % 16] >> 2 * (at // 16) & 3


def iq2_bn_r4(raw: np.ndarray, row: int, k: int) -> int:
    four, row = divmod(row, 4)
    block, at = divmod(k, 64)
    data = raw[four * 4 * (4 + K // 4) + 16 + 64 * block :]
    group, at = divmod(at, 16)
    return data[16 * group + 4 * row + at % 4] >> 2 * (at // 4) & 3


SPECIFIED = {
    "I2_S": lambda raw, row, k: i2_s(raw, row, k, 128),
    "I2_S (ARM)": lambda raw, row, k: i2_s(raw, row, k, 64),
    "TQ2_0": tq2_0,
    "TQ1_0": tq1_0,
    "IQ1_BN": iq1_bn,
    "IQ2_BN": iq2_bn,
    "IQ2_BN_R4": iq2_bn_r4,
}


def codes(seed: int = 0, n: int = N, k: int = K) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1, 2, (n, k)).astype(np.int8)


@pytest.fixture(params=ALL)
def layout(request: pytest.FixtureRequest) -> GgufTernary:
    return ALL[request.param]


def test_every_weight_lies_where_the_specification_says(layout: GgufTernary) -> None:
    matrix = codes()
    raw = layout.encode(pack_hf(matrix), ONE)
    where = SPECIFIED[layout.name]
    read = [[int(where(raw, row, k)) - 1 for k in range(K)] for row in range(N)]
    assert np.array_equal(read, matrix)


def test_decoding_inverts_encoding(layout: GgufTernary) -> None:
    packed = pack_hf(codes(1))
    raw = layout.encode(packed, np.float32(0.375))
    assert raw.nbytes == layout.nbytes(N, K)
    decoded, scale = layout.decode(raw, N, K)
    assert np.array_equal(decoded, packed)
    assert scale == np.float32(0.375)


def test_rows_come_in_the_order_asked_for(layout: GgufTernary) -> None:
    matrix, order = codes(2), np.random.default_rng(3).permutation(N)
    decoded, _ = layout.decode(layout.encode(pack_hf(matrix), ONE), N, K, order)
    assert np.array_equal(decoded, pack_hf(matrix[order]))


@pytest.mark.parametrize("name", ["I2_S", "I2_S (ARM)", "TQ2_0", "IQ2_BN", "IQ2_BN_R4"])
def test_the_illegal_code_is_refused(name: str) -> None:
    raw = ALL[name].encode(pack_hf(codes()), ONE)
    raw[60] = 0xFF
    with pytest.raises(CheckpointError, match="0b11"):
        ALL[name].decode(raw, N, K)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0, 0.0])
def test_an_impossible_scale_is_refused(layout: GgufTernary, bad: float) -> None:
    raw = layout.encode(pack_hf(codes()), np.float32(bad))
    with pytest.raises(CheckpointError, match="scale"):
        layout.decode(raw, N, K)


# Where a second scale lies: of the second block, the second row.
SECOND = {
    "TQ1_0": (54 + 52, "<f2"),
    "TQ2_0": (66 + 64, "<f2"),
    "IQ1_BN": (2 + K // 64 * 13, "<f2"),
    "IQ2_BN": (4 + K // 4, "<f4"),
    "IQ2_BN_R4": (4, "<f4"),
}


def place(raw: np.ndarray, name: str, scale: float) -> None:
    at, dtype = SECOND[name]
    data = np.array([scale], dtype).view(np.uint8)
    raw[at : at + len(data)] = data


@pytest.mark.parametrize("name", SECOND)
def test_one_scale_for_a_matrix_or_none(name: str) -> None:
    """Such as PrismML models, with a scale for 128 weights: another function than BitNet."""
    raw = ALL[name].encode(pack_hf(codes()), ONE)
    place(raw, name, 0.5)
    with pytest.raises(CheckpointError, match=r"2 different scales, from 0\.5 to 1"):
        ALL[name].decode(raw, N, K)


@pytest.mark.parametrize("name", SECOND)
def test_a_scale_of_zero_may_stand_beside_zeros(name: str) -> None:
    """Quantisers write the maximum of a block or row, which is 0 for zeros."""
    matrix = codes()
    matrix[1], matrix[0, 256:] = 0, 0
    raw = ALL[name].encode(pack_hf(matrix), ONE)
    place(raw, name, 0.0)
    decoded, scale = ALL[name].decode(raw, N, K)
    assert scale == 1
    assert np.array_equal(decoded, pack_hf(matrix))


def test_a_matrix_of_zeros_is_one(layout: GgufTernary) -> None:
    packed = pack_hf(np.zeros((N, K), np.int8))
    decoded, scale = layout.decode(layout.encode(packed, np.float32(0.25)), N, K)
    assert np.array_equal(decoded, packed)
    assert scale == 0.25


@pytest.mark.parametrize(("name", "k"), [("I2_S", 192), ("TQ1_0", 128), ("TQ2_0", 3200)])
def test_rows_that_a_layout_cannot_hold_are_named(name: str, k: int) -> None:
    with pytest.raises(CheckpointError, match=f"multiple of .* not of {k}"):
        ALL[name].require(4, k)


def test_llama_cpp_writes_the_same_tq_bytes() -> None:
    quants = require_module("gguf.quants")
    types = require_module("gguf").GGMLQuantizationType
    matrix = codes(4)
    for layout, kind in ((TQ1_0, types.TQ1_0), (TQ2_0, types.TQ2_0)):
        theirs = quants.quantize(matrix.astype(np.float32) * 0.5, kind)
        assert np.array_equal(layout.encode(pack_hf(matrix), np.float32(0.5)), theirs.reshape(-1))


@given(
    st.integers(1, 5),
    st.integers(1, 3),
    st.sampled_from([1, 4, 16, 32]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60)
def test_the_transposition_is_its_own_definition(
    quarter: int, runs: int, width: int, high_first: bool, seed: int
) -> None:
    rows = np.random.default_rng(seed).integers(0, 256, (4 * quarter, runs * width), np.uint8)
    packed = quads_to_hf(rows, width, high_first=high_first)
    shifts = (6, 4, 2, 0) if high_first else (0, 2, 4, 6)
    columns = rows.reshape(4 * quarter, runs, 1, width) >> np.array(shifts)[:, None] & 3
    fields = columns.reshape(4, quarter, 4 * runs * width)
    expected = fields[0] | fields[1] << 2 | fields[2] << 4 | fields[3] << 6
    assert np.array_equal(packed, expected)
    assert np.array_equal(hf_to_quads(packed, width, high_first=high_first), rows)


def test_the_layouts_are_told_apart_by_their_ids() -> None:
    assert [each.type_id for each in (I2_S, TQ1_0, TQ2_0, IQ1_BN, IQ2_BN, IQ2_BN_R4)] == [
        36,
        34,
        35,
        134,
        135,
        335,
    ]
    assert I2_S_ARM.type_id == I2_S.type_id
