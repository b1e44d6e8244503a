"""Load a BitNet checkpoint straight into native BitLinears, by transformers' quantizer registry.

    config = trine.torch.config(path)
    model = AutoModelForCausalLM.from_pretrained(path, config=config)

transformers 5 refuses a `quantization_config=` argument of another class than a checkpoint's own,
so ours takes the place of that one in the config, with the original inside.
"""

from __future__ import annotations

import copy
from typing import Any

import transformers
from transformers.integrations.bitnet import BitLinear, replace_with_bitnet_linear
from transformers.quantizers import (  # type: ignore[attr-defined]
    HfQuantizer,
    register_quantization_config,
    register_quantizer,
)
from transformers.utils.quantization_config import QuantizationConfigMixin

import torch
from trine.errors import UsageError
from trine.torch.head import HeadKind, require_head
from trine.torch.swap import swap

METHOD = "trine"
# What a checkpoint without a quantization_config holds: float masters.
_MASTER = {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "online"}


def config(
    path: str, *, lm_head: HeadKind | None = None, threads: int | None = None, **kwargs: Any
) -> Any:
    """The model's Hugging Face config (a directory or hub id), to load it with native BitLinears.

    lm_head and threads as for `accelerate`; the rest goes to `AutoConfig.from_pretrained`.
    Raises UsageError for a quantization_config that is not bitnet's.
    """
    require_head(lm_head)
    loaded = transformers.AutoConfig.from_pretrained(path, **kwargs)
    original = getattr(loaded, "quantization_config", None)
    if original is None and loaded.model_type == "bitnet":
        original = _MASTER
    if original is None:
        raise UsageError(
            f"{path} is a {loaded.model_type!r} model without a quantization_config; making it "
            f"ternary would change it, so trine does that to 'bitnet' models only"
        )
    if original.get("quant_method") != "bitnet":
        raise UsageError(
            f"{path} is quantised by {original.get('quant_method')!r}; trine runs 'bitnet' "
            f"checkpoints and float masters of BitNet models"
        )
    loaded.quantization_config = {
        "quant_method": METHOD,
        "original": dict(original),
        "lm_head": lm_head,
        "threads": threads,
    }
    return loaded


@register_quantization_config(METHOD)
class TrineConfig(QuantizationConfigMixin):
    """`original` is the checkpoint's own quantization_config; lm_head, threads: see `accelerate`.

    `to_dict` is the original again, as far as it describes what a loaded model's `state_dict`
    holds: `save_pretrained` writes a packed checkpoint that transformers reads without trine.
    """

    def __init__(
        self,
        original: dict[str, Any],
        lm_head: HeadKind | None = None,
        threads: int | None = None,
        **_: Any,
    ) -> None:
        self.quant_method = METHOD  # type: ignore[assignment]
        self.original = original
        self.lm_head: HeadKind | None = lm_head
        self.threads = threads

    def bitnet(self) -> Any:
        """The original as transformers' own class, its defaults filled in."""
        return transformers.BitNetQuantConfig(**self.original)

    def to_dict(self) -> dict[str, Any]:
        """A quantization_config of packed weights in the original's convention."""
        return copy.deepcopy({**self.original, "quantization_mode": "offline"})


@register_quantizer(METHOD)
class TrineQuantizer(HfQuantizer):
    """Reads packed weights as they are stored, or masters as floats, then swaps module by module.

    Dense weights exist for masters only, until each is quantised.
    """

    requires_calibration = True
    quantization_config: TrineConfig

    def validate_environment(self, *_: Any, **kwargs: Any) -> None:
        """Refuse a device_map that leaves the CPU."""
        devices = kwargs.get("device_map") or {}
        places = devices.values() if isinstance(devices, dict) else [devices]
        wrong = [place for place in places if str(place) not in ("cpu", "auto")]
        if wrong:
            raise UsageError(f"device_map names {wrong[0]!r}; the native kernels run on the CPU")

    def _process_model_before_weight_loading(self, model: Any, **_: Any) -> None:
        declared = self.quantization_config.bitnet()
        if declared.quantization_mode == "offline":
            # Both conventions store the same bytes; this class takes them as they are.
            declared.linear_class = "bitlinear"
        keep = self.get_modules_to_not_convert(
            model, declared.modules_to_not_convert, model._keep_in_fp32_modules
        )
        replace_with_bitnet_linear(model, keep, declared)
        for module in model.modules():
            if isinstance(module, BitLinear):
                # A loader rounds a tensor to the dtype of what it fills.
                scale: Any = module.weight_scale.to(torch.float32)
                module.weight_scale = scale

    def _process_model_after_weight_loading(self, model: Any, **_: Any) -> None:
        ours = self.quantization_config
        divides = ours.bitnet().linear_class == "bitlinear"
        swap(model, lm_head=ours.lm_head, threads=ours.threads, divides=divides)

    def is_serializable(self) -> bool:
        """`state_dict` is a packed checkpoint."""
        return True

    @property
    def is_trainable(self) -> bool:
        """The kernels have no gradient."""
        return False

    @property
    def is_compileable(self) -> bool:
        """The operators have fake kernels."""
        return True
