"""How often the screened lm_head finds the exact head's best token, and how often it can prove it.

    python benchmarks/heads.py --states 10000 --threads 2

Two heads of the 2B-4T size (128,256 rows of 2,560, bfloat16), both SYNTHETIC: no trained weights of
that size are here.

random    independent normal rows, the worst case: every row is as likely the best as any other,
          and the largest logits lie close together
spectrum  Z diag(s) Q^T with normal Z, a random orthogonal Q and singular values s_i = i^-0.5,
          scaled to the random head's norm: a few directions carry much of a row, as in trained
          embeddings

Hidden states are normal, for both. The screened head is the engine's own. With exact=True it goes
on until the best row is certain; how many rows that takes is measured on the first states only,
since a random head may need all of them. The last line is JSON. About 20 minutes and 2 GB with
10,000 states on two cores.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from trine.checkpoint import open_checkpoint
from trine.checkpoint.tensors import EMBEDDING
from trine.kernels.native import pool
from trine.kernels.registry import choose
from trine.model.heads import KEEP, FloatHead, ScreenedHead

MODEL = "synthetic:2b-4t"
ENOUGH = 10_000
EXACT_STATES = 200
EXPONENT = 0.5
# States whose exact logits are in memory at once: 33 MB.
BATCH = 64


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927); it stays inside 0..1 at the ends."""
    share, z2 = hits / n, z * z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def spectrum_head(shape: tuple[int, int], norm: float, seed: int) -> NDArray[Any]:
    """Rows bfloat16 [V, H] with singular values close to i^-EXPONENT and Frobenius norm `norm`."""
    count, width = shape
    generator = np.random.default_rng(seed)
    singular = np.arange(1, width + 1, dtype=np.float64) ** -EXPONENT
    orthogonal = np.linalg.qr(generator.standard_normal((width, width)))[0]
    mix = (orthogonal * singular).T.astype(np.float32)
    mix *= np.float32(norm / math.sqrt(count * float((singular**2).sum())))
    rows = np.empty(shape, dtype=ml_dtypes.bfloat16)
    for first in range(0, count, 8192):
        z = generator.standard_normal((min(8192, count - first), width), dtype=np.float32)
        rows[first : first + len(z)] = (z @ mix).astype(ml_dtypes.bfloat16)
    return rows


def measure(
    name: str,
    rows: NDArray[Any],
    states: int,
    *,
    threads: int,
    keep: int = KEEP,
    exact_states: int = EXACT_STATES,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare the screened head with the exact one on `states` normal hidden states."""
    kernel, team = choose(), pool(threads)
    exact = FloatHead(kernel, team, rows)
    screened = ScreenedHead(kernel, team, rows, "2bit", keep=keep)
    generator = np.random.default_rng(seed)
    widening = ScreenedHead(kernel, team, rows, "2bit", keep=keep, exact=True)
    agree = certified = wrongly_certified = exact_disagree = 0
    widened: list[int] = []
    for first in range(0, states, BATCH):
        count = min(BATCH, states - first)
        hidden = generator.standard_normal((count, rows.shape[1]), dtype=np.float32)
        best = exact.logits(hidden).argmax(axis=1)
        for state, truth in zip(hidden, best.tolist(), strict=True):
            selection = screened.select(state)
            same = selection.best == truth
            agree += same
            certified += selection.certified
            wrongly_certified += selection.certified and not same
            if len(widened) < exact_states:
                certain = widening.select(state)
                widened.append(certain.widened)
                exact_disagree += certain.best != truth
        print(f"\r{name}: {first + count} of {states} states", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    low, high = wilson(agree, states)
    return {
        "head": name,
        "rows": list(rows.shape),
        "states": states,
        "keep": keep,
        "agree": agree,
        "agreement": agree / states,
        "agreement_low": low,
        "agreement_high": high,
        "certified": certified / states,
        "wrongly_certified": wrongly_certified,
        "exact_states": len(widened),
        "exact_disagree": exact_disagree,
        "exact_widened_median": float(np.median(widened)),
        "exact_widened_max": max(widened),
    }


def sentence(result: dict[str, Any]) -> str:
    """A result as a line for people."""
    return (
        f"{result['head']} (synthetic): best token the same in {result['agreement']:.4%} of "
        f"{result['states']} states, 95 % interval {result['agreement_low']:.4%} to "
        f"{result['agreement_high']:.4%}; certified {result['certified']:.2%}, of these wrong "
        f"{result['wrongly_certified']}; exact=True rescored "
        f"{result['exact_widened_median']:,.0f} more rows (median of {result['exact_states']} "
        f"states, at most {result['exact_widened_max']:,}) and was wrong in "
        f"{result['exact_disagree']}"
    )


def main() -> None:
    """Measure both heads, print a line for each, and end with one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--states", type=int, default=ENOUGH, help="hidden states for each head")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.states < 1:
        parser.error(f"--states must be at least 1, not {arguments.states}")
    short = arguments.states < ENOUGH
    if short:
        print(f"SHORT RUN: {arguments.states} states, fewer than {ENOUGH:,}: no figure to quote")
    start = time.perf_counter()
    results = []
    random = open_checkpoint(MODEL).dense(EMBEDDING)
    norm = math.sqrt(
        sum(float((piece.astype(np.float32) ** 2).sum()) for piece in np.array_split(random, 64))
    )
    shape = random.shape
    for name in ("random", "spectrum"):
        if name == "spectrum":
            del random  # two heads at once would be 1.3 GB
            rows = spectrum_head(shape, norm, seed=1)
        else:
            rows = random
        result = measure(name, rows, arguments.states, threads=arguments.threads)
        results.append(result)
        del rows
        print(sentence(result))
    print(
        json.dumps(
            {
                "benchmark": "heads",
                "synthetic": True,
                "short": short,
                "kernel": choose(),
                "seconds": round(time.perf_counter() - start, 1),
                "results": results,
            }
        )
    )


if __name__ == "__main__":
    main()
