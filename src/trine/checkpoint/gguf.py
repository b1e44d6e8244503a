"""GGUF files as checkpoints: ternary matrices of bitnet.cpp, llama.cpp and ik_llama.cpp.

Nothing is copied at opening but the vocabulary. A ternary matrix is repacked into the Hugging Face
layout when it is asked for; an embedding of F32, F16 or BF16 is a view of the mapped file, one of
Q8_0 or Q6_K becomes float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from trine.checkpoint import i2_s_layout
from trine.checkpoint.checkpoint import Checkpoint, Mode, Provenance, TernaryWeight
from trine.checkpoint.config import ModelConfig
from trine.checkpoint.gguf_blocks import dequantise
from trine.checkpoint.gguf_config import (
    LLAMA,
    OUTPUT,
    ROPE_FREQUENCIES,
    gguf_geometry,
    tensor_map,
)
from trine.checkpoint.gguf_file import PLAIN, GGUFFile
from trine.checkpoint.gguf_text import text_of
from trine.checkpoint.tensors import EMBEDDING, LM_HEAD, is_ternary, module_of, tensor_shape
from trine.checkpoint.vocabulary import TextSource
from trine.errors import CheckpointError
from trine.ternary.gguf import I2_S, LAYOUTS, GgufTernary, Order

_VIEWS: Mapping[str, Any] = {"F32": "<f4", "F16": "<f2", "BF16": ml_dtypes.bfloat16}


class GGUFCheckpoint(Checkpoint):
    """One GGUF file; opening it judges every tensor against the metadata."""

    # Offline: ternary values and one scale that multiplies, as AutoBitLinear computes.
    native_mode: Mode = "offline"
    has_master = False
    tokenizer_file: Path | None = None

    def __init__(self, path: Path, provenance: Provenance) -> None:
        self.file = GGUFFile(path)
        self.provenance = provenance
        self.config = _config(self.file)
        self.names = tensor_map(self.config)
        self._interleaved = self.file.metadata["general.architecture"] == LLAMA
        self._judge()
        # How the layout of the I2_S matrices is known; None where there are none.
        self.i2_s = i2_s_layout.choose(self.file, self.config)

    @cached_property
    def text(self) -> TextSource:
        """The `tokenizer.*` keys, or the tokenizer.json that the file carries whole."""
        return text_of(self.file.metadata, str(self.file.path))

    def dense(self, name: str) -> NDArray[Any]:
        """As stored, or float32 where the file has blocks of integers."""
        if name == LM_HEAD and self.config.tied_embeddings:
            name = EMBEDDING
        entry = self.file.entry(self._name(name))
        raw, kind = self.file.raw(entry.name), entry.type_name
        if kind in _VIEWS:
            view: NDArray[Any] = raw.view(_VIEWS[kind])
            return view.reshape(entry.shape)
        return dequantise(kind, raw, entry.shape, f"{self.file.path}: {entry.name}")

    def master(self, name: str) -> NDArray[Any]:
        """Never there: CheckpointError."""
        raise CheckpointError(
            f"{self.file.path}: {name} is packed ternary; float master weights are in the "
            f"Hugging Face checkpoint (the -bf16 variant)"
        )

    def ternary(self, name: str) -> TernaryWeight:
        """The matrix in the HF layout, q and k of `llama` files in the order of Hugging Face."""
        entry = self.file.entry(self._name(name))
        n, k = entry.shape
        try:
            packed, scale = self._layout(entry.type_id).decode(
                self.file.raw(entry.name), n, k, self._order(name)
            )
        except CheckpointError as error:
            raise CheckpointError(f"{self.file.path}: {entry.name}: {error}") from None
        return TernaryWeight(packed, scale * self._output_scale(entry.name))

    def release(self) -> None:
        """Let the file's pages go."""
        self.file.release()

    def _name(self, name: str) -> str:
        if name not in self.names:
            raise CheckpointError(f"{self.file.path}: there is no tensor {name}")
        return self.names[name]

    def _layout(self, type_id: int) -> GgufTernary:
        return self.i2_s.layout if self.i2_s and type_id == I2_S.type_id else LAYOUTS[type_id]

    def _order(self, name: str) -> Order | None:
        """Which row of the file is row i of Hugging Face: llama.cpp rotates neighbours."""
        heads = {"q_proj": self.config.heads, "k_proj": self.config.kv_heads}.get(module_of(name))
        if not self._interleaved or heads is None:
            return None
        return interleaved_rows(heads, self.config.head_dim)

    def _output_scale(self, weight: str) -> np.float32:
        """llama.cpp's optional `.scale` [1] beside a matrix, which multiplies its output."""
        name = scale_name(weight)
        if name not in self.file.tensors:
            return np.float32(1)
        scale = self.file.raw(name).view("<f4")[0]
        if not np.isfinite(scale) or scale <= 0:
            raise CheckpointError(f"{self.file.path}: {name} is {scale}; it must be above 0")
        return np.float32(scale)

    def _judge(self) -> None:
        """Refuse, from the header alone, whatever does not fit the metadata to the letter."""
        known = set()
        for name, stored in self.names.items():
            self._judge_tensor(name, stored)
            known |= {stored, scale_name(stored)} if is_ternary(name) else {stored}
        if self.config.tied_embeddings:
            known.add(OUTPUT)
        self._judge_rope_frequencies()
        unknown = sorted(set(self.file.tensors) - known - {ROPE_FREQUENCIES})
        if unknown:
            more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            raise CheckpointError(
                f"{self.file.path}: {unknown[0]!r}{more} has no place in a 1.58-bit model of "
                f"{self.config.layers} layers; leaving it out would change the model"
            )

    def _judge_tensor(self, name: str, stored: str) -> None:
        entry, shape = self.file.entry(stored), tensor_shape(self.config, name)
        where = f"{self.file.path}: {stored}"
        if entry.shape != shape:
            raise CheckpointError(
                f"{where} has shape {list(entry.shape)}, the metadata says {list(shape)}"
            )
        self.file.raw(stored)
        if is_ternary(name) != (entry.type_id in LAYOUTS):
            wanted = "a ternary type" if is_ternary(name) else "floats"
            raise CheckpointError(f"{where} is {entry.type_name}, and {wanted} belongs there")
        if is_ternary(name):
            if shape[0] % 4:
                raise CheckpointError(f"{where} has {shape[0]} rows; trine packs them by four")
            scale = self.file.tensors.get(scale_name(stored))
            if scale is not None and (scale.shape != (1,) or scale.type_name != "F32"):
                raise CheckpointError(
                    f"{self.file.path}: {scale.name} is {scale.type_name} of shape "
                    f"{list(scale.shape)}; it must be one F32"
                )

    def _judge_rope_frequencies(self) -> None:
        if ROPE_FREQUENCIES not in self.file.tensors:
            return
        entry = self.file.entry(ROPE_FREQUENCIES)
        if entry.type_name != "F32" or np.any(self.file.raw(entry.name).view("<f4") != 1):
            raise CheckpointError(
                f"{self.file.path}: {entry.name} scales RoPE's frequencies, which is not supported"
            )


