"""How far the fixed-point contract is from Hugging Face in float32 (L3), and what a choice costs.

    python benchmarks/fixed_point.py MODEL BOOKS [--images docs/images] [--label TEXT]

MODEL is a trained checkpoint (builtin:stories, a directory), BOOKS the folder of .txt files that it
was trained on; only the books held out are read. Ends with one JSON line. --quick skips the sweeps.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

import torch
from trine.checkpoint import Checkpoint, open_checkpoint
from trine.checkpoint.config import ModelConfig
from trine.checkpoint.synthetic import PRESETS
from trine.hw.budget import bram36
from trine.hw.fixed import export
from trine.hw.fixed.contract import Contract
from trine.hw.fixed.decoder import FixedCache, FixedDecoder
from trine.hw.fixed.distance import StageErrors, real
from trine.hw.fixed.head import choose, logits
from trine.torch.models import build
from trine.torch.train.corpus import encode, read_books

matplotlib.use("Agg")
import matplotlib.pyplot as plt

Doubles = NDArray[np.float64]
# The books that scripts/train-stories.sh holds out.
HELD_OUT = ("11-*", "902-*", "7128-*")
GEOMETRY = "synthetic:2b-4t"
# Large enough to be another float32 number, far smaller than any step of the model: what it changes
# is what Hugging Face differs from itself by.
NUDGE = 1 + 1e-6
PROMPT, CONTINUED = 32, 64

BIG = PRESETS["2b-4t"]
POSITIONS = 1024


def _mb(elements: int, bits: int) -> float:
    return elements * bits / 8e6


def _multipliers(left: int, right: int) -> int:
    """DSP48 of a product: pieces of at most 24 x 17 bits without sign."""
    return -(-left // 24) * -(-right // 17)


# What a choice costs on the part at 2B-4T size: unit, and a formula of its value.
COSTS: Mapping[str, tuple[str, Callable[[int], float]]] = {
    "embedding_bits": ("MB of DDR", lambda b: _mb(BIG.embedding_elements, b)),
    "residual_bits": ("BRAM36 at batch 4", lambda b: bram36(4 * BIG.hidden_size, b)),
    "norm_bits": ("DSP of x * w", lambda b: _multipliers(b - 1, 17)),
    "square_bits": ("DSP of a square", lambda b: _multipliers(b - 1, b - 1)),
    "weight_bits": ("kB of norm weights a layer", lambda b: (3 * BIG.hidden_size + 6912) * b / 8e3),
    "reciprocal_bits": ("clocks of the serial divider", lambda b: b),
    "scalar_bits": ("DSP of acc * scale", lambda b: _multipliers(20, b)),
    "element_bits": (
        "BRAM36 of gate x up, batch 4",
        lambda b: bram36(4 * BIG.intermediate_size, b + 6),
    ),
    "rope_table_bits": ("kbit of table", lambda b: 2**b * 18 / 1e3),
    "rope_guard_bits": ("bits of a rotated accumulator", lambda b: 20 + b),
    "query_bits": ("bits of a query", lambda b: b),
    "kv_bits": (
        "MB of KV read a token at 1,024",
        lambda b: 2 * BIG.layers * BIG.kv_heads * POSITIONS * (BIG.head_dim * b + 32) / 8e6,
    ),
    "score_frac_bits": ("bits of a score", lambda b: 12 + b),
    "exp_table_bits": ("kbit of table", lambda b: 2**b * 18 / 1e3),
    "probability_bits": ("bits of an accumulator", lambda b: b + 7 + 12 + 1),
    "hidden_bits": ("bits of a hidden state", lambda b: b),
    "head_bits": ("MB of DDR", lambda b: _mb(BIG.embedding_elements, b)),
}
SWEEP: Mapping[str, tuple[int, ...]] = {
    "embedding_bits": (5, 6, 8, 10, 12, 16),
    "residual_bits": (18, 20, 22, 24, 28, 32),
    "norm_bits": (10, 12, 14, 18, 25),
    "square_bits": (8, 10, 12, 18),
    "weight_bits": (8, 10, 12, 14, 18),
    "reciprocal_bits": (8, 10, 12, 17, 24),
    "scalar_bits": (8, 10, 12, 17, 24),
    "element_bits": (6, 8, 10, 12, 14, 18),
    "rope_table_bits": (2, 4, 6, 8),
    "rope_guard_bits": (0, 2, 4),
    "query_bits": (5, 6, 8, 10, 12, 16),
    "kv_bits": (4, 5, 6, 8, 10),
    "score_frac_bits": (2, 4, 6, 8, 12),
    "exp_table_bits": (1, 2, 4, 6, 8),
    "probability_bits": (6, 8, 10, 12, 16),
    "hidden_bits": (8, 9, 10, 12, 16),
    "head_bits": (5, 6, 7, 8, 9, 10, 12),
}


class Oracle:
    """A Hugging Face float32 model and its log probabilities of the held-out windows."""

    def __init__(self, checkpoint: Checkpoint, windows: NDArray[np.int64]) -> None:
        self.model: Any = build(checkpoint, mode="offline", dtype="float32").eval()
        self.windows = windows
        self.log_probabilities = [self._window(row[:-1]) for row in windows]

    @torch.no_grad()
    def _window(self, tokens: NDArray[np.int64]) -> Doubles:
        scores = self.model(input_ids=torch.from_numpy(tokens)[None], use_cache=False).logits[0]
        return log_softmax(scores.double().numpy())

    @torch.no_grad()
    def nudged(self) -> dict[str, float]:
        """The distance to itself, its embedding rows times `NUDGE`, the lm_head as it was."""
        embedding = self.model.get_input_embeddings()
        handle = embedding.register_forward_hook(lambda _, __, rows: rows * NUDGE)
        distance = Distance()
        for row, wanted in zip(self.windows, self.log_probabilities, strict=True):
            distance.add(wanted, self._window(row[:-1]), row[1:])
        handle.remove()
        return distance.figures()

    @torch.no_grad()
    def continued(self, prompt: NDArray[np.int64], nudge: float = 1.0) -> list[int]:
        """Greedy tokens after a prompt."""
        embedding = self.model.get_input_embeddings()
        handle = embedding.register_forward_hook(lambda _, __, rows: rows * nudge)
        ids, out, cache = torch.from_numpy(prompt)[None], list[int](), None
        for _ in range(CONTINUED):
            result = self.model(input_ids=ids, past_key_values=cache, use_cache=True)
            cache, ids = result.past_key_values, result.logits[:, -1:].argmax(-1)
            out.append(int(ids))
        handle.remove()
        return out


class Distance:
    """Top-1 agreement, KL and perplexity ratio over the tokens that were added."""

    def __init__(self) -> None:
        self.tokens = self.equal = 0
        self.divergence = self.wanted_nats = self.nats = 0.0

    def add(self, wanted: Doubles, got: Doubles, targets: NDArray[np.int64]) -> None:
        """Log probabilities [T, V] of both, and the tokens [T] that came."""
        rows = np.arange(len(targets))
        self.tokens += len(targets)
        self.equal += int((wanted.argmax(-1) == got.argmax(-1)).sum())
        self.divergence += float((np.exp(wanted) * (wanted - got)).sum())
        self.wanted_nats -= float(wanted[rows, targets].sum())
        self.nats -= float(got[rows, targets].sum())

    def figures(self) -> dict[str, float]:
        """Means over the tokens."""
        return {
            "tokens": self.tokens,
            "top1": self.equal / self.tokens,
            "kl": self.divergence / self.tokens,
            "perplexity_ratio": float(np.exp((self.nats - self.wanted_nats) / self.tokens)),
            "perplexity_per_token": float(np.exp(self.wanted_nats / self.tokens)),
        }


def log_softmax(scores: Doubles) -> Doubles:
    """Over the last axis."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    logs: Doubles = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logs


