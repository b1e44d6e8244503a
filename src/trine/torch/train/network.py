"""The networks of a run: Hugging Face's BitNet with online AutoBitLinear, and its float twin."""

from __future__ import annotations

from typing import Any

from trine.checkpoint import Checkpoint, ModelConfig
from trine.torch import models  # names the missing extra before transformers is imported

import torch  # isort: skip
import transformers  # isort: skip
from transformers.integrations import bitnet  # isort: skip

from trine.torch.train.recipe import ADAM_BETAS

# Float32 values that a token needs in a step, per layer and hidden or FFN element, and per entry of
# the vocabulary. Kept for the backward pass are 17, 10 and 1 (counted with saved_tensors_hooks at
# hidden 336); the rest is what the backward pass holds for a moment. With them the shipped model
# and its twin ask for 1.6 GB; the process peaked at 1.5.
_SAVED_PER_HIDDEN = 32
_SAVED_PER_FFN = 16
_SAVED_PER_VOCAB = 5


def new_network(config: ModelConfig, *, ternary: bool, seed: int) -> Any:
    """A float32 `BitNetForCausalLM` in training mode with Hugging Face's own initial weights.

    The weights depend on `seed` only: a ternary network and its float twin start from the same.
    """
    torch.manual_seed(seed)
    model: Any = transformers.BitNetForCausalLM(models.hf_config(config, config.layers))
    if ternary:
        weights = model.state_dict()
        quantization = online_quantization()
        bitnet.replace_with_bitnet_linear(model, ["lm_head"], quantization)
        model.load_state_dict(weights, assign=True)
        model.tie_weights()
        model.config.quantization_config = quantization
    return model.requires_grad_(True).train()


def online_quantization() -> Any:
    """The settings of AutoBitLinear over float master weights, as config.json carries them."""
    return transformers.BitNetQuantConfig(
        linear_class="autobitlinear",
        quantization_mode="online",
        modules_to_not_convert=["lm_head"],
    )


def load_network(checkpoint: Checkpoint) -> Any:
    """A checkpoint's master weights as a float32 network in training mode, to be fine-tuned.

    Raises UsageError for a checkpoint of packed weights, which have no master to move.
    """
    model = models.build(checkpoint, mode="online", dtype="float32")
    return model.requires_grad_(True).train()


def make_optimizer(model: Any) -> torch.optim.AdamW:
    """AdamW with two groups: the matrices, which may decay, and the norms, which never do."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "decays": True},
        {"params": [p for p in parameters if p.ndim == 1], "decays": False},
    ]
    return torch.optim.AdamW(groups, betas=ADAM_BETAS, weight_decay=0.0, fused=True)


def memory_needed(config: ModelConfig, *, batch: int, window: int, networks: int) -> int:
    """Bytes of weights, gradients, both moments, one copy to save, and saved activations."""
    held = 5 * networks * config.parameters()
    layer = _SAVED_PER_HIDDEN * config.hidden_size + _SAVED_PER_FFN * config.intermediate_size
    token = config.layers * layer + _SAVED_PER_VOCAB * config.vocab_size
    return 4 * (held + batch * window * token) + models.LIBRARIES_BYTES
