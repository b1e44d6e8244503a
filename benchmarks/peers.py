"""The native engine beside other programs, on the same geometry, in one interleaved run.

    python benchmarks/peers.py --setup DIR       an environment with the peers, built from source
    python benchmarks/peers.py --peers DIR [--rounds 5]
    python benchmarks/peers.py --hf offline --hf offline-bfloat16 [--rounds 3]

The weights are SYNTHETIC, of the 2B-4T geometry; all programs compute the same shapes, and only
speed is compared here: nothing below judges a peer's logits, which may be rounded or wrong. Each
runs in a process of its own that is loaded once. A round asks each for each test in turn, and
probes the memory's and the int8 units' roofs in between, because a shared machine's speed drifts;
ratios are taken within a round, and their medians printed for every pair.

A name is the program and the formats of its body and of its lm_head:

trine 2bit+int8, ...       this project: packing of the body, kind of lm_head
llama.cpp TQ2_0+Q6_K          llama-cpp-python of the index, built by this machine's compiler for
                              its own instruction set; Q6_K is what llama.cpp's own quantisation
                              makes of an lm_head
ik_llama.cpp IQ2_BN_R4+Q6_K   ik-llama-cpp-python, likewise, made of an I2_S file by its own
                              llama-quantize; the wheel, which is for AVX2, where it does not build
litespark 2bit+int4           litespark-inference, whose torchless loader wants bfloat16 masters
HF online float32+float32     transformers (--hf): master weights quantised at each call,
HF offline bfloat16+bfloat16  or ternary values held as floats; the lm_head in the same dtype

Tests: decode, tokens one by one after 64; pp3, a warm prefill of 3; pp512, of 512 (not HF).
A peer that does not start, or stops, is one line and no more. So is one that the memory has no
room for (--memory, the sum over all programs): all stay loaded, and float32 needs 10 GB, so run
--hf apart. The temporary folder holds up to 10 GB of the peers' own forms of the model.
The last line is JSON.
"""

# One file of more than 400 lines: each program runs it by its path, in environments that have
# neither trine nor anything else in common.
from __future__ import annotations

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

LLAMA = "llama-cpp-python==0.3.36"
IK = "ik-llama-cpp-python==0.1.5"
LITESPARK = "litespark-inference==1.0.3"
# What litespark's torchless half imports; its own list asks for torch as well.
LITESPARK_NEEDS = ("numpy", "tokenizers", "safetensors", "huggingface_hub")
# The one repository that litespark's loader opens, and a revision for our weights under its name.
LITESPARK_REPO = "microsoft/bitnet-b1.58-2B-4T-bf16"
REVISION = "0" * 40
MODEL = "synthetic:2b-4t"
DEPTH = 64
DECODED = 16
PROMPTS = {"pp3": 3, "pp512": 512}
TESTS = ("decode", *PROMPTS)
HF_TESTS = ("decode", "pp3")
CONTEXT = 1024
OURS = (("2bit", "int8"), ("2bit", "screened"), ("base3", "screened"))
PAIRED = ("trine base3+screened", "trine 2bit+int8")
HF_MODES = ("offline", "offline-bfloat16", "online", "online-bfloat16")
# Bytes that loading takes at most for a ternary weight and for a weight of the embedding: the
# latter's source is bfloat16 and mapped, and quantising it to Q6_K goes through float32.
NEEDS = {
    "trine": (0.25, 4),
    "llama": (0.27, 7),
    "ik": (0.27, 7),
    "litespark": (0.25, 4),
    "hf float32": (4, 6),
    "hf bfloat16": (2, 4),
}
# An interpreter with its libraries, and the temporaries of one matrix.
OVERHEAD = 700_000_000
Q6_K_BLOCK, Q6_K_BYTES = 256, 210

# What a test is called with, and gives in seconds a token.
Ask = Callable[[str], float]


@dataclass(frozen=True)
class Loaded:
    """What a program's process says when it is ready.

    body, head: bytes of weights that a decoded token reads, where known. isa: what it is built for.
    """

    ask: Ask
    body: int | None = None
    head: int | None = None
    isa: str = ""


@dataclass(frozen=True)
class Peer:
    """A program before it is loaded; `prepare` gives the arguments of its process."""

    name: str
    kind: str
    python: str
    prepare: Callable[[], Sequence[str]]
    needs: str
    tests: tuple[str, ...] = TESTS


class NotStarted(Exception):
    """A program that did not start, or stopped; the message is its last words."""


