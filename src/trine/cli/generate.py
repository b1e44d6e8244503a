"""`trine generate`: a text continued, shown as it is written."""

from __future__ import annotations

import json as json_module
import sys
from typing import Annotated, Any

import typer

from trine.checkpoint import open_checkpoint
from trine.cli import language_model as lm
from trine.errors import UsageError

NAME = "generate"
INTERRUPTED = 130


def command(
    model: lm.ModelName,
    prompt: Annotated[
        str | None, typer.Argument(help="the text to continue; - reads it from standard input")
    ] = None,
    tokens: Annotated[
        str | None,
        typer.Option(help="token ids 1,2,3 instead of a text, for a model without a tokenizer"),
    ] = None,
    max_tokens: lm.MaxTokens = 256,
    temperature: lm.Temperature = None,
    top_k: lm.TopK = None,
    top_p: lm.TopP = None,
    min_p: lm.MinP = None,
    repetition_penalty: lm.Penalty = None,
    seed: lm.Seed = None,
    stop: lm.Stop = None,
    stop_id: Annotated[
        list[int] | None, typer.Option(help="end at this token id; may be repeated")
    ] = None,
    logprobs: Annotated[
        int | None,
        typer.Option(min=0, max=100, help="with --json: log-probabilities, and of the N likeliest"),
    ] = None,
    threads: lm.Threads = None,
    body: lm.Body = "auto",
    head: lm.Head = "int8",
    cache: lm.Cache = "float16",
    context: lm.Context = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> int:
    """Continue a text with a model; the speed is on standard error."""
    if (prompt is None) == (tokens is None):
        raise UsageError("give a prompt, or --tokens instead of one")
    if logprobs is not None and not json:
        raise UsageError("--logprobs are printed with --json; give both")
    asked = _ids(tokens or "") if prompt is None else _text(prompt)
    sampling: dict[str, Any] = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
    }
    checkpoint = open_checkpoint(model)
    lm.judge(checkpoint, sampling, text=prompt is not None)
    loaded = lm.load_model(
        checkpoint,
        threads=threads,
        body=body,
        head=head,
        cache=cache,
        context=context,
        quiet=json,
    )
    stream = loaded.stream(
        asked,
        max_tokens=max_tokens,
        stop=stop or (),
        stop_ids=stop_id or (),
        logprobs=logprobs,
        **sampling,
    )
    synthetic = checkpoint.provenance.synthetic
    interrupted = lm.play(stream, visible=not json and loaded.tokenizer is not None)
    generation = stream.result()
    if json:
        print(json_module.dumps(lm.as_document(loaded, synthetic, generation), indent=2))
    else:
        print("" if loaded.tokenizer is not None else ",".join(map(str, generation.tokens)))
        if synthetic:
            lm.tell(f"SYNTHETIC (random) weights: {loaded.name}")
        lm.tell(lm.speed_line(generation))
    return INTERRUPTED if interrupted else 0


def _text(prompt: str) -> str:
    """The prompt itself, or standard input without the newline that ends it."""
    if prompt != "-":
        return prompt
    try:
        text: str = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError("standard input is not valid UTF-8; check its encoding") from None
    return text.removesuffix("\n").removesuffix("\r")


def _ids(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if not (word.isascii() and word.isdecimal() and len(word) < 10):
            raise UsageError(f"--tokens {text!r}: {word!r} is no token id; give ids as 1,2,3")
    return [int(word) for word in words]
