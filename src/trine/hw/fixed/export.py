"""From a checkpoint's floats to the integers of the contract: the one place that computes floats.

It runs once, on the host; what it makes is what the hardware's memories and constants hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.checkpoint import Checkpoint
from trine.checkpoint.config import LINEARS, NORMS, ModelConfig
from trine.checkpoint.tensors import EMBEDDING, FINAL_NORM, LM_HEAD, layer_tensor
from trine.hw.fixed.attention import EXP_EXTRA
from trine.hw.fixed.contract import Contract
from trine.hw.fixed.head import ROW_SCALE_BITS, HeadRows
from trine.hw.fixed.integer import Ints
from trine.hw.fixed.norm import NormWeights
from trine.hw.fixed.rope import PHASE_BITS, SINE_BITS, RopeTables
from trine.hw.fixed.scalar import Scalar
from trine.kernels.reference import Codes
from trine.ternary import absmean_ternary, unpack_hf

Doubles = NDArray[np.float64]
# Rows of an embedding that are quantised at once: a vocabulary in float64 would take gigabytes.
_ROWS = 4096


@dataclass(frozen=True, slots=True)
class FixedLayer:
    """One decoder layer: trits [N, K] and scalars [1, 1] by linear, weights by norm."""

    trits: Mapping[str, Codes]
    scales: Mapping[str, Scalar]
    norms: Mapping[str, NormWeights]


def scalar(value: float, bits: int) -> Scalar:
    """A positive float rounded to a mantissa of `bits`, shape [1, 1]."""
    fraction, exponent = math.frexp(value)
    mantissa = np.full((1, 1), round(math.ldexp(fraction, bits + 1)), np.int64)
    # One bit more than needed, since rounding up may carry.
    return Scalar.of(mantissa, bits, exponent - bits - 1)


def norm_weights(weights: Doubles, eps: float, contract: Contract) -> NormWeights:
    """Constants of one norm of weights [K]."""
    limit = (1 << (contract.weight_bits - 1)) - 1
    largest = float(np.abs(weights).max())
    exponent = math.frexp(largest)[1] - (contract.weight_bits - 1) if largest else 0
    codes = np.clip(np.rint(np.ldexp(weights, -exponent)), -limit, limit).astype(np.int64)
    count = len(weights)
    return NormWeights(
        codes,
        gain=scalar(math.ldexp(math.sqrt(count), exponent), contract.scalar_bits),
        floor=scalar(count * eps, contract.scalar_bits),
    )


def rope_tables(config: ModelConfig, contract: Contract) -> RopeTables:
    """Steps of all pairs, and the quarter wave."""
    half = config.head_dim // 2
    radians = config.rope_theta ** -(np.arange(half) / half)
    steps = np.rint(radians / (2 * np.pi) * 2**PHASE_BITS).astype(np.int64)
    entries = 1 << contract.rope_table_bits
    angle = np.arange(entries + 1) / entries * np.pi / 2
    return RopeTables(steps, np.rint(np.sin(angle) * 2**SINE_BITS).astype(np.int64))


def power_table(contract: Contract) -> Ints:
    """2^-f for f of 0 to 1 in 2^exp_table_bits steps."""
    entries = 1 << contract.exp_table_bits
    one = 2 ** (contract.probability_bits + EXP_EXTRA)
    powers: Ints = np.rint(2.0 ** -(np.arange(entries + 1) / entries) * one).astype(np.int64)
    return powers


def absmax_rows(rows: NDArray[np.floating], bits: int) -> tuple[Ints, Doubles]:
    """Codes of `bits` and scales of rows [V, H]; a row of zeros has scale 0."""
    levels = (1 << (bits - 1)) - 1
    wide = rows.astype(np.float64)
    scales: Doubles = np.abs(wide).max(axis=1) / levels
    codes = np.rint(wide / np.where(scales == 0, 1, scales)[:, None])
    return codes.astype(np.int64), scales


def head_rows(rows: NDArray[np.floating], contract: Contract) -> HeadRows:
    """An lm_head of rows [V, H], and its ternary copy (absmean a row, least-squares scale)."""
    codes, scales = absmax_rows(rows, contract.head_bits)
    wide = rows.astype(np.float32)
    trits = np.stack([absmean_ternary(row)[0] for row in wide])
    kept = np.maximum(np.count_nonzero(trits, axis=1), 1)
    screen = (np.abs(wide) * (trits != 0)).sum(axis=1, dtype=np.float64) / kept
    unit = float(scales.max()) / 2**ROW_SCALE_BITS
    screen_unit = float(screen.max()) / 2**ROW_SCALE_BITS
    return HeadRows(
        codes,
        np.rint(scales / unit).astype(np.int64),
        unit,
        trits,
        np.rint(screen / screen_unit).astype(np.int64),
    )


def fixed_layer(checkpoint: Checkpoint, number: int, contract: Contract) -> FixedLayer:
    """Layer `number` of a checkpoint."""
    weights = {name: checkpoint.ternary(layer_tensor(number, name)) for name in LINEARS}
    eps = checkpoint.config.rms_norm_eps
    norms = {
        name: checkpoint.dense(layer_tensor(number, name)).astype(np.float64) for name in NORMS
    }
    return FixedLayer(
        {name: unpack_hf(weight.packed) for name, weight in weights.items()},
        {name: scalar(float(w.scale), contract.scalar_bits) for name, w in weights.items()},
        {name: norm_weights(values, eps, contract) for name, values in norms.items()},
    )


def embedding_rows(checkpoint: Checkpoint, tokens: Ints, contract: Contract) -> tuple[Ints, Scalar]:
    """Codes [T, H] of the tokens' rows, and their scales [T, 1]."""
    codes, scales = absmax_rows(checkpoint.dense(EMBEDDING)[tokens], contract.embedding_bits)
    fractions, exponents = np.frexp(scales[:, None])
    bits = contract.scalar_bits
    mantissas = np.rint(np.ldexp(fractions, bits + 1)).astype(np.int64)
    return codes, Scalar.of(mantissas, bits, exponents.astype(np.int64) - bits - 1)


