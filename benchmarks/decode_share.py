"""How close decoding comes to the memory's read roof, and what it loses on the way.

    python benchmarks/decode_share.py --seconds 90 --threads 2

Interleaved on synthetic 2B-4T: the roof (the best of four pure reading loops), each of these loops,
one ternary product of 512 MiB (no other work, no second barrier), and decoded tokens with their
recorded BitLinears. Every figure is a share of the higher roof of its two neighbours. The roof of a
shared machine changes within seconds, so rounds are put into bands of 10 GB/s, and a round whose
roofs lie in two bands is dropped. Ends with a JSON line.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from statistics import median

import numpy as np

from trine import _native
from trine.checkpoint import open_checkpoint
from trine.kernels.native import pool
from trine.kernels.registry import choose
from trine.model.engine import Engine, Event
from trine.ternary.tiles import LAYOUTS, TILE_ROWS, Code

MODEL = "synthetic:2b-4t"
K = 2560
MATRIX_BYTES = 512 << 20
# Sixteen L3 caches of 32 MiB for two threads: less, and part of a pass is read from them.
READ_BYTES_PER_THREAD = 256 << 20
BAND = 10e9
TOKENS = 6

Measured = dict[str, float]  # B/s by name


def reads(isa: str, threads: int) -> Measured:
    """Each pattern's best of two passes, `read N`."""
    patterns = _native.READ_PATTERNS
    probe = _native.probe_read(isa, threads, READ_BYTES_PER_THREAD, 1, 2 * patterns)
    by_pattern = [min(probe.seconds[at::patterns]) for at in range(patterns)]
    return {f"read, pattern {at}": probe.work / best for at, best in enumerate(by_pattern)}


def product(isa: str, code: Code, threads: int) -> Callable[[], Measured]:
    """One token times one large matrix of random bytes."""
    lines = LAYOUTS[code].lines(K)
    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 243, (MATRIX_BYTES // (64 * lines), lines, 64), dtype=np.uint8)
    row_sums = np.zeros(tiles.shape[0] * TILE_ROWS, np.int32)
    codes = rng.integers(-128, 128, (1, K), dtype=np.int8)
    out = np.empty((1, row_sums.size), np.int32)
    workers = pool(threads)

    def run() -> Measured:
        start = time.perf_counter()
        _native.accumulate(isa, code, tiles, row_sums, codes, workers, out)
        return {"one product": tiles.nbytes / (time.perf_counter() - start)}

    return run


def decoding(body: str, head: str, threads: int) -> Callable[[], Measured]:
    """Some tokens without recording, as many with it."""
    engine = Engine.from_checkpoint(open_checkpoint(MODEL), threads=threads, body=body, head=head)
    session = engine.session(64)
    session.prefill([1, 2, 3])

    def run() -> Measured:
        start = time.perf_counter()
        for token in range(TOKENS):
            session.decode(token)
        seconds = (time.perf_counter() - start) / TOKENS
        events: list[Event] = []
        for token in range(TOKENS):
            session.decode(token, events=events)
        session.rewind(3)
        linear = sum(end - begin for step, _, begin, end in events if step.endswith("_proj"))
        return {
            "BitLinears of the decoder": engine.body_nbytes / (linear / 1e9 / TOKENS),
            "decoding": engine.bytes_per_token / seconds,
        }

    return run


def main() -> None:
    """Print a table for each band."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--body", choices=sorted(LAYOUTS), default="2bit")
    parser.add_argument("--head", choices=["float", "int8", "screened"], default="int8")
    args = parser.parse_args()

    isa = choose()
    runs = [
        product(isa, args.body, args.threads),
        decoding(args.body, args.head, args.threads),
    ]
    bands: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    end = time.monotonic() + args.seconds
    before = reads(isa, args.threads)
    while time.monotonic() < end:
        for run in runs:
            measured = run()
            after = reads(isa, args.threads)
            low, high = sorted([max(before.values()), max(after.values())])
            if low // BAND == high // BAND:
                shares = bands[int(high // BAND)]
                shares["roof, GB/s"].append(high / 1e9)
                for name, rate in (measured | after).items():
                    shares[name].append(rate / high)
            before = after

    print(f"{MODEL} (SYNTHETIC weights), {isa}, {args.threads} threads, {args.body}, {args.head}")
    for band in sorted(bands):
        print(f"\nroof {band * BAND / 1e9:.0f} to {(band + 1) * BAND / 1e9:.0f} GB/s")
        for name, values in bands[band].items():
            p10, p90 = np.percentile(values, [10, 90])
            spread = f"({p10:.3f} to {p90:.3f}, n = {len(values)})"
            print(f"  {name:28} {median(values):6.3f}  {spread}")
    print(
        json.dumps(
            {
                f"{band * BAND / 1e9:.0f}": {name: median(values) for name, values in rows.items()}
                for band, rows in sorted(bands.items())
            }
        )
    )


if __name__ == "__main__":
    main()
