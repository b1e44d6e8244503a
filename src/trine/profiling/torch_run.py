"""The protocol of a PyTorch run: load, cold, warm-up, repetitions, numeric check, experiments.

Order: load, roofs, one cold prefill and its decode steps (compilation happens here), `warmup`
repetitions that no statistic uses, then `repeat` measured ones; after them the numeric check of
the operators' outputs and the experiments, which disturb nothing there. Each measured repetition is
preceded by a quick probe of the roofs, because a shared machine drifts, and paired with a prefill
that runs without the recorder, in alternating order, which gives the recorder's overhead.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import torch
from trine.checkpoint import Checkpoint, Mode
from trine.errors import ToolError
from trine.profiling import machine, roofs
from trine.profiling.experiments import run_experiments
from trine.profiling.inputs import Tokens
from trine.profiling.probes import ProcessProbe, file_bytes, rss_bytes
from trine.profiling.profile import (
    Experiment,
    Model,
    NumericCheck,
    Overhead,
    Profile,
    Roof,
    Run,
    State,
)
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


class Progress(Protocol):
    """Where a run reports how far it is; `total` steps of the phase named `phase`."""

    def __call__(self, phase: str, done: int, total: int) -> None:
        """`done` of `total` steps of `phase` are finished."""


def run(
    checkpoint: Checkpoint,
    tokens: Tokens,
    settings: Settings,
    progress: Progress,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Profile:
    """Profile a model; after Ctrl-C or a failure, what is complete so far, marked partial.

    ToolError, before anything is loaded, without the C++ compiler that torch.compile calls.
    """
    require_compiler()
    torch.set_num_threads(settings.threads)
    host = machine.describe()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    with _compile_cache(settings.compile_cache):
        loaders = loader_count(machine.usable_cores(host))
        model, facts = _load(checkpoint, settings, loaders, progress)
        # One thread and the run's own count: what one core can read, and what they share.
        progress("measuring roofs", 0, 1)
        ceilings = roofs.measure(sorted({1, settings.threads}), phase="before")
        progress("measuring roofs", 1, 1)
        session = _Session(model, checkpoint, tokens, settings, progress, clock)
        status = ""
        ended_by: Literal["end", "interrupt", "error"] = "end"
        try:
            session.run(ceilings)
        except KeyboardInterrupt:
            status = f"interrupted during {session.phase}; {len(session.recorder.passes)} passes"
            ended_by = "interrupt"
        # Whatever failed, the passes that are complete are worth keeping; the caller sees `status`.
        except Exception as error:
            first = (str(error).strip() or repr(error)).splitlines()[0]
            status = f"failed during {session.phase}: {type(error).__name__}: {first}"
            ended_by = "error"
        finally:
            session.close()
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
        status="complete" if ended_by == "end" else "partial",
        status_note=status,
        ended_by=ended_by,
    )
    profile.check()
    return profile


class _Session:
    """One loaded model being run; `phase` is where it is."""

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
        self.phase = "the cold run"
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

    @torch.no_grad()
    def run(self, ceilings: list[Roof]) -> None:
        settings = self._settings
        recorded, bare = [], []
        total = 1 + settings.warmup + settings.repeat
        self._progress("cold run", 0, total)
        self._recorded("cold", 0)
        for repetition in range(settings.warmup):
            self.phase = f"warm-up {repetition + 1} of {settings.warmup}"
            self._progress("warm-up", 1 + repetition, total)
            self._recorded("warmup", repetition)
        events = 0
        for repetition in range(settings.repeat):
            self.phase = f"repetition {repetition + 1} of {settings.repeat}"
            self._progress("measured", 1 + settings.warmup + repetition, total)
            ceilings += roofs.measure([settings.threads], phase=f"between:{repetition}", quick=True)
            if repetition % 2:
                bare.append(self._bare())
            recorded.append(self._recorded("measured", repetition))
            if not repetition % 2:
                bare.append(self._bare())
            events = self.recorder.events_per_pass
            self.overhead = Overhead(recorded[:], bare[:], events)
        self._progress("measured", total, total)
        self.phase = "the numeric check"
        self.checks += run_checks(
            self._model,
            self._checkpoint,
            self._ids,
            decode=settings.decode > 0,
            mode=settings.mode,
            progress=self._progress,
        )
        self.phase = "the experiments"
        self.experiments += run_experiments(
            self._model,
            self._ids,
            settings.mode,
            decode=settings.decode > 0,
            clock=self._clock,
            progress=self._progress,
        )
        ceilings += roofs.measure([settings.threads], phase="after", quick=True)

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

    def _bare(self) -> int:
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
