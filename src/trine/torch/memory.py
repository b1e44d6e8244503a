"""Give memory that a model no longer needs back to the system, at once where that is possible."""

from __future__ import annotations

import ctypes
import gc
import mmap
import sys

import torch

# Linux 5.4 and later (include/uapi/asm-generic/mman-common.h).
_MADV_PAGEOUT = 21


def page_out(tensor: torch.Tensor) -> None:
    """Let go of the whole pages of a CPU tensor that a mapped file can bring back.

    transformers maps a checkpoint as one file, which stays mapped while one of its tensors lives,
    and what was read of it counts as resident. The tensor stays valid, whatever its memory is; the
    system may decline.
    """
    if sys.platform != "linux" or tensor.device.type != "cpu":
        return
    first = -(-tensor.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
    end = (tensor.data_ptr() + tensor.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
    if end > first:
        libc = ctypes.CDLL(None)
        libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), _MADV_PAGEOUT)


def give_back() -> None:
    """Return freed memory to the system, where the C library is one that keeps it."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; musl has none
        if trim is not None:
            trim(0)
