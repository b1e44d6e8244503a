"""A PyTorch run: load, the protocol's session, and the profile it leaves.

Compilation happens in the cold prefill and decode steps. The numeric check of the operators'
outputs and the experiments follow the repetitions, which they would disturb. Each measured
repetition is paired with a prefill that runs without the recorder, in alternating order, which
gives the recorder's overhead. The native engine can run beside it, in the same repetitions.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import torch
from trine.checkpoint import Checkpoint, Mode
from trine.errors import ToolError
from trine.profiling import machine
from trine.profiling.end_to_end import end_to_end
from trine.profiling.experiments import run_experiments
from trine.profiling.inputs import Tokens
from trine.profiling.native_run import NativeSession, NativeSettings, measure_roofs
from trine.profiling.probes import ProcessProbe, file_bytes, rss_bytes
from trine.profiling.profile import (
    Experiment,
    Model,
    NumericCheck,
    Overhead,
    Pass,
    Profile,
    Run,
    State,
)
from trine.profiling.protocol import Progress, Task, carry_out
from trine.profiling.recorder import Recorder
from trine.profiling.torch_backend import (
    CompileCounters,
    RecordedCache,
    attached,
    gap_namer,
    sampling_operator,
)
from trine.profiling.torch_check import run_checks
from trine.torch.models import DTYPES, build, loader_count, weight_bytes

# Either of them, set to 1, turns torch.compile off.
COMPILE_SWITCHES = ("TORCHDYNAMO_DISABLE", "TORCH_COMPILE_DISABLE")
# Variables that change how fast the run is; recorded so that two profiles can be compared.
SPEED_VARIABLES = (
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "MALLOC_MMAP_MAX_",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
    "OMP_NUM_THREADS",
    "OMP_PROC_BIND",
    "OMP_WAIT_POLICY",
    "GOMP_SPINCOUNT",
    "KMP_BLOCKTIME",
    "MKL_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY",
    *COMPILE_SWITCHES,
    "TORCHINDUCTOR_FREEZING",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What to run. `layers` None means all; `compile_cache` is "fresh" or "keep"."""

    mode: Mode
    dtype: str
    threads: int
    decode: int
    warmup: int
    repeat: int
    compile_cache: str
    layers: int | None
    command: str