def measure(
    checkpoint: Checkpoint, oracle: Oracle, contract: Contract, *, stages: bool = False
) -> dict[str, Any]:
    """One contract over all windows; with `stages` also its errors by stage and its screen."""
    errors = StageErrors(checkpoint) if stages else None
    decoder = FixedDecoder(checkpoint, contract, tap=errors)
    head = export.head_of(checkpoint, contract)
    distance, ranks, wrong = Distance(), list[int](), 0
    for row, wanted in zip(oracle.windows, oracle.log_probabilities, strict=True):
        hidden = decoder.hidden(row[:-1], FixedCache())
        scores = logits(hidden.codes, head, contract) * head.unit * real(hidden.scale)
        distance.add(wanted, log_softmax(scores), row[1:])
        if stages:
            choice = choose(hidden.codes, head, contract)
            ranks += choice.rank.tolist()
            wrong += int((choice.token != choice.screened).sum())
    result: dict[str, Any] = distance.figures()
    result["saturations"] = dict(decoder.saturations)
    if errors is not None:
        result["stage_error"] = dict(errors.relative())
        result["differing_codes"] = dict(errors.differing_codes())
        result["screen"] = {
            "keep": contract.keep,
            "rows": checkpoint.config.vocab_size,
            "misses": sum(rank >= contract.keep for rank in ranks),
            "wrong_tokens": wrong,
            "rank_of_golden": {
                f"{share:g} %": int(np.percentile(ranks, share, method="higher"))
                for share in (50, 90, 99, 99.9, 100)
            },
        }
    return result


