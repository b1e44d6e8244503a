"""The loop: it learns, a killed run continues bit for bit, bad steps stop it."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from requirements import require_module

torch = require_module("torch")

from trine.errors import CheckpointError, OutOfMemory, TrineError, UsageError  # noqa: E402
from trine.torch.train import loop as loop_module  # noqa: E402
from trine.torch.train import prepare  # noqa: E402
from trine.torch.train.loop import StepRecord, read_log  # noqa: E402
from trine.torch.train.prepare import Request, resume_run, start_run  # noqa: E402


def ignore(record: StepRecord) -> None:
    """A training without a listener."""


class Stop(Exception):
    """Stands for a kill: nothing of the loop catches it."""


def stop_after(step: int) -> Any:
    def on_step(record: StepRecord) -> None:
        if record.step == step:
            raise Stop

    return on_step


def losses(run: loop_module.Run) -> list[tuple[int, dict[str, float]]]:
    return [(record["step"], record["loss"]) for record in read_log(run._folder)]


def weights(run: loop_module.Run, name: str) -> dict[str, Any]:
    return {key: value.clone() for key, value in run.networks[name].named_parameters()}


def test_both_networks_start_alike_and_learn(request_: Request) -> None:
    run = start_run(dataclasses.replace(request_, steps=60, peak_lr=5e-3))
    first = weights(run, "ternary"), weights(run, "float")
    assert all(torch.equal(first[0][name], first[1][name]) for name in first[1])
    run.train(ignore)
    for name in ("ternary", "float"):
        curve = [loss[name] for _, loss in losses(run)]
        # ln 300 = 5.7 nats at the start.
        assert curve[0] == pytest.approx(np.log(300), abs=0.1)
        assert curve[-1] < curve[0] - 0.5


def test_the_ternary_network_computes_with_ternary_weights(request_: Request) -> None:
    run = start_run(request_)
    kinds = {type(m).__name__ for m in run.networks["ternary"].modules()}
    assert "AutoBitLinear" in kinds
    assert "AutoBitLinear" not in {type(m).__name__ for m in run.networks["float"].modules()}
    head = run.networks["ternary"].lm_head
    assert type(head) is torch.nn.Linear
    assert head.weight is run.networks["ternary"].model.embed_tokens.weight


def test_a_killed_run_goes_on_bit_for_bit(request_: Request, tmp_path: Path) -> None:
    whole = start_run(request_)
    whole.train(ignore)
    # Saved after every step, killed after the fifth has been logged.
    killed = dataclasses.replace(request_, out=tmp_path / "killed")
    with pytest.raises(Stop):
        start_run(killed).train(stop_after(5), save_every=0.0)
    resumed = resume_run(killed.data, killed.out, {})
    assert resumed.step == 4
    resumed.train(ignore)
    assert losses(resumed) == losses(whole)
    for name in ("ternary", "float"):
        expected = weights(whole, name)
        assert all(
            torch.equal(value, expected[key]) for key, value in weights(resumed, name).items()
        )


def test_a_half_written_log_line_is_dropped(request_: Request) -> None:
    with pytest.raises(Stop):
        start_run(request_).train(stop_after(3), save_every=0.0)
    log = request_.out / "training" / "log.jsonl"
    with log.open("a") as file:
        file.write('{"step": 4, "lo')
    run = resume_run(request_.data, request_.out, {})
    assert [step for step, _ in losses(run)] == [1, 2]


def test_a_run_killed_before_its_first_step_is_resumed(request_: Request) -> None:
    start_run(request_)
    run = resume_run(request_.data, request_.out, {})
    assert run.step == 0
    run.train(ignore)
    assert [step for step, _ in losses(run)] == list(range(1, 9))


def test_the_directory_is_never_older_than_the_state(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    run = start_run(request_)
    monkeypatch.setattr(loop_module, "save_state", lambda path, state: written.append(path.name))
    weights_file = loop_module.files.write_weights
    monkeypatch.setattr(
        loop_module.files,
        "write_weights",
        lambda directory, model: (written.append(directory.name), weights_file(directory, model)),
    )
    run.save()
    assert written == ["run", "twin", "state.pt"]


def test_ctrl_c_ends_the_step_and_saves(request_: Request) -> None:
    def interrupt(record: StepRecord) -> None:
        if record.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        start_run(request_).train(interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    assert resume_run(request_.data, request_.out, {}).step == 3


def test_saves_by_the_clock_and_at_the_end(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = []
    run = start_run(request_)
    monkeypatch.setattr(run, "save", lambda: saved.append(run.step))
    ticks = iter(range(10_000))
    # Five readings a step: two around it, one after it, two more when it saves.
    run.train(ignore, clock=lambda: float(next(ticks)), save_every=9.0)
    assert saved[-1] == 8
    assert 1 < len(saved) < 8


def test_held_out_text_is_judged_at_the_end(request_: Request) -> None:
    run = start_run(request_)
    run.train(ignore)
    judged = [record["validation"] for record in read_log(run._folder)]
    assert judged[:-1] == [None] * 7
    assert set(judged[-1]) == {"ternary", "float"}


def test_a_changed_request_is_refused(request_: Request) -> None:
    start_run(request_).train(ignore)
    with pytest.raises(UsageError, match="cannot change: steps 9 instead of 8"):
        resume_run(request_.data, request_.out, {"steps": 9})


def test_changed_data_is_refused(request_: Request) -> None:
    start_run(request_).train(ignore)
    (request_.data / "one.txt").write_text("something else " * 2000)
    with pytest.raises(UsageError, match=r"is not what .* was trained on"):
        resume_run(request_.data, request_.out, {})


def test_nothing_to_resume_is_refused(request_: Request) -> None:
    with pytest.raises(UsageError, match="no checkpoint to resume"):
        resume_run(request_.data, request_.out, {})


@pytest.mark.parametrize("damage", ["truncated", "empty", "foreign"])
def test_a_damaged_state_is_one_line(request_: Request, damage: str) -> None:
    start_run(request_).train(ignore)
    state = request_.out / "training" / "state.pt"
    if damage == "foreign":
        torch.save({"weights": torch.zeros(3)}, state)
    else:
        state.write_bytes(state.read_bytes()[: 1000 if damage == "truncated" else 0])
    with pytest.raises(CheckpointError, match="training state") as caught:
        resume_run(request_.data, request_.out, {})
    assert "\n" not in str(caught.value)


def test_a_loss_that_is_no_number_names_the_step_and_keeps_the_last_state(
    request_: Request,
) -> None:
    run = start_run(request_)

    def poison(record: StepRecord) -> None:
        if record.step == 3:
            with torch.no_grad():
                run.networks["ternary"].model.norm.weight[0] = float("nan")

    # Saved after step 2, the next time after the poison shows.
    ticks = iter([0.0, *(float(n) for n in range(1, 1000))])
    with pytest.raises(TrineError, match=r"step 4: the ternary network's loss is nan") as caught:
        run.train(poison, clock=lambda: next(ticks), save_every=5.0)
    assert "\n" not in str(caught.value)
    resumed = resume_run(request_.data, request_.out, {})
    assert resumed.step == 2
    assert all(torch.isfinite(value).all() for value in weights(resumed, "ternary").values())


def test_an_interrupted_write_leaves_the_last_state(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(request_)
    with pytest.raises(Stop):
        run.train(stop_after(3), save_every=0.0)
    whole = torch.save

    def half(state: Any, path: Path) -> None:
        whole(state, path)
        path.write_bytes(path.read_bytes()[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(TrineError, match=r"cannot write .*state.pt: .*No space left"):
        run.save()
    monkeypatch.undo()
    assert resume_run(request_.data, request_.out, {}).step == 2
    assert not [path for path in run._folder.training.iterdir() if path.name.startswith(".")]


def test_too_little_memory_is_refused_before_anything_is_written(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = type("Memory", (), {"available": 1_000_000})()
    monkeypatch.setattr(prepare.psutil, "virtual_memory", lambda: memory)
    with pytest.raises(OutOfMemory, match=r"needs \d+\.\d GB and 0\.0 GB are free.*--batch"):
        start_run(request_)
    assert not request_.out.exists()


def test_a_failed_allocation_is_one_line(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(request_)

    def refuse(*_: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    monkeypatch.setattr(run, "_update", refuse)
    with pytest.raises(OutOfMemory, match="step of 2 windows of 32 tokens"):
        run.train(ignore)


def test_the_recipe_is_written_for_people(request_: Request) -> None:
    start_run(request_)
    recipe = json.loads((request_.out / "training" / "recipe.json").read_text())
    assert recipe["held_out"] == ["two.txt"]
    assert recipe["model"]["hidden_size"] == 72
