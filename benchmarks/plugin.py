"""Decode through Hugging Face `generate()`: the packed path of transformers, and trine's plug-in.

    python benchmarks/plugin.py --folder DIR [--layers 30] [--threads 2]      memory and speed
    python benchmarks/plugin.py --folder DIR --only speed                     under 5 minutes

The 2B-4T geometry with SYNTHETIC (random) weights, packed uint8 and bfloat16, written to DIR as a
Hugging Face directory unless there is one, and loaded by `from_pretrained` four ways:

hf        as it is: BitLinear unpacks its weights at every call; Hugging Face's own lm_head
plugin    config=trine.torch.config(...): fused native layers, Hugging Face's own lm_head
int8      the same with lm_head="int8"
screened  the same with lm_head="screened"

Speed is gated. Every BitLinear of the middle layer must be within 1e-6 of the NumPy reference on
the input that it gets of a prompt, and that layer, fused, within 1e-2 of its own modules run one by
one, in float32 (a code at a tie may fall the other way). Each model has a KV cache that `generate`
goes on with; a time is from one token's arrival at a streamer to the next one's, the first from the
call, prefill left out. A round goes through the ways and back, one token of hf and sixteen of the
others a turn; a ratio is of one round's medians.
Beside the times: the bytes of weights that a token must read, and the best read bandwidth probed
between the turns.

Memory is that of a fresh process that loads the directory and writes a token, above what its
imports take, beside the bytes of packed body, embedding and head.

Fewer layers make hf's share of the lm_head larger and the ratio smaller; nothing is extrapolated.
The last line is JSON. With 30 layers 6 GB of memory, 1.2 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from transformers import AutoModelForCausalLM, DynamicCache

import torch
import trine.torch
from trine import _native
from trine.checkpoint import open_checkpoint
from trine.checkpoint.config import LINEARS
from trine.checkpoint.tensors import layer_tensor
from trine.kernels.reference import bitlinear
from trine.kernels.registry import choose
from trine.ternary import unpack_hf
from trine.torch.head import HeadKind
from trine.torch.linear import NativeBitLinear
from trine.torch.models import build

MODEL = "synthetic:2b-4t"
PROMPT = torch.arange(100, 108)[None]
TOLERANCE = 1e-6
LAYER_TOLERANCE = 1e-2
HEADS: dict[str, HeadKind | None] = {"plugin": None, "int8": "int8", "screened": "screened"}
WAYS = ("hf", *HEADS)


class Clock:
    """A streamer that notes when the prompt was there, and when each token arrives."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, _: Any) -> None:
        """Called with the prompt, then with each token."""
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """Nothing is left to note."""

    def intervals(self) -> list[float]:
        """Seconds of each token."""
        return [after - before for before, after in pairwise(self.times)]


class Text:
    """A model and the text that it goes on with, its KV cache included."""

    def __init__(self, model: Any) -> None:
        self.model, self.ids = model, PROMPT
        self.cache = DynamicCache(config=model.config)

    def decode(self, tokens: int) -> list[float]:
        """Seconds of each of the next `tokens` tokens; of the very first one, with the prefill."""
        clock = Clock()
        self.ids = self.model.generate(
            self.ids,
            attention_mask=torch.ones_like(self.ids),
            past_key_values=self.cache,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            streamer=clock,
        )
        return clock.intervals()


def load(folder: Path, how: str, threads: int) -> Any:
    """The directory as one of `WAYS`, or "accelerate" (as hf, then swapped)."""
    if how in ("hf", "accelerate"):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        return trine.torch.accelerate(model, threads=threads) if how == "accelerate" else model
    config = trine.torch.config(str(folder), lm_head=HEADS[how], threads=threads)
    return AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.bfloat16)


def worst_error(model: Any) -> float:
    """The middle layer's BitLinears against the reference, each on its own recorded input."""
    checkpoint, number = open_checkpoint(MODEL), model.config.num_hidden_layers // 2
    worst = 0.0
    for linear in LINEARS:
        name = layer_tensor(number, linear)
        module = model.get_submodule(name.removesuffix(".weight"))
        assert isinstance(module, NativeBitLinear)
        seen: list[torch.Tensor] = []
        handle = module.register_forward_hook(lambda _, args, __, to=seen: to.append(args[0]))
        with torch.no_grad():
            model(PROMPT)
            handle.remove()
            x = seen[0][0].float()
            given = module(x).numpy()
        weight = checkpoint.ternary(name)
        # What the file holds is the reciprocal, in bfloat16.
        scale = np.float32(1 / torch.tensor(float(1 / weight.scale)).bfloat16().float().item())
        expected = bitlinear(x.numpy(), unpack_hf(weight.packed), scale)
        worst = max(worst, float(np.linalg.norm(given - expected) / np.linalg.norm(expected)))
    return worst


def layer_error(model: Any) -> float:
    """The middle layer in float32, fused, against its modules, on the input of a prompt."""
    layer = model.model.layers[model.config.num_hidden_layers // 2]
    seen: list[Any] = []
    handle = layer.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append((args, kwargs)), with_kwargs=True
    )
    with torch.no_grad():
        model(PROMPT, use_cache=False)
        handle.remove()
        (x,), kwargs = seen[0]
        kwargs["position_embeddings"] = [part.float() for part in kwargs["position_embeddings"]]
        fused = layer(x.float(), **kwargs)
        handle = layer.mlp.register_forward_hook(lambda *_: None)
        modules = layer(x.float(), **kwargs)
        handle.remove()
    return float((fused - modules).norm() / modules.norm())


