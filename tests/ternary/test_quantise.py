"""Absmean and absmax against hand-made cases and against Hugging Face's own functions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from requirements import require_module
from trine.errors import CheckpointError
from trine.ternary import absmax_int8, absmean_ternary, pack_hf, unpack_hf


def test_absmean_by_hand() -> None:
    # mean|W| = 1.25, so the thresholds lie at +-0.625.
    codes, scale = absmean_ternary(np.array([[0.5, -0.7], [3.0, 0.8]], dtype=np.float32))
    assert codes.tolist() == [[0, -1], [1, 1]]
    assert scale == np.float32(1.25)


def test_absmean_of_zeros_is_finite() -> None:
    codes, scale = absmean_ternary(np.zeros((4, 3), dtype=np.float32))
    assert not codes.any()
    assert scale == pytest.approx(1e-5)


def test_absmax_rounds_half_to_even() -> None:
    # s = 1: the values are the codes before rounding.
    codes, scale = absmax_int8(np.array([[127.0, 0.5, 1.5, -2.5]], dtype=np.float32))
    assert codes.tolist() == [[127, 0, 2, -2]]
    assert scale.tolist() == [[1.0]]


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.integers(1, 70)),
        elements=st.floats(-1e4, 1e4, width=32),
    )
)
def test_absmax_codes_are_within_half_a_step(x: np.ndarray) -> None:
    codes, scale = absmax_int8(x)
    assert np.all(np.abs(codes - x * scale) <= 0.5)


@given(
    hnp.arrays(
        np.int8,
        st.tuples(st.integers(1, 9).map(lambda n: 4 * n), st.integers(1, 70)),
        elements=st.integers(-1, 1),
    )
)
def test_hf_packing_round_trips(codes: np.ndarray) -> None:
    assert np.array_equal(unpack_hf(pack_hf(codes)), codes)


def test_hf_layout_puts_quarters_in_bit_pairs() -> None:
    codes = np.array([[1], [0], [-1], [1]], dtype=np.int8)
    assert pack_hf(codes).tolist() == [[0b10_00_01_10]]


def test_hf_packing_refuses_a_ragged_matrix() -> None:
    with pytest.raises(CheckpointError, match="multiple of 4"):
        pack_hf(np.zeros((6, 2), dtype=np.int8))


def test_illegal_code_is_refused() -> None:
    with pytest.raises(CheckpointError, match="0b11"):
        unpack_hf(np.array([[0b00_11_00_01]], dtype=np.uint8))


def test_agrees_with_hugging_face() -> None:
    torch = require_module("torch")
    from transformers.integrations.bitnet import pack_weights

    generator = np.random.default_rng(1)
    weight = generator.normal(0, 0.02, (64, 44)).astype(np.float32)
    codes, scale = absmean_ternary(weight)
    # WeightQuant's body without its torch.compile wrapper (transformers/integrations/bitnet.py).
    reference = torch.from_numpy(weight)
    inverse = 1.0 / reference.abs().mean().clamp_(min=1e-5)
    expected = (reference * inverse).round().clamp(-1, 1)
    assert np.array_equal(codes, expected.numpy())
    assert scale == pytest.approx(float(1 / inverse), rel=1e-6)
    assert np.array_equal(pack_hf(codes), pack_weights(expected.clone()).numpy())


def test_an_activations_scale_is_a_float32_quotient() -> None:
    """127 / double(max) instead flips codes: few, but each of them changes a sum.

    (PyTorch's `127 / tensor` is 127 * reciprocal, an ulp away at times: hence codes of Hugging
    Face's may differ at ties, and at ties only.)
    """
    random = np.random.default_rng(3)
    # Values that lie at a tie as 127 / max has it in float32.
    largest = random.uniform(1, 100, 20000).astype(np.float32)
    scale = np.float32(127) / largest
    ties = (random.integers(-120, 120, 20000) + 0.5).astype(np.float32) / scale
    x = np.stack([largest, ties], axis=1)
    codes, scales = absmax_int8(x)
    assert np.array_equal(scales[:, 0], scale)
    expected = np.rint(x * scale[:, None])
    assert np.array_equal(codes, expected)
    wide = np.rint(x.astype(np.float64) * (127 / x.max(axis=1, keepdims=True).astype(np.float64)))
    assert (wide != expected).any()
