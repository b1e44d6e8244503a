"""Which backends `trine profile` runs, and the options that only one of them has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trine.checkpoint import Checkpoint
from trine.errors import UsageError
from trine.profiling.profile import Machine

if TYPE_CHECKING:
    from trine.profiling.bench import Case
    from trine.profiling.bench_run import Variant
    from trine.profiling.native_run import NativeSettings

BACKENDS = ("torch", "native")
# The native engine's options and their defaults, as in `trine bench`.
NATIVE_DEFAULTS: Mapping[str, str] = {"body": "auto", "head": "int8", "cache": "float16"}
_CACHES = ("float16", "int8")


def parse_backends(text: str) -> tuple[str, ...]:
    """A comma list of backends, in the order of `BACKENDS`."""
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in BACKENDS:
            raise UsageError(
                f"--backend {text!r}: unknown {word!r}; there are torch, native, and native,torch "
                f"(each with fpga, if wanted)"
            )
    return tuple(name for name in BACKENDS if name in words)


def native_options(backends: tuple[str, ...], given: Mapping[str, str | None]) -> dict[str, str]:
    """body, head and cache with defaults; UsageError for unknown ones, or without the engine."""
    from trine.model.heads import KINDS
    from trine.ternary.tiles import LAYOUTS

    named = {name: value for name, value in given.items() if value is not None}
    if named and "native" not in backends:
        raise UsageError(f"--{next(iter(named))} is the native engine's; add --backend native")
    known = {"body": ("auto", *LAYOUTS), "head": KINDS, "cache": _CACHES}
    for name, value in named.items():
        if value not in known[name]:
            raise UsageError(
                f"--{name} {value!r} is unknown; there are {', '.join(map(str, known[name]))}"
            )
    return {**NATIVE_DEFAULTS, **named}


def require_torch_for(backends: tuple[str, ...], given: Mapping[str, bool]) -> None:
    """Raise UsageError for an option, given or not, that only PyTorch has."""
    if "torch" in backends:
        return
    for option, is_given in given.items():
        if is_given:
            raise UsageError(f"{option} is PyTorch's; add --backend native,torch or leave it out")


def native_memory(
    checkpoint: Checkpoint, settings: NativeSettings, positions: int, layers: int
) -> int:
    """Bytes that the native engine needs beside whatever else runs."""
    from trine.profiling.bench_run import memory_needed

    return memory_needed(checkpoint, *_tests(settings, positions), layers)


def native_layers(
    asked: str | None,
    checkpoint: Checkpoint,
    settings: NativeSettings,
    positions: int,
    host: Machine,
) -> int:
    """The decoder layers of a run without PyTorch; raises before loading what cannot fit."""
    from trine.profiling.bench_run import require_memory

    total, free = checkpoint.config.layers, host.memory_available_bytes
    if asked == "fit":
        fitting = (
            count
            for count in range(total, 1, -1)
            if native_memory(checkpoint, settings, positions, count) <= free
        )
        layers = next(fitting, 1)
    else:
        layers = layer_count(asked, total)
    require_memory(checkpoint, *_tests(settings, positions), layers, free)
    return layers


def _tests(settings: NativeSettings, positions: int) -> tuple[list[Variant], list[Case]]:
    """The run as the benchmark's memory model knows it."""
    from trine.profiling.bench import Case
    from trine.profiling.bench_run import Variant

    variant = Variant(settings.threads, settings.body, settings.head, (settings.cache,))
    return [variant], [Case("pp", positions)]


def layer_count(asked: str | None, total: int) -> int:
    """`--layers` as a number; UsageError for one that the model has not."""
    if asked is None:
        return total
    if asked.isdecimal() and len(asked) < 10 and 1 <= int(asked) <= total:
        return int(asked)
    raise UsageError(f"--layers {asked!r} must be 1 to {total}, or 'fit'")
