"""Load and write: seconds to the first token and peak memory of `trine generate`.

    python benchmarks/load.py MODEL [MODEL ...] [--tokens 32] [--repeats 3] [-- OPTION ...]

Each MODEL, a directory or a file, is run by `trine generate MODEL --tokens 1,...,8 --max-tokens N
--json`, a process of its own: once after the system was asked to forget the file's pages ("cold";
what is below the system, as a virtual disk's host, may still hold them), then `--repeats` times
warm. Options behind `--` go to `trine generate`.

first     seconds from the start of the process to the first token: wall time less that of decoding
load      the same less the prefill: interpreter, imports, reading, packing
peak      the most memory that was resident, pages of the mapped file included

The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PROMPT = "1,2,3,4,5,6,7,8"


def forget(path: Path) -> None:
    """Ask the system to drop the pages of a file, or of a directory's files."""
    for each in path.iterdir() if path.is_dir() else [path]:
        with each.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run(model: Path, tokens: int, options: list[str]) -> dict[str, Any]:
    """One process: its figures, and the engine's choices."""
    command = [sys.executable, "-m", "trine", "generate", str(model), "--tokens", PROMPT]
    command += ["--max-tokens", str(tokens), "--json", *options]
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with {process.returncode}")
    given = json.loads(text)
    timings = given["timings"]
    first = wall - timings["decode_seconds"]
    return {
        "first_s": round(first, 2),
        "load_s": round(first - timings["prefill_seconds"], 2),
        "decode_tok_s": round(timings["decode_tokens_per_second"], 1),
        "peak_mb": round(usage.ru_maxrss * 1024 / 1e6),
        "engine": given["engine"],
    }


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = [*sys.argv[1:], "--"]
    own = arguments.index("--")
    given, options = parser.parse_args(arguments[:own]), arguments[own + 1 : -1]
    result: dict[str, Any] = {"benchmark": "load", "tokens": given.tokens, "models": []}
    for model in given.models:
        files = list(model.iterdir()) if model.is_dir() else [model]
        megabytes = round(sum(file.stat().st_size for file in files) / 1e6)
        runs: list[dict[str, Any]] = []
        for state in ("cold", *["warm"] * given.repeats):
            if state == "cold":
                forget(model)
            runs.append({"state": state, **run(model, given.tokens, options)})
            shown = {name: value for name, value in runs[-1].items() if name != "engine"}
            print(model.name, f"{megabytes} MB", shown, flush=True)
        result["models"].append({"model": model.name, "file_mb": megabytes, "runs": runs})
    print(json.dumps(result))


if __name__ == "__main__":
    main()
