"""The whole model: logits against the reference, sessions against each other, Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from small_models import KERNELS, TINY, distance, engine_of, tokens
from trine.errors import UsageError
from trine.kernels.reference import Decoder, KVCache
from trine.model import Engine, Event, Run, Session
from trine.model.session import decode_batch
from trine.ternary.tiles import LAYOUTS, TWO_BIT, Code

LONG = 700  # tokens: two passes, the second one short


@pytest.fixture(scope="module")
def engine() -> Engine:
    return engine_of()


@pytest.fixture(scope="module")
def reference() -> Decoder:
    return Decoder(TINY)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("body", LAYOUTS)
def test_logits_of_short_prompts_equal_the_reference(
    kernel: str, body: Code, reference: Decoder
) -> None:
    """Float32 sums in another order flip an int8 code now and then, which no engine is free of.

    Without a flip logits agree to 1e-5 of their deviation; one of these prompts may have one, which
    moves them by tenths. Every step by itself is checked in test_steps.py.
    """
    engine = engine_of(body=body, kernel=kernel)
    errors = []
    for seed in range(12):
        ids = tokens(1 + seed % 3, seed)
        expected = reference.forward(ids, KVCache())
        ours = engine.session(8, "float32").all_logits(ids)
        assert ours.shape == expected.shape
        errors.append(float(np.abs(ours - expected).max() / expected.std()))
    assert np.sort(errors)[-2] < 1e-5
    assert max(errors) < 0.3


def test_a_long_prompt_stays_close_to_the_reference(engine: Engine, reference: Decoder) -> None:
    ids = tokens(100)
    expected = reference.forward(ids, KVCache())
    assert distance(engine.session(128, "float32").all_logits(ids), expected) < 0.06


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("cache", ["float32", "float16", "int8"])
def test_one_pass_equals_token_by_token(kernel: str, cache: str) -> None:
    """Bit for bit: accumulators are exact, and a row's other sums are its own, in one order."""
    engine = engine_of(kernel=kernel)
    ids = tokens(40)
    apart = engine.session(64, cache)
    steps = [apart.decode(int(token)) for token in ids]
    together = engine.session(64, cache)
    assert np.array_equal(together.all_logits(ids), steps)
    assert together.length == apart.length == 40


@pytest.mark.parametrize(("cache", "limit"), [("float16", 0.06), ("int8", 0.1)])
def test_a_smaller_cache_stays_close(engine: Engine, cache: str, limit: float) -> None:
    ids = tokens(100)
    exact = engine.session(128, "float32").all_logits(ids)
    assert 0 < distance(engine.session(128, cache).all_logits(ids), exact) < limit


def test_a_prompt_longer_than_a_pass_equals_its_passes(engine: Engine) -> None:
    ids = tokens(LONG)
    events: list[Event] = []
    whole = engine.session(cache="float32")
    last = whole.prefill(ids, events=events)
    assert [name for name, *_ in events].count("embed_tokens") == 2
    parts = engine.session(cache="float32")
    parts.prefill(ids[: engine.max_rows])
    assert np.array_equal(parts.prefill(ids[engine.max_rows :]), last)
    assert whole.length == parts.length == LONG


@pytest.mark.parametrize("body", LAYOUTS)
@pytest.mark.parametrize("head", ["float", "int8", "screened"])
def test_threads_change_nothing(body: Code, head: str) -> None:
    results = []
    for threads in (1, 2, 3, 7):
        session = engine_of(threads=threads, body=body, head=head).session(64)
        results.append(np.stack([session.prefill(tokens(40)), session.decode(3)]))
    assert all(np.array_equal(result, results[0]) for result in results)


def test_both_bodies_give_the_same_bits() -> None:
    """The accumulators are equal, and everything else is the same code."""
    two_bit, base3 = (engine_of(body=body).session(64).all_logits(tokens(40)) for body in LAYOUTS)
    assert np.array_equal(two_bit, base3)


def test_the_first_layers_are_those_of_the_whole_model() -> None:
    first = Engine.from_checkpoint(TINY, threads=1, body="2bit", head="float", layers=2)
    assert first.layers == 2
    ids = tokens(2)
    expected = Decoder(TINY, layers=2).forward(ids, KVCache())
    assert distance(first.session(8, "float32").all_logits(ids), expected) < 1e-5