def free_running(checkpoint: Checkpoint, oracle: Oracle, contract: Contract) -> dict[str, Any]:
    """Greedy continuations of held-out text, token for token against Hugging Face's."""
    decoder, head = FixedDecoder(checkpoint, contract), export.head_of(checkpoint, contract)
    same, same_itself, first = list[bool](), list[bool](), list[int]()
    for row in oracle.windows:
        prompt = row[:PROMPT]
        wanted = oracle.continued(prompt)
        same_itself += [
            a == b for a, b in zip(wanted, oracle.continued(prompt, NUDGE), strict=True)
        ]
        tokens, cache, got = prompt, FixedCache(), list[int]()
        for _ in range(CONTINUED):
            hidden = decoder.hidden(tokens, cache).codes[-1:]
            tokens = choose(hidden, head, contract).token
            got.append(int(tokens[0]))
        equal = [a == b for a, b in zip(wanted, got, strict=True)]
        same += equal
        first.append(equal.index(False) if False in equal else CONTINUED)
    return {
        "prompts": len(oracle.windows),
        "tokens": len(same),
        "equal": float(np.mean(same)),
        "equal_before_first_difference": sum(first) / len(same),
        "equal_huggingface_nudged": float(np.mean(same_itself)),
    }


def geometry(contract: Contract) -> dict[str, Any]:
    """One layer of 2B-4T size with synthetic weights: seconds a token, and errors by stage."""
    checkpoint = open_checkpoint(GEOMETRY)
    errors = StageErrors(checkpoint)
    decoder = FixedDecoder(checkpoint, contract, layers=1, tap=errors)
    tokens = np.random.default_rng(0).integers(0, checkpoint.config.vocab_size, 32)
    cache = FixedCache()
    decoder.hidden(tokens[:-1], cache)
    timed = FixedDecoder(checkpoint, contract, layers=1)
    start = time.perf_counter()
    timed.hidden(tokens[-1:], cache)
    seconds = time.perf_counter() - start
    return {
        "synthetic": True,
        "model": GEOMETRY,
        "layers": 1,
        "tokens": len(tokens) - 1,
        "seconds_a_token": round(seconds, 3),
        "stage_error": dict(errors.relative()),
        "differing_codes": dict(errors.differing_codes()),
        "saturations": dict(decoder.saturations),
    }


def sweep(checkpoint: Checkpoint, oracle: Oracle, base: Contract) -> list[dict[str, Any]]:
    """Every choice alone, all others as in `base`."""
    points = []
    for name, values in SWEEP.items():
        unit, cost = COSTS[name]
        for value in values:
            figures = measure(checkpoint, oracle, replace(base, **{name: value}))
            keep = {key: figures[key] for key in ("top1", "kl", "perplexity_ratio", "saturations")}
            points.append(
                {"choice": name, "value": value, "cost": cost(value), "unit": unit} | keep
            )
            print(
                f"{name:16} {value:3}  top-1 {figures['top1']:.4f}  KL {figures['kl']:.2e}",
                flush=True,
            )
    return points


