"""The geometry of a BitNet decoder, whatever file or preset it comes from."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import Literal, get_args

from trine.errors import CheckpointError

# The seven ternary matrices of a decoder layer in the order of their execution.
LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
NORMS = ("input_layernorm", "attn_sub_norm", "post_attention_layernorm", "ffn_sub_norm")
# Norms that only the BitNet architecture has; Llama-style models do without.
_SUB_NORMS = ("attn_sub_norm", "ffn_sub_norm")
# relu2(x) = max(x, 0)^2, silu(x) = x / (1 + e^-x): what the gate goes through.
Activation = Literal["relu2", "silu"]
# No size of a model is larger; a damaged config's sizes are, and would overflow what is computed.
_LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes in elements, `rope_theta` in radians per position base, `context` in tokens.

    `sub_norms`: whether a norm precedes o_proj and down_proj (`attn_sub_norm`, `ffn_sub_norm`). The
    defaults are those of BitNet b1.58 2B-4T; Llama-style 1.58-bit models have silu and none.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    context: int
    rope_theta: float
    rms_norm_eps: float
    tied_embeddings: bool
    bos_token_id: int | None
    eos_token_id: int | list[int] | None
    activation: Activation = "relu2"
    sub_norms: bool = True

    def __post_init__(self) -> None:
        sizes = (
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "layers",
            "heads",
            "kv_heads",
            "head_dim",
            "context",
        )
        for name in sizes:
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= _LARGEST:
                raise CheckpointError(
                    f"config: {name} must be a positive integer, not {reprlib.repr(value)}"
                )
        if self.heads % self.kv_heads:
            raise CheckpointError(
                f"config: {self.heads} heads cannot share {self.kv_heads} KV heads evenly"
            )
        if self.activation not in get_args(Activation):
            raise CheckpointError(
                f"config: activation must be {' or '.join(get_args(Activation))}, not "
                f"{reprlib.repr(self.activation)}"
            )

    @property
    def norms(self) -> tuple[str, ...]:
        """Those of `NORMS` that a decoder layer has, in the order of their execution."""
        return NORMS if self.sub_norms else tuple(n for n in NORMS if n not in _SUB_NORMS)

    def linear_shape(self, linear: str) -> tuple[int, int]:
        """(N, K) = (output, input) features of one of `LINEARS`."""
        hidden, ffn = self.hidden_size, self.intermediate_size
        query, key = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "q_proj": (query, hidden),
            "k_proj": (key, hidden),
            "v_proj": (key, hidden),
            "o_proj": (hidden, query),
            "gate_proj": (ffn, hidden),
            "up_proj": (ffn, hidden),
            "down_proj": (hidden, ffn),
        }[linear]

    @property
    def ternary_per_layer(self) -> int:
        """Ternary weights of one decoder layer."""
        return sum(n * k for n, k in map(self.linear_shape, LINEARS))

    @property
    def embedding_elements(self) -> int:
        """Elements of the token embedding, and of the lm_head."""
        return self.vocab_size * self.hidden_size

    def parameters(self, layers: int | None = None) -> int:
        """All stored parameters with `layers` decoder layers (default: all of them)."""
        norms = 2 * self.hidden_size
        if self.sub_norms:
            norms += self.heads * self.head_dim + self.intermediate_size
        body = (self.layers if layers is None else layers) * (self.ternary_per_layer + norms)
        heads = self.embedding_elements * (1 if self.tied_embeddings else 2)
        return body + heads + self.hidden_size
