"""The two-stage schedules, and what a resumed run may not change."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from requirements import require_module

require_module("torch")

from trine.errors import CheckpointError, UsageError  # noqa: E402
from trine.torch.train.recipe import STORIES, Recipe  # noqa: E402

RECIPE = Recipe(
    model=STORIES,
    steps=1000,
    seed=0,
    batch=4,
    window=512,
    peak_lr=1.5e-3,
    twin=True,
    start=None,
    held_out=("a.txt",),
    data="00",
)


def test_the_learning_rate_has_the_published_corners() -> None:
    # 1.5e-3 falls to 8e-4, drops to 5e-4, falls to 0.
    rates = [RECIPE.learning_rate(step) for step in range(1000)]
    assert rates[20] == pytest.approx(1.5e-3)
    assert rates[499] == pytest.approx(8e-4, rel=2e-3)
    assert rates[500] == pytest.approx(5e-4)
    assert rates[999] == pytest.approx(1e-6)
    assert all(a < b for a, b in itertools.pairwise(rates[:21]))
    assert all(a > b for a, b in itertools.pairwise(rates[20:]))


def test_weights_decay_in_the_first_stage_only() -> None:
    assert [RECIPE.weight_decay(step) for step in (0, 499, 500, 999)] == [0.1, 0.1, 0.0, 0.0]


def test_a_run_of_one_step_has_a_rate() -> None:
    assert dataclasses.replace(RECIPE, steps=1).learning_rate(0) > 0


def test_the_shipped_geometry_meets_every_remainder() -> None:
    for size in (STORIES.hidden_size, STORIES.intermediate_size):
        assert size % 32 and size % 40 and size % 4 == 0
    assert STORIES.hidden_size == STORIES.heads * STORIES.head_dim


def test_a_recipe_survives_plain_data() -> None:
    assert Recipe.from_dict(RECIPE.to_dict()) == RECIPE


def test_a_recipe_of_another_version_is_one_line() -> None:
    saved = RECIPE.to_dict()
    del saved["window"]
    with pytest.raises(CheckpointError, match="another version"):
        Recipe.from_dict(saved)


def test_a_changed_value_is_refused_by_name() -> None:
    RECIPE.require({"seed": 0, "held_out": ("a.txt",)})
    with pytest.raises(UsageError, match="cannot change: seed 1 instead of 0, batch 8 instead of"):
        RECIPE.require({"seed": 1, "batch": 8, "steps": 1000})
