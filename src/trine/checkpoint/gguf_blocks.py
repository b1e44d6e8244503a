"""Blocks of integers with a scale, in which GGUF files hold embeddings and heads, as float32.

    Q8_0  32 weights in 34 bytes: float16 d, int8 q[32]; w = d q
    Q6_K  256 weights in 210 bytes: ql[128], qh[64], int8 scales[16], float16 d; w = d s (q - 32),
          where weight 128 h + 32 i + l (h < 2, i < 4, l < 32) has its low four bits in
          ql[64 h + 32 (i mod 2) + l] (low half for i < 2), its high two in qh[32 h + l] at
          bits 2 i, and s = scales[(128 h + 32 i + l) / 16]

Source: ggml-quants.c of llama.cpp, and its arithmetic in float32: (d s) q.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trine.errors import CheckpointError

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

# Blocks at a time: the integers on the way to floats stay in the caches.
_CHUNK = 1 << 10


def dequantise(kind: str, raw: Bytes, shape: tuple[int, ...], where: str) -> Floats:
    """Float32 of `shape` from Q8_0 or Q6_K; CheckpointError for a scale that is no number."""
    size, make = {"Q8_0": (34, _q8_0), "Q6_K": (210, _q6_k)}[kind]
    blocks = raw.reshape(-1, size)
    out = np.empty((len(blocks), int(np.prod(shape)) // len(blocks)), np.float32)
    for start in range(0, len(blocks), _CHUNK):
        piece = out[start : start + _CHUNK]
        with np.errstate(invalid="ignore", over="ignore"):
            make(blocks[start : start + _CHUNK], piece)
        if not np.isfinite(piece).all():
            raise CheckpointError(f"{where} has a block whose scale is no number")
    return out.reshape(shape)


def _q8_0(blocks: Bytes, out: Floats) -> None:
    scale = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    np.multiply(np.ascontiguousarray(blocks[:, 2:]).view(np.int8), scale, out=out)


def _q6_k(blocks: Bytes, out: Floats) -> None:
    count = len(blocks)
    low = blocks[:, :128].reshape(count, 2, 1, 64)
    low = np.concatenate([low & 0x0F, low >> 4], axis=2).reshape(count, 2, 4, 32)
    high = blocks[:, 128:192].reshape(count, 2, 1, 32)
    shifts = np.array([0, 2, 4, 6], np.uint8)[:, None]
    codes = (low | ((high >> shifts) & 3) << 4).view(np.int8) - np.int8(32)
    scale = np.ascontiguousarray(blocks[:, 208:]).view("<f2").astype(np.float32)
    scale = scale * np.ascontiguousarray(blocks[:, 192:208]).view(np.int8)
    np.multiply(codes.reshape(count, 16, 16), scale[:, :, None], out=out.reshape(count, 16, 16))
