"""What cannot be: each is one of the project's exceptions, says so in one line, loses nothing."""

from __future__ import annotations

import dataclasses

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from small_models import KERNELS, TINY, Changed, engine_of, sized, tokens
from trine.checkpoint.tensors import EMBEDDING, FINAL_NORM, layer_tensor
from trine.errors import CheckpointError, OutOfMemory, UsageError
from trine.model import Engine, Run
from trine.model.session import decode_batch

LONG = 700  # tokens: two passes


@pytest.fixture(scope="module")
def engine() -> Engine:
    return engine_of()


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([], "one or more integers"),
        ([[1, 2]], "one or more integers"),
        ([1.5], "one or more integers"),
        (["a"], "one or more integers"),
        (3, "one or more integers"),
        ([1024], "token 1024 is outside the vocabulary of 1024"),
        ([-1], "token -1 is outside the vocabulary"),
        ([2**62], "outside the vocabulary"),
        ([0] * 30, "the KV cache is full: it holds 3 of 32 positions, and 30 more"),
    ],
)
def test_impossible_tokens(engine: Engine, ids: object, message: str) -> None:
    session = engine.session(32)
    session.prefill([1, 2, 3])
    with pytest.raises(UsageError, match=message) as error:
        session.prefill(ids)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    assert session.length == 3


def test_a_bad_token_in_the_second_pass_takes_the_first_one_back(engine: Engine) -> None:
    session = engine.session()
    session.prefill([5])
    with pytest.raises(UsageError, match="token 4000 is outside"):
        session.prefill([*tokens(LONG), 4000])
    assert session.length == 1


def test_impossible_passes(engine: Engine) -> None:
    session, other = engine.session(8), engine_of(threads=1).session(8)
    with pytest.raises(UsageError, match=r"^there are no tokens$"):
        engine.forward([])
    with pytest.raises(UsageError, match=r"^there are no tokens$"):
        engine.forward([Run(session, np.array([], dtype=np.int64))])
    with pytest.raises(UsageError, match=r"^the session belongs to another engine$"):
        engine.forward([Run(other, np.array([1]))])
    with pytest.raises(UsageError, match=r"^a session is given twice$"):
        decode_batch([session, session], [1, 2])
    with pytest.raises(UsageError, match="another engine"):
        decode_batch([session, other], [1, 2])
    for sessions, ids in (([], []), ([session], [1, 2]), ([session], [])):
        with pytest.raises(UsageError, match="one token for each of one or more sessions"):
            decode_batch(sessions, ids)
    with pytest.raises(UsageError, match="at most 512 tokens"):
        engine.forward([Run(engine.session(), tokens(513))])
    assert session.length == other.length == 0


@pytest.mark.parametrize("capacity", [0, -1, 2049])
def test_impossible_capacities(engine: Engine, capacity: int) -> None:
    with pytest.raises(UsageError, match=rf"1 to 2048 positions.*not {capacity}$"):
        engine.session(capacity)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "threads must be 1 to 256, not 0"),
        ({"threads": 1000}, "threads must be 1 to 256, not 1000"),
        ({"body": "base4"}, "unknown body 'base4'; there are auto, 2bit, base3"),
        ({"head": "int4"}, "unknown head 'int4'; there are float, int8, screened"),
        ({"head": "int8", "exact": True}, "an int8 head is not exact"),
        ({"kernel": "sse9"}, "kernel 'sse9' cannot be used"),
        ({"layers": 0}, "layers must be 1 to 4, not 0"),
        ({"layers": 5}, "layers must be 1 to 4, not 5"),
    ],
)
def test_impossible_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        Engine.from_checkpoint(
            TINY,
            **{"threads": 1, "body": "2bit", "head": "float", **options},  # type: ignore[arg-type]
        )
    assert "\n" not in str(error.value)


def test_an_unknown_cache_is_refused(engine: Engine) -> None:
    with pytest.raises(
        UsageError, match="unknown cache type 'int4'; known: float32, float16, int8"
    ):
        engine.session(8, "int4")


Q_PROJ, NORM = layer_tensor(1, "q_proj"), layer_tensor(1, "ffn_sub_norm")


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        (Q_PROJ, np.full((66, 264), 0x55, np.uint8), None),
        (Q_PROJ, np.full((66, 260), 0x55, np.uint8), "the matrix is 264 x 260, the geometry"),
        (Q_PROJ, np.full((65, 264), 0x55, np.uint8), "the matrix is 260 x 264, the geometry"),
        (Q_PROJ, np.full((66, 264), 0xFF, np.uint8), "q_proj.*illegal code 0b11"),
        (NORM, np.ones(711, np.float32), "wrong length"),
        (FINAL_NORM, np.ones(265, np.float32), "wrong length"),
        (EMBEDDING, np.ones((1024, 263), np.float32), "another width"),
        (EMBEDDING, np.ones((0, 264), np.float32), "no matrix"),
    ],
)
def test_weights_that_do_not_fit(
    name: str, tensor: NDArray[np.float32], message: str | None
) -> None:
    checkpoint = Changed(**{name: tensor})
    if message is None:
        engine_of(checkpoint, threads=1)
        return
    with pytest.raises(CheckpointError, match=message) as error:
        engine_of(checkpoint, threads=1)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"heads": 8, "head_dim": 33}, "head dimension must be even"),
        ({"intermediate_size": 21904}, "more than 21900 columns"),
        ({"heads": 130, "kv_heads": 2, "head_dim": 4}, "at most 64 heads may share one"),
    ],
)
def test_geometries_that_the_kernels_cannot(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        engine_of(sized(layers=1, **sizes), threads=1)


def test_a_cache_that_does_not_fit_is_one_line() -> None:
    engine = engine_of(Changed(dataclasses.replace(TINY.config, context=64)), threads=1)
    engine.config = dataclasses.replace(TINY.config, context=2**31 - 1, heads=2**30, kv_heads=2**20)
    with pytest.raises(OutOfMemory, match=r"^not enough memory for a KV cache of 2147483647 posi"):
        engine.session()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("cache", ["float16", "int8"])
def test_a_value_that_is_no_number_gives_nan_and_nothing_else(
    value: float, kernel: str, cache: str
) -> None:
    embedding = TINY.dense(EMBEDDING).copy()
    embedding[7, 100] = ml_dtypes.bfloat16(value)
    checkpoint = Changed(**{EMBEDDING: embedding})
    for head in ("int8", "float"):
        engine = engine_of(checkpoint, kernel=kernel, head=head)
        session = engine.session(64, cache)
        session.prefill(tokens(40) % 7)
        good = session.decode(3)
        # Row 7 is in the tied head too, where it spoils its own logit only.
        assert np.isfinite(np.delete(good, 7)).all()
        session.rewind(40)
        assert np.isnan(session.decode(7)).all()
        session.rewind(40)
        assert np.array_equal(session.decode(3), good, equal_nan=True)
        assert np.isnan(engine.session(64, cache).prefill([7] * 6)).all()
