"""What the metadata of a GGUF file says: geometry and names, or why trine refuses it.

Architectures: `bitnet-b1.58` and `bitnet-25` (bitnet.cpp's names of 2B-4T: relu2, sub-norms),
`bitnet` (llama.cpp's, whose graph has sub-norms and computes SiLU whatever the model was trained
with), `llama` (SiLU, no sub-norms, q and k permuted for its interleaved RoPE).
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from trine.checkpoint.config import LINEARS, Activation, ModelConfig
from trine.checkpoint.tensors import EMBEDDING, FINAL_NORM, LM_HEAD, layer_tensor
from trine.errors import CheckpointError

# Written by trine, because the name `bitnet` says nothing about it.
ACTIVATION = "trine.activation"
RELU2_ARCHITECTURES = ("bitnet-b1.58", "bitnet-25")
BITNET, LLAMA = "bitnet", "llama"
ARCHITECTURES = (*RELU2_ARCHITECTURES, BITNET, LLAMA)

OUTPUT = "output.weight"
ROPE_FREQUENCIES = "rope_freqs.weight"
# Module of `tensors.layer_tensor` -> its name in a block.
MODULES: Mapping[str, str] = MappingProxyType(
    {
        "input_layernorm": "attn_norm",
        "q_proj": "attn_q",
        "k_proj": "attn_k",
        "v_proj": "attn_v",
        "attn_sub_norm": "attn_sub_norm",
        "o_proj": "attn_output",
        "post_attention_layernorm": "ffn_norm",
        "gate_proj": "ffn_gate",
        "up_proj": "ffn_up",
        "ffn_sub_norm": "ffn_sub_norm",
        "down_proj": "ffn_down",
    }
)


def tensor_map(config: ModelConfig) -> dict[str, str]:
    """Hugging Face name -> GGUF name, in the order of the model, of every tensor it has."""
    names = {EMBEDDING: "token_embd.weight"}
    for layer in range(config.layers):
        for module in (*config.norms, *LINEARS):
            names[layer_tensor(layer, module)] = f"blk.{layer}.{MODULES[module]}.weight"
    names[FINAL_NORM] = "output_norm.weight"
    if not config.tied_embeddings:
        names[LM_HEAD] = OUTPUT
    return names


@dataclass(frozen=True, slots=True)
class _Metadata:
    """Typed access to the keys of one file, with its name in every message."""

    values: Mapping[str, Any]
    source: str

    def integer(self, key: str, default: int | None = None) -> int:
        value = self.values.get(key, default)
        if type(value) is not int:
            raise self._wrong(key, value, "an integer")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self.values.get(key, default)
        if type(value) not in (int, float) or not math.isfinite(value):
            raise self._wrong(key, value, "a number")
        return float(value)

    def token(self, name: str) -> int | None:
        key = f"tokenizer.ggml.{name}_token_id"
        return self.integer(key) if key in self.values else None

    def _wrong(self, key: str, value: object, wanted: str) -> CheckpointError:
        if value is None:
            return CheckpointError(f"{self.source}: the metadata key {key!r} is missing")
        return CheckpointError(f"{self.source}: {key} is {reprlib.repr(value)}, not {wanted}")


def gguf_geometry(values: Mapping[str, Any], source: str, *, tied: bool, rows: int) -> ModelConfig:
    """The sizes; `rows` are those of the embedding, `tied` whether it is the lm_head too.

    Raises CheckpointError, naming the key, for anything but a 1.58-bit decoder that trine computes.
    """
    data = _Metadata(values, source)
    arch = values.get("general.architecture")
    if arch not in ARCHITECTURES:
        raise CheckpointError(
            f"{source}: the architecture is {reprlib.repr(arch)}; trine runs "
            f"{', '.join(ARCHITECTURES)}"
        )
    hidden = data.integer(f"{arch}.embedding_length")
    heads = data.integer(f"{arch}.attention.head_count")
    if heads < 1:
        raise CheckpointError(f"{source}: {arch}.attention.head_count is {heads}")
    head_dim = data.integer(f"{arch}.attention.key_length", hidden // heads)
    for name in ("attention.value_length", "rope.dimension_count"):
        if (value := data.integer(f"{arch}.{name}", head_dim)) != head_dim:
            raise CheckpointError(
                f"{source}: {arch}.{name} is {value}, and trine computes heads of one size, "
                f"{head_dim}, that are rotated whole"
            )
    _require_no_scaling(data, arch)
    result = ModelConfig(
        vocab_size=data.integer(f"{arch}.vocab_size", rows),
        hidden_size=hidden,
        intermediate_size=data.integer(f"{arch}.feed_forward_length"),
        layers=data.integer(f"{arch}.block_count"),
        heads=heads,
        kv_heads=data.integer(f"{arch}.attention.head_count_kv", heads),
        head_dim=head_dim,
        context=data.integer(f"{arch}.context_length"),
        rope_theta=data.number(f"{arch}.rope.freq_base", 10000.0),
        rms_norm_eps=shortest(data.number(f"{arch}.attention.layer_norm_rms_epsilon")),
        tied_embeddings=tied,
        bos_token_id=data.token("bos"),
        eos_token_id=_end_tokens(data),
        activation=_activation(values, arch, source),
        sub_norms=arch != LLAMA,
    )
    if result.rope_theta <= 0 or result.rms_norm_eps < 0 or head_dim % 2:
        raise CheckpointError(
            f"{source}: RoPE of base {result.rope_theta} on heads of {head_dim}, with a norm "
            f"epsilon of {result.rms_norm_eps}, cannot be computed"
        )
    return result


def shortest(value: float) -> float:
    """The shortest decimal with the same float32: GGUF stores 1e-5 as 9.99999974e-06."""
    return float(str(np.float32(value)))


def _end_tokens(data: _Metadata) -> int | list[int] | None:
    ends = [data.token(name) for name in ("eos", "eot")]
    distinct = list(dict.fromkeys(end for end in ends if end is not None))
    return distinct if len(distinct) > 1 else distinct[0] if distinct else None


def _activation(values: Mapping[str, Any], arch: str, source: str) -> Activation:
    if arch in RELU2_ARCHITECTURES:
        return "relu2"
    if arch == LLAMA:
        return "silu"
    stated = values.get(ACTIVATION)
    if stated in ("relu2", "silu"):
        return "relu2" if stated == "relu2" else "silu"
    if stated is None and values.get("tokenizer.ggml.model") == "gpt2":
        return "relu2"  # 2B-4T and its fine-tunes; the 1bitLLM models have a SentencePiece one
    raise CheckpointError(
        f"{source}: the architecture 'bitnet' does not say whether the gate goes through relu2 or "
        f"silu, and without a 'gpt2' vocabulary this is not the 2B-4T family; set the metadata key "
        f"{ACTIVATION} to one of them"
    )


def _require_no_scaling(data: _Metadata, arch: str) -> None:
    kind = data.values.get(f"{arch}.rope.scaling.type", "none")
    factor = data.number(f"{arch}.rope.scaling.factor", 1.0)
    old = data.number(f"{arch}.rope.scale_linear", 1.0)
    if kind not in ("none", "linear") or factor != 1 or old != 1:
        raise CheckpointError(
            f"{data.source}: RoPE scaling of type {reprlib.repr(kind)}, factor {factor * old:g}, "
            f"is not supported; a model without scaling is"
        )
