"""Writes Hugging Face directories: packed ternary at two bits, or float master weights.

packed   each ternary matrix uint8 [N/4, K] (the layout of `trine.ternary.hf`) with its float32
         `weight_scale` [1] that multiplies: `linear_class: autobitlinear`, offline
master   float weights as they were trained, which are quantised at each call: online

Nothing is rounded. Masters keep their dtype; beside packed weights all floats are float32, because
the scales are, and transformers keeps the stored dtypes of a packed checkpoint and cannot multiply
two of them. One file: transformers maps it, and no reader needs the weights in pieces.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.checkpoint import Checkpoint
from trine.checkpoint.hf import SINGLE
from trine.checkpoint.hf_text import CONFIG, GENERATION, TEMPLATE, TOKENIZER
from trine.checkpoint.safetensors import DTYPES
from trine.checkpoint.stored import Progress, StoredTensor, write_tensors
from trine.checkpoint.tensors import is_ternary, tensor_names, tensor_shape
from trine.checkpoint.vocabulary import TextSource
from trine.errors import CheckpointError, UsageError
from trine.ternary.hf import CODES_PER_BYTE

Form = Literal["packed", "master"]
# The header's length is a multiple of this, so that every tensor is aligned.
_ALIGNMENT = 8


def write_hf(
    source: Checkpoint,
    text: TextSource,
    folder: Path,
    form: Form,
    progress: Progress | None = None,
) -> None:
    """Write `source` and its `text` into the empty directory `folder`.

    Raises UsageError for masters of a model that has none, CheckpointError for damaged tensors and
    a matrix whose rows cannot be packed by four.
    """
    if form == "master" and not source.has_master:
        raise UsageError(
            f"{source.provenance.id} holds ternary weights; float masters are what they were made "
            f"from, and cannot be had back (quantising again would change the scale)"
        )
    # Floats first: bytes in front of them could leave them unaligned.
    names = sorted(tensor_names(source.config), key=is_ternary)
    tensors = [each for name in names for each in _stored(source, name, form)]
    _write_safetensors(folder / SINGLE, tensors, progress)
    _write_json(folder / "config.json", _document(source, form))
    _write_text(folder, text)


def _stored(source: Checkpoint, name: str, form: Form) -> list[StoredTensor]:
    shape = tensor_shape(source.config, name)
    if form == "master":
        get = source.master if is_ternary(name) else source.dense
        tensor = get(name)
        size = tensor.dtype.itemsize * tensor.size
        return [StoredTensor(name, _kind(tensor), shape, size, partial(get, name))]
    if not is_ternary(name):
        size = 4 * math.prod(shape)
        return [StoredTensor(name, "F32", shape, size, partial(_float32, source, name))]
    n, k = shape
    if n % CODES_PER_BYTE:
        raise CheckpointError(
            f"{source.provenance.id}: {name} has {n} rows, and the Hugging Face layout packs rows "
            f"by four"
        )
    weight = _Once(source, name)
    packed = (n // CODES_PER_BYTE, k)
    return [
        StoredTensor(name, "U8", packed, n * k // CODES_PER_BYTE, weight.packed),
        StoredTensor(f"{name}_scale", "F32", (1,), 4, weight.scale),
    ]


def _float32(source: Checkpoint, name: str) -> NDArray[np.float32]:
    return source.dense(name).astype(np.float32, copy=False)


class _Once:
    """A ternary matrix whose codes and scale are written one after the other, made once."""

    def __init__(self, source: Checkpoint, name: str) -> None:
        self._source, self._name = source, name
        self._scale = np.float32(0)

    def packed(self) -> NDArray[np.uint8]:
        weight = self._source.ternary(self._name)
        self._scale = weight.scale
        return weight.packed

    def scale(self) -> NDArray[np.float32]:
        return np.array([self._scale], np.float32)


def _kind(tensor: NDArray[Any]) -> str:
    return next(name for name, dtype in DTYPES.items() if np.dtype(dtype) == tensor.dtype)


def _write_safetensors(path: Path, tensors: list[StoredTensor], progress: Progress | None) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for tensor in tensors:
        end = offset + tensor.nbytes
        header[tensor.name] = {
            "dtype": tensor.kind,
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % _ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        write_tensors(file, tensors, 1, progress)


def _document(source: Checkpoint, form: Form) -> dict[str, Any]:
    """config.json: the source's own where it has one, with the weights' new form."""
    document = dict(source.hf_config or hf_document(source))
    quantization = dict(document.get("quantization_config") or {})
    quantization |= {
        "quant_method": "bitnet",
        "linear_class": "autobitlinear",
        "quantization_mode": "offline" if form == "packed" else "online",
    }
    quantization.setdefault("modules_to_not_convert", ["lm_head"])
    document |= {"quantization_config": quantization}
    if form == "packed":
        document.pop("torch_dtype", None)  # its older name
        document["dtype"] = "float32"
    return document


def hf_document(source: Checkpoint) -> dict[str, Any]:
    """A config.json for a model that has none, as transformers reads it."""
    config = source.config
    kind = "bitnet" if config.sub_norms else "llama"
    if (config.activation == "relu2") != config.sub_norms:
        raise UsageError(
            f"{source.provenance.id} has {config.activation} and "
            f"{'sub-norms' if config.sub_norms else 'no sub-norms'}, which no model class of "
            f"transformers computes"
        )
    return {
        "architectures": ["BitNetForCausalLM" if config.sub_norms else "LlamaForCausalLM"],
        "model_type": kind,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.context,
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "rms_norm_eps": config.rms_norm_eps,
        "hidden_act": config.activation,
        "tie_word_embeddings": config.tied_embeddings,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id,
        "dtype": source.dense(next(tensor_names(config))).dtype.name,
    }


def _write_text(folder: Path, text: TextSource) -> None:
    if text.tokenizer_json is not None:
        _write(folder / TOKENIZER, text.tokenizer_json)
    if text.config:
        _write_json(folder / CONFIG, text.config)
    if text.chat_template is not None and text.config.get("chat_template") != text.chat_template:
        _write(folder / TEMPLATE, text.chat_template)
    if text.generation:
        _write_json(folder / GENERATION, text.generation)


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    _write(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _write(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8", newline="")