def plot(
    points: list[dict[str, Any]], base: Contract, itself: float, title: str, path: Path
) -> None:
    """A panel a choice: KL against what the choice costs, the contract's own value filled."""
    figure, axes = plt.subplots(5, 4, figsize=(13, 14), sharey=True)
    for axis in axes.flat[len(SWEEP) :]:
        axis.axis("off")
    for axis, name in zip(axes.flat, SWEEP, strict=False):
        mine = [point for point in points if point["choice"] == name]
        costs, divergences = [p["cost"] for p in mine], [max(p["kl"], 1e-7) for p in mine]
        unit = mine[0]["unit"]
        if len(set(costs)) == 1:
            costs, unit = [p["value"] for p in mine], f"bits, each {costs[0]} {unit}"
        axis.plot(costs, divergences, "o-", mfc="white", ms=5, lw=1)
        for point, cost, divergence in zip(mine, costs, divergences, strict=True):
            label = f"{point['value']}: {100 * point['top1']:.1f} %"
            axis.annotate(label, (cost, divergence), (3, 4), textcoords="offset points", fontsize=6)
            if point["value"] == getattr(base, name):
                axis.plot([cost], [divergence], "o", color="C0", ms=6)
        axis.axhline(0.005, color="C3", lw=0.8, ls="--")
        axis.axhline(max(itself, 1e-7), color="0.6", lw=0.8, ls=":")
        axis.set(yscale="log", title=name, xlabel=unit)
        axis.margins(x=0.15)
        axis.title.set_fontsize(9)
        axis.tick_params(labelsize=7)
    for axis in axes[:, 0]:
        axis.set_ylabel("KL to float32, nats")
    figure.suptitle(
        f"{title}\nlabels: value and top-1 agreement; dashed: 0.005; dotted: Hugging Face nudged"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=70)
    plt.close(figure)


def held_out_windows(checkpoint: Checkpoint, books: Path, tokens: int) -> NDArray[np.int64]:
    """Windows [n, context + 1] of the held-out books, spread evenly over them."""
    text = read_books(books, HELD_OUT).held_out
    source = checkpoint.text.tokenizer_json
    if source is None:
        raise SystemExit("this model has no tokenizer.json")
    config: ModelConfig = checkpoint.config
    first = config.eos_token_id if isinstance(config.eos_token_id, int) else 0
    stream = encode(Tokenizer.from_str(source), text.values(), first).astype(np.int64)
    count = -(-tokens // config.context)
    starts = np.linspace(0, len(stream) - config.context - 1, count).astype(int)
    return np.stack([stream[at : at + config.context + 1] for at in starts])


def main() -> None:
    """Measure, sweep, plot, and end with one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("books", type=Path)
    parser.add_argument("--images", type=Path, help="folder for the plot")
    parser.add_argument("--label", default="", help="what the model is, for the plot's title")
    parser.add_argument("--tokens", type=int, default=8192, help="held-out tokens")
    parser.add_argument("--sweep-tokens", type=int, default=2048)
    parser.add_argument("--quick", action="store_true", help="no sweeps, no plot")
    arguments = parser.parse_args()
    start = time.perf_counter()
    contract, checkpoint = Contract(), open_checkpoint(arguments.model)
    torch.compiler.set_stance("force_eager")
    windows = held_out_windows(checkpoint, arguments.books, arguments.tokens)
    oracle = Oracle(checkpoint, windows)
    result: dict[str, Any] = {"benchmark": "fixed_point", "label": arguments.label}
    result["distance"] = measure(checkpoint, oracle, contract, stages=True)
    result["huggingface_nudged"] = oracle.nudged()
    result["free_running"] = free_running(checkpoint, oracle, contract)
    print(json.dumps(result, indent=1), flush=True)
    result["geometry"] = geometry(contract)
    if not arguments.quick:
        count = -(-arguments.sweep_tokens // checkpoint.config.context)
        few = Oracle(checkpoint, windows[:: max(1, len(windows) // count)][:count])
        result["sweep"] = sweep(checkpoint, few, contract)
        if arguments.images is not None:
            title = f"Fixed point against float32, each choice alone ({arguments.label})"
            itself = result["huggingface_nudged"]["kl"]
            plot(result["sweep"], contract, itself, title, arguments.images / "fixed-point.png")
    result["seconds"] = round(time.perf_counter() - start, 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
