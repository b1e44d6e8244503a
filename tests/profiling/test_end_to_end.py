"""Logits and tokens of the engine beside what Hugging Face differs from itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from requirements import require_module
from small_models import TINY, Changed, engine_of
from wrong_weights import one_trit

torch = require_module("torch")

from trine.profiling.end_to_end import compare, end_to_end  # noqa: E402
from trine.profiling.profile import Agreement  # noqa: E402
from trine.torch.models import build  # noqa: E402

DECODE = 4


@pytest.fixture(scope="module")
def model():
    return build(TINY, mode="offline", dtype="float32")


@pytest.fixture(autouse=True)
def eager() -> Iterator[None]:
    """The numbers are what counts here, and compiling takes longer than all of them."""
    with torch.compiler.set_stance("force_eager"):
        yield


def agreement(model, checkpoint=TINY) -> Agreement:
    engine = engine_of(checkpoint, head="int8", threads=1)
    return end_to_end(model, engine, TINY, [1, 2, 3, 4, 5], decode=DECODE, cache="float16")


def test_in_full_precision_the_engine_is_as_close_as_hugging_face_is_to_itself(model) -> None:
    found = agreement(model)
    by_name = {d.name: d for d in found.distances}
    assert list(by_name) == ["native", "used", "cached", "nudged"]
    assert [by_name[n].positions for n in by_name] == [5 + DECODE, 5 + DECODE, DECODE + 1, 9]
    # Four layers are too few for an ulp to flip a code here, so that equality can be asked for.
    assert by_name["native"].deviation < 1e-5
    assert by_name["native"].same_decided == by_name["native"].decided > 0
    assert found.native_tokens == found.hf_tokens and len(found.hf_tokens) == DECODE + 1
    # Half precision in the cache flips codes: told apart, and no small number.
    assert 1e-4 < by_name["used"].deviation < 0.3


def test_a_wrong_engine_is_far_off(model) -> None:
    name = "model.layers.0.self_attn.v_proj.weight"
    wrong = Changed(**{name.replace(".", "__"): one_trit(name)})
    found = {d.name: d for d in agreement(model, wrong).distances}
    assert found["native"].deviation > 100 * found["nudged"].deviation


def test_distances_by_hand() -> None:
    reference = np.array([[0.0, 3.0, 0.0], [1.0, 0.0, 2.0]], np.float32)
    other = np.array([[0.0, 3.0, 0.0], [2.5, 0.0, 2.0]], np.float32)
    found = compare("used", reference, other, np.array([True, False]))
    # |(1.5, 0, 0)| / |(0, -1, 1)| = 1.5 / sqrt(2), and 0; their median.
    assert found.deviation == pytest.approx(1.5 / np.sqrt(2) / 2)
    assert (found.positions, found.same, found.decided, found.same_decided) == (2, 1, 1, 1)


def test_rows_that_a_head_left_out_do_not_count() -> None:
    reference = np.array([[0.0, 3.0, 1.0]], np.float32)
    other = np.array([[-np.inf, 3.0, 1.0]], np.float32)
    assert compare("used", reference, other, np.array([True])).deviation == 0.0
