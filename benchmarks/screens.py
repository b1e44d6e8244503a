"""Which low-bit copy of an lm_head could screen its rows: bytes read, rows kept, what it can prove.

    python benchmarks/screens.py [--rows 128256] [--states 20]

Normal rows of 2,560 (SYNTHETIC); hidden states have a given cosine to one row. A copy scans all
rows; the best KEEP by its logits are rescored exactly; a state is certified when no other row's
bound, copy's logit + |row - copy| |state|, reaches the best exact logit (native/head.h). The
copies, in NumPy float32 with least-squares scales a row:

ternary     round(w / mean|w|) in -1..1                        2 bits (1.6 in base 3)
planes N    N sign planes, each of what the planes before left N bits
int4        15 levels, scale max|row| / 7                      4 bits
int4 g64    the same with a scale for 64 columns               4.25 bits

No time is measured: all copies stream from memory, so bytes are the cost. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from trine.model.heads import KEEP

WIDTH = 2560
COSINES = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55)
# Rows that are copied at once.
CHUNK = 4096
Floats = NDArray[np.float32]


def ternary(rows: Floats) -> Floats:
    """Absmean trits with a least-squares scale a row."""
    magnitude = np.abs(rows)
    kept = magnitude >= 0.5 * magnitude.mean(axis=1, keepdims=True)
    scale = (magnitude * kept).sum(1, keepdims=True) / np.maximum(kept.sum(1, keepdims=True), 1)
    copy: Floats = np.sign(rows) * kept * scale
    return copy


def planes(count: int) -> Callable[[Floats], Floats]:
    """`count` sign planes, each with the mean magnitude of what is left as its scale."""

    def copy(rows: Floats) -> Floats:
        total = np.zeros_like(rows)
        for _ in range(count):
            left = rows - total
            total += np.sign(left) * np.abs(left).mean(axis=1, keepdims=True)
        return total

    return copy


def int4(group: int) -> Callable[[Floats], Floats]:
    """Codes -7..7 with a scale for `group` columns."""

    def copy(rows: Floats) -> Floats:
        blocks = rows.reshape(len(rows), -1, group)
        scale = np.abs(blocks).max(axis=2, keepdims=True) / 7
        return (np.rint(blocks / scale) * scale).reshape(rows.shape)

    return copy


# name -> bits a weight, copy
COPIES: Mapping[str, tuple[float, Callable[[Floats], Floats]]] = {
    "ternary": (2.0, ternary),
    "planes 2": (2.0, planes(2)),
    "planes 3": (3.0, planes(3)),
    "int4": (4.0, int4(WIDTH)),
    "int4 g64": (4.25, int4(64)),
}


def measure(rows: Floats, states: Mapping[float, Floats], name: str) -> dict[str, object]:
    """One copy of `rows` [V, H] on states [n, H] of length 1 by cosine."""
    bits, make = COPIES[name]
    copy, missed = np.empty_like(rows), np.empty(len(rows), np.float32)
    for at in range(0, len(rows), CHUNK):
        part = rows[at : at + CHUNK]
        copy[at : at + CHUNK] = make(part)
        missed[at : at + CHUNK] = np.linalg.norm(part - copy[at : at + CHUNK], axis=1)
    found, certified = {}, {}
    for cosine, vectors in states.items():
        exact, scanned = vectors @ rows.T, vectors @ copy.T
        golden = exact.argmax(axis=1)
        hits = proofs = 0
        for truth, logits, best in zip(exact, scanned, golden, strict=True):
            rank = int((logits > logits[best]).sum())
            hits += rank < KEEP
            bound = logits + missed
            bound[np.argpartition(-logits, KEEP)[:KEEP]] = -np.inf
            proofs += rank < KEEP and bool(bound.max() < truth[best])
        found[cosine], certified[cosine] = hits, proofs
    return {
        "copy": name,
        "megabytes_at_128256_rows": round(128256 * WIDTH * bits / 8e6, 1),
        "missed_share_of_length": float((missed / np.linalg.norm(rows, axis=1)).mean()),
        "kept_the_best": found,
        "certified": certified,
    }


def main() -> None:
    """Measure every copy on the same rows and states."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=128256)
    parser.add_argument("--states", type=int, default=20, help="states a cosine")
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((arguments.rows, WIDTH), np.float32)
    states = {}
    for cosine in COSINES:
        chosen = rows[generator.integers(0, len(rows), arguments.states)]
        toward = chosen / np.linalg.norm(chosen, axis=1, keepdims=True)
        other = generator.standard_normal(toward.shape, np.float32)
        other -= (other * toward).sum(1, keepdims=True) * toward
        other /= np.linalg.norm(other, axis=1, keepdims=True)
        states[cosine] = cosine * toward + np.sqrt(1 - cosine**2, dtype=np.float32) * other
    results = []
    for name in COPIES:
        result = measure(rows, states, name)
        results.append(result)
        print(
            f"{name:9} {result['megabytes_at_128256_rows']:6} MB, misses "
            f"{result['missed_share_of_length']:.3f} of a row; certified of {arguments.states} by "
            f"cosine: {result['certified']}; best row kept: {result['kept_the_best']}",
            flush=True,
        )
    print(json.dumps({"synthetic": True, "rows": arguments.rows, "keep": KEEP, "copies": results}))


if __name__ == "__main__":
    main()
