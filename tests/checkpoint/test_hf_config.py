"""config.json: what changes the arithmetic is refused by its name, anything else is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trine.checkpoint.hf_config import declared_mode, geometry, read_json
from trine.checkpoint.synthetic import PRESETS
from trine.errors import CheckpointError

# As published for 2B-4T; None stands for a key that is taken out.
CONFIG: dict[str, Any] = {
    "model_type": "bitnet",
    "vocab_size": 128256,
    "hidden_size": 2560,
    "intermediate_size": 6912,
    "num_hidden_layers": 30,
    "num_attention_heads": 20,
    "num_key_value_heads": 5,
    "max_position_embeddings": 4096,
    "rope_theta": 500000.0,
    "rms_norm_eps": 1e-5,
    "hidden_act": "relu2",
    "tie_word_embeddings": True,
}


def test_the_published_geometry_is_the_preset() -> None:
    assert geometry(CONFIG, "c") == PRESETS["2b-4t"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "qwen3"}, "model_type is 'qwen3'"),
        ({"model_type": "llama"}, "a 'llama' model is ternary with a quantization_config"),
        ({"hidden_act": "silu"}, "hidden_act is 'silu'"),
        ({"attention_bias": True}, "attention_bias is True"),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "rope_scaling: type is 'linear'"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_parameters: rope_type is 'yarn'"),
        ({"rope_scaling": "linear"}, "rope_scaling must be an object"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
        ({"num_attention_heads": 0}, "wrong type"),
        ({"num_hidden_layers": 0}, "layers must be a positive integer, not 0"),
        ({"vocab_size": 10**30}, "vocab_size must be a positive integer"),
        ({"rope_theta": float("nan")}, "rope_theta must be above 0"),
        ({"rms_norm_eps": 10**400}, "wrong type"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings must be true or false"),
        ({"eos_token_id": [1, "x"]}, "'x' is no token id"),
        ({"head_dim": 64}, "20 heads of 64 do not make up hidden_size 2560"),
        ({"num_key_value_heads": 3}, "cannot share 3 KV heads"),
    ],
)
def test_another_model_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        geometry(CONFIG | change, "c")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"attention_bias": False},
        {"rope_scaling": None},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}},
        {"head_dim": 128},
        {"attention_dropout": 0.1, "torch_dtype": "bfloat16", "use_cache": True},
    ],
)
def test_harmless_values_change_nothing(change: dict[str, Any]) -> None:
    assert geometry(CONFIG | change, "c") == PRESETS["2b-4t"]


@pytest.mark.parametrize(
    ("quantization", "mode"),
    [
        (None, "online"),
        ({"quant_method": "bitnet"}, "packed"),
        ({"linear_class": "autobitlinear"}, "offline"),
        ({"linear_class": "autobitlinear", "quantization_mode": "online"}, "online"),
        ({"use_rms_norm": False, "modules_to_not_convert": None}, "packed"),
        ({"modules_to_not_convert": ["lm_head"]}, "packed"),
    ],
)
def test_the_weight_format_is_the_declared_one(
    quantization: dict[str, Any] | None, mode: str
) -> None:
    assert declared_mode(CONFIG | {"quantization_config": quantization}, "c") == mode


@pytest.mark.parametrize(
    ("quantization", "message"),
    [
        ({"quant_method": "awq"}, "quant_method is 'awq'"),
        ({"linear_class": "other"}, "linear_class is 'other'"),
        ({"quantization_mode": "sometimes"}, "quantization_mode is 'sometimes'"),
        ({"use_rms_norm": True}, "use_rms_norm is True"),
        ({"modules_to_not_convert": []}, r"modules_to_not_convert is \[\]"),
        ({"modules_to_not_convert": ["lm_head", "o_proj"]}, "modules_to_not_convert is"),
        ([1], "quantization_config must be an object"),
    ],
)
def test_another_quantisation_is_refused_by_name(quantization: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        declared_mode(CONFIG | {"quantization_config": quantization}, "c")
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)
KEYS = (
    *CONFIG,
    "head_dim",
    "rope_parameters",
    "rope_scaling",
    "quantization_config",
    "bos_token_id",
)


@given(st.dictionaries(st.sampled_from(KEYS), JSON, min_size=1, max_size=3))
def test_any_value_is_read_or_refused_in_one_line(change: dict[str, Any]) -> None:
    try:
        geometry(CONFIG | change, "c")
        declared_mode(CONFIG | change, "c")
    except CheckpointError as error:
        assert "\n" not in str(error)


@given(st.binary(max_size=64) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_file_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "config.json"
    path.write_bytes(content)
    try:
        read_json(path)
    except CheckpointError as error:
        assert "\n" not in str(error)


def test_deep_nesting_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match="nested too deeply"):
        read_json(path)
