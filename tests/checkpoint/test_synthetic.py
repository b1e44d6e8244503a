"""Synthetic weights: seeded, bf16-representable, independent of order and of the layer count."""

import ml_dtypes
import numpy as np
import pytest

from trine.checkpoint import open_checkpoint
from trine.checkpoint.config import LINEARS
from trine.checkpoint.synthetic import PRESETS, SyntheticCheckpoint
from trine.errors import ModelNotFound
from trine.ternary import unpack_hf

NAME = "model.layers.1.mlp.up_proj.weight"


def test_geometry_of_2b_4t() -> None:
    config = PRESETS["2b-4t"]
    assert config.ternary_per_layer == 69_468_160
    assert config.layers * config.ternary_per_layer == 2_084_044_800
    assert config.embedding_elements == 328_335_360
    assert config.linear_shape("gate_proj") == (6912, 2560)
    assert config.linear_shape("k_proj") == (640, 2560)


def test_same_seed_same_weights_other_seed_others() -> None:
    first, again = (SyntheticCheckpoint("synthetic:tiny", 7).master(NAME) for _ in range(2))
    other = SyntheticCheckpoint("synthetic:tiny", 8).master(NAME)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_weights_are_bfloat16_and_normal() -> None:
    weight = SyntheticCheckpoint("synthetic:tiny").master(NAME)
    assert weight.dtype == ml_dtypes.bfloat16
    values = weight.astype(np.float64).ravel() / weight.astype(np.float64).std()
    # 188,000 draws: five standard errors of the mean, and of the share inside one deviation.
    assert abs(values.mean()) < 5 / np.sqrt(values.size)
    assert abs((np.abs(values) < 1).mean() - 0.6827) < 5 * np.sqrt(0.22 / values.size) + 0.004


def test_matrices_have_scales_of_their_own() -> None:
    model = SyntheticCheckpoint("synthetic:tiny")
    scales = {model.ternary(f"model.layers.0.self_attn.{p}.weight").scale for p in LINEARS[:4]}
    assert len(scales) == 4


def test_ternary_is_the_absmean_of_the_master() -> None:
    model = SyntheticCheckpoint("synthetic:tiny")
    weight, master = model.ternary(NAME), model.master(NAME).astype(np.float64)
    assert weight.scale == pytest.approx(np.abs(master).mean(), rel=1e-6)
    codes = unpack_hf(weight.packed)
    assert np.array_equal(codes, np.clip(np.rint(master / np.abs(master).mean()), -1, 1))
    assert set(np.unique(codes)) == {-1, 0, 1}


def test_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ModelNotFound, match="synthetic:2b-4t"):
        open_checkpoint("synthetic:7b")
