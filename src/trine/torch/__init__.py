"""Hugging Face BitNet models in PyTorch. Optional: needs the "torch" extra.

`accelerate(model)` swaps the BitLinears of a loaded model for native ones; `config(path)` is the
config to load a model with them at once, by `AutoModelForCausalLM.from_pretrained`.

In: a `Checkpoint`, or a model that transformers loaded. Out: `BitNetForCausalLM` in one of three
modes, weights filled in place, or on the native kernels.
Next: `trine.profiling.torch_backend` runs it under the recorder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trine.errors import MissingExtra

if TYPE_CHECKING:
    from trine.torch.quantizer import config
    from trine.torch.swap import accelerate

__all__ = ["accelerate", "config"]


def __getattr__(name: str) -> Any:
    # Importing transformers takes seconds, which those who train or read a config do not owe.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from trine.torch import quantizer, swap
    except ImportError:
        raise MissingExtra("torch", "the Hugging Face plug-in") from None
    return {"accelerate": swap.accelerate, "config": quantizer.config}[name]
