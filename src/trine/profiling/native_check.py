"""Every step of every layer of a native engine, judged by the NumPy reference.

In: a checkpoint, the engine that was packed from it, token ids. Out: one `NumericCheck` a step,
layer and stage. Nothing here needs PyTorch.

One prefill and one decode step run with the engine's tap. Each step is then computed again from
the values that the engine itself gave it (teacher-forced, see `numeric_check`), with weights that
come from the checkpoint and not from the engine. A fused step is judged as what it fuses: the
norms with their int8 codes and scales, o_proj and down_proj with the residual addition, gate and
up with the gated product. The int32 sums are recovered from the floats, which is exact as long as
a unit of the sum is larger than the float's rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.checkpoint import Checkpoint
from trine.checkpoint.config import LINEARS, ModelConfig
from trine.checkpoint.tensors import EMBEDDING, FINAL_NORM, LM_HEAD, layer_tensor
from trine.kernels import reference
from trine.kernels.reference import Floats, Layer
from trine.model.engine import Engine, Run
from trine.model.session import Session
from trine.profiling import numeric_check
from trine.profiling.numeric_check import BEYOND, FLOAT32, Call, row_error, unlike, verdict
from trine.profiling.profile import NumericCheck, Stage
from trine.ternary import absmax_int8, unpack_hf
from trine.ternary.tiles import TILE_ROWS

# A gated product g^2 u takes four roundings of float32 (6e-8 each) and doubles g's: where an
# element is further off, one of its two sums is another integer. An exponential is less exact.
GATED = {"relu2": 2e-6, "silu": 1e-5}
# Rounding of a float32 result, relative; a sum is recovered where this stays below a quarter unit.
_ROUNDING = 2.0**-22

Report = Callable[[int, int], None]


@dataclass(slots=True)
class _Seen:
    """One pass: sampled rows of every step's result, and the keys and values as the cache has them.

    at: positions of the sampled rows. keys, values: [KV, C, D] by layer, all positions so far.
    """

    stage: Stage
    rows: NDArray[np.int64]
    at: NDArray[np.int64]
    steps: dict[tuple[str, int], Floats] = field(default_factory=dict)
    scales: dict[tuple[str, int], Floats] = field(default_factory=dict)
    keys: dict[int, Floats] = field(default_factory=dict)
    values: dict[int, Floats] = field(default_factory=dict)
    ids: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    hidden: Floats = field(default_factory=lambda: np.empty((0, 0), np.float32))
    logits: Floats = field(default_factory=lambda: np.empty((0, 0), np.float32))


def check_engine(
    checkpoint: Checkpoint,
    engine: Engine,
    ids: Sequence[int],
    *,
    cache: str = "float16",
    decode: bool = True,
    progress: Report | None = None,
) -> list[NumericCheck]:
    """Checks of a prefill of `ids` (the first `engine.max_rows` of them) and of a decode step.

    cache: the KV cache's type, which the reference rounds to as well. progress(done, layers) is
    called after each layer. Raises what `Engine.forward` raises.
    """
    tokens = np.asarray(ids, dtype=np.int64)[: engine.max_rows]
    session = engine.session(min(len(tokens) + 1, engine.config.context), cache)
    passes = [_watch(session, "prefill", tokens, cache, None)]
    if decode:
        best = passes[0].logits[-1:].argmax(axis=-1)
        passes.append(_watch(session, "decode", best, cache, passes[0]))
    checks = [check for seen in passes for check in _outside(checkpoint, engine, seen)]
    for number in range(engine.layers):
        layer = _layer(checkpoint, number)
        for seen in passes:
            checks += _layer_checks(layer, number, seen, engine.config)
        if progress is not None:
            progress(number + 1, engine.layers)
    return checks


def _watch(
    session: Session, stage: Stage, ids: NDArray[np.int64], cache: str, before: _Seen | None
) -> _Seen:
    """One forward under the tap; whole arrays are dropped at once, since 512 tokens are large."""
    engine = session.engine
    rows = numeric_check.sample(len(ids), numeric_check.TOKENS)
    seen = _Seen(stage, rows, rows + session.length, ids=ids[rows])
    _, keys, values = qkv_columns(engine.config)

    def tap(name: str, layer: int, result: Floats, scales: Floats | None) -> None:
        seen.steps[name, layer] = result[rows]
        if scales is not None:
            seen.scales[name, layer] = scales[rows]
        if name == "rope":
            for columns, kept in ((keys, "keys"), (values, "values")):
                new = _stored(_heads(result[:, columns], engine.config).swapaxes(0, 1), cache)
                old = [] if before is None else [getattr(before, kept)[layer]]
                getattr(seen, kept)[layer] = np.concatenate([*old, new], axis=1)

    hidden = engine.forward([Run(session, ids)], tap=tap)
    seen.hidden = hidden[rows]
    seen.logits = engine.head.logits(hidden[-1:])
    return seen


def qkv_columns(config: ModelConfig) -> tuple[slice, slice, slice]:
    """Where q, k and v lie in a row of the fused result: each begins with a tile of 16."""
    at, found = 0, []
    for name in ("q_proj", "k_proj", "v_proj"):
        size, _ = config.linear_shape(name)
        found.append(slice(at, at + size))
        at += -(-size // TILE_ROWS) * TILE_ROWS
    return found[0], found[1], found[2]


def _heads(columns: Floats, config: ModelConfig) -> Floats:
    """[S, heads * D] as [S, heads, D]."""
    return columns.reshape(len(columns), -1, config.head_dim)


def _stored(heads: Floats, cache: str) -> Floats:
    """What a KV cache keeps of [KV, T, D]; int8 with a scale a vector."""
    if cache == "float16":
        return heads.astype(np.float16).astype(np.float32)
    if cache == "int8":
        # The floor only keeps a vector of zeros from dividing by zero.
        top = np.maximum(np.abs(heads).max(axis=-1, keepdims=True), np.float32(1e-30))
        kept: Floats = np.rint(heads * (np.float32(127) / top)) * (top / np.float32(127))
        return kept
    return heads


def _layer(checkpoint: Checkpoint, number: int) -> Layer:
    weights = {name: checkpoint.ternary(layer_tensor(number, name)) for name in LINEARS}
    return Layer(
        trits={name: unpack_hf(weight.packed) for name, weight in weights.items()},
        scales={name: weight.scale for name, weight in weights.items()},
        norms={
            name: checkpoint.dense(layer_tensor(number, name)).astype(np.float32)
            for name in checkpoint.config.norms
        },
    )


def _outside(checkpoint: Checkpoint, engine: Engine, seen: _Seen) -> Iterator[NumericCheck]:
    """Embedding, final norm, lm_head and sampling."""
    config = engine.config
    embedding = checkpoint.dense(EMBEDDING)
    rows = embedding[seen.ids].astype(np.float32)
    given = seen.steps["embed_tokens", -1]
    found = Call("embed_tokens", "embedding", seen.at, (rows,), given)
    yield numeric_check.check(found, seen.stage, -1, config, 0.0)
    last = seen.steps["down_proj", engine.layers - 1]
    weight = checkpoint.dense(FINAL_NORM).astype(np.float32)
    found = Call("norm", "norm", seen.at, (last,), seen.hidden, weight)
    yield numeric_check.check(found, seen.stage, -1, config, FLOAT32)
    head = embedding if config.tied_embeddings else checkpoint.dense(LM_HEAD)
    # A screened head rescores some rows: those are what it says about the others.
    known = np.flatnonzero(np.isfinite(seen.logits[0]))
    words = known[numeric_check.sample(len(known), numeric_check.VOCABULARY)]
    expected = _head_logits(engine.head.kind, head[words].astype(np.float32), seen.hidden[-1:])
    found = Call("lm_head", "linear", seen.at[-1:], (seen.hidden[-1:],), seen.logits[:, words])
    error = row_error(found.output, expected) if len(words) else BEYOND
    yield verdict(found, seen.stage, -1, error, FLOAT32)
    token = np.array([[seen.logits[0].argmax()]], np.float32)
    found = Call("sampling", "sampling", seen.at[-1:], (seen.logits,), token)
    yield numeric_check.check(found, seen.stage, -1, config, 0.0)


def _head_logits(kind: str, rows: Floats, hidden: Floats) -> Floats:
    """Logits [1, S] of some rows as a head of `kind` defines them, in float64.

    int8 (`native/head.h`): rows as absmax codes, the hidden state in as many steps as int32 sums
    allow. The others: the rows themselves.
    """
    state = hidden.astype(np.float64)
    if kind != "int8":
        return (state @ rows.astype(np.float64).T).astype(np.float32)
    codes, scales = absmax_int8(rows)
    steps = min(32767.0, np.floor((2.0**31 - 1) / (127.0 * rows.shape[1])))
    unit = np.abs(state).max() / steps
    sums = np.rint(state / unit) @ codes.astype(np.float64).T
    logits: Floats = (sums * unit / scales[:, 0]).astype(np.float32)
    return logits


def _layer_checks(
    layer: Layer, number: int, seen: _Seen, config: ModelConfig
) -> Iterator[NumericCheck]:
    judge = _Judge(layer, number, seen, config)
    before = seen.steps["embed_tokens" if number == 0 else "down_proj", number - 1]
    normed = yield from judge.norm("input_layernorm", before)
    yield judge.projections("qkv_proj", normed)
    yield judge.rope()
    yield judge.attention()
    normed = yield from judge.norm("attn_sub_norm", judge.result("attention"))
    yield judge.added("o_proj", normed, before)
    between = judge.result("o_proj")
    normed = yield from judge.norm("post_attention_layernorm", between)
    yield judge.gated("gate_up_proj", normed)
    normed = yield from judge.norm("ffn_sub_norm", judge.result("gate_up_proj"))
    yield judge.added("down_proj", normed, between)


@dataclass(frozen=True, slots=True)
class _Judge:
    """One layer of one pass."""

    layer: Layer
    number: int
    seen: _Seen
    config: ModelConfig

    def result(self, step: str) -> Floats:
        """What the engine gave, sampled rows."""
        return self.seen.steps[step, self.number]

    def norm(self, step: str, x: Floats) -> Generator[NumericCheck, None, Floats]:
        """The norm, its scales (equal) and the codes that follow from it; returns the result."""
        given = self.result(step)
        expected = self.layer.norm(step, x, self.config.rms_norm_eps)
        codes, scales = absmax_int8(given)
        theirs, their_scales = absmax_int8(expected)
        at_ties, wrong = unlike(codes, theirs, expected * their_scales)
        wrong += int(np.count_nonzero(self.seen.scales[step, self.number] != scales[:, 0]))
        found = Call(step, "norm", self.seen.at, (x,), given)
        yield self._verdict(found, row_error(given, expected), at_ties=at_ties, wrong_codes=wrong)
        return given

    def projections(self, step: str, x: Floats) -> NumericCheck:
        """q, k and v, each by itself; the worst of them is told."""
        given = self.result(step)
        error, wrong = 0.0, 0
        columns = qkv_columns(self.config)
        for name, part in zip(("q_proj", "k_proj", "v_proj"), columns, strict=True):
            sums, unit = self._sums(name, x)
            error = max(error, row_error(given[:, part], (sums * unit).astype(np.float32)))
            wrong += int(np.count_nonzero(np.rint(given[:, part] / unit) != sums))
        output = np.concatenate([given[:, part] for part in columns], axis=1)
        return self._verdict(Call(step, "bitlinear", self.seen.at, (x,), output), error, wrong)

    def rope(self) -> NumericCheck:
        """Queries and keys turned, values as they were."""
        before, after = self.result("qkv_proj"), self.result("rope")
        queries, keys, values = qkv_columns(self.config)
        error = 0.0 if np.array_equal(before[:, values], after[:, values]) else BEYOND
        for part in (queries, keys):
            turned = reference.rope(
                _heads(before[:, part], self.config).swapaxes(0, 1),
                self.seen.at,
                self.config.rope_theta,
            ).swapaxes(0, 1)
            error = max(error, row_error(_heads(after[:, part], self.config), turned))
        output = np.concatenate([after[:, queries], after[:, keys]], axis=1)
        return self._verdict(Call("rope", "rope", self.seen.at, (before,), output), error)

    def attention(self) -> NumericCheck:
        """Over the keys and values as the cache holds them."""
        queries, _, _ = qkv_columns(self.config)
        query = _heads(self.result("rope")[:, queries], self.config)
        context = self.seen.keys[self.number], self.seen.values[self.number]
        found = Call(
            "attention", "attention", self.seen.at, (query, *context), self.result("attention")
        )
        return numeric_check.check(found, self.seen.stage, self.number, self.config, FLOAT32)

    def gated(self, step: str, x: Floats) -> NumericCheck:
        """Activated gate times up: two sums meet in one number, so each element tells of both."""
        given = self.result(step)
        gate, up = (np.multiply(*self._sums(name, x)) for name in ("gate_proj", "up_proj"))
        activation = self.config.activation
        expected = reference.ACTIVATIONS[activation](gate) * up
        wrong = int(
            np.count_nonzero(np.abs(given - expected) > GATED[activation] * np.abs(expected))
        )
        found = Call(step, "bitlinear", self.seen.at, (x,), given)
        return self._verdict(found, row_error(given, expected.astype(np.float32)), wrong)

    def added(self, step: str, x: Floats, residual: Floats) -> NumericCheck:
        """The residual plus W x; sums only where the addition left them visible."""
        given = self.result(step).astype(np.float64)
        sums, unit = self._sums(step, x)
        expected = residual + sums * unit
        blurred = _ROUNDING * np.maximum(np.abs(given), np.abs(residual)) > unit / 4
        recovered = np.rint((given - residual) / unit)
        wrong = int(np.count_nonzero((recovered != sums) & ~blurred))
        found = Call(step, "bitlinear", self.seen.at, (x,), self.result(step))
        return self._verdict(found, row_error(found.output, expected.astype(np.float32)), wrong)

    def _sums(self, linear: str, x: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The exact sums [S, N], and the number [S, 1] that a unit of them stands for."""
        codes, scales = absmax_int8(x)
        sums = reference.accumulate(codes, self.layer.trits[linear]).astype(np.float64)
        return sums, float(self.layer.scales[linear]) / scales.astype(np.float64)

    def _verdict(
        self,
        call: Call,
        error: float,
        wrong_sums: int | None = None,
        *,
        at_ties: int = 0,
        wrong_codes: int = 0,
    ) -> NumericCheck:
        return verdict(
            call,
            self.seen.stage,
            self.number,
            error,
            FLOAT32,
            at_ties=at_ties,
            wrong_codes=wrong_codes,
            wrong_sums=wrong_sums,
        )
