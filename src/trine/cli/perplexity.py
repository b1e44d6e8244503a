"""`trine perplexity`: how well a model foretells a text, as llama.cpp measures it."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trine.checkpoint import open_checkpoint
from trine.cli import language_model as lm
from trine.cli.progress import Bar
from trine.errors import UsageError

if TYPE_CHECKING:
    from trine.model.perplexity import Perplexity

NAME = "perplexity"
INTERRUPTED = 130
# llama.cpp's own, so that figures can be compared.
_CHUNK = 512


def command(
    model: lm.ModelName,
    file: Annotated[Path, typer.Argument(help="a text file in UTF-8")],
    context: Annotated[
        int | None,
        typer.Option(
            "-c", "--context", min=4, help="tokens of a chunk; default: 512, or the model's"
        ),
    ] = None,
    chunks: Annotated[
        int | None, typer.Option(min=1, help="only the first N chunks; default: all")
    ] = None,
    threads: lm.Threads = None,
    body: lm.Body = "auto",
    head: Annotated[str, typer.Option(help="lm_head: float (exact), int8")] = "float",
    cache: lm.Cache = "float16",
    json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> int:
    """Perplexity of a text file, per token and per byte, with its standard error."""
    from trine.model.perplexity import perplexity

    text = _read(file)
    checkpoint = open_checkpoint(model)
    lm.judge(checkpoint, {}, text=True)
    size = min(_CHUNK, checkpoint.config.context) if context is None else context
    loaded = lm.load_model(
        checkpoint,
        threads=threads,
        body=body,
        head=head,
        cache=cache,
        context=size,
        quiet=json,
    )
    steps = perplexity(loaded, text, context=size, chunks=chunks)
    found: Perplexity | None = None
    interrupted = False
    total = 0
    try:
        with Bar(quiet=json) as bar:
            for found, total in steps:
                bar("scoring chunks", found.chunks, total)
    except KeyboardInterrupt:
        if found is None:
            raise
        interrupted = True
    assert found is not None  # a text shorter than a chunk was refused
    if json:
        document = {
            "model": loaded.name,
            "file": str(file),
            "status": "interrupted" if interrupted else "complete",
            "perplexity": found.perplexity,
            "standard_error": found.standard_error,
            "perplexity_per_byte": found.perplexity_per_byte,
            "tokens_scored": found.tokens,
            "bytes_scored": found.bytes,
            "chunks": found.chunks,
            "chunks_asked": total,
            "engine": lm.settings(loaded),
        }
        print(json_module.dumps(document, indent=2))
    else:
        _print(found, total, size, loaded.engine.head.kind)
    return INTERRUPTED if interrupted else 0


def _print(found: Perplexity, total: int, context: int, head: str) -> None:
    per_byte = "-: the tokenizer does not give back this text"
    if found.perplexity_per_byte is not None:
        per_byte = f"{found.perplexity_per_byte:.4f}"
    done = f"{found.chunks}" if found.chunks == total else f"{found.chunks} of {total}"
    print(f"perplexity           {found.perplexity:.4f} +/- {found.standard_error:.4f} per token")
    print(f"perplexity_per_byte  {per_byte}")
    print(f"{found.tokens} tokens scored, {done} chunks of {context}, {head} lm_head")
    print("the error takes tokens as independent, which makes it rather too small")


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise UsageError(f"no file {file}; give a text file") from None
    except IsADirectoryError:
        raise UsageError(f"{file} is a folder; give a text file") from None
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{file} is not UTF-8 (byte {error.start}); convert it, or give another file"
        ) from None