def test_sessions_do_not_see_each_other(engine: Engine) -> None:
    def alone(seed: int) -> NDArray[np.float32]:
        session = engine.session(64)
        return np.stack([session.prefill([int(token)]) for token in tokens(8, seed)])

    apart = [alone(1), alone(2)]
    sessions = [engine.session(64), engine.session(64)]
    together: list[list[NDArray[np.float32]]] = [[], []]
    for pair in zip(tokens(8, 1), tokens(8, 2), strict=True):
        for which in (0, 1):
            together[which].append(sessions[which].decode(int(pair[which])))
    assert np.array_equal(together[0], apart[0])
    assert np.array_equal(together[1], apart[1])


@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_a_batch_equals_one_by_one(engine: Engine, count: int) -> None:
    batch = [engine.session(64) for _ in range(count)]
    alone = [engine.session(64) for _ in range(count)]
    for number, pair in enumerate(zip(batch, alone, strict=True)):
        for session in pair:
            session.prefill(tokens(3 + number, number))
    logits = decode_batch(batch, list(range(count)))
    assert np.array_equal(logits, [s.decode(token) for token, s in enumerate(alone)])
    assert [s.length for s in batch] == [s.length for s in alone]


# Positions in one, two (once both whole) and four parts of the keys, of 512 (native/engine.cpp).
IN_PARTS = (5, 520, 1023, 1700)


@pytest.mark.parametrize("cache", ["float32", "float16", "int8"])
def test_parts_of_the_keys_give_the_attention_of_all(cache: str) -> None:
    """One token's keys go in parts, a prompt's do not: the first layer sees the same inputs."""
    engine = engine_of()
    for length in IN_PARTS:
        ids = tokens(length + 1, length)
        outputs: list[NDArray[np.float32]] = []

        def tap(name: str, layer: int, values: NDArray[np.float32], _scales: object) -> None:
            if (name, layer) == ("attention", 0):
                outputs.append(values[-1].copy())  # noqa: B023

        # Of all tokens at once, the last pass is the prompt's rest.
        whole = engine.session(cache=cache)
        for first in range(0, length + 1, engine.max_rows):
            engine.forward([Run(whole, ids[first : first + engine.max_rows])], tap=tap)
        expected = outputs.pop()
        session = engine.session(cache=cache)
        session.prefill(ids[:-1])
        engine.forward([Run(session, ids[-1:])], tap=tap)
        np.testing.assert_allclose(
            outputs[-1], expected, rtol=0, atol=2e-6 * np.abs(expected).max()
        )


def test_a_batch_of_any_lengths_equals_one_by_one_whatever_the_threads() -> None:
    results = []
    for threads in (1, 3):
        engine = engine_of(threads=threads)
        batch = [engine.session() for _ in IN_PARTS]
        alone = [engine.session() for _ in IN_PARTS]
        for sessions in (batch, alone):
            for session, length in zip(sessions, IN_PARTS, strict=True):
                session.prefill(tokens(length, length))
        logits = decode_batch(batch, list(range(len(batch))))
        assert np.array_equal(logits, [s.decode(token) for token, s in enumerate(alone)])
        results.append(logits)
    assert np.array_equal(*results)


def test_runs_of_several_tokens_share_a_pass(engine: Engine) -> None:
    ids = [tokens(3, 1), tokens(5, 2)]
    sessions = [engine.session(16) for _ in ids]
    hidden = engine.forward([Run(s, t) for s, t in zip(sessions, ids, strict=True)])
    alone = [engine.forward([Run(engine.session(16), t)]) for t in ids]
    assert np.array_equal(hidden, np.concatenate(alone))


def test_rewinding_forgets(engine: Engine) -> None:
    session = engine.session(64)
    session.prefill(tokens(5))
    expected = session.decode(7)
    session.prefill(tokens(50, 1))
    session.rewind(5)
    assert session.length == 5
    assert np.array_equal(session.decode(7), expected)
    for length in (7, -1, 2.5):
        with pytest.raises(
            UsageError, match=r"^a session of 6 positions cannot be rewound to \S+$"
        ):
            session.rewind(length)  # type: ignore[arg-type]
    session.rewind(0)
    assert np.array_equal(session.prefill(tokens(5)), engine.session(64).prefill(tokens(5)))