def memory(folder: Path, how: str, threads: int) -> dict[str, float]:
    """MB that loading and two tokens add to this process, and what the weights should take."""
    process = psutil.Process()
    before = process.memory_info().rss
    model = load(folder, how, threads)
    Text(model).decode(2)  # the embedding is mapped: it is resident once it was used
    after = process.memory_info().rss
    body = sum(m.tiles.nbytes for m in model.modules() if isinstance(m, NativeBitLinear))
    packed = sum(
        m.in_features * m.out_features // 4
        for m in model.modules()
        if isinstance(m, NativeBitLinear)
    )
    head = model.get_input_embeddings().weight.nbytes
    if HEADS.get(how) is not None:
        head += model.lm_head.rows.nbytes
    return {
        "added_mb": (after - before) / 1e6,
        "body_mb": body / 1e6,
        "packed_and_head_mb": (packed + head) / 1e6,
        "share": (after - before) / (packed + head),
    }


def child(folder: Path, how: str, threads: int) -> dict[str, float]:
    """`memory` in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", how, "--folder", str(folder)]
    done = subprocess.run(
        [*command, "--threads", str(threads)], capture_output=True, text=True, check=True
    )
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def weight_bytes(model: Any, how: str) -> int:
    """Bytes of weights that a token of the plug-in reads: packed body and lm_head."""
    body = sum(m.tiles.nbytes for m in model.modules() if isinstance(m, NativeBitLinear))
    head = model.lm_head
    rows: int = head.weight.nbytes if HEADS[how] is None else head.nbytes
    return body + rows


def bandwidth(threads: int) -> float:
    """GB/s that this machine reads now."""
    probe = _native.probe_read(choose(), threads, 256 << 20, 1, 4)
    return probe.work / min(probe.seconds) / 1e9


def speed(folder: Path, threads: int, tokens: int, rounds: int) -> dict[str, Any]:
    """Load, check, time."""
    models = {how: load(folder, how, threads) for how in WAYS}
    error, of_layer = worst_error(models["plugin"]), layer_error(models["plugin"])
    print(f"worst BitLinear error {error:.1e}, allowed {TOLERANCE:.0e}", flush=True)
    print(f"fused layer's error {of_layer:.1e}, allowed {LAYER_TOLERANCE:.0e}", flush=True)
    if error > TOLERANCE or of_layer > LAYER_TOLERANCE:
        raise SystemExit("the plug-in's output is wrong; no speed is given")
    texts = {how: Text(model) for how, model in models.items()}
    for how, text in texts.items():  # the prefill; compiles, allocates, wakes the threads
        print("prefill", how, round(text.decode(1)[0], 3), flush=True)
    seconds: dict[str, list[float]] = {how: [] for how in models}
    ratios: dict[str, list[float]] = {how: [] for how in HEADS}
    roof = []
    for number in range(rounds):
        one: dict[str, list[float]] = {how: [] for how in models}
        for how in (*WAYS, *reversed(WAYS)):
            one[how] += texts[how].decode(1 if how == "hf" else tokens)
            roof.append(bandwidth(threads))
        median = {how: statistics.median(times) for how, times in one.items()}
        for how, ratio in ratios.items():
            ratio.append(median["hf"] / median[how])
        for how, times in one.items():
            seconds[how] += times
        shown = {how: f"{1e3 * t:.1f} ms" for how, t in median.items()}
        print(f"round {number + 1}:", shown, flush=True)
    result: dict[str, Any] = {"rounds": rounds, "error": error, "layer_error": of_layer}
    for how, times in seconds.items():
        ms = np.percentile(np.array(times) * 1e3, [10, 50, 90])
        result[f"{how}_ms_p10_p50_p90"] = [round(float(value), 2) for value in ms]
    result |= {f"{how}_times_faster": [round(r, 1) for r in each] for how, each in ratios.items()}
    result["read_gb_s"] = [round(min(roof), 1), round(max(roof), 1)]
    for how in ratios:
        megabytes = weight_bytes(models[how], how) / 1e6
        result[f"{how}_weights_mb"] = round(megabytes)
        result[f"{how}_ceiling_ms"] = round(megabytes / max(roof), 1)
    return result


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--tokens", type=int, default=16, help="decoded by the plug-in a turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, required=True, help="of the model")
    parser.add_argument("--only", choices=("memory", "speed"))
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory_of:
        print(json.dumps(memory(given.folder, given.memory_of, given.threads)))
        return
    if not (given.folder / "config.json").exists():
        build(
            open_checkpoint(MODEL), mode="packed", dtype="bfloat16", layers=given.layers
        ).save_pretrained(given.folder)
    result: dict[str, Any] = {
        "benchmark": "plugin",
        "model": MODEL,
        "synthetic": True,
        "layers": open_checkpoint(str(given.folder)).config.layers,
        "threads": given.threads,
        "torch_threads": torch.get_num_threads(),
    }
    if given.only != "speed":
        kinds = (*HEADS, "accelerate")
        result["memory"] = {how: child(given.folder, how, given.threads) for how in kinds}
    if given.only != "memory":
        result |= speed(given.folder, given.threads, given.tokens, given.rounds)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
