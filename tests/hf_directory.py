"""Writes small Hugging Face BitNet directories in every variant the readers must tell apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from trine.checkpoint.checkpoint import Checkpoint
from trine.checkpoint.config import LINEARS
from trine.checkpoint.tensors import EMBEDDING, FINAL_NORM, LM_HEAD, layer_tensor


def write_directory(
    source: Checkpoint,
    folder: Path,
    *,
    variant: str,
    layers: int = 2,
    shards: int = 1,
    dtype: type = np.float32,
    document: dict[str, Any] | None = None,
) -> Path:
    """`variant`: "master" (floats), "autobitlinear" (multiplies) or "bitlinear" (divides).

    dtype: of the floats. document: config.json, when it is not that of a BitNet with tied weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = source.config
    document = document or {
        "architectures": ["BitNetForCausalLM"],
        "model_type": "bitnet",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "max_position_embeddings": config.context,
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.rms_norm_eps,
        "hidden_act": "relu2",
        "tie_word_embeddings": True,
    }
    if variant != "master" or document["model_type"] == "llama":
        document["quantization_config"] = {
            "quant_method": "bitnet",
            "linear_class": "autobitlinear" if variant == "master" else variant,
            "quantization_mode": "online" if variant == "master" else "offline",
        }
    (folder / "config.json").write_text(json.dumps(document), encoding="utf-8")
    tensors = _tensors(source, variant, layers, dtype)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return folder
    weight_map = {}
    for number in range(shards):
        name = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        part = dict(list(tensors.items())[number::shards])
        save_file(part, folder / name)
        weight_map |= dict.fromkeys(part, name)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def _tensors(source: Checkpoint, variant: str, layers: int, dtype: type) -> dict[str, np.ndarray]:
    names = [EMBEDDING, FINAL_NORM]
    names += [] if source.config.tied_embeddings else [LM_HEAD]
    names += [layer_tensor(layer, norm) for layer in range(layers) for norm in source.config.norms]
    tensors = {name: source.dense(name).astype(dtype) for name in names}
    for layer in range(layers):
        for linear in LINEARS:
            name = layer_tensor(layer, linear)
            if variant == "master":
                tensors[name] = source.master(name).astype(dtype)
                continue
            weight = source.ternary(name)
            scale = weight.scale if variant == "autobitlinear" else 1 / weight.scale
            tensors[name] = weight.packed
            tensors[f"{name}_scale"] = np.array([scale], dtype=np.float32)
    return tensors
