"""BitNet b1.58 from PyTorch to silicon: profile, native ternary kernels, hardware.

`trine.load` gives a model that writes text; it brings the native engine along when it is first
named, so that `import trine` alone costs nothing.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trine.model import Generation, Model, Stream, load

__all__ = ["Generation", "Model", "Stream", "__version__", "load"]

__version__ = version("trine")


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("trine.model"), name)
    raise AttributeError(f"module 'trine' has no attribute {name!r}")