def scale_name(weight: str) -> str:
    """Of `blk.0.attn_q.weight`: `blk.0.attn_q.scale`."""
    return weight.removesuffix("weight") + "scale"


def interleaved_rows(heads: int, head_dim: int) -> Order:
    """Row i of Hugging Face's q or k is row `[i]` of a llama.cpp file of the `llama` architecture.

    Hugging Face rotates (j, j + head_dim / 2), llama.cpp (2 j, 2 j + 1) (its LlamaModel.permute).
    """
    rows = np.arange(heads * head_dim, dtype=np.intp).reshape(heads, head_dim // 2, 2)
    return rows.swapaxes(1, 2).reshape(-1)


def _config(file: GGUFFile) -> ModelConfig:
    embedding = file.entry("token_embd.weight")
    if len(embedding.shape) != 2:
        raise CheckpointError(
            f"{file.path}: token_embd.weight has {len(embedding.shape)} dimensions"
        )
    # Before any list is made of layers that a damaged number claims.
    for key, value in file.metadata.items():
        if key.endswith(".block_count") and type(value) is int and value > len(file.tensors):
            raise CheckpointError(
                f"{file.path}: {key} is {value}, and there are {len(file.tensors)} tensors"
            )
    tied = OUTPUT not in file.tensors
    if not tied:
        output = file.entry(OUTPUT)
        # Old files of tied models store the embedding twice; the bytes tell.
        tied = (
            output.type_id == embedding.type_id in PLAIN
            and output.shape == embedding.shape
            and np.array_equal(file.raw(OUTPUT), file.raw("token_embd.weight"))
        )
    return gguf_geometry(file.metadata, str(file.path), tied=tied, rows=embedding.shape[0])
