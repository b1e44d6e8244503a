"""Hugging Face's own decoder layers in float32, one after the other, as judges of a checkpoint.

In: a model directory as transformers would load it, and the `Checkpoint` that trine made of it.
Out: one `NumericCheck` an operator and layer, and one of the native BitLinear on the same input.

The weights reach Hugging Face's modules from the files by name, past trine's readers: a scale that
is inverted, rows that are scrambled or another activation on either side shows. A model that is no
directory, as a GGUF file, has no other way than the reader: then only the arithmetic is judged.
Every operator gets the input that Hugging Face computed (teacher-forced). One layer is in memory at
a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import transformers
from numpy.typing import NDArray
from safetensors import safe_open
from transformers.integrations import bitnet

import torch
from torch import nn
from trine.checkpoint import Checkpoint
from trine.checkpoint.config import LINEARS
from trine.checkpoint.hf_writer import hf_document
from trine.checkpoint.tensors import EMBEDDING, is_ternary, layer_tensor, tensor_names
from trine.errors import CheckpointError
from trine.profiling import numeric_check
from trine.profiling.numeric_check import FLOAT32, Call, Ternary
from trine.profiling.profile import NumericCheck
from trine.profiling.torch_check import _quantised
from trine.ternary import unpack_hf
from trine.torch.linear import NativeBitLinear

# How a reader's ternary weights are, whatever file they came from.
_OFFLINE = {"quant_method": "bitnet", "linear_class": "autobitlinear"}
# The prefix of an operator's name that was computed by the native kernels.
NATIVE = "native "


@torch.no_grad()
def check_layers(
    directory: Path | None,
    checkpoint: Checkpoint,
    ids: Sequence[int],
    *,
    layers: int,
    threads: int,
    progress: Callable[[int, int], None],
) -> list[NumericCheck]:
    """Checks of BitLinears, norms and activation of the first `layers` layers at `ids`.

    directory: where the weights lie as Hugging Face wants them; None takes them from `checkpoint`.
    Raises CheckpointError for tensors that do not fit Hugging Face's modules.
    """
    if directory is None:
        tensors = dict.fromkeys(_Reader.names(checkpoint), _Reader(checkpoint))
        config = transformers.AutoConfig.for_model(**hf_document(checkpoint))
        config.quantization_config = _OFFLINE if not checkpoint.has_master else None
    else:
        tensors = _tensors(directory)
        config = transformers.AutoConfig.from_pretrained(directory)
    base = _one_layer(config)
    rows = tensors[EMBEDDING].get_slice(EMBEDDING)
    states = torch.cat([rows[i : i + 1] for i in ids])[None].float()
    checks: list[NumericCheck] = []
    for number in range(layers):
        layer = base.layers[0]
        _fill(layer, tensors, number)
        seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        handles = [
            module.register_forward_hook(_keeper(name.rsplit(".", 1)[-1], seen))
            for name, module in layer.named_modules()
        ]
        base(inputs_embeds=states, use_cache=False)
        for handle in handles:
            handle.remove()
        checks += _judge(layer, checkpoint, number, seen, threads)
        states = seen[""][1]
        progress(number + 1, layers)
    return checks


def _tensors(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(directory.glob("*.safetensors")):
        file: Any = safe_open(path, framework="pt")
        found |= dict.fromkeys(file.keys(), file)
    return found


class _Reader:
    """The tensors of a checkpoint as `safe_open` would give them, ternary ones packed."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    @staticmethod
    def names(checkpoint: Checkpoint) -> Iterator[str]:
        for name in tensor_names(checkpoint.config):
            yield name
            if is_ternary(name) and not checkpoint.has_master:
                yield f"{name}_scale"

    def get_slice(self, name: str) -> torch.Tensor:
        return _tensor(self._checkpoint.dense(name))

    def get_tensor(self, name: str) -> torch.Tensor:
        weight = name.removesuffix("_scale")
        if not is_ternary(weight):
            return _tensor(self._checkpoint.dense(name))
        if self._checkpoint.has_master:
            return _tensor(self._checkpoint.master(name))
        ternary = self._checkpoint.ternary(weight)
        if weight != name:
            return torch.tensor([float(ternary.scale)])
        return torch.from_numpy(ternary.packed)


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _one_layer(config: Any) -> Any:
    """The decoder with one layer, as its config declares it; weights missing."""
    declared = getattr(config, "quantization_config", None) or {
        "linear_class": "autobitlinear",
        "quantization_mode": "online",
    }
    config.quantization_config = None
    config.num_hidden_layers = 1
    quantization = transformers.BitNetQuantConfig(**declared)
    with torch.device("meta"):
        auto: Any = transformers.AutoModelForCausalLM
        model = auto.from_config(config, dtype=torch.float32)
        bitnet.replace_with_bitnet_linear(model, ["lm_head"], quantization)
    base = model.model.eval()
    base.layers.to_empty(device="cpu")
    base.rotary_emb = type(base.rotary_emb)(config=config)
    base.norm = nn.Identity()
    return base