def program_name(program: str, body: str, head: str) -> str:
    """The name by which a program is listed: the formats of its body and lm_head are part of it."""
    return f"{program} {body}+{head}"


def hf_mode(choice: str) -> tuple[str, str]:
    """Mode and dtype of an --hf option: float32 unless it says otherwise."""
    mode, _, dtype = choice.partition("-")
    return mode, dtype or "float32"


def q6_k_bytes(weights: int) -> int:
    """Bytes of a matrix in llama.cpp's Q6_K: 16 blocks of 16 six-bit weights with their scales."""
    return weights // Q6_K_BLOCK * Q6_K_BYTES


def needed_bytes(needs: str, ternary: int, dense: int) -> int:
    """An upper bound of the memory that loading takes, for so many weights of the two sorts."""
    per_ternary, per_dense = NEEDS[needs]
    return int(ternary * per_ternary + dense * per_dense) + OVERHEAD


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


def trine_program(model: str, threads: int, body: str, head: str) -> Loaded:
    """The native engine; greedy, so that the lm_head's result is used."""
    from trine.checkpoint import open_checkpoint
    from trine.model import Engine

    engine = Engine.from_checkpoint(open_checkpoint(model), threads=threads, body=body, head=head)
    session = engine.session(CONTEXT)

    def prefill(count: int) -> None:
        session.rewind(0)
        session.prefill(list(range(1, count + 1)))

    def ask(test: str) -> float:
        return timed(lambda i: void(session.decode(i + 1).argmax()), prefill, test)

    return Loaded(ask, engine.body_nbytes, engine.head.nbytes, engine.kernel)


def llama_program(model: str, threads: int, embedding: str) -> Loaded:
    """llama.cpp through its Python package; its own tool makes the lm_head Q6_K first."""
    import llama_cpp

    small = f"{model}.q6_k"
    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_TQ2_0
    options.token_embedding_type = options.output_tensor_type = llama_cpp.GGML_TYPE_Q6_K
    options.allow_requantize = True  # ternary to ternary changes nothing
    if llama_cpp.llama_model_quantize(model.encode(), small.encode(), options):
        raise SystemExit("llama.cpp could not quantise the lm_head")
    Path(model).unlink()
    llm = llama_cpp.Llama(
        small, n_ctx=CONTEXT, n_batch=512, n_threads=threads, n_threads_batch=threads, verbose=False
    )

    def prefill(count: int) -> None:
        llm.reset()
        llm.eval(list(range(1, count + 1)))

    def ask(test: str) -> float:
        return timed(lambda i: llm.eval([i + 1]), prefill, test)

    isa = built_for(llama_cpp.llama_print_system_info())
    return Loaded(ask, *file_parts(small, int(embedding)), isa)


def ik_program(model: str, threads: int, embedding: str) -> Loaded:
    """ik_llama.cpp, at the level of its own bindings, whose class samples in Python."""
    from ik_llama_cpp import _ctypes_api as api
    from ik_llama_cpp import find_quantize_bin
    from ik_llama_cpp._internals import IkContext, IkModel, make_batch_range

    small = f"{model}.iq2_bn"
    head = ["--token-embedding-type", "q6_K", "--output-tensor-type", "q6_K"]
    command = [str(find_quantize_bin()), "--allow-requantize", *head, model, small, "IQ2_BN_R4"]
    subprocess.run([*command, str(threads)], check=True)
    Path(model).unlink()
    context = IkContext(IkModel(small), n_ctx=CONTEXT, n_threads=threads, flash_attn=True)
    past = 0

    def run(ids: list[int]) -> None:
        nonlocal past
        batch = make_batch_range(ids, pos_start=past)
        failed = context.decode(batch)
        api.llama_batch_free(batch)
        if failed:
            raise SystemExit(f"llama_decode of {len(ids)} tokens: {failed}")
        void(api.llama_get_logits_ith(context.ctx, -1)[0])
        past += len(ids)

    def prefill(count: int) -> None:
        nonlocal past
        past = 0
        context.kv_cache_clear()
        run(list(range(1, count + 1)))

    def ask(test: str) -> float:
        return timed(lambda i: run([i + 1]), prefill, test)

    describe = api._lib.llama_print_system_info
    describe.restype = ctypes.c_char_p
    return Loaded(ask, *file_parts(small, int(embedding)), built_for(describe()))


