"""The choices of the contract: widths, tables, orders; benchmarks/fixed_point.py sweeps them."""

from __future__ import annotations

from dataclasses import dataclass, fields

from trine.errors import UsageError

# name -> (smallest, largest). The largest keep every product of the model below 2^63; what fits a
# multiplier of the part (25 x 18 bits, signed) is docs/fixed-point.md's subject.
_LEGAL = {
    "embedding_bits": (4, 16),
    "residual_bits": (12, 40),
    "norm_bits": (8, 25),
    "square_bits": (8, 18),
    "weight_bits": (8, 18),
    "reciprocal_bits": (8, 24),
    "scalar_bits": (8, 24),
    "element_bits": (6, 24),
    "rope_table_bits": (2, 12),
    "rope_guard_bits": (0, 6),
    "query_bits": (4, 18),
    "kv_bits": (3, 12),
    "score_frac_bits": (2, 16),
    "score_int_bits": (4, 14),
    "exp_table_bits": (1, 12),
    "probability_bits": (6, 16),
    "chunk": (1, 1024),
    "hidden_bits": (8, 18),
    "head_bits": (4, 12),
    "keep": (1, 4096),
}


@dataclass(frozen=True, slots=True)
class Contract:
    """Widths in bits, sign included where a value has one.

    embedding_bits    an embedding row, with one scale a row; of a tied model, the lm_head's rows
    residual_bits     the residual stream, one binary point for the whole model
    norm_bits         a norm's input after alignment to the vector's largest element
    square_bits       the same where it is squared
    weight_bits       a norm's weights, one exponent a vector
    reciprocal_bits   levels / max, unsigned
    scalar_bits       mantissa of a number that exists once a vector, unsigned
    element_bits      mantissa of gate x up and of attention's output, with an exponent each
    rope_table_bits   log2 of the entries of a quarter sine wave
    rope_guard_bits   fraction of a rotated accumulator
    query_bits        a rotated query, one exponent a head
    kv_bits           a key or value in the cache, one scale a head and position
    score_frac_bits   fraction of a score, which is in units of log2
    score_int_bits    integer part of a score, sign included
    exp_table_bits    log2 of the entries of 2^-f
    probability_bits  fraction of a softmax weight
    chunk             positions between two updates of the running maximum
    hidden_bits       the hidden state before the lm_head
    head_bits         a row of the lm_head, with one scale a row
    keep              rows that the screen hands to exact rescoring
    """

    embedding_bits: int = 8
    residual_bits: int = 32
    norm_bits: int = 25
    square_bits: int = 18
    weight_bits: int = 18
    reciprocal_bits: int = 24
    scalar_bits: int = 24
    element_bits: int = 18
    rope_table_bits: int = 8
    rope_guard_bits: int = 4
    query_bits: int = 16
    kv_bits: int = 8
    score_frac_bits: int = 12
    score_int_bits: int = 12
    exp_table_bits: int = 8
    probability_bits: int = 16
    chunk: int = 32
    hidden_bits: int = 16
    head_bits: int = 8
    keep: int = 256

    def __post_init__(self) -> None:
        for field in fields(self):
            value, (low, high) = getattr(self, field.name), _LEGAL[field.name]
            if type(value) is not int or not low <= value <= high:
                raise UsageError(
                    f"contract: {field.name} is {value!r}; integers from {low} to {high} are legal"
                )
