"""Writes GGUF files: ternary matrices as I2_S, TQ2_0 or TQ1_0, everything else as it is.

Norms become F32, as every reader wants them, which rounds nothing. The block scales of TQ2_0 and
TQ1_0 are float16 and would round: they are 1, and the exact float32 scale is the `.scale` tensor
beside the matrix, by which llama.cpp multiplies the output. Keys and types: the GGUF specification
(docs/gguf.md of ggml) and llama.cpp's gguf-py.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.checkpoint import Checkpoint
from trine.checkpoint.config import ModelConfig
from trine.checkpoint.gguf import interleaved_rows, scale_name
from trine.checkpoint.gguf_config import (
    ACTIVATION,
    BITNET,
    LLAMA,
    RELU2_ARCHITECTURES,
    tensor_map,
)
from trine.checkpoint.gguf_file import ALIGNMENT, ARRAY, MAGIC, STRING
from trine.checkpoint.i2_s_layout import BLOCK_KEY
from trine.checkpoint.stored import Progress, StoredTensor, write_tensors
from trine.checkpoint.tensors import EMBEDDING, LM_HEAD, is_ternary, module_of, tensor_shape
from trine.errors import CheckpointError, UsageError
from trine.ternary.gguf import I2_S, TQ1_0, TQ2_0, GgufTernary
from trine.ternary.hf import pack_hf, unpack_hf

_VERSION = 3
# llama.cpp's LLAMA_FTYPE_MOSTLY_*; I2_S is bitnet.cpp's.
_FILE_TYPES: Mapping[int, int] = MappingProxyType(
    {I2_S.type_id: 40, TQ1_0.type_id: 36, TQ2_0.type_id: 37}
)
_DENSE: Mapping[Any, int] = MappingProxyType(
    {np.dtype(np.float32): 0, np.dtype(np.float16): 1, np.dtype(ml_dtypes.bfloat16): 30}
)
_BOOL, _UINT32, _INT32, _FLOAT32 = 7, 4, 5, 6


def write_gguf(
    source: Checkpoint,
    vocabulary: Mapping[str, Any],
    path: Path,
    layout: GgufTernary,
    progress: Progress | None = None,
) -> None:
    """Write `source` to the new file `path`, with the `tokenizer.*` and other keys `vocabulary`.

    Raises CheckpointError for a matrix that the layout cannot hold and for damaged tensors,
    UsageError for a model that no GGUF architecture describes.
    """
    metadata = {**_metadata(source, layout), **vocabulary}
    tensors: list[StoredTensor] = []
    for name, stored in tensor_map(source.config).items():
        tensors += _stored(source, name, stored, layout)
    with path.open("wb") as file:
        head = struct.pack("<4sIQQ", MAGIC, _VERSION, len(tensors), len(metadata))
        head += b"".join(_text(key) + _pair(value) for key, value in metadata.items())
        offset = 0
        for tensor in tensors:
            head += _text(tensor.name) + struct.pack("<I", len(tensor.shape))
            head += struct.pack(f"<{len(tensor.shape)}Q", *reversed(tensor.shape))
            head += struct.pack("<IQ", tensor.kind, offset)
            offset += tensor.nbytes + -tensor.nbytes % ALIGNMENT
        file.write(head + bytes(-len(head) % ALIGNMENT))
        write_tensors(file, tensors, ALIGNMENT, progress)


def architecture(config: ModelConfig, layout: GgufTernary) -> str:
    """The architecture's name: bitnet.cpp's for its own I2_S, llama.cpp's for TQ."""
    if not config.sub_norms:
        if config.activation != "silu":
            raise UsageError("no GGUF architecture has relu2 and no sub-norms")
        return LLAMA
    if config.activation == "relu2" and layout is I2_S:
        return RELU2_ARCHITECTURES[0]
    return BITNET