def litespark_program(cache: str, threads: int) -> Loaded:
    """litespark-inference without torch, with the head that it makes by default."""
    os.environ |= {"HF_HUB_CACHE": cache, "HF_HUB_OFFLINE": "1"}
    from litespark_inference.torchless import kernel, load_bitnet_2b, runtime

    if kernel.max_threads() != threads:
        raise SystemExit(f"litespark's kernel has {kernel.max_threads()} threads, not {threads}")
    model = load_bitnet_2b(LITESPARK_REPO)
    state = runtime.init_state(model, CONTEXT)

    def prefill(count: int) -> None:
        # Its product gives more than 64 tokens back without a computation.
        state.pos = 0
        for first in range(1, count + 1, 64):
            some = list(range(first, min(first + 64, count + 1)))
            runtime.forward_prefill(model, state, some)

    def ask(test: str) -> float:
        return timed(lambda i: void(runtime.forward_one(model, state, i + 1)), prefill, test)

    stored = model.tensor_bytes()
    body = sum(stored[part] for part in ("packed_weights", "per_layer_norms", "final_norm"))
    return Loaded(ask, body, stored["embedding"], kernel._ARCH_TAG)


def hf_program(model: str, threads: int, mode: str, dtype: str) -> Loaded:
    """Hugging Face transformers, with its own KV cache."""
    import torch
    from trine.checkpoint import open_checkpoint
    from trine.torch.models import build

    torch.set_num_threads(threads)
    checkpoint = open_checkpoint(model)
    network: Any = build(checkpoint, mode=mode, dtype=dtype)  # type: ignore[arg-type]
    checkpoint.release()
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

    def ask(test: str) -> float:
        return timed(lambda i: run([i + 1]), prefill, test)

    sizes = {name: p.numel() * p.element_size() for name, p in network.named_parameters()}
    layers = sum(size for name, size in sizes.items() if ".layers." in name)
    head = network.lm_head.weight
    return Loaded(
        ask, layers, head.numel() * head.element_size(), torch.backends.cpu.get_cpu_capability()
    )


def void(_: object) -> None:
    """Nothing, of a value that must be computed."""


def file_parts(path: str, embedding: int) -> tuple[int, int]:
    """Bytes of the body and of the Q6_K head in a GGUF file, whose head is its embedding."""
    head = q6_k_bytes(embedding)
    return Path(path).stat().st_size - head, head


def built_for(description: bytes) -> str:
    """The widest instruction set that llama_print_system_info says was compiled in."""
    said = description.decode()
    known = ("AVX512_VNNI", "AVX512", "AVX2", "NEON")
    return next((name for name in known if f"{name} = 1" in said), "")


def serve(kind: str, arguments: list[str]) -> None:
    """A program's process: a JSON line when ready, then seconds a token for each test's line."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints goes to stderr
    model, threads, *rest = arguments
    # Read by OpenMP and OpenBLAS when a library that has them is loaded.
    os.environ |= {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    makers: dict[str, Callable[..., Loaded]] = {
        "trine": trine_program,
        "llama": llama_program,
        "ik": ik_program,
        "litespark": litespark_program,
        "hf": hf_program,
    }
    program = makers[kind](model, int(threads), *rest)
    print(
        json.dumps({"body": program.body, "head": program.head, "isa": program.isa}), file=answers
    )
    for line in sys.stdin:
        print(program.ask(line.strip()), file=answers)


@contextmanager
def running(python: str, kind: str, *arguments: str) -> Iterator[tuple[Loaded, int]]:
    """A program in its own process, and the process's id.

    Raises NotStarted with the last line of its stderr, from `Loaded.ask` too.
    """
    command = [python, __file__, "--serve", kind, *arguments]
    with (
        tempfile.TemporaryFile("w+", errors="replace") as stderr,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            bufsize=1,
        ) as process,
    ):
        assert process.stdin is not None and process.stdout is not None
        sender, receiver = process.stdin, process.stdout

        def answer() -> Any:
            if line := receiver.readline():
                return json.loads(line)
            code = process.wait()
            stderr.seek(0)
            raise NotStarted(last_words(stderr.read(), code))

        def ask(test: str) -> float:
            try:
                sender.write(test + "\n")
            except BrokenPipeError:
                raise NotStarted("its process has ended") from None
            return float(answer())

        try:
            yield Loaded(ask, **answer()), process.pid
        finally:
            process.terminate()


def last_words(stderr: str, code: int) -> str:
    """Why a process ended, in a line: what it said last, or else how it ended."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    ended = f"exit {code}" if code >= 0 else f"signal {-code}"
    return f"{lines[-1]} ({ended})" if lines else ended