def run(
    checkpoint: Checkpoint,
    tokens: Tokens,
    settings: Settings,
    progress: Progress,
    native: NativeSettings | None = None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Profile:
    """Profile a model; after Ctrl-C or a failure, what is complete so far, marked partial.

    With `native` the native engine is loaded beside it and takes turns with it.
    ToolError, before anything is loaded, without the C++ compiler that torch.compile calls.
    """
    require_compiler()
    torch.set_num_threads(settings.threads)
    host = machine.describe()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    beside: NativeSession | None = None
    with _compile_cache(settings.compile_cache):
        model, facts = _load(
            checkpoint, settings, loader_count(machine.usable_cores(host)), progress
        )
        session = _Session(model, checkpoint, tokens, settings, progress, clock)
        if native is not None:
            zero = session.recorder.zero
            beside = NativeSession(checkpoint, tokens, native, progress, clock, zero)
        ceilings = measure_roofs(settings.threads, progress)
        try:
            ending = carry_out(
                [session] if beside is None else [session, beside],
                threads=settings.threads,
                warmup=settings.warmup,
                repeat=settings.repeat,
                ceilings=ceilings,
                progress=progress,
                last=[] if beside is None else [_comparison(model, beside, checkpoint, tokens)],
            )
        finally:
            session.close()
            if beside is not None:
                beside.close()
    profile = Profile(
        machine=host,
        versions=machine.versions(),
        model=facts,
        run=_describe(tokens, settings, started),
        roofs=ceilings,
        passes=session.recorder.passes,
        records=session.recorder.complete_records(),
        experiments=session.experiments,
        checks=session.checks,
        overhead=session.overhead,
        native=None if beside is None else beside.profile(host, ceilings, ending),
        status=ending.status,
        status_note=ending.note,
        ended_by=ending.ended_by,
    )
    profile.check()
    return profile


def _comparison(model: Any, beside: NativeSession, checkpoint: Checkpoint, tokens: Tokens) -> Task:
    def compare() -> None:
        beside.agreement = end_to_end(
            model,
            beside.engine,
            checkpoint,
            tokens.ids,
            decode=beside.settings.decode,
            cache=beside.settings.cache,
        )

    return "the comparison end to end", compare


class _Session:
    """One loaded model being run."""

    def __init__(
        self,
        model: Any,
        checkpoint: Checkpoint,
        tokens: Tokens,
        settings: Settings,
        progress: Progress,
        clock: Callable[[], int],
    ) -> None:
        self.checks: list[NumericCheck] = []
        self.experiments: list[Experiment] = []
        self.overhead: Overhead | None = None
        self._watched: list[int] = []
        self._bare: list[int] = []
        self._model = model
        self._checkpoint = checkpoint
        self._settings = settings
        self._progress = progress
        self._clock = clock
        self._ids = torch.tensor([tokens.ids])
        self._sampling = sampling_operator(model)
        self._compiled = CompileCounters()
        self._probe = ProcessProbe(self._compiled)
        self.recorder = Recorder(
            clock=clock,
            probe=self._probe,
            name_gap=gap_namer(model.config),
            dtype=settings.dtype,
            itemsize=DTYPES[settings.dtype].itemsize,
        )

    def close(self) -> None:
        self._probe.close()
        self._compiled.close()

    @property
    def passes(self) -> list[Pass]:
        """The passes that ended."""
        return self.recorder.passes

    @torch.no_grad()
    def play(self, state: State, repetition: int) -> None:
        """A prefill and its decode steps; a measured one beside a prefill without the recorder."""
        if state != "measured":
            self._recorded(state, repetition)
            return
        if repetition % 2:
            self._bare.append(self._unrecorded())
        self._watched.append(self._recorded(state, repetition))
        if not repetition % 2:
            self._bare.append(self._unrecorded())
        events = self.recorder.events_per_pass
        self.overhead = Overhead(self._watched[:], self._bare[:], events)

    def tasks(self) -> list[Task]:
        """The numeric check and the experiments."""
        return [("the numeric check", self._check), ("the experiments", self._experiment)]

    def _check(self) -> None:
        self.checks += run_checks(
            self._model,
            self._checkpoint,
            self._ids,
            decode=self._settings.decode > 0,
            mode=self._settings.mode,
            progress=self._progress,
        )

    def _experiment(self) -> None:
        self.experiments += run_experiments(
            self._model,
            self._ids,
            self._settings.mode,
            decode=self._settings.decode > 0,
            clock=self._clock,
            progress=self._progress,
        )

    def _recorded(self, state: State, repetition: int) -> int:
        """A prefill and its decode steps under the recorder; ns of the prefill's forward."""
        count = self._ids.shape[1]
        try:
            with attached(self._model, self.recorder, self._settings.mode) as new_cache:
                cache = new_cache()
                self.recorder.begin_pass("prefill", state, repetition, 0, count, count)
                token = self._step(self._ids, cache)
                prefill = self.recorder.end_pass().duration_ns
                for step in range(self._settings.decode):
                    context = count + step + 1
                    self.recorder.begin_pass("decode", state, repetition, step, 1, context)
                    token = self._step(token, cache)
                    self.recorder.end_pass()
        except BaseException:
            self.recorder.abandon_pass()
            raise
        return prefill

    def _step(self, ids: torch.Tensor, cache: RecordedCache) -> torch.Tensor:
        logits = self._model(input_ids=ids, past_key_values=cache, use_cache=True).logits
        last = logits[:, -1]
        self.recorder.enter(self._sampling)
        token: torch.Tensor = last.argmax(-1, keepdim=True)
        self.recorder.leave(self._sampling, lambda: ([list(last.shape)], [list(token.shape)]))
        return token

    def _unrecorded(self) -> int:
        """The same prefill without hooks, seams or probes; ns."""
        from transformers import DynamicCache

        cache = DynamicCache(config=self._model.config)
        start = self._clock()
        logits = self._model(input_ids=self._ids, past_key_values=cache, use_cache=True).logits
        logits[:, -1].argmax(-1, keepdim=True)
        return self._clock() - start


def require_compiler() -> None:
    """Raise ToolError without a C++ compiler: every BitLinear of Hugging Face calls torch.compile.

    Nothing to do where the environment switches torch.compile off.
    """
    if any(os.environ.get(name) == "1" for name in COMPILE_SWITCHES):
        return
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except (InvalidCxxCompiler, OSError):
        raise ToolError(
            "torch.compile needs a C++ compiler and none was found; install one (Debian: apt-get "
            "install g++) or name it in CXX"
        ) from None


def _load(
    checkpoint: Checkpoint, settings: Settings, loaders: int, progress: Progress
) -> tuple[Any, Model]:
    config = checkpoint.config
    layers = settings.layers or config.layers
    before = rss_bytes()
    phase = "making weights" if checkpoint.provenance.synthetic else "loading weights"
    start = time.perf_counter()
    model = build(
        checkpoint,
        mode=settings.mode,
        dtype=settings.dtype,
        layers=layers,
        loaders=loaders,
        progress=lambda done, total: progress(phase, done, total),
    )
    seconds = time.perf_counter() - start
    origin = checkpoint.provenance
    return model, Model(
        id=origin.id,
        synthetic=origin.synthetic,
        seed=origin.seed,
        revision=origin.revision,
        architecture=type(model).__name__,
        structure=str(model),
        mode=settings.mode,
        dtype=settings.dtype,
        layers=layers,
        layers_total=config.layers,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        heads=config.heads,
        kv_heads=config.kv_heads,
        head_dim=config.head_dim,
        vocab_size=config.vocab_size,
        context=config.context,
        tied_embeddings=config.tied_embeddings,
        parameters=config.parameters(layers),
        ternary_parameters=layers * config.ternary_per_layer,
        weight_bytes=weight_bytes(config, settings.mode, settings.dtype, layers),
        load_seconds=seconds,
        rss_before_load_bytes=before,
        rss_after_load_bytes=rss_bytes(),
        file_after_load_bytes=file_bytes(),
    )


def _describe(tokens: Tokens, settings: Settings, started: str) -> Run:
    return Run(
        backend="torch",
        started=started,
        command=settings.command,
        threads=settings.threads,
        prompt=tokens.prompt,
        tokens=tokens.ids,
        decode_steps=settings.decode,
        warmup=settings.warmup,
        repeat=settings.repeat,
        compile_cache=settings.compile_cache,
        environment={name: os.environ[name] for name in SPEED_VARIABLES if name in os.environ},
        options={},
    )


@contextmanager
def _compile_cache(choice: str) -> Iterator[None]:
    """A private, empty Inductor cache for a "fresh" run, so that cold means cold."""
    if choice == "keep":
        yield
        return
    torch._dynamo.reset()
    with tempfile.TemporaryDirectory(prefix="trine-inductor-") as folder:
        from torch._inductor.utils import fresh_cache

        with fresh_cache(dir=folder):
            yield
