"""Keep PyTorch's threads out of the native kernels' way while a model decodes.

PyTorch's OpenMP threads go on spinning for milliseconds after each parallel operator (8 ms of
libgomp's, measured), on the very cores on which the workers of the native pool then have to run:
between two operators of a layer there is no pause in which they would fall asleep. With as many
threads of each as there are cores, a decoded token of the 2B-4T geometry took more than twice as
long as with one of PyTorch's. What PyTorch itself computes for few tokens is too small for threads
to gain as much: passes of 64 and 256 tokens were faster with one, too.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

# The longest passes that were measured to be faster so.
FEW_TOKENS = 256
# omp_pause_resource_t of OpenMP 5.0: threads end, settings stay.
_PAUSE_SOFT = 1


class _Saved(threading.local):
    """The thread counts to go back to, of this thread's passes, innermost last."""

    def __init__(self) -> None:
        self.counts: list[int] = []


_saved = _Saved()


def calm(model: Any, *, whole: bool = False) -> None:
    """Have the decoder of `model` run passes of few tokens on one thread of PyTorch's own.

    whole: and its output head, which is left alone otherwise. Nothing changes for a compiled model,
    whose code PyTorch arranges itself, and for one that has no decoder by transformers' name.
    """
    decoder = model.get_decoder() if hasattr(model, "get_decoder") else None
    if decoder is None or decoder is model:
        return
    module = model if whole else decoder
    module.register_forward_pre_hook(_before, with_kwargs=True)
    module.register_forward_hook(_after, always_call=True)


def _before(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if torch.compiler.is_compiling():
        return
    count = torch.get_num_threads()
    _saved.counts.append(count)
    if count > 1 and _tokens(args, kwargs) <= FEW_TOKENS:
        torch.set_num_threads(1)
        # Those that still spin after what was computed since the last pass.
        _pause()(_PAUSE_SOFT)


def _after(*_: Any) -> None:
    if torch.compiler.is_compiling() or not _saved.counts:
        return
    count = _saved.counts.pop()
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


def _tokens(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    ids = kwargs.get("input_ids", args[0] if args else None)
    if isinstance(ids, torch.Tensor):
        return ids.numel()
    embedded = kwargs.get("inputs_embeds")
    if isinstance(embedded, torch.Tensor) and embedded.dim() > 1:
        return embedded.shape[:-1].numel()
    return FEW_TOKENS + 1


@functools.cache
def _pause() -> Callable[[int], object]:
    """`omp_pause_resource_all` of the OpenMP library that PyTorch runs on, where it has one."""
    if sys.platform == "linux":
        try:
            library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
            found: Callable[[int], object] = library.omp_pause_resource_all
            return found
        except (OSError, AttributeError):  # a build of another kind, or with an older OpenMP
            pass
    return lambda kind: None
