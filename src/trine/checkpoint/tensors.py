"""The tensors of a BitNet decoder: Hugging Face names, and the shapes that a config gives them.

One list for every source: readers refuse what is not on it, generators make what is.
"""

from __future__ import annotations

from collections.abc import Iterator

from trine.checkpoint.config import LINEARS, ModelConfig

EMBEDDING = "model.embed_tokens.weight"
FINAL_NORM = "model.norm.weight"
LM_HEAD = "lm_head.weight"
_MLP = ("gate_proj", "up_proj", "down_proj", "ffn_sub_norm")
_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj", "attn_sub_norm")


def tensor_names(config: ModelConfig) -> Iterator[str]:
    """All names in the order of the model: the norms that it has, an lm_head of its own."""
    yield EMBEDDING
    for layer in range(config.layers):
        yield from (layer_tensor(layer, module) for module in (*config.norms, *LINEARS))
    yield FINAL_NORM
    if not config.tied_embeddings:
        yield LM_HEAD


def tensor_shape(config: ModelConfig, name: str) -> tuple[int, ...]:
    """The shape of a float tensor of `tensor_names`, or of the lm_head."""
    module = module_of(name)
    if module in ("embed_tokens", "lm_head"):
        return config.vocab_size, config.hidden_size
    if module == "ffn_sub_norm":
        return (config.intermediate_size,)
    if module == "attn_sub_norm":
        return (config.heads * config.head_dim,)
    return config.linear_shape(module) if module in LINEARS else (config.hidden_size,)


def layer_tensor(layer: int, module: str) -> str:
    """The name of one of `config.LINEARS` or `config.NORMS`: model.layers.0.mlp.up_proj.weight."""
    block = "mlp." if module in _MLP else "self_attn." if module in _ATTENTION else ""
    return f"model.layers.{layer}.{block}{module}.weight"


def module_of(name: str) -> str:
    """The last module of a tensor's path: up_proj of model.layers.0.mlp.up_proj.weight."""
    return name.removesuffix(".weight").rsplit(".", 1)[-1]


def is_ternary(name: str) -> bool:
    """Whether a name of `tensor_names` is one of the ternary matrices."""
    return module_of(name) in LINEARS
