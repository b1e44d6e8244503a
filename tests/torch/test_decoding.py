"""PyTorch's threads while a model decodes: one within a short pass, all of them outside."""

from __future__ import annotations

from typing import Any

import pytest

from requirements import require_module

torch = require_module("torch")

import trine.torch  # noqa: E402
from trine.checkpoint.synthetic import SyntheticCheckpoint  # noqa: E402
from trine.torch import decoding  # noqa: E402
from trine.torch.models import build  # noqa: E402

IDS = torch.tensor([[5, 17, 900]])


class Decoder(torch.nn.Module):
    """Notes how many threads it runs on."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, input_ids: Any = None, inputs_embeds: Any = None, fail: bool = False) -> Any:
        self.seen.append(torch.get_num_threads())
        if fail:
            raise RuntimeError("planted")
        return input_ids if inputs_embeds is None else inputs_embeds


class Model(torch.nn.Module):
    """With a decoder by the name that transformers gives it."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = Decoder()

    def get_decoder(self) -> Decoder:
        return self.decoder

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.decoder(*args, **kwargs)


@pytest.fixture
def model() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    made = Model()
    decoding.calm(made)
    yield made
    torch.set_num_threads(before)


def test_a_short_pass_runs_on_one_thread_and_a_long_one_on_all(model: Any) -> None:
    long = torch.zeros(1, decoding.FEW_TOKENS + 1, dtype=torch.int64)
    model(IDS)
    model(input_ids=IDS)
    model(inputs_embeds=torch.zeros(1, 3, 8))
    model(long)
    model(inputs_embeds=torch.zeros(1, decoding.FEW_TOKENS + 1, 8))
    model()
    assert model.decoder.seen == [1, 1, 1, 3, 3, 3]
    assert torch.get_num_threads() == 3


def test_a_pass_that_fails_gives_the_threads_back(model: Any) -> None:
    with pytest.raises(RuntimeError, match="planted"):
        model(IDS, fail=True)
    assert torch.get_num_threads() == 3


def test_threads_that_were_ended_come_back(model: Any) -> None:
    x = torch.arange(1 << 20, dtype=torch.float64)
    expected = x.sqrt()
    for _ in range(3):
        model(IDS)
        assert torch.equal(x.sqrt(), expected)


def test_a_whole_graph_can_still_be_compiled(model: Any) -> None:
    seen, model.decoder.seen = model.decoder.seen, []
    compiled = torch.compile(
        lambda x: decoding._before(None, (x,), {}) or decoding._after() or x + 1,
        fullgraph=True,
        backend="eager",
    )
    assert torch.equal(compiled(IDS), IDS + 1)
    assert seen == [] and torch.get_num_threads() == 3


def test_an_accelerated_model_is_calm() -> None:
    tiny = SyntheticCheckpoint("synthetic:tiny")
    made = trine.torch.accelerate(build(tiny, mode="packed", dtype="float32", layers=1), threads=1)
    seen = []
    made.model.layers[0].register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with torch.no_grad():
            made(IDS)
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


def test_the_whole_model_when_its_head_is_native() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    made, seen = Model(), []
    decoding.calm(made, whole=True)
    made.decoder.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    made(IDS)
    made.decoder(IDS)
    assert seen == [1, 3] and torch.get_num_threads() == 3
    torch.set_num_threads(before)