def _metadata(source: Checkpoint, layout: GgufTernary) -> dict[str, Any]:
    config = source.config
    arch = architecture(config, layout)
    metadata: dict[str, Any] = {
        "general.architecture": arch,
        "general.name": source.provenance.id,
        "general.file_type": _FILE_TYPES[layout.type_id],
        "general.quantization_version": 2,
        f"{arch}.vocab_size": config.vocab_size,
        f"{arch}.context_length": config.context,
        f"{arch}.embedding_length": config.hidden_size,
        f"{arch}.block_count": config.layers,
        f"{arch}.feed_forward_length": config.intermediate_size,
        f"{arch}.attention.head_count": config.heads,
        f"{arch}.attention.head_count_kv": config.kv_heads,
        f"{arch}.attention.key_length": config.head_dim,
        f"{arch}.attention.value_length": config.head_dim,
        f"{arch}.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        f"{arch}.rope.dimension_count": config.head_dim,
        f"{arch}.rope.freq_base": config.rope_theta,
        ACTIVATION: config.activation,
    }
    if layout is I2_S:
        metadata[BLOCK_KEY] = I2_S.block
    return metadata


def _stored(source: Checkpoint, name: str, stored: str, layout: GgufTernary) -> list[StoredTensor]:
    shape = tensor_shape(source.config, name)
    if not is_ternary(name):
        tensor = source.dense(name)
        # Readers want norms in F32; an embedding or head stays as it is.
        dtype = tensor.dtype if name in (EMBEDDING, LM_HEAD) else np.dtype(np.float32)
        size = tensor.size * dtype.itemsize
        make = partial(_as, source, name, dtype)
        return [StoredTensor(stored, _DENSE[dtype], shape, size, make)]
    try:
        layout.require(*shape)
    except CheckpointError as error:
        raise CheckpointError(f"{source.provenance.id}: {name}: {error}") from None
    matrix = _Matrix(source, name, layout)
    tensors = [StoredTensor(stored, layout.type_id, shape, layout.nbytes(*shape), matrix.data)]
    if layout is not I2_S:
        tensors.append(StoredTensor(scale_name(stored), 0, (1,), 4, matrix.scale))
    return tensors


def _as(source: Checkpoint, name: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    return source.dense(name).astype(dtype, copy=False)


class _Matrix:
    """A ternary matrix whose codes and scale are written one after the other, made once."""

    def __init__(self, source: Checkpoint, name: str, layout: GgufTernary) -> None:
        self._source, self._name, self._layout = source, name, layout
        self._scale = np.float32(0)

    def data(self) -> NDArray[np.uint8]:
        weight, config = self._source.ternary(self._name), self._source.config
        self._scale = weight.scale
        packed = weight.packed
        heads = {"q_proj": config.heads, "k_proj": config.kv_heads}.get(module_of(self._name))
        if heads is not None and not config.sub_norms:
            # The inverse of what the reader does: row [i] of the file is row i of Hugging Face.
            codes = np.empty_like(rows := unpack_hf(packed))
            codes[interleaved_rows(heads, config.head_dim)] = rows
            packed = pack_hf(codes)
        within = weight.scale if self._layout is I2_S else np.float32(1)
        return self._layout.encode(packed, within)

    def scale(self) -> NDArray[np.float32]:
        return np.array([self._scale], "<f4")


def _text(text: str) -> bytes:
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _pair(value: Any) -> bytes:
    """A value with its type: bool, uint32, float32, string, or a list of one of them."""
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _text(value)
    if isinstance(value, list):
        kind = STRING if value and isinstance(value[0], str) else _INT32
        items = (_text(item) if kind == STRING else struct.pack("<i", item) for item in value)
        return struct.pack("<IIQ", ARRAY, kind, len(value)) + b"".join(items)
    if isinstance(value, bool):
        return struct.pack("<I?", _BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", _UINT32, value)
    return struct.pack("<If", _FLOAT32, value)
