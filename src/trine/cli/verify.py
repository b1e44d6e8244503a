"""`trine verify`: is what trine computes from these weights what Hugging Face computes?"""

from __future__ import annotations

import dataclasses
import importlib.util
import json as json_module
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trine.checkpoint import Checkpoint, open_checkpoint
from trine.checkpoint.hf import HFCheckpoint
from trine.cli.hub import fetch
from trine.cli.progress import Bar
from trine.cli.threads import thread_count
from trine.errors import OutOfMemory, UsageError

if TYPE_CHECKING:
    from trine.model import Engine
    from trine.profiling.profile import Agreement, NumericCheck

NAME = "verify"
FAILED = 1
# Greedy tokens compared with Hugging Face end to end.
_DECODE = 4


def command(
    model: Annotated[str, typer.Argument(help="a directory, a .gguf file, a hub id, builtin:...")],
    prompt: Annotated[str | None, typer.Option(help="text to run; default: seeded ids")] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="seeded ids; default: 16")] = None,
    layers: Annotated[
        int | None, typer.Option(min=1, help="only the first N decoder layers")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("-t", "--threads", min=1, help="default: the usable cores")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> int:
    """Check a model's arithmetic, operator by operator, against the reference and Hugging Face."""
    from trine.model import Engine
    from trine.profiling import machine
    from trine.profiling.anchors import anchors
    from trine.profiling.inputs import make_tokens
    from trine.profiling.native_check import check_engine

    host = machine.describe()
    workers = thread_count(threads, host)
    checkpoint = open_checkpoint(model)
    if tokens is None and prompt is None:
        tokens = min(16, checkpoint.config.context - _DECODE)
    ids = make_tokens(checkpoint, prompt=prompt, tokens=tokens, decode=_DECODE).ids
    count = checkpoint.config.layers if layers is None else layers
    if count > checkpoint.config.layers:
        raise UsageError(f"--layers {layers} is more than the model's {checkpoint.config.layers}")
    fetch(checkpoint, quiet=json)
    found: dict[str, list[NumericCheck]] = {}
    notes: list[str] = []
    with Bar(quiet=json) as bar:
        engine = Engine.from_checkpoint(
            checkpoint,
            threads=workers,
            head="float",
            layers=count,
            progress=lambda done, total: bar("packing layers", done, total),
        )
        found["native engine against the NumPy reference"] = check_engine(
            checkpoint,
            engine,
            ids,
            progress=lambda done, total: bar("engine's layers", done, total),
        )
        if importlib.util.find_spec("torch") and importlib.util.find_spec("transformers"):
            from trine.profiling.hf_layers import check_layers

            folder = checkpoint.directory if isinstance(checkpoint, HFCheckpoint) else None
            found["Hugging Face float32 layers and native BitLinears"] = check_layers(
                folder,
                checkpoint,
                ids,
                layers=count,
                threads=workers,
                progress=lambda done, total: bar("Hugging Face's layers", done, total),
            )
            if folder is None:
                notes.append(
                    "Hugging Face's layers got their weights from trine's reader, since the model "
                    "is no directory of its: what the reader may have wrong does not show"
                )
            agreement, note = _agreement(checkpoint, engine, ids, count)
            notes += [note] if note else []
        else:
            agreement = None
            notes.append('PyTorch is not installed; pip install "trine[torch]" adds Hugging Face')
    known = anchors(model, checkpoint)
    failed = sum(not check.passed for checks in found.values() for check in checks)
    if json:
        document = {
            "model": checkpoint.provenance.id,
            "synthetic": checkpoint.provenance.synthetic,
            "passed": not failed,
            "tokens": len(ids),
            "layers": count,
            "checks": {
                name: [dataclasses.asdict(check) | {"passed": check.passed} for check in checks]
                for name, checks in found.items()
            },
            "end_to_end": None if agreement is None else dataclasses.asdict(agreement),
            "anchors": dict(known),
            "notes": notes,
        }
        print(json_module.dumps(document, indent=2))
    else:
        for name, checks in found.items():
            _print_checks(name, checks)
        _print_agreement(agreement)
        for key, value in known.items():
            print(f"known of the real weights: {key}: {value}")
        for note in notes:
            print(f"note: {note}")
        print(f"{model}: {'FAILED' if failed else 'passed'}")
    return FAILED if failed else 0


def _agreement(
    checkpoint: Checkpoint, engine: Engine, ids: Sequence[int], layers: int
) -> tuple[Agreement | None, str]:
    """End to end beside Hugging Face's disagreement with itself, or why there is none."""
    from trine.profiling import machine
    from trine.profiling.end_to_end import end_to_end
    from trine.torch import models

    config = checkpoint.config
    if config.activation != "relu2" or not config.sub_norms:
        return None, "end to end was not compared: the model is not built as BitNetForCausalLM"
    free = machine.describe().memory_available_bytes
    length = len(ids) + _DECODE
    refusal = ""
    for mode in ("offline", "packed"):
        try:
            models.require_memory(config, mode, "float32", layers, length, free, 1)
        except OutOfMemory as error:
            refusal = f"end to end was not compared: {error}"
            continue
        hf = models.build(checkpoint, mode=mode, dtype="float32", layers=layers)
        return end_to_end(hf, engine, checkpoint, ids, decode=_DECODE, cache="float16"), ""
    return None, refusal


def _print_checks(name: str, checks: Sequence[NumericCheck]) -> None:
    print(f"{name}: {len(checks)} checks of {len({check.layer for check in checks} - {-1})} layers")
    for operator in dict.fromkeys(check.operator for check in checks):
        ours = [check for check in checks if check.operator == operator]
        worst = max(ours, key=lambda check: check.error / (check.tolerance or 1))
        ties = sum(check.at_ties for check in ours)
        line = f"  {operator:26} worst error {worst.error:.1e} of {worst.tolerance:.1e}"
        line += f", {ties} codes at ties" if ties else ""
        print(line)
        for check in ours:
            if not check.passed:
                print(f"    FAILED: {_reason(check)}")


def _reason(check: NumericCheck) -> str:
    parts: list[Any] = [f"layer {check.layer}, {check.stage}, error {check.error:.1e}"]
    parts += [f"{check.wrong_codes} wrong codes"] if check.wrong_codes else []
    parts += [f"{check.wrong_sums} wrong sums"] if check.wrong_sums else []
    return ", ".join(parts)


def _print_agreement(agreement: Agreement | None) -> None:
    if agreement is None:
        return
    names = {
        "native": "engine, float32 KV cache",
        "used": "engine, float16 KV cache",
        "cached": "Hugging Face token by token",
        "nudged": "Hugging Face, embedding x (1 + 1e-7)",
    }
    print("end to end, distance from Hugging Face's own prefill (float32), not judged:")
    for each in agreement.distances:
        print(
            f"  {names[each.name]:38} {each.deviation:.1e} of the logits' spread, best token "
            f"{each.same} of {each.positions}, where it is decided {each.same_decided} of "
            f"{each.decided}"
        )
    print(f"  greedy: Hugging Face {agreement.hf_tokens}, engine {agreement.native_tokens}")