def setup(directory: Path) -> None:
    """An environment with the peers, compiled here: the index's wheels are for old processors."""
    venv.create(directory, with_pip=True)
    pip = [str(directory / "bin" / "python"), "-m", "pip", "install"]
    native = os.environ | {"CMAKE_ARGS": "-DGGML_NATIVE=ON"}

    def install(*what: str) -> bool:
        if subprocess.run([*pip, *what], env=native, check=False).returncode == 0:
            return True
        print(f"{what[-1]} could not be installed by: pip install {' '.join(what)}")
        return False

    install("--no-binary", "llama-cpp-python", LLAMA)
    install(*LITESPARK_NEEDS)
    install("--no-deps", "--no-binary", "litespark-inference", LITESPARK)
    if not install("--no-binary", "ik-llama-cpp-python", IK):
        install("--only-binary", "ik-llama-cpp-python", IK)


class Forms:
    """The model in the forms that peers want, each made once, in a temporary folder."""

    def __init__(self, model: str, folder: Path) -> None:
        self._model, self._folder = model, folder

    def gguf(self, form: str) -> str:
        """A new GGUF file, which its reader may delete."""
        path = self._folder / f"{form}.gguf"
        command = [sys.executable, "-m", "trine", "convert", self._model, str(path), "--to"]
        subprocess.run([*command, f"gguf-{form}"], check=True)
        return str(path)

    @cache  # noqa: B019 - one object, for the whole run
    def hub(self) -> tuple[str, str]:
        """Masters in bfloat16, in the layout of the hub's cache: the cache, the model in it."""
        repository = self._folder / "hub" / f"models--{LITESPARK_REPO.replace('/', '--')}"
        snapshot = repository / "snapshots" / REVISION
        snapshot.mkdir(parents=True)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(REVISION)
        write_masters(self._model, snapshot)
        return str(self._folder / "hub"), str(snapshot)


def write_masters(model: str, folder: Path) -> None:
    """A directory of bfloat16 masters that quantise to the model's own trits: trit times scale."""
    import ml_dtypes
    import numpy as np

    from trine.checkpoint import Checkpoint, TernaryWeight, open_checkpoint
    from trine.checkpoint.hf_writer import write_hf
    from trine.ternary import unpack_hf

    source = open_checkpoint(model)

    class Masters(Checkpoint):
        config, provenance, native_mode = source.config, source.provenance, source.native_mode
        hf_config, has_master = source.hf_config, True

        def dense(self, name: str) -> Any:
            return source.dense(name).astype(ml_dtypes.bfloat16, copy=False)

        def master(self, name: str) -> Any:
            weight = source.ternary(name)
            values = np.array([0, weight.scale, -weight.scale], np.float32)
            return values.astype(ml_dtypes.bfloat16)[unpack_hf(weight.packed)]

        def ternary(self, name: str) -> TernaryWeight:
            return source.ternary(name)

    source.fetch()
    write_hf(Masters(), source.text, folder, "master")


def chosen(options: argparse.Namespace, forms: Forms) -> list[Peer]:
    """All programs that were asked for, ours first, those that need most memory last."""
    from trine.checkpoint import open_checkpoint

    checkpoint = open_checkpoint(options.model)
    embedding = str(checkpoint.config.embedding_elements)
    threads, here = str(options.threads), sys.executable
    peers = [
        Peer(
            program_name("trine", body, head),
            "trine",
            here,
            lambda body=body, head=head: [options.model, threads, body, head],  # type: ignore[misc]
            "trine",
        )
        for body, head in OURS
    ]
    if options.peers:
        python = str(options.peers / "bin" / "python")
        peers += [
            Peer(
                program_name("llama.cpp", "TQ2_0", "Q6_K"),
                "llama",
                python,
                lambda: [forms.gguf("tq2_0"), threads, embedding],
                "llama",
            ),
            Peer(
                program_name("ik_llama.cpp", "IQ2_BN_R4", "Q6_K"),
                "ik",
                python,
                lambda: [forms.gguf("i2_s"), threads, embedding],
                "ik",
            ),
            Peer(
                program_name("litespark", "2bit", "int4"),
                "litespark",
                python,
                lambda: [forms.hub()[0], threads],
                "litespark",
            ),
        ]
    for mode, dtype in map(hf_mode, options.hf):
        masters = mode == "online" and not checkpoint.has_master

        def arguments(mode: str = mode, dtype: str = dtype, masters: bool = masters) -> list[str]:
            return [forms.hub()[1] if masters else options.model, threads, mode, dtype]

        name = program_name(f"HF {mode}", dtype, dtype)
        peers.append(Peer(name, "hf", here, arguments, f"hf {dtype}", HF_TESTS))
    left = [part for part in options.without if not any(part in peer.name for peer in peers)]
    if left:
        raise SystemExit(f"--without {left[0]}: no program is named so")
    return [peer for peer in peers if not any(part in peer.name for part in options.without)]


