"""Absmean ternary weights and absmax int8 activations (BitNet b1.58, arXiv 2402.17764, eq. 1-3).

All arithmetic is float32 with round half to even, the operations and their order as in Hugging
Face's `AutoBitLinear` (transformers/integrations/bitnet.py), so that codes agree with it bit for
bit except where x * s lies within an ulp of a tie.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Floor under mean|W| and max|x|: keeps an all-zero tensor's scale finite. Same value as HF.
EPSILON = np.float32(1e-5)


def absmean_ternary(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], np.float32]:
    """Ternary codes in {-1, 0, 1}, shape of `weight`, and the scale that multiplies them back.

    t = clip(rint(W / s), -1, 1) with s = max(mean|W|, 1e-5). Never apply it to weights that are
    already ternary: the scale would shrink by the share of non-zeros.
    """
    inverse = np.float32(1) / max(np.abs(weight).mean(dtype=np.float32), EPSILON)
    codes = np.clip(np.rint(weight * inverse), -1, 1).astype(np.int8)
    return codes, np.float32(1) / inverse


def absmax_int8(x: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Per-token int8 codes, shape of `x`, and scales of shape [..., 1] that *divide* them back.

    s = 127 / max(max|x|, 1e-5) over the last axis, q = clip(rint(x * s), -128, 127).
    """
    scale = np.float32(127) / np.maximum(np.abs(x).max(axis=-1, keepdims=True), EPSILON)
    codes = np.clip(np.rint(x * scale), -128, 127).astype(np.int8)
    return codes, scale.astype(np.float32)
