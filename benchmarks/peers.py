"""The native engine beside other programs, on the same geometry, in one interleaved run.

    python benchmarks/peers.py --setup DIR       an environment with llama-cpp-python, from source
    python benchmarks/peers.py --peers DIR [--rounds 5] [--hf offline]

The weights are SYNTHETIC, of the 2B-4T geometry; all programs compute the same shapes, and only
speed is compared here. Each runs in a process of its own that is loaded once. A round asks each
for each test in turn, and probes the memory's and the int8 units' roofs in between, because a
shared machine's speed drifts; ratios are taken within a round, and their medians printed.

trine two_bit+int8, ...               this project: packing of the body, kind of lm_head
llama.cpp TQ2_0                       llama-cpp-python of the index, built by this machine's
                                      compiler for its own instruction set; lm_head in Q6_K, which
                                      is what llama.cpp's own quantisation makes of it
HF offline, HF online                 transformers, float32 (--hf; needs 12 GB)

Tests: decode, tokens one by one after 64; pp3, a warm prefill of 3; pp512, of 512 (not HF).
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

LLAMA = "llama-cpp-python==0.3.36"
MODEL = "synthetic:2b-4t"
DEPTH = 64
DECODED = 16
PROMPTS = {"pp3": 3, "pp512": 512}
TESTS = ("decode", *PROMPTS)
OURS = (("two_bit", "int8"), ("two_bit", "screened"), ("base3", "screened"))

# A program: what a test of it is called with, and gives in seconds a token.
Program = Callable[[str], float]


def timed(step: Callable[[int], None], prefill: Callable[[int], None], test: str) -> float:
    """Seconds a token of `test`, where prefill(n) begins anew and step(i) decodes one token."""
    if test == "decode":
        prefill(DEPTH)
        start = time.perf_counter()
        for i in range(DECODED):
            step(i)
        return (time.perf_counter() - start) / DECODED
    prefill(PROMPTS[test])  # untimed: memory is mapped, threads are awake
    start = time.perf_counter()
    prefill(PROMPTS[test])
    return (time.perf_counter() - start) / PROMPTS[test]


def trine_program(model: str, threads: int, body: str, head: str) -> Program:
    """The native engine; greedy, so that the lm_head's result is used."""
    from trine.checkpoint import open_checkpoint
    from trine.model import Engine

    engine = Engine.from_checkpoint(open_checkpoint(model), threads=threads, body=body, head=head)
    session = engine.session(1024)

    def prefill(count: int) -> None:
        session.rewind(0)
        session.prefill(list(range(1, count + 1)))

    return lambda test: timed(lambda i: void(session.decode(i + 1).argmax()), prefill, test)


def llama_program(model: str, threads: int) -> Program:
    """llama.cpp through its Python package; its own tool makes the lm_head Q6_K first."""
    import llama_cpp

    small = f"{model}.q6_k"
    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_TQ2_0
    options.token_embedding_type = options.output_tensor_type = llama_cpp.GGML_TYPE_Q6_K
    options.allow_requantize = True  # ternary to ternary changes nothing
    if llama_cpp.llama_model_quantize(model.encode(), small.encode(), options):
        raise SystemExit("llama.cpp could not quantise the lm_head")
    llm = llama_cpp.Llama(
        small, n_ctx=1024, n_batch=512, n_threads=threads, n_threads_batch=threads, verbose=False
    )

    def prefill(count: int) -> None:
        llm.reset()
        llm.eval(list(range(1, count + 1)))

    return lambda test: timed(lambda i: llm.eval([i + 1]), prefill, test)


def hf_program(model: str, threads: int, mode: str) -> Program:
    """Hugging Face transformers in float32, with its own KV cache."""
    import torch
    from trine.checkpoint import open_checkpoint
    from trine.torch.models import build

    torch.set_num_threads(threads)
    checkpoint = open_checkpoint(model)
    network: Any = build(checkpoint, mode=mode, dtype="float32")  # type: ignore[arg-type]
    past: Any = None

    def run(ids: list[int]) -> None:
        nonlocal past
        with torch.inference_mode():
            result = network(torch.tensor([ids]), past_key_values=past, use_cache=True)
        past = result.past_key_values

    def prefill(count: int) -> None:
        nonlocal past
        past = None
        run(list(range(1, count + 1)))

    return lambda test: timed(lambda i: run([i + 1]), prefill, test)


def void(_: object) -> None:
    """Nothing, of a value that must be computed."""


