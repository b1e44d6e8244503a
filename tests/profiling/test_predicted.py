"""Predicted times beside measured ones: exact figures of a hand-made profile."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from profile_builder import build_profile
from small_predictions import CALL, prediction
from trine.errors import ProfileError
from trine.profiling.predicted import PredictedStage, predicted_stages
from trine.profiling.prediction import Range
from trine.profiling.profile import Profile

PLAIN = build_profile(layers=4, repeat=2, decode=1)


def near(wanted: Range) -> Any:
    return pytest.approx(dataclasses.astuple(wanted))


def stages(profile: Profile = PLAIN, batch: int = 1) -> dict[str, PredictedStage]:
    fpga = dataclasses.replace(prediction(), batch=batch)
    found = predicted_stages(dataclasses.replace(profile, fpga=fpga))
    return {stage.stage: stage for stage in found}


def test_an_operator_takes_its_terms_for_every_layer_and_token() -> None:
    tokens = len(PLAIN.run.tokens)
    for stage, passes in (("decode", 1), ("prefill", tokens)):
        found = stages()[stage]
        rows = {row.operator: row for row in found.rows}
        each = CALL.times(4 * passes * 1e-5)
        assert dataclasses.astuple(rows["q_proj"].predicted) == near(each)
        assert [term.operator for term in rows["q_proj"].terms] == ["q_proj"]
        # The head scores one token, and the processor some of its rows again.
        head = CALL.times(1e-5) + Range(2e-3, 2e-3, 2e-3)
        assert dataclasses.astuple(rows["lm_head"].predicted) == near(head)
        assert [term.kind for term in rows["lm_head"].terms] == ["counted", "assumed"]
        for operator in ("attention", "input_layernorm", "sampling"):
            row = rows[operator]
            assert (row.terms, row.predicted, row.share) == ((), None, None)
        assert dataclasses.astuple(found.predicted) == near(each.times(7) + head)
        assert sum(row.share or 0 for row in found.rows) == pytest.approx(1)
        run = [row.cpu_ms for row in found.rows if row.predicted is not None]
        assert found.cpu_ms == pytest.approx(sum(run)) and found.cpu_ms < found.wall_ms


def test_tokens_share_a_pass_over_the_weights_up_to_the_batch() -> None:
    tokens = len(PLAIN.run.tokens)
    rows = {row.operator: row for row in stages(batch=tokens - 1)["prefill"].rows}
    assert dataclasses.astuple(rows["q_proj"].predicted) == near(CALL.times(4 * 2 * 1e-5))


def test_without_a_prediction_there_is_nothing() -> None:
    assert predicted_stages(PLAIN) == []


def test_the_document_holds_the_prediction_and_version_3_is_read_without() -> None:
    with_fpga = dataclasses.replace(PLAIN, fpga=prediction())
    assert Profile.from_json(with_fpga.to_json()) == with_fpga
    document = json.loads(PLAIN.to_json())
    del document["fpga"]
    document["schema_version"] = 3
    assert Profile.from_json(json.dumps(document)) == PLAIN


@pytest.mark.parametrize(
    ("place", "value"),
    [(("batch",), 0), (("clock_mhz",), 0), (("terms", 0, "count"), 0)],
)
def test_a_prediction_without_a_time_is_refused(place: tuple[str | int, ...], value: int) -> None:
    document = json.loads(dataclasses.replace(PLAIN, fpga=prediction()).to_json())
    at = document["fpga"]
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    with pytest.raises(ProfileError, match="fpga: batch, clock_mhz and every count"):
        Profile.from_json(json.dumps(document))
