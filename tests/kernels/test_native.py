"""Every kernel set's accumulators against the reference: both layouts, shapes, remainders, threads.

Which set really ran is part of each test: it is forced by name, and a set that cannot run is
refused. Sets that this machine lacks are run under emulation by tests/native/test_emulated.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trine import _native
from trine.errors import CheckpointError, UsageError
from trine.kernels import native, reference, registry
from trine.ternary import pack_hf, unpack_hf
from trine.ternary.tiles import LAYOUTS, Code, pack_tiles

SETS = registry.kernel_sets()
USABLE = [kernels.name for kernels in SETS if kernels.usable]
EACH_KERNEL = pytest.mark.parametrize("kernel", USABLE)
EACH_CODE = pytest.mark.parametrize("code", LAYOUTS)


def random(n: int, k: int, tokens: int, seed: int) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Activations [tokens, k] over the whole range, and trits [n, k]."""
    generator = np.random.default_rng(seed)
    activations = generator.integers(-128, 128, (tokens, k)).astype(np.int8)
    return activations, generator.integers(-1, 2, (n, k)).astype(np.int8)


@EACH_KERNEL
@EACH_CODE
@settings(max_examples=60)
@given(
    n=st.integers(1, 70),
    k=st.integers(1, 400),
    tokens=st.integers(1, 13),
    threads=st.integers(1, 2),
    seed=st.integers(0, 2**32),
)
def test_accumulators_equal_the_reference(
    kernel: str, code: Code, n: int, k: int, tokens: int, threads: int, seed: int
) -> None:
    activations, weights = random(n, k, tokens, seed)
    sums = native.accumulate(activations, weights, code=code, threads=threads, kernel=kernel)
    assert sums.dtype == np.int32
    assert np.array_equal(sums, reference.accumulate(activations, weights))


@EACH_KERNEL
@EACH_CODE
@pytest.mark.parametrize("tokens", [*range(1, 14), 100])
def test_every_number_of_tokens(kernel: str, code: Code, tokens: int) -> None:
    # 5 tiles, a last one that is not full, lines that are not full in either layout.
    activations, weights = random(75, 333, tokens, tokens)
    expected = activations.astype(np.int64) @ weights.astype(np.int64).T
    sums = native.accumulate(activations, weights, code=code, kernel=kernel)
    assert np.array_equal(sums, expected)


@EACH_KERNEL
@EACH_CODE
@pytest.mark.parametrize("k", [2560, 6912, 13824, _native.MAX_K])
@pytest.mark.parametrize("tokens", [1, 4, 7])
def test_long_rows(kernel: str, code: Code, k: int, tokens: int) -> None:
    activations, weights = random(33, k, tokens, k)
    sums = native.accumulate(activations, weights, code=code, kernel=kernel)
    assert np.array_equal(sums, reference.accumulate(activations, weights))


@EACH_KERNEL
@EACH_CODE
@pytest.mark.parametrize("trit", [1, -1])
@pytest.mark.parametrize("value", [127, -128])
@pytest.mark.parametrize("tokens", [1, 2, 3, 4, 5])
def test_extreme_sums_do_not_overflow(
    kernel: str, code: Code, trit: int, value: int, tokens: int
) -> None:
    for k in (1, 6912, 13824, _native.MAX_K):
        activations = np.full((tokens, k), value, dtype=np.int8)
        weights = np.full((17, k), trit, dtype=np.int8)
        sums = native.accumulate(activations, weights, code=code, kernel=kernel)
        assert (sums == value * trit * k).all()


@EACH_KERNEL
@EACH_CODE
@pytest.mark.parametrize("tokens", [1, 100])
def test_threads_change_nothing(kernel: str, code: Code, tokens: int) -> None:
    activations, weights = random(1100, 700, tokens, 3)
    expected = reference.accumulate(activations, weights)
    for threads in (1, 2, 3, 7):
        sums = native.accumulate(activations, weights, code=code, threads=threads, kernel=kernel)
        assert np.array_equal(sums, expected)


@EACH_CODE
def test_more_chunks_than_one_for_a_worker(code: Code) -> None:
    """Above 512 KiB a GEMV is cut; the cuts must meet."""
    activations, weights = random(1650, 5000, 2, 4)
    sums = native.accumulate(activations, weights, code=code, threads=2)
    assert np.array_equal(sums, reference.accumulate(activations, weights))


def test_activations_need_not_be_contiguous() -> None:
    activations, weights = random(20, 60, 8, 5)
    sums = native.accumulate(activations[::2], weights, code="2bit")
    assert np.array_equal(sums, reference.accumulate(activations[::2], weights))


def test_shapes_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="activations have K = 5, weights 6"):
        native.accumulate(np.zeros((1, 5), np.int8), np.zeros((4, 6), np.int8), code="2bit")
    with pytest.raises(ValueError, match="tokens and K must be positive"):
        native.accumulate(np.zeros((0, 6), np.int8), np.zeros((4, 6), np.int8), code="2bit")
    too_long = _native.MAX_K + 1
    with pytest.raises(ValueError, match="K is larger"):
        native.accumulate(
            np.zeros((1, too_long), np.int8), np.zeros((1, too_long), np.int8), code="base3"
        )