def serve(kind: str, arguments: list[str]) -> None:
    """A program's process: "ready", then a test a line in, its seconds a token a line out."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints goes to stderr
    model, threads, *rest = arguments
    makers: dict[str, Callable[..., Program]] = {
        "trine": trine_program,
        "llama": llama_program,
        "hf": hf_program,
    }
    program = makers[kind](model, int(threads), *rest)
    print("ready", file=answers)
    for line in sys.stdin:
        print(program(line.strip()), file=answers)


@contextmanager
def running(python: str, kind: str, *arguments: str) -> Iterator[Program]:
    """A program in its own process."""
    command = [python, __file__, "--serve", kind, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        sender, receiver = process.stdin, process.stdout
        if receiver.readline().strip() != "ready":
            raise SystemExit(f"{kind} {' '.join(arguments)} did not start; see above")

        def program(test: str) -> float:
            sender.write(test + "\n")
            sender.flush()
            return float(receiver.readline())

        yield program
        sender.close()


def setup(directory: Path) -> None:
    """An environment with llama.cpp, compiled here: the index's wheels are for old processors."""
    venv.create(directory, with_pip=True)
    python = directory / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--no-binary", "llama-cpp-python", LLAMA]
    subprocess.run(install, check=True, env=os.environ | {"CMAKE_ARGS": "-DGGML_NATIVE=ON"})


def roofs(threads: int) -> tuple[float, float]:
    """Bytes and int8 operations a second that this machine can do now."""
    from trine import _native
    from trine.kernels.registry import choose

    kernel = choose()
    memory = _native.probe_read(kernel, threads, 96 << 20, 1, 4)
    int8 = _native.probe_int8(kernel, threads, 1 << 20, 4)
    return memory.work / min(memory.seconds), int8.work / min(int8.seconds)


def measure(programs: dict[str, Program], rounds: int, threads: int) -> dict[str, Any]:
    """Seconds a token, [program][test] a list over the rounds, and the roofs between them."""
    seconds: dict[str, dict[str, list[float]]] = {name: {} for name in programs}
    probed = []
    for number in range(rounds):
        for test in TESTS:
            probed.append(roofs(threads))
            for name, program in programs.items():
                if name.startswith("HF") and test == "pp512":
                    continue
                seconds[name].setdefault(test, []).append(program(test))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return {
        "seconds": seconds,
        "read_gb_s": [memory / 1e9 for memory, _ in probed],
        "int8_gop_s": [int8 / 1e9 for _, int8 in probed],
    }


def table(result: dict[str, Any]) -> None:
    """Rates of each program, and how much faster than it the best of trine's is."""
    seconds = result["seconds"]
    ours = {
        test: [
            min(pair) for pair in zip(*(seconds[n][test] for n in seconds if "+" in n), strict=True)
        ]
        for test in TESTS
    }
    print(f"{'':24}" + "".join(f"{test:>24}" for test in TESTS))
    for name, tests in seconds.items():
        cells = []
        for test in TESTS:
            if test not in tests:
                cells.append("-")
                continue
            rate = statistics.median(1 / s for s in tests[test])
            ratio = statistics.median(
                theirs / best for theirs, best in zip(tests[test], ours[test], strict=True)
            )
            cells.append(f"{rate:.2f} tok/s ({ratio:.2f}x)")
        print(f"{name:24}" + "".join(f"{cell:>24}" for cell in cells))
    memory, int8 = result["read_gb_s"], result["int8_gop_s"]
    print(
        f"(x: how often faster trine's best is, median of the rounds' ratios; read roof "
        f"{min(memory):.1f} to {max(memory):.1f} GB/s, int8 roof {min(int8):.0f} to "
        f"{max(int8):.0f} GOP/s; synthetic weights)"
    )


def main() -> None:
    """Set the environment up, or compare what it and this one hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--setup", type=Path, metavar="DIR", help="make the peers' environment")
    parser.add_argument("--peers", type=Path, metavar="DIR", help="the peers' environment")
    parser.add_argument("--hf", choices=("offline", "online"), action="append", default=[])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve[0], options.serve[1:])
        return
    if options.setup:
        setup(options.setup)
        return
    threads = str(options.threads)
    with ExitStack() as stack:
        programs: dict[str, Program] = {}

        def add(name: str, python: str, kind: str, *arguments: str) -> None:
            print(f"loading {name}", file=sys.stderr)
            programs[name] = stack.enter_context(running(python, kind, *arguments))

        for body, head in OURS:
            add(f"trine {body}+{head}", sys.executable, "trine", options.model, threads, body, head)
        if options.peers:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            gguf = folder / "model.gguf"
            trine = [sys.executable, "-m", "trine", "convert", options.model, str(gguf)]
            subprocess.run([*trine, "--to", "gguf-tq2_0"], check=True)
            python = str(options.peers / "bin" / "python")
            add("llama.cpp TQ2_0", python, "llama", str(gguf), threads)
        for mode in options.hf:
            add(f"HF {mode} float32", sys.executable, "hf", options.model, threads, mode)
        result = measure(programs, options.rounds, options.threads)
    table(result)
    print(
        json.dumps({"benchmark": "peers", "synthetic": True, "threads": options.threads} | result)
    )


if __name__ == "__main__":
    main()
