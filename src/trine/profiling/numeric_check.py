"""Is the output that was timed the right one? Each operator, computed again from its own input.

In: `Call`s, what a backend's operators were given and gave, and the weights that they stand for.
Out: one `NumericCheck` a call. Pure functions over NumPy arrays: a backend records, this judges.

The check is teacher-forced: every operator gets the recorded input and not the reference's own
previous output, because an ulp that flips one int8 code grows from layer to layer until two
correct implementations disagree about a token (HF disagrees so with itself). The reference is
`trine.kernels.reference`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.config import ModelConfig
from trine.kernels import reference
from trine.kernels.reference import Codes, Floats
from trine.profiling.profile import Kind, NumericCheck, Stage
from trine.ternary import absmax_int8

# Norm of the difference over the norm of the row. In float32 one operator was 2e-7 off (sums in
# another order). A rounding to bfloat16 (8 bits) adds 1.7e-3 to a row, and operators round up to
# five times: 4e-3.
FLOAT32, BFLOAT16 = 1e-6, 4e-3
# BitLinear also makes its codes with, and divides by, an activation scale that is a bfloat16.
PACKED_BFLOAT16 = 1.4e-2
# The error of an output that is no number, or not zero where it must be: wrong beyond measure.
BEYOND = 1e9
# Where x * s lies this close to a rounding tie, either code is right.
TIE = 1e-4
# Sampled tokens of a pass, and sampled rows of the lm_head.
TOKENS, VOCABULARY = 16, 1024


@dataclass(frozen=True, slots=True)
class Quantised:
    """A ternary operator's own integers: codes int8 [S, K], trits int8 [N, K], sums int32 [S, N].

    `trits` only where the operator makes them at each call, `sums` where it shows them.
    """

    codes: Codes
    trits: Codes | None = None
    sums: NDArray[np.int32] | None = None


@dataclass(frozen=True, slots=True)
class Ternary:
    """The weight of a ternary operator: trits int8 [N, K], its multiply scale, the master if any.

    `stored_scale` is the scale as the model's dtype can hold it.
    """

    trits: Codes
    scale: np.float32
    stored_scale: np.float32
    master: Floats | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one operator for the S sampled tokens at `positions`, all arrays float32.

    inputs and output by kind (H heads, D head dimension, C keys):
      norm, bitlinear, activation, linear    ([S, K],)                       -> [S, N]
      gating, residual                       ([S, N], [S, N])                -> [S, N]
      rope (application)                     ([S, H, D],)                    -> [S, H, D]
      rope (rotary_emb)                      ()                              -> [S, 2, D] cos, sin
      attention                              ([S, H, D], [KV, C, D] twice)   -> [S, H * D]
      kv_update, embedding                   (what must arrive unchanged,)   -> the same
      sampling                               ([S, V],)                       -> [S, 1]
    `weight` is that of a norm [K] or the rows of a linear that `output` holds, [N, K].
    """

    operator: str
    kind: Kind
    positions: NDArray[np.int64]
    inputs: tuple[Floats, ...]
    output: Floats
    weight: Floats | None = None
    quantised: Quantised | None = None