def load(peers: list[Peer], limit: int, sizes: tuple[int, int], stack: ExitStack) -> dict[str, Any]:
    """Start each program that the memory has room for; {name: (Loaded, resident bytes)}.

    Raises SystemExit where one of this project's own does not start.
    """
    import psutil

    started: dict[str, tuple[Loaded, int]] = {}
    for peer in peers:
        used = sum(resident for _, resident in started.values())
        needed = needed_bytes(peer.needs, *sizes)
        try:
            if used + needed > limit:
                raise NotStarted(
                    f"it may need {needed / 1e9:.1f} GB, and {used / 1e9:.1f} of the "
                    f"{limit / 1e9:.1f} GB are taken (--memory, or run it apart)"
                )
            arguments = peer.prepare()
            program, pid = stack.enter_context(running(peer.python, peer.kind, *arguments))
        except (NotStarted, OSError, subprocess.CalledProcessError) as error:
            if peer.kind == "trine":
                raise SystemExit(f"{peer.name} did not start: {error}") from None
            print(f"left out: {peer.name}: {error}", file=sys.stderr)
            continue
        # Shared pages are counted once: programs map the same file.
        resident = psutil.Process(pid).memory_full_info().pss
        started[peer.name] = program, resident
        print(f"loaded {peer.name}: {resident / 1e9:.2f} GB, {program.isa}", file=sys.stderr)
    total = sum(resident for _, resident in started.values())
    print(f"{len(started)} programs loaded: {total / 1e9:.1f} GB", file=sys.stderr)
    return started


def roofs(threads: int) -> tuple[float, float]:
    """Bytes and int8 operations a second that this machine can do now."""
    from trine import _native
    from trine.kernels.registry import choose

    kernel = choose()
    memory = _native.probe_read(kernel, threads, 256 << 20, 1, 4)
    int8 = _native.probe_int8(kernel, threads, 1 << 20, 4)
    return memory.work / min(memory.seconds), int8.work / min(int8.seconds)


def measure(
    programs: Mapping[str, Ask],
    tests: Mapping[str, Sequence[str]],
    rounds: int,
    probe: Callable[[], tuple[float, float]],
) -> dict[str, Any]:
    """Seconds a token, [program][test] a list over the rounds, and the roofs between them.

    A program that stops keeps the rounds it has, which are the first.
    """
    seconds: dict[str, dict[str, list[float]]] = {name: {} for name in programs}
    alive = dict(programs)
    probed = []
    for number in range(rounds):
        for test in TESTS:
            probed.append(probe())
            for name, ask in list(alive.items()):
                if test not in tests[name]:
                    continue
                try:
                    seconds[name].setdefault(test, []).append(ask(test))
                except NotStarted as error:
                    print(f"left out from here: {name}: {test}: {error}", file=sys.stderr)
                    del alive[name]
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return {
        "seconds": seconds,
        "read_gb_s": [memory / 1e9 for memory, _ in probed],
        "int8_gop_s": [int8 / 1e9 for _, int8 in probed],
    }


def refuse(result: dict[str, Any], ops: int) -> list[str]:
    """Take out what no machine can have done, and say so.

    ops: int8 operations of all BitLinears for one token. A rate that would need more of them than
    the int8 units have, was not computed: the program leaves something out.
    """
    roof = 1e9 * max(result["int8_gop_s"])
    refused = []
    for name, tests in result["seconds"].items():
        for test in [
            test for test, times in tests.items() if ops / statistics.median(times) > roof
        ]:
            rate = ops / statistics.median(tests.pop(test)) / 1e9
            refused.append(f"{name}: {test}: {rate:.0f} GOP/s in BitLinears cannot be")
    return refused


def pair_ratios(
    seconds: Mapping[str, Mapping[str, Sequence[float]]], ours: str, peer: str
) -> dict[str, list[float]]:
    """How many times faster `ours` is than `peer`, [test] a list over the rounds both have."""
    return {
        test: [theirs / mine for theirs, mine in zip(times, seconds[ours][test], strict=False)]
        for test, times in seconds[peer].items()
        if test in seconds[ours]
    }


