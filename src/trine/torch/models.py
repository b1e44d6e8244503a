"""Build Hugging Face's own `BitNetForCausalLM` from a Checkpoint, in any of its three modes.

* online   AutoBitLinear over float master weights, re-quantised at every call
* offline  AutoBitLinear over ternary weights unpacked to floats at load, one scale a matrix
* packed   BitLinear over uint8 weights, unpacked at every call

The module tree is Hugging Face's; only the tensors come from the checkpoint, written once into
the model's own memory, so that loading needs no second copy of the weights.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

from trine.checkpoint.checkpoint import Checkpoint, Mode
from trine.checkpoint.config import LINEARS, ModelConfig
from trine.checkpoint.tensors import layer_tensor
from trine.errors import CheckpointError, MissingExtra, OutOfMemory, UsageError
from trine.ternary import unpack_hf

try:
    import transformers
    from transformers.integrations import bitnet

    import torch
except ImportError:
    raise MissingExtra("torch", "the PyTorch backend") from None

if TYPE_CHECKING:
    from numpy.typing import NDArray

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
# torch, transformers and the interpreter resident, before any weight; measured 0.45 GB.
LIBRARIES_BYTES = 500_000_000
# Each loader holds the temporaries of one tensor, so more of them cost memory for every core.
MOST_LOADERS = 8
# A bfloat16 master, its float32 copy, the scaled copy and one step of rounding; then smaller ones.
_QUANTISING_BYTES = 12
# The table and the chunks that synthetic weights are drawn from.
_DRAWING_BYTES = 2_000_000


def weight_bytes(config: ModelConfig, mode: Mode, dtype: str, layers: int) -> int:
    """Bytes of all parameters and buffers of a model with `layers` decoder layers."""
    itemsize = DTYPES[dtype].itemsize
    ternary = layers * config.ternary_per_layer
    dense = config.parameters(layers) - ternary
    return dense * itemsize + (ternary // 4 if mode == "packed" else ternary * itemsize)


def loader_count(cores: int) -> int:
    """Threads that fill a model: one a usable core, at most `MOST_LOADERS`."""
    return max(1, min(MOST_LOADERS, cores))


def loading_bytes(config: ModelConfig, mode: Mode, loaders: int) -> int:
    """An upper bound of what `loaders` threads hold beside the weights, whatever the source.

    A synthetic tensor is made before it is copied; a mapped one is held by the page cache, which
    the system takes back. Quantising a master needs a float32 copy and its scaled twin as well.
    """
    dense = [config.embedding_elements * 2] * (1 if config.tied_embeddings else 2)
    largest = max(n * k for n, k in map(config.linear_shape, LINEARS))
    matrix = largest * (2 if mode == "online" else _QUANTISING_BYTES)
    tensors = sorted([*dense, *[matrix] * loaders], reverse=True)[:loaders]
    return sum(tensors) + loaders * _DRAWING_BYTES


def memory_needed(
    config: ModelConfig, mode: Mode, dtype: str, layers: int, tokens: int, loaders: int
) -> int:
    """Bytes that loading and running need: weights, libraries, and the larger of the two's own.

    Loading: `loading_bytes`. Running: temporaries, KV cache, logits. The temporary of an online or
    packed call is one dense matrix; the Inductor kernels that make it hold at most one more.
    """
    itemsize = DTYPES[dtype].itemsize
    largest = max(n * k for n, k in map(config.linear_shape, LINEARS)) * itemsize
    kv = 2 * layers * config.kv_heads * config.head_dim * tokens * itemsize
    logits = 2 * tokens * config.vocab_size * itemsize
    own = max(2 * largest + kv + logits, loading_bytes(config, mode, loaders))
    return weight_bytes(config, mode, dtype, layers) + own + LIBRARIES_BYTES


def fit_layers(
    config: ModelConfig, mode: Mode, dtype: str, tokens: int, available: int, loaders: int
) -> int:
    """The most decoder layers whose `memory_needed` is at most `available` bytes (0: none)."""

    def needed(layers: int) -> int:
        return memory_needed(config, mode, dtype, layers, tokens, loaders)

    return bisect_right(range(1, config.layers + 1), available, key=needed)


def require_memory(
    config: ModelConfig,
    mode: Mode,
    dtype: str,
    layers: int,
    tokens: int,
    available: int,
    loaders: int,
) -> None:
    """Raise OutOfMemory, with the figures and what would fit, before anything is loaded."""
    needed = memory_needed(config, mode, dtype, layers, tokens, loaders)
    if needed <= available:
        return
    fits = fit_layers(config, mode, dtype, tokens, available, loaders)
    advice = f"--layers {fits} fits" if fits else "not even one layer fits"
    if dtype == "float32":
        advice += ", or try --dtype bfloat16"
    raise OutOfMemory(
        f"{layers} layers in {mode} {dtype} need {needed / 1e9:.1f} GB and "
        f"{available / 1e9:.1f} GB are free; {advice}"
    )


def require_mode(checkpoint: Checkpoint, mode: Mode) -> None:
    """Raise UsageError for online mode without master weights."""
    if mode == "online" and not checkpoint.has_master:
        raise UsageError(
            f"{checkpoint.provenance.id} holds packed ternary weights and online mode re-quantises "
            f"float master weights; use --mode offline or --mode packed, or the -bf16 checkpoint"
        )


def build(
    checkpoint: Checkpoint,
    *,
    mode: Mode,
    dtype: str,
    layers: int | None = None,
    loaders: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Any:
    """A `BitNetForCausalLM` in evaluation mode with the checkpoint's weights.

    `layers` keeps only the first ones; `loaders` threads fill them (see `loader_count`).
    `progress(done, total)` counts tensors. Raises UsageError
    for online mode without master weights, CheckpointError for damaged tensors.
    """
    require_mode(checkpoint, mode)
    config = checkpoint.config
    model = _empty_model(config, mode, dtype, config.layers if layers is None else layers)
    jobs = _fill_jobs(model, checkpoint, mode)
    with ThreadPoolExecutor(max_workers=loaders) as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                if progress is not None:
                    progress(done, len(futures))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return model.eval()


def hf_config(config: ModelConfig, layers: int) -> Any:
    """The `transformers.BitNetConfig` of a geometry; UsageError for a Llama-style one."""
    if (config.activation, config.sub_norms) != ("relu2", True):
        raise UsageError(
            "PyTorch modules are built for BitNet with relu2 and sub-norms; a Llama-style model "
            "runs on the native engine, or in transformers"
        )
    settings: Any = transformers.BitNetConfig
    return settings(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads,
        head_dim=config.head_dim,
        max_position_embeddings=config.context,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        rms_norm_eps=config.rms_norm_eps,
        tie_word_embeddings=config.tied_embeddings,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        hidden_act="relu2",
    )


def skeleton(config: ModelConfig, mode: Mode, dtype: str, layers: int) -> Any:
    """The module tree of a mode on the meta device: shapes and dtypes without memory."""
    quantization = transformers.BitNetQuantConfig(
        linear_class="bitlinear" if mode == "packed" else "autobitlinear",
        quantization_mode="online" if mode == "online" else "offline",
        modules_to_not_convert=["lm_head"],
    )
    with torch.device("meta"):
        model: Any = transformers.BitNetForCausalLM(hf_config(config, layers))
        model.to(DTYPES[dtype])
        bitnet.replace_with_bitnet_linear(model, ["lm_head"], quantization)
    model.config.quantization_config = quantization
    return model.requires_grad_(False)


def _empty_model(config: ModelConfig, mode: Mode, dtype: str, layers: int) -> Any:
    """The skeleton with uninitialised memory, tied weights and ready rotary tables."""
    model = skeleton(config, mode, dtype, layers)
    model.to_empty(device="cpu")
    model.model.rotary_emb = type(model.model.rotary_emb)(config=model.config)
    model.tie_weights()
    return model


def _fill_jobs(model: Any, checkpoint: Checkpoint, mode: Mode) -> list[Callable[[], None]]:
    modules = dict(model.named_modules())
    ternary = {
        layer_tensor(layer, linear): modules[layer_tensor(layer, linear).removesuffix(".weight")]
        for layer in range(model.config.num_hidden_layers)
        for linear in LINEARS
    }
    fill = _fill_master if mode == "online" else _fill_packed if mode == "packed" else _fill_offline
    return [
        *(
            partial(_fill_dense, parameter, checkpoint, name)
            for name, parameter in model.named_parameters()
            if name not in ternary
        ),
        *(partial(fill, module, checkpoint, name) for name, module in ternary.items()),
    ]


def _fill_dense(parameter: torch.Tensor, checkpoint: Checkpoint, name: str) -> None:
    _copy(parameter, checkpoint.dense(name), name)


def _fill_master(module: Any, checkpoint: Checkpoint, name: str) -> None:
    _copy(module.weight, checkpoint.master(name), name)


def _fill_offline(module: Any, checkpoint: Checkpoint, name: str) -> None:
    weight = checkpoint.ternary(name)
    _copy(module.weight, unpack_hf(weight.packed), name)
    module.weight_scale.fill_(float(weight.scale))


def _fill_packed(module: Any, checkpoint: Checkpoint, name: str) -> None:
    weight = checkpoint.ternary(name)
    _copy(module.weight, weight.packed, name)
    # BitLinear divides by its scale (post_quant_process), a TernaryWeight's multiplies.
    module.weight_scale.fill_(float(1 / weight.scale))


@torch.no_grad()
def _copy(into: torch.Tensor, array: NDArray[Any], name: str) -> None:
    if array.shape != tuple(into.shape):
        raise CheckpointError(
            f"{name} has shape {list(array.shape)}, the model needs {list(into.shape)}"
        )
    if array.dtype == ml_dtypes.bfloat16:
        # NumPy's bfloat16 is a foreign dtype to torch; the bits are the same.
        source = torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
    else:
        source = torch.from_numpy(array)
    into.copy_(source)
