"""The model that ships speaks right after installation, and as Hugging Face computes it."""

from __future__ import annotations

import io
import json
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

import trine
from requirements import require_module
from trine import cli
from trine.checkpoint import open_checkpoint

torch = require_module("torch")

from trine.torch.models import build  # noqa: E402

MODEL = "builtin:stories"
FOLDER = Path(trine.__file__).parent / "builtin" / "stories"
# Of no book: written for this test.
TEXT = (
    "The fox sat down by the river and looked at the moon in the water. 'I shall have it,' he "
    "said, and he put one foot into the stream. But the water was cold, and the moon broke into a "
    "hundred pieces, and the fox went home to his wife and told her that he had eaten it."
)


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a model that ships asked for the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def generated(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    words = ["generate", MODEL, "Once upon a time", "-n", "24", "-t", "1", "--json", *options]
    assert cli.run(words) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.usefixtures("_no_network")
def test_it_writes_words_without_a_network(capsys: pytest.CaptureFixture[str]) -> None:
    greedy = generated(capsys)
    assert greedy["synthetic"] is False
    assert len(greedy["text"].split()) >= 8
    assert generated(capsys)["text"] == greedy["text"]


def test_a_seed_is_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    drawn = [generated(capsys, "--temperature", "1", "--seed", seed) for seed in ("1", "1", "2")]
    assert drawn[0]["text"] == drawn[1]["text"] != drawn[2]["text"]


def test_it_predicts_english_as_hugging_face_does() -> None:
    model = trine.load(MODEL, threads=1, head="float")
    ids = model.tokenizer.encode(TEXT)
    ours = model.engine.session().all_logits(ids)
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        hugging_face = build(open_checkpoint(MODEL), mode="offline", dtype="float32")
        wanted = hugging_face(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
    got = torch.from_numpy(ours).double().log_softmax(-1)
    divergence = (wanted.exp() * (wanted - got)).sum(-1)
    # Int8 codes flip at their ties, in Hugging Face too; anything wrong costs a hundred times more.
    assert divergence.mean() < 1e-3
    targets = torch.tensor(ids[1:])[:, None]
    nats = -float(wanted[:-1].gather(1, targets).mean())
    # It learnt English: a guess among all tokens costs ln 2048 = 7.6 nats.
    assert nats < 5
    assert -float(got[:-1].gather(1, targets).mean()) == pytest.approx(nats, rel=0.01)


def test_a_chat_goes_on_with_the_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("The old king had three sons.\n"))
    assert cli.run(["chat", MODEL, "-n", "12", "-t", "1"]) == 0
    assert len(capsys.readouterr().out.split()) >= 3


def test_it_is_small() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8e6
