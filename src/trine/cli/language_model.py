"""What `generate`, `chat` and `perplexity` share: loading a model for text, and the speed line."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trine.checkpoint import Checkpoint
from trine.cli.hub import fetch, plain_progress
from trine.cli.progress import Bar
from trine.cli.threads import thread_count
from trine.errors import UsageError

if TYPE_CHECKING:
    from trine.model import Generation, Model, Stream

ModelName = Annotated[
    str, typer.Argument(help="builtin:stories, a directory, a .gguf file, a hub id, synthetic:tiny")
]
Threads = Annotated[
    int | None, typer.Option("-t", "--threads", min=1, help="default: the usable cores")
]
Body = Annotated[str, typer.Option(help="2bit, base3, or auto by the measured roofs")]
Head = Annotated[str, typer.Option(help="lm_head: float, int8, screened")]
Cache = Annotated[str, typer.Option(help="KV cache: float16, int8, float32")]
Context = Annotated[
    int | None, typer.Option(min=2, help="positions of the KV cache; default: the model's")
]
MaxTokens = Annotated[int, typer.Option("-n", "--max-tokens", min=1, help="most tokens to write")]
Temperature = Annotated[
    float | None,
    typer.Option(help="0: greedy; default: the model's generation_config.json, else greedy"),
]
TopK = Annotated[int | None, typer.Option(help="only the k likeliest tokens; 0: all")]
TopP = Annotated[float | None, typer.Option(help="the fewest tokens that hold this probability")]
MinP = Annotated[float | None, typer.Option(help="at least this share of the best probability")]
Penalty = Annotated[float | None, typer.Option(help="above 1: less of what the text has already")]
Seed = Annotated[int | None, typer.Option(min=0, help="the same seed gives the same text")]
Stop = Annotated[list[str] | None, typer.Option(help="end before this text; may be repeated")]

_CACHES = ("float16", "int8", "float32")


def judge(
    checkpoint: Checkpoint,
    sampling: Mapping[str, float | None],
    *,
    text: bool,
    chat: bool = False,
) -> None:
    """Refuse, before the weights are read, options and text that this model cannot do."""
    from trine.model.chat import no_template
    from trine.model.sampling import Sampling
    from trine.model.tokenizer import has_tokenizer, no_tokenizer

    plain_progress(checkpoint)
    source = checkpoint.text
    if text and not has_tokenizer(source):
        raise no_tokenizer(checkpoint.provenance.id)
    if chat and source.chat_template is None:
        raise no_template(checkpoint.provenance.id)
    Sampling.of_model(source.generation, **sampling)


def load_model(
    checkpoint: Checkpoint,
    *,
    threads: int | None,
    body: str,
    head: str,
    cache: str,
    context: int | None,
    quiet: bool,
) -> Model:
    """Load with a bar; every option is judged before the weights are touched."""
    from trine.model import load
    from trine.model.heads import KINDS
    from trine.profiling import machine
    from trine.ternary.tiles import LAYOUTS

    _require("--body", body, ("auto", *LAYOUTS))
    _require("--head", head, KINDS)
    _require("--cache", cache, _CACHES)
    count = thread_count(threads, machine.describe())
    most = checkpoint.config.context
    if context is not None and context > most:
        raise UsageError(f"--context {context} is more than the model's {most}")
    fetch(checkpoint, quiet=quiet)
    with Bar(quiet=True) as bar:
        return load(
            checkpoint,
            threads=count,
            body=body,
            head=head,
            kv=cache,
            context=context,
            progress=lambda done, layers: bar("packing layers", done, layers),
        )


def play(stream: Stream, *, visible: bool) -> bool:
    """Run a stream to its end, showing it or not; whether Ctrl-C came first."""
    shown, interrupted = 0, False
    try:
        for piece in stream:
            if visible:
                show(piece)
                shown += len(piece)
    except KeyboardInterrupt:
        interrupted = True
    if visible:
        show(stream.result().text[shown:])
    return interrupted


def speed_line(generation: Generation) -> str:
    """What it took, in one line."""
    t = generation.timings
    cached = f" ({t.cached_tokens} cached)" if t.cached_tokens else ""
    prompt = f"prompt {t.prompt_tokens} tokens{cached} in {t.prefill_seconds:.2f} s"
    if t.prefill_rate:
        prompt += f", {t.prefill_rate:.1f} tok/s"
    text = f"text {t.generated_tokens} tokens"
    if t.decode_rate:
        text += f", {t.decode_rate:.1f} tok/s"
    ended = {
        "stop": "ended",
        "length": "cut at --max-tokens",
        "context": "cut: the context is full",
        "interrupted": "interrupted",
    }[generation.finish_reason]
    seed = "" if generation.seed is None else f"; seed {generation.seed}"
    return f"{prompt}; {text}; {ended}{seed}"


def as_document(model: Model, synthetic: bool, generation: Generation) -> dict[str, Any]:
    """A generation and how it was made, for --json."""
    return {
        "model": model.name,
        "synthetic": synthetic,
        "text": generation.text,
        "tokens": generation.tokens,
        "logprobs": [dataclasses.asdict(each) for each in generation.logprobs],
        "finish_reason": generation.finish_reason,
        "seed": generation.seed,
        "timings": {
            **dataclasses.asdict(generation.timings),
            "prefill_tokens_per_second": generation.timings.prefill_rate,
            "decode_tokens_per_second": generation.timings.decode_rate,
        },
        "engine": settings(model),
    }


def settings(model: Model) -> dict[str, Any]:
    """What the figures depend on."""
    engine = model.engine
    return {
        "threads": engine.threads,
        "kernel": engine.kernel,
        "body": engine.body,
        "head": engine.head.kind,
        "cache": model.kv,
        "context": model.context,
    }


def show(text: str) -> None:
    """Print a piece of text at once; what the terminal's encoding lacks becomes "?"."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def tell(line: str) -> None:
    """A line for people, beside the text."""
    print(f"trine: {line}", file=sys.stderr)


def _require(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{option}: unknown {value!r}; there are {', '.join(known)}")
