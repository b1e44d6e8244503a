"""`trine bench`: tokens per second of the native engine, beside the roofs of the same minutes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from enum import StrEnum
from itertools import product
from typing import TYPE_CHECKING, Annotated

import typer

from trine.checkpoint import Checkpoint, open_checkpoint
from trine.cli.hub import fetch
from trine.cli.progress import Bar
from trine.cli.threads import thread_count
from trine.errors import TrineError, UsageError

if TYPE_CHECKING:
    from trine.profiling.bench import Case
    from trine.profiling.bench_run import Variant
    from trine.report.bench_table import BenchResult

NAME = "bench"

_CACHES = ("float16", "int8")


class Output(StrEnum):
    """How the rows are printed."""

    table = "table"
    csv = "csv"
    md = "md"


def command(
    model: Annotated[
        str,
        typer.Argument(help="synthetic:2b-4t|3b|0.7b|tiny, builtin:..., an HF directory, a hub id"),
    ] = "synthetic:2b-4t",
    prompts: Annotated[
        str, typer.Option("-p", "--n-prompt", help="prompt tokens of the prefill tests; 0: none")
    ] = "512",
    steps: Annotated[
        str, typer.Option("-n", "--n-gen", help="steps of the decode tests; 0: none")
    ] = "64",
    threads: Annotated[
        str | None, typer.Option("-t", "--threads", help="threads; default: the usable cores")
    ] = None,
    depth: Annotated[
        str, typer.Option("-d", "--depth", help="positions in the KV cache before a test")
    ] = "0",
    batch: Annotated[str, typer.Option(help="sessions decoded in one weight pass")] = "1",
    body: Annotated[str, typer.Option(help="2bit, base3, or auto by the measured roofs")] = (
        "auto"
    ),
    head: Annotated[str, typer.Option(help="lm_head: float, int8, screened")] = "int8",
    cache: Annotated[str, typer.Option(help="KV cache: float16, int8")] = "float16",
    layers: Annotated[
        int | None, typer.Option(min=1, help="only the first N decoder layers")
    ] = None,
    repeat: Annotated[int, typer.Option("-r", "--repeat", min=1, help="timed repetitions")] = 6,
    output: Annotated[Output, typer.Option("-o", "--output", help="how to print")] = Output.table,
    json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> int:
    """Benchmark the native engine; a comma list in any option makes a matrix."""
    from trine.kernels.registry import choose
    from trine.model.heads import KINDS
    from trine.profiling import machine
    from trine.profiling.bench import make_cases
    from trine.profiling.bench_run import require_memory
    from trine.report.bench_table import BenchResult
    from trine.ternary.tiles import LAYOUTS

    if json and output is not Output.table:
        raise UsageError("--json and --output exclude each other; give one of them")
    # What needs no model is refused before one is looked for, the rest before it is loaded.
    host = machine.describe()
    choose()
    cases = make_cases(
        _numbers("-p", prompts, 0),
        _numbers("-n", steps, 0),
        _numbers("--depth", depth, 0),
        _numbers("--batch", batch, 1),
    )
    if not cases:
        raise UsageError("nothing to measure: -p and -n are both 0; give one of them tokens")
    variants = _variants(
        [thread_count(count, host) for count in _numbers("--threads", threads, 1)]
        if threads is not None
        else [thread_count(None, host)],
        _words("--body", body, ("auto", *LAYOUTS)),
        _words("--head", head, KINDS),
        _words("--cache", cache, _CACHES),
    )
    checkpoint = open_checkpoint(model)
    count = _layers(layers, checkpoint.config.layers)
    _require_fit(cases, checkpoint.config.context)
    require_memory(checkpoint, variants, cases, count, host.memory_available_bytes)
    fetch(checkpoint, quiet=json)
    result = BenchResult(
        model=checkpoint.provenance.id,
        synthetic=checkpoint.provenance.synthetic,
        parameters=checkpoint.config.parameters(count),
        layers=count,
        command=shlex.join(["trine", *sys.argv[1:]]),
        machine=host,
        versions=machine.versions(),
        rows=[],
        agreements=[],
        status="complete",
    )
    stopped = _measure(result, checkpoint, variants, cases, repeat, quiet=json)
    if result.rows or json or stopped is None:
        _show(result, output, as_json=json)
    if stopped is not None:
        raise stopped
    return 0


def _numbers(option: str, text: str, least: int) -> list[int]:
    """A comma list of whole numbers of at least `least`, each once."""
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if not (word.isascii() and word.isdecimal() and len(word) < 10 and int(word) >= least):
            raise UsageError(
                f"{option} {text!r}: {word!r} must be a whole number of at least {least}"
            )
    return list(dict.fromkeys(map(int, words)))


def _words(option: str, text: str, known: Sequence[str]) -> list[str]:
    """A comma list of known words, each once."""
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            raise UsageError(f"{option} {text!r}: unknown {word!r}; there are {', '.join(known)}")
    return list(dict.fromkeys(words))


def _variants(
    threads: Sequence[int], bodies: Sequence[str], heads: Sequence[str], caches: Sequence[str]
) -> list[Variant]:
    from trine.profiling.bench_run import Variant

    return [
        Variant(count, body, head, tuple(caches))
        for count, body, head in product(threads, bodies, heads)
    ]


def _layers(asked: int | None, there: int) -> int:
    if asked is not None and asked > there:
        raise UsageError(f"--layers {asked} must be 1 to {there}")
    return there if asked is None else asked


def _require_fit(cases: Sequence[Case], context: int) -> None:
    """Raise UsageError for a test that no session, or no pass, could hold."""
    from trine.model.engine import MAX_ROWS

    for case in cases:
        if case.positions > context:
            raise UsageError(
                f"{case.name} needs {case.positions} positions, more than the context of "
                f"{context}; make it shorter, or --depth smaller"
            )
        if case.batch > MAX_ROWS:
            raise UsageError(f"--batch {case.batch} is more than a pass of {MAX_ROWS} tokens")


def _measure(
    result: BenchResult,
    checkpoint: Checkpoint,
    variants: Sequence[Variant],
    cases: Sequence[Case],
    repeat: int,
    *,
    quiet: bool,
) -> TrineError | KeyboardInterrupt | None:
    """Fill `result`; what stopped it is returned, so that the rows before it are shown."""
    from trine.profiling.bench import Row
    from trine.profiling.bench_run import run

    try:
        with Bar(quiet=quiet) as bar:
            for found in run(
                checkpoint, variants, cases, layers=result.layers, repetitions=repeat, report=bar
            ):
                if isinstance(found, Row):
                    result.rows.append(found)
                else:
                    result.agreements.append(found)
    except KeyboardInterrupt as stop:
        result.status = "interrupted"
        return stop
    except TrineError as error:
        result.status = "failed"
        return error
    return None


def _show(result: BenchResult, output: Output, *, as_json: bool) -> None:
    from trine.report import bench_table

    if as_json:
        print(bench_table.document(result))
    elif output is Output.md:
        print(bench_table.markdown(result))
    elif output is Output.csv:
        # A heading would be a row of the file, so what it says goes beside it.
        print(f"trine: {bench_table.heading(result)}", file=sys.stderr)
        print(bench_table.comma_separated(result))
    else:
        bench_table.print_table(result)
