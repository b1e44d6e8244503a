"""`trine profile`: run a model under the recorder and write the reports."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trine.checkpoint import Checkpoint, Mode, open_checkpoint
from trine.cli import fpga
from trine.cli.backends import (
    layer_count,
    native_layers,
    native_memory,
    native_options,
    parse_backends,
    require_torch_for,
)
from trine.cli.hub import fetch
from trine.cli.output import result_folder, writing
from trine.cli.progress import Bar
from trine.cli.threads import thread_count
from trine.errors import TrineError, UsageError
from trine.profiling.inputs import Tokens, make_tokens, require_request
from trine.profiling.profile import Machine, Profile

if TYPE_CHECKING:
    from trine.profiling.native_run import NativeSettings
    from trine.profiling.torch_run import Settings

NAME = "profile"
INTERRUPTED = 130


class ModeOption(StrEnum):
    """How a BitLinear holds its weights."""

    online = "online"
    offline = "offline"
    packed = "packed"


class Dtype(StrEnum):
    """The dtype of all float tensors."""

    float32 = "float32"
    bfloat16 = "bfloat16"


class CompileCache(StrEnum):
    """Whether the cold run may use what an earlier process compiled."""

    fresh = "fresh"
    keep = "keep"


class Language(StrEnum):
    """The language of the reports."""

    en = "en"
    zh = "zh"
    both = "both"


def command(
    model: Annotated[
        str, typer.Argument(help="synthetic:2b-4t|3b|0.7b|tiny, an HF directory, or a hub id")
    ] = "synthetic:2b-4t",
    backend: Annotated[
        str, typer.Option(help="torch, native, or native,torch; with fpga: predicted times beside")
    ] = "torch",
    mode: Annotated[
        ModeOption | None,
        typer.Option(help="how BitLinear holds weights; default: the checkpoint's own"),
    ] = None,
    dtype: Annotated[Dtype, typer.Option(help="dtype of float tensors")] = Dtype.float32,
    prompt: Annotated[str | None, typer.Option(help="text to prefill")] = None,
    tokens: Annotated[
        int | None, typer.Option(help="prefill this many seeded token ids  [default: 3]")
    ] = None,
    decode: Annotated[int, typer.Option(min=0, help="decode steps after each prefill")] = 8,
    warmup: Annotated[int, typer.Option(min=0, help="repetitions before the measured ones")] = 1,
    repeat: Annotated[int, typer.Option(min=1, help="measured repetitions")] = 3,
    threads: Annotated[
        int | None, typer.Option(min=1, help="compute threads; default: the usable cores")
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(help="only the first N decoder layers, or 'fit' for as many as memory holds"),
    ] = None,
    compile_cache: Annotated[
        CompileCache, typer.Option(help="Inductor cache of the cold run")
    ] = CompileCache.fresh,
    body: Annotated[
        str | None, typer.Option(help="native: 2bit, base3, or auto  [default: auto]")
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="native lm_head: float, int8, screened  [default: int8]")
    ] = None,
    cache: Annotated[
        str | None, typer.Option(help="native KV cache: float16, int8  [default: float16]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder; default: a new dated one")] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite files in --out")] = False,
    lang: Annotated[Language, typer.Option(help="language of the reports")] = Language.both,
    json: Annotated[
        bool, typer.Option("--json", help="print the profile on stdout; files only with --out")
    ] = False,
    verify_fixes: Annotated[
        bool, typer.Option("--verify-fixes", help="re-run with each environment fix and compare")
    ] = False,
) -> int:
    """Profile a BitNet model on this CPU, operator by operator, and explain why."""
    from trine.profiling import machine
    from trine.profiling.native_run import NativeSettings
    from trine.report.folder import ALL_FILES

    # What needs no model is refused before one is looked for, and what needs only its config
    # before its weights are: both can be a download.
    host = machine.describe()
    backend, with_fpga = fpga.split_backend(backend)
    backends = parse_backends(backend)
    options = native_options(backends, {"body": body, "head": head, "cache": cache})
    torch_only = {
        "--mode": mode is not None,
        "--dtype": dtype is not Dtype.float32,
        "--compile-cache": compile_cache is not CompileCache.fresh,
    }
    require_torch_for(backends, torch_only)
    if verify_fixes and backends != ("torch",):
        raise UsageError("--verify-fixes runs PyTorch again; leave --backend at torch for it")
    count = thread_count(threads, host)
    require_request(prompt=prompt, tokens=tokens)
    only_stdout = json and out is None
    target = nullcontext() if only_stdout else result_folder(out, NAME, ALL_FILES, force=force)
    with target as folder:
        checkpoint = open_checkpoint(model)
        ids = make_tokens(checkpoint, prompt=prompt, tokens=tokens, decode=decode)
        positions = len(ids.ids) + decode
        command_line = shlex.join(["trine", *sys.argv[1:]])
        native = NativeSettings(
            threads=count,
            decode=decode,
            warmup=warmup,
            repeat=repeat,
            layers=None,
            command=command_line,
            **options,
        )
        settings: Settings | None = None
        if "torch" in backends:
            # First, because it is the one that says how to install what is missing.
            from trine.torch.models import require_mode  # isort: skip
            from trine.profiling.torch_run import Settings as TorchSettings

            chosen = mode.value if mode is not None else checkpoint.native_mode
            require_mode(checkpoint, chosen)
            free = host.memory_available_bytes
            if "native" in backends:
                free -= native_memory(checkpoint, native, positions, checkpoint.config.layers)
            settings = TorchSettings(
                mode=chosen,
                dtype=dtype.value,
                threads=count,
                decode=decode,
                warmup=warmup,
                repeat=repeat,
                compile_cache=compile_cache.value,
                layers=_layers(layers, checkpoint, chosen, dtype.value, positions, host, free),
                command=command_line,
            )
            native = replace(native, layers=settings.layers)
        else:
            native = replace(
                native, layers=native_layers(layers, checkpoint, native, positions, host)
            )
        prediction = fpga.predict_for(checkpoint, quiet=json) if with_fpga else None
        fetch(checkpoint, quiet=json)
        with Bar(quiet=json) as bar:
            result = _run(checkpoint, ids, settings, native if "native" in backends else None, bar)
            result = replace(result, fpga=prediction)
            stopped: TrineError | KeyboardInterrupt | None
            stopped = _write(result, folder, lang.value, bar)
            if verify_fixes and settings and result.status == "complete" and stopped is None:
                child = _child_arguments(settings, model, prompt, tokens)
                result, stopped = _verified(result, child, bar)
                stopped = _write(result, folder, lang.value, bar) or stopped
    code = _show(result, folder, lang.value, as_json=json)
    if stopped is not None:
        raise stopped
    return code


def _run(
    checkpoint: Checkpoint,
    tokens: Tokens,
    settings: Settings | None,
    native: NativeSettings | None,
    bar: Bar,
) -> Profile:
    """PyTorch, the native engine, or both in one run."""
    if settings is None:
        assert native is not None
        from trine.profiling import native_run

        return native_run.run(checkpoint, tokens, native, bar)
    from trine.profiling import torch_run

    return torch_run.run(checkpoint, tokens, settings, bar, native)


def _child_arguments(
    settings: Settings, model: str, prompt: str | None, tokens: int | None
) -> list[str]:
    """The same run as a command line, with every default spelt out."""
    what = [f"--prompt={prompt}"] if prompt is not None else [f"--tokens={tokens or 3}"]
    options = {
        "--mode": settings.mode,
        "--dtype": settings.dtype,
        "--decode": settings.decode,
        "--warmup": settings.warmup,
        "--repeat": settings.repeat,
        "--threads": settings.threads,
        "--layers": settings.layers,
        "--compile-cache": settings.compile_cache,
    }
    return [model, *what, *(str(part) for option in options.items() for part in option)]


def _layers(
    asked: str | None,
    checkpoint: Checkpoint,
    mode: Mode,
    dtype: str,
    tokens: int,
    host: Machine,
    free: int,
) -> int:
    """The decoder layers to run in `free` bytes; raises before loading what they cannot hold."""
    from trine.profiling.machine import usable_cores
    from trine.torch.models import fit_layers, loader_count, require_memory

    config = checkpoint.config
    loaders = loader_count(usable_cores(host))
    if asked == "fit":
        layers = max(1, fit_layers(config, mode, dtype, tokens, free, loaders))
    else:
        layers = layer_count(asked, config.layers)
    require_memory(config, mode, dtype, layers, tokens, free, loaders)
    return layers


def _write(profile: Profile, folder: Path | None, lang: str, bar: Bar) -> TrineError | None:
    """Write the files at once: what was measured must survive whatever comes after it.

    What went wrong is returned, not raised, so that the figures are shown all the same.
    """
    from trine.report.bundle import write_all

    if folder is None:
        return None
    bar("writing the report", 0, 1)
    try:
        with writing(folder):
            write_all(profile, folder, lang=lang, force=True)
    except TrineError as error:
        return error
    bar("writing the report", 1, 1)
    return None


def _verified(
    profile: Profile, arguments: list[str], bar: Bar
) -> tuple[Profile, TrineError | KeyboardInterrupt | None]:
    """The profile with its fixes tried, or as it was with what stopped the trial."""
    from trine.profiling.verify import verify

    bar("verifying fixes", 0, 1)
    try:
        profile = verify(profile, arguments)
    except (TrineError, KeyboardInterrupt) as error:
        return profile, error
    bar("verifying fixes", 1, 1)
    return profile, None


def _show(profile: Profile, folder: Path | None, lang: str, *, as_json: bool) -> int:
    """Print the result; the exit code."""
    from trine.report.console import print_summary

    if as_json:
        print(profile.to_json())
    else:
        print_summary(profile, folder, lang="zh" if lang == "zh" else "en")
    if profile.status == "complete":
        return 0
    if profile.ended_by == "interrupt":
        return INTERRUPTED
    where = "" if folder is None else f"; what is complete is in {folder}"
    raise TrineError(f"the run {profile.status_note}{where}")