def binding(**changes: object) -> None:
    """`_native.accumulate` on 2 tiles of K = 40 and 3 tokens, with one argument changed."""
    arguments = {
        "isa": "scalar",
        "code": "2bit",
        "tiles": np.zeros((2, 3, 64), np.uint8),
        "row_sums": np.zeros(32, np.int32),
        "activations": np.zeros((3, 40), np.int8),
        "pool": _native.Pool(1),
        "out": np.zeros((3, 32), np.int32),
    }
    _native.accumulate(**{**arguments, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"isa": "sse9"}, "unknown instruction set 'sse9'"),
        ({"code": "base4"}, "unknown layout 'base4'; known: 2bit, base3"),
        ({"tiles": np.zeros((2, 2, 64), np.uint8)}, "of another K"),
        ({"tiles": np.zeros((2, 3, 32), np.uint8)}, "of another K"),
        ({"tiles": np.zeros((1, 3, 64), np.uint8)}, "one row sum for each row"),
        ({"row_sums": np.zeros(31, np.int32)}, "one row sum for each row"),
        ({"out": np.zeros((2, 32), np.int32)}, "out must be"),
        ({"out": np.zeros((3, 20), np.int32)}, "out must be"),
    ],
)
def test_the_binding_checks_what_the_kernels_trust(
    changes: dict[str, object], message: str
) -> None:
    binding()
    with pytest.raises(ValueError, match=message):
        binding(**changes)


@EACH_CODE
@settings(max_examples=40)
@given(quarter=st.integers(1, 20), k=st.integers(1, 90), seed=st.integers(0, 2**32))
def test_native_packing_equals_the_reference(code: Code, quarter: int, k: int, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(-1, 2, (4 * quarter, k)).astype(np.int8)
    packed = pack_hf(codes)
    tiles = native.pack_hf(packed, code=code, threads=2)
    assert np.array_equal(tiles, pack_tiles(unpack_hf(packed), LAYOUTS[code]))


@EACH_CODE
@pytest.mark.parametrize("at", [(0, 0), (4, 16), (2, 7)])
@pytest.mark.parametrize("shift", [0, 2, 4, 6])
def test_the_illegal_code_is_refused_wherever_it_is(
    code: Code, at: tuple[int, int], shift: int
) -> None:
    packed = pack_hf(np.zeros((20, 17), np.int8))
    packed[at] |= 0b11 << shift
    with pytest.raises(CheckpointError, match="illegal code 0b11"):
        native.pack_hf(packed, code=code)


@EACH_KERNEL
@EACH_CODE
@pytest.mark.parametrize("threads", [1, 2])
def test_a_gemv_probe_does_every_product(kernel: str, code: Code, threads: int) -> None:
    probe = _native.probe_gemv(kernel, code, threads, 2)
    tiles, sweeps = 16, 64
    k = _native.GEMV_PROBE_K
    assert (probe.isa, probe.threads, len(probe.seconds)) == (kernel, threads, 2)
    assert probe.work == threads * sweeps * LAYOUTS[code].nbytes(tiles * 16, k)
    assert probe.checksum == 2 * threads * sweeps * tiles * 16 * k


def test_the_sets_are_those_of_the_extension_and_each_is_explained() -> None:
    assert [kernels.name for kernels in SETS] == [level.name for level in _native.levels()]
    for kernels in SETS:
        assert kernels.about
        assert (kernels.reason == "self-test passed") == kernels.usable


def test_the_fastest_usable_set_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(registry.VARIABLE, raising=False)
    assert registry.choose() == USABLE[-1]


@EACH_KERNEL
def test_a_set_is_forced_by_name_or_variable(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert registry.choose(kernel) == kernel
    monkeypatch.setenv(registry.VARIABLE, kernel)
    assert registry.choose() == kernel
    assert registry.choose("scalar") == "scalar"  # a name wins


def test_an_unknown_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"^kernel 'sse9' cannot be used: unknown; usable: scalar"):
        registry.choose("sse9")
    monkeypatch.setenv(registry.VARIABLE, "sse9")
    with pytest.raises(UsageError, match=r"'sse9' \(from TRINE_KERNEL\).*usable: scalar"):
        registry.choose()


@pytest.mark.parametrize("kernel", [kernels.name for kernels in SETS if not kernels.usable])
def test_an_unusable_set_is_refused_with_the_reason(kernel: str) -> None:
    reason = next(kernels.reason for kernels in SETS if kernels.name == kernel)
    with pytest.raises(UsageError, match=f"^kernel '{kernel}' cannot be used: {reason}"):
        registry.choose(kernel)


@pytest.mark.parametrize("threads", [0, -1, 257, 1000, 1.5, "2"])
def test_an_impossible_number_of_threads_is_one_line(threads: int) -> None:
    with pytest.raises(UsageError, match=r"^threads must be .*not [^\n]*$"):
        native.pool(threads)
