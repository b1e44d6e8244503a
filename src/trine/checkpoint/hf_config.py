"""What a Hugging Face `config.json` says: geometry and weight format, or why trine refuses it.

Whatever changes the arithmetic of BitNet b1.58 as `BitNetForCausalLM` computes it is refused by
name: a figure of another model than the file's would be worse than none.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from trine.checkpoint.checkpoint import Mode
from trine.checkpoint.config import Activation, ModelConfig
from trine.errors import CheckpointError

# Keys that change what a model computes, each with the values that leave BitNet b1.58 as it is.
# The first one is what the message names; None stands for an absent key, too.
_LEGAL: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "attention_bias": (False, None),
        "mlp_bias": (False, None),
        "partial_rotary_factor": (1, None),
    }
)


@dataclass(frozen=True, slots=True)
class _Family:
    """What a model_type stands for, with the defaults of its Hugging Face config class."""

    activation: Activation
    sub_norms: bool
    rope_theta: float
    rms_norm_eps: float


# Llama-style 1.58-bit models are `LlamaForCausalLM` with ternary linears (HF1BitLLM's
# Llama3-8B-1.58, Falcon3-1.58bit).
_FAMILIES: Mapping[str, _Family] = MappingProxyType(
    {
        "bitnet": _Family("relu2", True, rope_theta=500000.0, rms_norm_eps=1e-5),
        "llama": _Family("silu", False, rope_theta=10000.0, rms_norm_eps=1e-6),
    }
)

_LEGAL_QUANTIZATION: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "quant_method": ("bitnet", None),
        "linear_class": ("bitlinear", "autobitlinear", None),
        "quantization_mode": ("offline", "online", None),
        "use_rms_norm": (False, None),
        # The lm_head is dense, and an embedding is no linear layer in the first place. An empty
        # list is not the same as none: it makes the lm_head ternary.
        "modules_to_not_convert": (["lm_head"], ["lm_head", "model.embed_tokens"], None),
    }
)
_LEGAL_ROPE: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {"rope_type": ("default", None), "type": ("default", None), "partial_rotary_factor": (1, None)}
)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; CheckpointError when the file is missing or holds no object."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path.parent} is no model directory: {path.name} is missing"
        ) from None
    except RecursionError:
        raise CheckpointError(f"{path} cannot be read as JSON: it is nested too deeply") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} must hold a JSON object")
    return data


def geometry(config: Mapping[str, Any], source: str) -> ModelConfig:
    """The sizes; CheckpointError, naming the key, for anything but a BitNet b1.58 decoder."""
    kind = config.get("model_type")
    family = _FAMILIES.get(kind) if isinstance(kind, str) else None
    if family is None:
        raise CheckpointError(
            f"{source}: model_type is {_shown(kind)}; trine runs BitNet b1.58 models (model_type "
            f"'bitnet') and Llama-style ones with ternary weights ('llama')"
        )
    method = _section(config, "quantization_config", source).get("quant_method")
    if kind == "llama" and method != "bitnet":
        raise CheckpointError(
            f"{source}: a 'llama' model is ternary with a quantization_config of quant_method "
            f"'bitnet'; this one has {_shown(method)}"
        )
    _require(config, {**_LEGAL, "hidden_act": (family.activation, None)}, source)
    rope = _section(config, "rope_parameters", source)
    for name in ("rope_parameters", "rope_scaling"):
        _require(_section(config, name, source), _LEGAL_ROPE, f"{source}: {name}")
    try:
        heads = config["num_attention_heads"]
        result = ModelConfig(
            vocab_size=config["vocab_size"],
            hidden_size=config["hidden_size"],
            intermediate_size=config["intermediate_size"],
            layers=config["num_hidden_layers"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_dim=config.get("head_dim") or config["hidden_size"] // heads,
            context=config.get("max_position_embeddings", 2048),
            rope_theta=float(rope.get("rope_theta", config.get("rope_theta", family.rope_theta))),
            rms_norm_eps=float(config.get("rms_norm_eps", family.rms_norm_eps)),
            tied_embeddings=config.get("tie_word_embeddings", False),
            bos_token_id=config.get("bos_token_id"),
            eos_token_id=config.get("eos_token_id"),
            activation=family.activation,
            sub_norms=family.sub_norms,
        )
    except KeyError as error:
        raise CheckpointError(f"{source}: the key {error.args[0]!r} is missing") from None
    except (TypeError, ZeroDivisionError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{source}: a value has the wrong type: {error}") from None
    _judge(result, source)
    return result


def declared_mode(config: Mapping[str, Any], source: str) -> Mode:
    """How the weights are stored, with Hugging Face's defaults; without a section as masters."""
    quantization = _section(config, "quantization_config", source)
    _require(quantization, _LEGAL_QUANTIZATION, f"{source}: quantization_config")
    if not quantization:
        return "online"
    if quantization.get("linear_class") != "autobitlinear":
        return "packed"
    return "online" if quantization.get("quantization_mode") == "online" else "offline"


def _section(config: Mapping[str, Any], name: str, source: str) -> Mapping[str, Any]:
    section = config.get(name)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise CheckpointError(f"{source}: {name} must be an object, not {_shown(section)}")
    return section


def _require(section: Mapping[str, Any], legal: Mapping[str, tuple[Any, ...]], source: str) -> None:
    for key, values in legal.items():
        if (value := section.get(key)) not in values:
            choices = " or ".join(repr(choice) for choice in values if choice is not None)
            raise CheckpointError(
                f"{source}: {key} is {_shown(value)}, and trine computes BitNet b1.58 with "
                f"{choices} only; use a checkpoint that has it so"
            )


def _judge(config: ModelConfig, source: str) -> None:
    """What `ModelConfig` cannot know: types of the other values, and Hugging Face's own limits."""
    if not isinstance(config.tied_embeddings, bool):
        raise CheckpointError(f"{source}: tie_word_embeddings must be true or false")
    if not (math.isfinite(config.rope_theta) and config.rope_theta > 0):
        raise CheckpointError(f"{source}: rope_theta must be above 0, not {config.rope_theta}")
    if not (math.isfinite(config.rms_norm_eps) and config.rms_norm_eps >= 0):
        raise CheckpointError(f"{source}: rms_norm_eps must not be {config.rms_norm_eps}")
    # BitNetForCausalLM gives attn_sub_norm hidden_size weights, and rotates halves of a head.
    square = config.heads * config.head_dim == config.hidden_size or not config.sub_norms
    if not square or config.head_dim % 2:
        raise CheckpointError(
            f"{source}: {config.heads} heads of {config.head_dim} do not make up hidden_size "
            f"{config.hidden_size}; BitNetForCausalLM needs even heads that do"
        )
    eos = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    for token in (config.bos_token_id, *eos):
        if token is not None and type(token) is not int:
            raise CheckpointError(f"{source}: {_shown(token)} is no token id; ids are integers")


def _shown(value: object) -> str:
    """A foreign value in a message of one short line."""
    return reprlib.repr(value)
