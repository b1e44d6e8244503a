"""The budget adds up, says what it assumes, and the document holds the tables of today."""

from __future__ import annotations

from pathlib import Path

import pytest

from trine.cli import run
from trine.errors import UsageError
from trine.hw.budget import BATCHES, LIMITS, Pipeline, bram36, proposed
from trine.hw.budget_tables import render
from trine.hw.synth import PART

DOCUMENT = Path(__file__).parents[2] / "docs" / "hw-budget.md"


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    """In place of the folder's, which asks for a simulator: a budget is arithmetic."""


def test_the_document_is_current() -> None:
    assert render() in DOCUMENT.read_text(), "put the output of `trine hw budget` into the document"


def test_the_command_prints_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["hw", "budget"]) == 0
    assert capsys.readouterr().out == render()


@pytest.mark.parametrize(
    ("words", "bits", "wanted"),
    [
        (512, 72, 1),
        (512, 36, 0.5),
        (513, 36, 1),
        (1024, 36, 1),
        (512, 320, 4.5),
        (4096, 9, 1),
        (4097, 9, 1.5),
        (1, 1, 0.5),
        (8192, 36, 8),
    ],
)
def test_block_rams_are_counted_in_halves_of_36_kbit(words: int, bits: int, wanted: float) -> None:
    assert bram36(words, bits) == wanted


@pytest.mark.parametrize("batch", BATCHES)
def test_the_memories_hold_what_a_pass_needs(batch: int) -> None:
    pipeline = Pipeline(batch)
    config, contract = pipeline.config, pipeline.contract
    bits = {m.name: m.count * m.words * m.bits for m in pipeline.memories()}
    residual = batch * config.hidden_size * contract.residual_bits
    assert bits["residual stream"] >= residual
    inner = batch * config.intermediate_size * (contract.element_bits + 6)
    queries = config.hidden_size + 2 * config.kv_heads * config.head_dim
    assert bits["gate x up; before it q, k, v"] >= max(inner, batch * queries * 24)
    for memory in pipeline.memories():
        assert memory.bram36 * 36 * 1024 >= memory.count * memory.words * memory.bits


def test_the_proposal_keeps_its_limits_and_reaches_its_speeds() -> None:
    best = proposed()
    for name, value in best.used().items():
        assert value <= LIMITS[name] * PART[name], name
    assert best.decode(64) >= 5.5
    assert best.decode(1023) >= 5.0


def test_bytes_and_clocks_are_those_of_the_geometry() -> None:
    pipeline = Pipeline(4)
    traffic = pipeline.traffic(1023)
    assert traffic["ternary weights of the body"] == 416_931_840
    assert traffic["ternary rows of the screen"] == 128_256 * 64 * 8
    assert pipeline.kv_bytes() == 30 * 1_320
    assert traffic["KV read"] == 1023 * 30 * 1_320
    assert sum(pipeline.image_bytes(1024).values()) < 1 << 30


def test_a_later_position_and_a_smaller_batch_are_never_faster() -> None:
    speeds = [Pipeline(4).decode(position) for position in (0, 64, 1023, 4095)]
    assert speeds == sorted(speeds, reverse=True)
    prefills = [Pipeline(batch).prefill(64) for batch in BATCHES]
    assert prefills == sorted(prefills)


def test_a_lone_token_costs_the_same_in_every_batch() -> None:
    assert len({round(Pipeline(batch).decode(100), 9) for batch in BATCHES}) == 1


def test_an_unknown_batch_and_a_full_pass_are_refused() -> None:
    with pytest.raises(UsageError, match="batch 3"):
        Pipeline(3)
    with pytest.raises(UsageError, match="5 tokens in a pass; 1 to 4"):
        Pipeline(4).pass_clocks(range(5), head=False)