def test_a_full_session_ends_at_its_last_position(engine: Engine) -> None:
    session = engine.session(5)
    session.prefill(tokens(4))
    session.decode(1)
    with pytest.raises(UsageError, match="the KV cache is full: it holds 5 of 5 positions, and 1"):
        session.decode(1)
    assert session.length == session.capacity == 5


STEPS = [
    "input_layernorm",
    "qkv_proj",
    "rope",
    "attention",
    "attn_sub_norm",
    "o_proj",
    "post_attention_layernorm",
    "gate_up_proj",
    "ffn_sub_norm",
    "down_proj",
]


@pytest.mark.parametrize("count", [1, 10])
def test_events_tile_the_pass_in_order(engine: Engine, count: int) -> None:
    events: list[Event] = []
    before = time.perf_counter_ns()
    engine.session(16).prefill(tokens(count), events=events)
    after = time.perf_counter_ns()
    layers = [(name, layer) for layer in range(4) for name in STEPS]
    expected = [("embed_tokens", -1), *layers, ("norm", -1)]
    assert [(name, layer) for name, layer, _, _ in events] == expected
    times = [moment for _, _, begin, end in events for moment in (begin, end)]
    assert times == sorted(times)
    assert before <= times[0]
    assert times[-1] <= after


@pytest.mark.parametrize("count", [1, 20])
def test_recording_changes_nothing(engine: Engine, count: int) -> None:
    ids = tokens(count)
    plain = engine.forward([Run(engine.session(32), ids)])
    seen: list[str] = []
    recorded = engine.forward(
        [Run(engine.session(32), ids)], events=[], tap=lambda name, *_: seen.append(name)
    )
    assert np.array_equal(plain, recorded)
    assert len(seen) == 1 + 4 * len(STEPS)


def test_bytes_are_those_of_the_layout(engine: Engine) -> None:
    q, k, v, o, gate, up, down = (
        TWO_BIT.nbytes(*TINY.config.linear_shape(name))
        for name in ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    )
    # Gate and up share tiles, 8 rows each: 712 rows are 89 halves, the single ones 45 tiles.
    gate_up = 89 * TWO_BIT.lines(264) * 64
    assert gate_up < gate + up
    assert engine.body_nbytes == 4 * (q + k + v + o + gate_up + down)
    assert engine.bytes_per_token == engine.body_nbytes + 1024 * 264 * 2


def interrupt(session: Session, ids: NDArray[np.int64]) -> None:
    """Prefill, and press Ctrl-C a moment after it began."""
    sender = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    finished = False
    try:
        with pytest.raises(KeyboardInterrupt):
            sender.start()
            session.prefill(ids)
            finished = True
            time.sleep(60)
    finally:
        sender.join()
    assert not finished, "the prefill was over before Ctrl-C"


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_stops_a_long_prefill_and_loses_nothing(threads: int) -> None:
    """On the scalar kernels 2,000 tokens take many times the 0.1 s after which Ctrl-C comes."""
    engine = engine_of(threads=threads, kernel="scalar")
    session, other = engine.session(), engine.session()
    for each in (session, other):
        each.prefill([1, 2])
    interrupt(session, tokens(2000))
    assert session.length == 2
    assert np.array_equal(session.decode(3), other.decode(3))


def test_a_signal_whose_handler_returns_stops_nothing() -> None:
    engine = engine_of(kernel="scalar")
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    sender = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        sender.start()
        session = engine.session()
        session.prefill(tokens(400))
        sender.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]
    assert session.length == 400


@pytest.mark.parametrize("threads", [1, 2])
def test_a_tap_that_raises_stops_the_pass_and_takes_it_back(threads: int) -> None:
    class Planted(Exception):
        pass

    def tap(step: str, layer: int, *_: object) -> None:
        if (step, layer) == ("attention", 1):
            raise Planted

    session = engine_of(threads=threads).session(16)
    session.prefill([1, 2, 3])
    with pytest.raises(Planted):
        session.engine.forward([Run(session, tokens(4))], tap=tap)
    assert session.length == 3
    assert np.isfinite(session.decode(4)).all()