def all_pairs(seconds: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, Any]:
    """`pair_ratios` of each program of PAIRED that ran, [ours][peer], itself left out."""
    return {
        ours: {peer: pair_ratios(seconds, ours, peer) for peer in seconds if peer != ours}
        for ours in PAIRED
        if ours in seconds
    }


def rates_table(result: Mapping[str, Any]) -> list[str]:
    """A line a program: megabytes a token (body, lm_head) and the tests' median rates."""
    lines = [f"{'':30}{'MB a token':>18}" + "".join(f"{f'{t} tok/s':>16}" for t in TESTS)]
    for name, tests in result["seconds"].items():
        parts = result["bytes"][name]
        size = "-" if None in parts else " + ".join(f"{part / 1e6:.0f}" for part in parts)
        rates = (
            f"{statistics.median(1 / s for s in tests[test]):.2f}" if tests.get(test) else "-"
            for test in TESTS
        )
        lines.append(f"{name:30}{size:>18}" + "".join(f"{rate:>16}" for rate in rates))
    return lines


def ratios_table(pairs: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]) -> list[str]:
    """A line a pair: the median of the rounds' ratios, and the least and the largest."""
    lines = []
    for ours, peers in pairs.items():
        head = f"{ours} is so many times faster than"
        lines += ["", f"{head:48}" + "".join(f"{test:>24}" for test in TESTS)]
        for peer, tests in peers.items():
            cells = (
                f"{statistics.median(r):.2f} ({min(r):.2f} to {max(r):.2f})"
                if (r := tests.get(test))
                else "-"
                for test in TESTS
            )
            lines.append(f"  {peer:46}" + "".join(f"{cell:>24}" for cell in cells))
    return lines


def report(result: Mapping[str, Any]) -> None:
    """The tables, and under them what they are of; then all of it in one line of JSON."""
    print("\n".join([*rates_table(result), *ratios_table(result["ratios"])]))
    print("".join(f"\nrefused: {line}" for line in result["refused"]))
    memory, int8 = result["read_gb_s"], result["int8_gop_s"]
    print(
        f"\nMB a token: body + lm_head, without the KV cache. Ratios: median of the rounds' (least "
        f"to largest).\nRead roof {min(memory):.1f} to {max(memory):.1f} GB/s, int8 roof "
        f"{min(int8):.0f} to {max(int8):.0f} GOP/s, {result['threads']} threads; synthetic weights"
        f"\nBuilt for: " + ", ".join(f"{name} {isa}" for name, isa in result["isa"].items() if isa)
    )
    print(json.dumps(result))


def main() -> None:
    """Set the environment up, or compare what it and this one hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--setup", type=Path, metavar="DIR", help="make the peers' environment")
    parser.add_argument("--peers", type=Path, metavar="DIR", help="the peers' environment")
    parser.add_argument(
        "--hf", choices=HF_MODES, action="append", default=[], help="transformers, this way too"
    )
    parser.add_argument(
        "--without", action="append", default=[], metavar="PART", help="not the programs so named"
    )
    parser.add_argument(
        "--memory", type=float, metavar="GB", help="for all (default: what is free)"
    )
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

    import psutil

    from trine.checkpoint import open_checkpoint

    config = open_checkpoint(options.model).config
    ternary = config.layers * config.ternary_per_layer
    sizes = ternary, config.parameters(config.layers) - ternary
    limit = psutil.virtual_memory().available - OVERHEAD
    if options.memory is not None:
        limit = int(options.memory * 1e9)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        peers = chosen(options, Forms(options.model, folder))
        started = load(peers, limit, sizes, stack)
        result = measure(
            {name: program.ask for name, (program, _) in started.items()},
            {peer.name: peer.tests for peer in peers},
            options.rounds,
            lambda: roofs(options.threads),
        )
    programs = {name: program for name, (program, _) in started.items()}
    refused = refuse(result, 2 * ternary)
    report(
        {"benchmark": "peers", "synthetic": True, "threads": options.threads}
        | {"bytes": {name: (each.body, each.head) for name, each in programs.items()}}
        | {"resident": {name: resident for name, (_, resident) in started.items()}}
        | {"isa": {name: each.isa for name, each in programs.items()}}
        | result
        | {"refused": refused}
        | {"ratios": all_pairs(result["seconds"])}
    )


if __name__ == "__main__":
    main()