def final_norm(checkpoint: Checkpoint, contract: Contract) -> NormWeights:
    """The norm before the lm_head."""
    weights = checkpoint.dense(FINAL_NORM).astype(np.float64)
    return norm_weights(weights, checkpoint.config.rms_norm_eps, contract)


def head_of(checkpoint: Checkpoint, contract: Contract) -> HeadRows:
    """The lm_head, tied or not."""
    name = EMBEDDING if checkpoint.config.tied_embeddings else LM_HEAD
    return head_rows(checkpoint.dense(name), contract)


def residual_bound(checkpoint: Checkpoint, layers: list[FixedLayer]) -> float:
    """No residual element of any input can exceed this.

    |y_r| <= sqrt(trits of row r that are not 0) * |codes * scale| * weight scale, where
    |codes * scale| is at most max|w| sqrt(K), plus half a code of rounding in each element.
    """
    dense = checkpoint.dense(EMBEDDING)
    bound = max(
        float(np.abs(dense[at : at + _ROWS].astype(np.float32)).max())
        for at in range(0, len(dense), _ROWS)
    )
    for layer in layers:
        for linear, norm in (("o_proj", "attn_sub_norm"), ("down_proj", "ffn_sub_norm")):
            trits, weights = layer.trits[linear], layer.norms[norm]
            columns = trits.shape[1]
            entries = math.sqrt(int(np.count_nonzero(trits, axis=1).max()))
            length = _real(weights.gain) * int(np.abs(weights.weights).max())
            bound += entries * length * (1 + math.sqrt(columns) / 254) * _real(layer.scales[linear])
    return bound


def binary_point(bound: float, contract: Contract) -> int:
    """Fractional bits of the residual stream, so that `bound` fits."""
    return contract.residual_bits - 1 - math.ceil(math.log2(bound))


def _real(value: Scalar) -> float:
    return math.ldexp(float(value.mantissa[0, 0]), int(value.exponent[0, 0]))