def _fill(layer: Any, tensors: dict[str, Any], number: int) -> None:
    prefix = f"model.layers.{number}."
    for name in [name for name in tensors if name.startswith(prefix)]:
        path, _, kind = name.removeprefix(prefix).rpartition(".")
        module = layer.get_submodule(path)
        tensor = tensors[name].get_tensor(name)
        if tensor.dtype is torch.uint8 and isinstance(module, bitnet.AutoBitLinear):
            tensor = bitnet.unpack_weights(tensor, dtype=torch.float32)
        into = getattr(module, kind)
        if into.shape != tensor.shape:
            raise CheckpointError(
                f"{name} has shape {list(tensor.shape)}, Hugging Face's module {list(into.shape)}"
            )
        into.copy_(tensor)


def _keeper(name: str, seen: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Callable[..., None]:
    def keep(_: Any, args: tuple[Any, ...], output: Any) -> None:
        if args and isinstance(output, torch.Tensor):
            seen[name] = args[0], output

    return keep


def _judge(
    layer: Any,
    checkpoint: Checkpoint,
    number: int,
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]],
    threads: int,
) -> list[NumericCheck]:
    config, mode = checkpoint.config, checkpoint.native_mode
    modules = {name.rsplit(".", 1)[-1]: module for name, module in layer.named_modules()}
    picked = numeric_check.sample(seen[LINEARS[0]][0].shape[1], numeric_check.TOKENS)
    rows = torch.from_numpy(picked)
    found: list[NumericCheck] = []
    for name in (*config.norms, "act_fn"):
        x, y = (part[0, rows].numpy() for part in seen[name])
        norm = name != "act_fn"
        weight = None
        if norm:
            weight = checkpoint.dense(layer_tensor(number, name)).astype(np.float32)
        call = Call(name, "norm" if norm else "activation", picked, (x,), y, weight)
        found.append(numeric_check.check(call, "prefill", number, config, FLOAT32))
    for name in LINEARS:
        stored = checkpoint.ternary(layer_tensor(number, name))
        master = None
        if mode == "online":
            master = checkpoint.master(layer_tensor(number, name)).astype(np.float32)
        ternary = Ternary(unpack_hf(stored.packed), stored.scale, stored.scale, master)
        states, given = (part[:, rows] for part in seen[name])
        own = _quantised(modules[name], states, mode, ternary)
        inputs = (states[0].numpy(),)
        call = Call(name, "bitlinear", picked, inputs, given[0].numpy(), None, own)
        found.append(numeric_check.check_ternary(call, ternary, "prefill", number, FLOAT32))
        native = NativeBitLinear(
            stored.packed,
            stored.scale,
            4 * stored.packed.shape[0],
            code="2bit",
            threads=threads,
            divides=False,
        )
        call = Call(NATIVE + name, "bitlinear", picked, inputs, native(states)[0].numpy())
        found.append(numeric_check.check_ternary(call, ternary, "prefill", number, FLOAT32))
    return found
