"""`trine convert`: a model in another form, bit for bit the same weights."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, cast

import typer

from trine.checkpoint import Checkpoint, TextSource, open_checkpoint
from trine.checkpoint.convert import TARGETS, Target, convert
from trine.cli.hub import fetch
from trine.cli.progress import Bar
from trine.errors import UsageError

NAME = "convert"


def command(
    model: Annotated[str, typer.Argument(help="hub id, directory, .gguf file, synthetic:<preset>")],
    out: Annotated[Path, typer.Argument(help="hf-*: a directory; gguf-*: a file")],
    to: Annotated[str, typer.Option(help=" | ".join(TARGETS))],
    force: Annotated[bool, typer.Option("--force", help="replace what is there")] = False,
) -> int:
    """Write a model as a Hugging Face directory or a GGUF file, its text side included."""
    if to not in TARGETS:
        raise UsageError(f"--to {to!r} is unknown; there are {', '.join(TARGETS)}")
    checkpoint = open_checkpoint(model)
    fetch(checkpoint, quiet=False)
    with Bar() as bar:
        notes = convert(
            checkpoint,
            _text(checkpoint, to),
            out,
            cast(Target, to),
            force=force,
            progress=lambda done, total: bar("writing tensors", done, total),
        )
    for note in notes:
        print(f"trine: note: {note}", file=sys.stderr)
    size = sum(file.stat().st_size for file in (out.iterdir() if out.is_dir() else [out]))
    print(f"{out}: {to}, {size / 1e6:.1f} MB, {checkpoint.config.layers} layers")
    return 0


def _text(checkpoint: Checkpoint, to: str) -> TextSource:
    """The text side; a GGUF vocabulary becomes a tokenizer.json where a directory is written."""
    text = checkpoint.text
    if text.tokenizer_json is not None or text.gguf is None or not to.startswith("hf-"):
        return text
    from trine.model.gguf_vocabulary import has_vocabulary, special_tokens, tokenizer_of

    if not has_vocabulary(text.gguf):
        return text
    special = special_tokens(text.gguf)
    return dataclasses.replace(
        text,
        tokenizer_json=tokenizer_of(text.gguf).to_str(pretty=True),
        config={"tokenizer_class": "PreTrainedTokenizerFast", **special, **text.config},
    )
