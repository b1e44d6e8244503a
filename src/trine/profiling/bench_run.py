"""A native engine under the benchmark: what it costs, how it is run, how true its head is.

In: a checkpoint and the tests. Out: `bench.Row`s and `bench.Agreement`s, one by one.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint import Checkpoint, TernaryWeight
from trine.checkpoint.config import LINEARS, ModelConfig
from trine.checkpoint.tensors import EMBEDDING, LM_HEAD
from trine.errors import OutOfMemory
from trine.kernels.native import pool as make_pool
from trine.kernels.registry import choose
from trine.model.body import choose_body
from trine.model.engine import MAX_ROWS, Engine, Event, Run
from trine.model.heads import FloatHead, ScreenedHead
from trine.model.session import Session, decode_batch
from trine.profiling import bench, roofs
from trine.profiling.caches import read_caches
from trine.profiling.roofline import level_of
from trine.ternary.tiles import LAYOUTS, TWO_BIT

# Hidden states of the comparison of a head with the exact one: half a second at 2B-4T size.
STATES = 16
# Untimed decode steps before the repetitions: the threads are awake and the weights' pages mapped.
_WARM_STEPS = 4
# Bytes an element that absmean quantisation of a master matrix holds at its peak (docs/log.md).
_QUANTISING = 12
# Bytes a row beside an lm_head's codes: scale and error bounds.
_ROW_FACTS = 16

Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Variant:
    """An engine to load and the caches to try: what one load serves. body may be "auto"."""

    threads: int
    body: str
    head: str
    caches: tuple[str, ...]


def compare(logits: NDArray[np.float32], exact: NDArray[np.float32]) -> tuple[int, float]:
    """(states with the same best row, mean KL in nats) of logits [T, V] and exact ones."""
    same = int((logits.argmax(axis=1) == exact.argmax(axis=1)).sum())
    log_q, log_p = _log_softmax(logits), _log_softmax(exact)
    q = np.exp(log_q)
    difference = np.where(q > 0, log_q - log_p, 0.0)
    return same, float((q * difference).sum(axis=1).mean())


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


class Kept(Checkpoint):
    """A checkpoint whose tensors are made once. `ternary` ones are kept for several engines."""

    def __init__(self, source: Checkpoint, *, ternary: bool) -> None:
        self.config, self.provenance = source.config, source.provenance
        self.native_mode, self.tokenizer_file = source.native_mode, source.tokenizer_file
        self._source = source
        self._keep_ternary = ternary
        self._dense: dict[str, NDArray[Any]] = {}
        self._ternary: dict[str, TernaryWeight] = {}

    @property
    def has_master(self) -> bool:
        """As the source."""
        return self._source.has_master

    def dense(self, name: str) -> NDArray[Any]:
        """As the source."""
        if name not in self._dense:
            self._dense[name] = self._source.dense(name)
        return self._dense[name]

    def master(self, name: str) -> NDArray[Any]:
        """As the source, not kept."""
        return self._source.master(name)

    def ternary(self, name: str) -> TernaryWeight:
        """As the source."""
        if name in self._ternary:
            return self._ternary[name]
        weight = self._source.ternary(name)
        if self._keep_ternary:
            self._ternary[name] = weight
        return weight

    def fetch(self) -> None:
        """As the source."""
        self._source.fetch()


def memory_needed(
    checkpoint: Checkpoint, variants: Sequence[Variant], cases: Sequence[bench.Case], layers: int
) -> int:
    """Bytes that the largest of the engines needs while it is loaded and run.

    Rounded up: "auto" counts as two bits. Rows of a mapped file are not counted, the system can
    drop them.
    """
    config = checkpoint.config
    matrices = [config.linear_shape(linear) for linear in LINEARS]
    made = _QUANTISING * max(n * k for n, k in matrices) if checkpoint.has_master else 0
    if len(variants) > 1 and checkpoint.has_master:
        made += layers * config.ternary_per_layer // 4
    if checkpoint.provenance.synthetic:
        made += 2 * config.embedding_elements * (1 if config.tied_embeddings else 2)
    workspace = 4 * MAX_ROWS * (4 * config.intermediate_size + 8 * config.hidden_size)
    return made + workspace + max(_engine_bytes(config, v, cases, layers) for v in variants)


def _engine_bytes(
    config: ModelConfig, variant: Variant, cases: Sequence[bench.Case], layers: int
) -> int:
    layout = LAYOUTS.get(variant.body, TWO_BIT)  # type: ignore[call-overload]
    body = layers * sum(layout.nbytes(*config.linear_shape(linear)) for linear in LINEARS)
    codes = {
        "float": 0,
        "int8": config.embedding_elements,
        "screened": layout.nbytes(config.vocab_size, config.hidden_size),
    }[variant.head]
    element = 1.125 if variant.caches == ("int8",) else 2
    keys = 2 * layers * config.kv_heads * config.head_dim * element
    positions = max(case.batch * case.positions for case in cases)
    return int(body + codes + _ROW_FACTS * config.vocab_size + keys * positions)


def require_memory(
    checkpoint: Checkpoint,
    variants: Sequence[Variant],
    cases: Sequence[bench.Case],
    layers: int,
    available: int,
) -> None:
    """Raise OutOfMemory, with the layers that would fit, when `available` bytes are too few."""
    needed = memory_needed(checkpoint, variants, cases, layers)
    if needed <= available:
        return
    fits = [
        count
        for count in range(1, layers)
        if memory_needed(checkpoint, variants, cases, count) <= available
    ]
    advice = f"--layers {fits[-1]} would fit" if fits else "not even one layer would fit"
    raise OutOfMemory(
        f"{checkpoint.provenance.id} with {layers} layers needs about {needed / 1e6:,.0f} MB, "
        f"{available / 1e6:,.0f} MB is free; {advice}"
    )


def run(
    checkpoint: Checkpoint,
    variants: Sequence[Variant],
    cases: Sequence[bench.Case],
    *,
    layers: int,
    repetitions: int,
    report: Report,
) -> Iterator[bench.Row | bench.Agreement]:
    """Load each engine and time every case; a head that is not exact is compared once.

    A body of "auto" is chosen once for a thread count, so that rows differ in what they name.
    """
    source = Kept(checkpoint, ternary=len(variants) > 1)
    total = len(cases) * sum(len(variant.caches) for variant in variants)
    done = 0
    compared: set[str] = set()
    packing = functools.cache(lambda body, threads: choose_body(body, choose(), threads))
    for variant in variants:
        name = f"loading {variant.body} {variant.head} t{variant.threads}"
        engine = Engine.from_checkpoint(
            source,
            threads=variant.threads,
            body=packing(variant.body, variant.threads),
            head=variant.head,
            layers=layers,
            progress=lambda at, of, name=name: report(name, at, of),  # type: ignore[misc]
        )
        # A head of one dtype is the same under every body and thread count.
        if variant.head != "float" and engine.head.dtype not in compared:
            compared.add(engine.head.dtype)
            yield _agreement(engine, source, variant.threads)
        for cache in variant.caches:
            for case in cases:
                report("measuring", done, total)
                yield _measure(engine, case, cache, repetitions)
                done += 1
                report("measuring", done, total)
        # Two engines at once would need twice the memory that was checked for.
        del engine


def _agreement(engine: Engine, source: Checkpoint, threads: int) -> bench.Agreement:
    tied = engine.config.tied_embeddings
    exact = FloatHead(
        engine.kernel, make_pool(threads), source.dense(EMBEDDING if tied else LM_HEAD)
    )
    tokens = _tokens(engine, STATES)
    hidden = engine.forward([Run(engine.session(STATES), tokens)])
    same, kl = compare(engine.head.logits(hidden), exact.logits(hidden))
    return bench.Agreement(engine.head.kind, engine.head.dtype, STATES, same, kl)


def _tokens(engine: Engine, count: int) -> NDArray[np.int64]:
    """Seeded ids: the time of a token does not depend on which one it is."""
    return np.random.default_rng(0).integers(0, engine.config.vocab_size, size=count)


def _measure(engine: Engine, case: bench.Case, cache: str, repetitions: int) -> bench.Row:
    sessions = [engine.session(case.positions, cache) for _ in range(case.batch)]
    if case.depth:
        for session in sessions:
            session.prefill(_tokens(engine, case.depth))
    costs = _costs(engine, sessions[0])
    level = level_of(costs.body + costs.head, read_caches(), engine.threads)

    def reset() -> None:
        for session in sessions:
            session.rewind(case.depth)

    def probe() -> bench.Roofs:
        probed = roofs.measure([engine.threads], quick=True, phase="between")
        best = {roof.level: roof.value for roof in probed if roof.exact}
        return bench.Roofs(best.get(level), best.get("int8"))

    tokens = _tokens(engine, case.tokens)
    _play(case, sessions, tokens if case.stage == "pp" else tokens[:_WARM_STEPS])
    reset()
    head = engine.head
    before = (head.tokens, head.certified) if isinstance(head, ScreenedHead) else (0, 0)
    samples = bench.repeat(
        lambda: _play(case, sessions, tokens), reset, probe, repetitions, time.perf_counter
    )
    certified = None
    if isinstance(head, ScreenedHead):
        certified = (head.certified - before[1]) / (head.tokens - before[0])
    setting = bench.Setting(
        weight_bytes=costs.body + costs.head,
        kernel=engine.kernel,
        body=engine.body,
        head=head.kind,
        head_dtype=head.dtype,
        cache=cache,
        threads=engine.threads,
    )
    work = bench.work_of(case, costs)
    return bench.make_row(setting, case, work, samples, level=level, certified=certified)


def _costs(engine: Engine, session: Session) -> bench.Costs:
    return bench.Costs(
        body=engine.body_nbytes,
        head=engine.head.nbytes,
        head_per_token=isinstance(engine.head, ScreenedHead),
        kv_position=session.cache.bytes_per_position,
        macs=engine.layers * engine.config.ternary_per_layer,
        head_macs=0 if engine.head.kind == "float" else engine.config.embedding_elements,
        max_rows=engine.max_rows,
    )


def _play(case: bench.Case, sessions: Sequence[Session], tokens: NDArray[np.int64]) -> float | None:
    """One repetition: the prompt, or the tokens one by one in every session at once.

    Returns the seconds of a prompt's BitLinears; a token's are not recorded, since that would make
    up more of its time.
    """
    if case.stage == "pp":
        events: list[Event] = []
        sessions[0].prefill(tokens, events=events)
        return sum(end - begin for step, _, begin, end in events if step.endswith("_proj")) / 1e9
    if case.batch == 1:
        for token in tokens.tolist():
            sessions[0].decode(token)
    else:
        for token in tokens.tolist():
            decode_batch(sessions, [token] * case.batch)
    return None
