"""Decode through Hugging Face `generate()`: the packed path of transformers, and trine's plug-in.

    python benchmarks/plugin.py --layers 30 --threads 2

The 2B-4T geometry with SYNTHETIC (random) weights, packed uint8 and bfloat16, written as a Hugging
Face directory and loaded by `from_pretrained` three ways:

hf      as it is: BitLinear unpacks its weights at every call
plugin  config=trine.torch.config(...): native BitLinears, Hugging Face's own lm_head
head    the same with lm_head="int8"

Speed is gated: every BitLinear of the middle layer must be within 1e-6 of the NumPy reference on
the input that generate() gave it. A round times hf plugin head head plugin hf; a time is the
interval between two tokens as a streamer sees them, prefill left out. Ratios are of one round's
medians. Memory is that of a fresh process that loads the directory, above what its imports take,
beside the bytes of packed body, embedding and head.

Fewer layers make hf's share of the lm_head larger and the ratio smaller; nothing is extrapolated.
The last line is JSON. With 30 layers about 10 minutes, 4 GB of memory and 1.3 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from transformers import AutoModelForCausalLM

import torch
import trine.torch
from trine.checkpoint import open_checkpoint
from trine.checkpoint.config import LINEARS
from trine.checkpoint.tensors import layer_tensor
from trine.kernels.reference import bitlinear
from trine.ternary import unpack_hf
from trine.torch.linear import NativeBitLinear
from trine.torch.models import build

MODEL = "synthetic:2b-4t"
PROMPT = torch.arange(100, 108)[None]
TOLERANCE = 1e-6
ORDER = ("hf", "plugin", "head", "head", "plugin", "hf")


class Clock:
    """A streamer that notes when each token arrives."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, _: Any) -> None:
        """Called with the prompt, then with each token."""
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """Nothing is left to note."""

    def intervals(self) -> list[float]:
        """Seconds between neighbouring tokens; the first one is the prefill's."""
        tokens = self.times[1:]
        return [after - before for before, after in pairwise(tokens)]


def load(folder: Path, how: str, threads: int) -> Any:
    """The directory as "hf", "plugin", "head", or "accelerate" (as hf, then swapped)."""
    if how in ("hf", "accelerate"):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        return trine.torch.accelerate(model, threads=threads) if how == "accelerate" else model
    kind = "int8" if how == "head" else None
    config = trine.torch.config(str(folder), lm_head=kind, threads=threads)
    return AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.bfloat16)


def decode(model: Any, tokens: int) -> list[float]:
    """Seconds of each of `tokens` decoded tokens."""
    clock = Clock()
    model.generate(
        PROMPT,
        attention_mask=torch.ones_like(PROMPT),
        max_new_tokens=tokens + 1,
        min_new_tokens=tokens + 1,
        do_sample=False,
        streamer=clock,
    )
    return clock.intervals()


def worst_error(model: Any, layers: int) -> float:
    """The middle layer's BitLinears against the reference, each on its own recorded input."""
    checkpoint, number = open_checkpoint(MODEL), layers // 2
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


def memory(folder: Path, how: str, threads: int) -> dict[str, float]:
    """MB that loading and a first token add to this process, and what the weights should take."""
    process = psutil.Process()
    before = process.memory_info().rss
    model = load(folder, how, threads)
    decode(model, 1)  # the embedding is mapped: it is resident once it was used
    after = process.memory_info().rss
    body = sum(m.tiles.nbytes for m in model.modules() if isinstance(m, NativeBitLinear))
    packed = sum(
        m.in_features * m.out_features // 4
        for m in model.modules()
        if isinstance(m, NativeBitLinear)
    )
    head = model.get_input_embeddings().weight.nbytes
    if how == "head":
        head += model.lm_head.rows.head.nbytes
    return {
        "added_mb": (after - before) / 1e6,
        "body_mb": body / 1e6,
        "packed_and_head_mb": (packed + head) / 1e6,
        "share": (after - before) / (packed + head),
    }


def child(folder: Path, how: str, threads: int) -> dict[str, float]:
    """`memory` in a process of its own."""
    command = [sys.executable, __file__, "--memory", how, "--folder", str(folder)]
    done = subprocess.run(
        [*command, "--threads", str(threads)], capture_output=True, text=True, check=True
    )
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def measure(folder: Path, layers: int, threads: int, tokens: int, rounds: int) -> dict[str, Any]:
    """Write, load, check, time."""
    model = build(open_checkpoint(MODEL), mode="packed", dtype="bfloat16", layers=layers)
    model.save_pretrained(folder)
    del model
    rss = {how: child(folder, how, threads) for how in ("plugin", "head", "accelerate")}
    print("memory", json.dumps(rss, indent=1))
    models = {how: load(folder, how, threads) for how in ("hf", "plugin", "head")}
    error = worst_error(models["plugin"], layers)
    print(f"worst BitLinear error {error:.1e}, allowed {TOLERANCE:.0e}")
    if error > TOLERANCE:
        raise SystemExit("the plug-in's output is wrong; no speed is given")
    for how, model in models.items():  # compiles, allocates, wakes the threads
        print("warm", how, [round(t, 3) for t in decode(model, 1)])
    seconds: dict[str, list[float]] = {how: [] for how in models}
    ratios: dict[str, list[float]] = {"plugin": [], "head": []}
    for number in range(rounds):
        one: dict[str, list[float]] = {how: [] for how in models}
        for how in ORDER:
            one[how] += decode(models[how], 1 if how == "hf" else tokens)
        median = {how: statistics.median(times) for how, times in one.items()}
        for how, ratio in ratios.items():
            ratio.append(median["hf"] / median[how])
        for how, times in one.items():
            seconds[how] += times
        print(f"round {number + 1}:", {how: f"{1e3 * t:.1f} ms" for how, t in median.items()})
    result: dict[str, Any] = {
        "benchmark": "plugin",
        "model": MODEL,
        "synthetic": True,
        "layers": layers,
        "threads": threads,
        "torch_threads": torch.get_num_threads(),
        "rounds": rounds,
        "error": error,
        "memory": rss,
    }
    for how, times in seconds.items():
        ms = np.percentile(np.array(times) * 1e3, [10, 50, 90])
        result[f"{how}_ms_p10_p50_p90"] = [round(float(value), 2) for value in ms]
    result |= {f"{how}_times_faster": [round(r, 1) for r in each] for how, each in ratios.items()}
    return result


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--tokens", type=int, default=16, help="decoded by the plug-in a turn")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the model goes; default: temporary")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory:
        print(json.dumps(memory(given.folder, given.memory, given.threads)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        result = measure(folder, given.layers, given.threads, given.tokens, given.rounds)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