def sample(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of `count` indices: first, last, and evenly between."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def tolerance(kind: Kind, dtype: str, mode: str) -> float:
    """How far an operator of this kind may be off (see `NumericCheck.error`).

    Measured worst on the tiny and the 2B-4T geometry: float32 4.2e-7, bfloat16 online and offline
    3.3e-3, packed 1.0e-2.
    """
    if kind in ("embedding", "kv_update", "sampling"):
        return 0.0
    if dtype == "float32":
        return FLOAT32
    return PACKED_BFLOAT16 if kind == "bitlinear" and mode == "packed" else BFLOAT16


def check(
    call: Call, stage: Stage, layer: int, config: ModelConfig, allowed: float
) -> NumericCheck:
    """Judge an operator that is not ternary."""
    expected = _expected(call, config)
    return verdict(call, stage, layer, row_error(call.output, expected), allowed)


def check_ternary(
    call: Call, ternary: Ternary, stage: Stage, layer: int, allowed: float
) -> NumericCheck:
    """Judge a BitLinear: its codes, its sums on the same codes, and its float output."""
    (x,) = call.inputs
    codes, scale = absmax_int8(x)
    trits, own = ternary.trits, call.quantised
    at_ties = wrong = 0
    if own is not None:
        at_ties, wrong = unlike(own.codes, codes, x * scale)
        codes = own.codes
        if own.trits is not None and ternary.master is not None:
            more, bad = unlike(own.trits, trits, ternary.master / ternary.scale)
            at_ties, wrong, trits = at_ties + more, wrong + bad, own.trits
    sums = reference.accumulate(codes, trits)
    expected = sums.astype(np.float32) * ternary.stored_scale / scale
    return verdict(
        call,
        stage,
        layer,
        row_error(call.output, expected),
        allowed,
        at_ties=at_ties,
        wrong_codes=wrong,
        wrong_sums=(
            None if own is None or own.sums is None else int(np.count_nonzero(own.sums != sums))
        ),
    )


def _expected(call: Call, config: ModelConfig) -> Floats:
    inputs = call.inputs
    if call.kind in ("embedding", "kv_update"):
        return inputs[0]
    if call.kind == "norm":
        return reference.rms_norm(inputs[0], _weight(call), config.rms_norm_eps)
    if call.kind == "linear":
        # In float64: the reference must not add its own rounding to what it measures.
        product = inputs[0].astype(np.float64) @ _weight(call).astype(np.float64).T
        return product.astype(np.float32)
    if call.kind == "activation":
        return reference.ACTIVATIONS[config.activation](inputs[0])
    if call.kind == "gating":
        gated: Floats = np.multiply(inputs[0], inputs[1])
        return gated
    if call.kind == "residual":
        return np.add(inputs[0], inputs[1])
    if call.kind == "rope":
        return _rotated(call, config)
    if call.kind == "attention":
        return _attended(call)
    if call.kind == "sampling":
        best: Floats = inputs[0].argmax(axis=-1, keepdims=True).astype(np.float32)
        return best
    raise ValueError(f"an operator of kind {call.kind!r} has no reference")


def _weight(call: Call) -> Floats:
    if call.weight is None:
        raise ValueError(f"{call.operator} needs its weight to be checked")
    return call.weight


def _rotated(call: Call, config: ModelConfig) -> Floats:
    if call.inputs:
        heads_first = call.inputs[0].swapaxes(0, 1)
        turned: Floats = reference.rope(heads_first, call.positions, config.rope_theta)
        rotated: Floats = turned.swapaxes(0, 1)
        return rotated
    # Turning the pairs (1, 0) shows the table itself.
    half = config.head_dim // 2
    ones = np.zeros((1, len(call.positions), config.head_dim), np.float32)
    ones[..., :half] = 1
    turned = reference.rope(ones, call.positions, config.rope_theta)[0]
    cos, sin = turned[:, :half], turned[:, half:]
    return np.stack([np.tile(cos, 2), np.tile(sin, 2)], axis=1)


def _attended(call: Call) -> Floats:
    query, keys, values = call.inputs
    return np.concatenate(
        [
            # One query is at the last of its keys.
            reference.attention(q[:, None], keys[:, : p + 1], values[:, : p + 1])
            for q, p in zip(query, call.positions, strict=True)
        ]
    )


def row_error(output: Floats, expected: Floats) -> float:
    """The largest |row - expected| / |expected|, Euclidean norms over the rows' numbers.

    A row that is not zero where it must be, and one that is no number, are `BEYOND`.
    """
    if output.shape != expected.shape:
        return BEYOND
    rows = len(output)
    exact = expected.astype(np.float64).reshape(rows, -1)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        off = np.linalg.norm(output.reshape(rows, -1) - exact, axis=1)
        relative = np.where(off == 0, 0.0, off / np.linalg.norm(exact, axis=1))
    worst = float(relative.max(initial=0.0))
    return min(worst, BEYOND) if np.isfinite(worst) else BEYOND


def unlike(given: Codes, expected: Codes, exact: Floats) -> tuple[int, int]:
    """Codes that differ where `exact` is at a rounding tie, and those that differ elsewhere."""
    where = given != expected
    if not where.any():
        return 0, 0
    distance = np.abs(exact[where] - np.floor(exact[where]) - 0.5)
    # A code may be the neighbour on the other side of the tie and nothing else.
    neighbour = np.abs(given[where].astype(np.int16) - expected[where]) == 1
    at_ties = int(np.count_nonzero((distance <= TIE) & neighbour))
    return at_ties, int(np.count_nonzero(where)) - at_ties


def verdict(
    call: Call,
    stage: Stage,
    layer: int,
    error: float,
    allowed: float,
    *,
    at_ties: int = 0,
    wrong_codes: int = 0,
    wrong_sums: int | None = None,
) -> NumericCheck:
    """The check of a call whose `row_error`, `unlike` codes and sums are known."""
    return NumericCheck(
        stage=stage,
        layer=layer,
        operator=call.operator,
        kind=call.kind,
        rows=len(call.output),
        values=call.output.size,
        error=error,
        tolerance=allowed,
        at_ties=at_ties,
        wrong_codes=wrong_codes,
        wrong_sums=wrong_sums,
    )
