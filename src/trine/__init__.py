"""BitNet b1.58 from PyTorch to silicon: profile, native ternary kernels, hardware."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("trine")
