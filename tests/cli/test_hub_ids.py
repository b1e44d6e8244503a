"""`trine profile owner/name`: what is refused before anything is asked of the hub, and after."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hf_directory import write_directory
from hub_server import Hub, serve
from requirements import require_module
from trine.checkpoint.synthetic import SyntheticCheckpoint

require_module("torch")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    source = SyntheticCheckpoint("synthetic:tiny")
    folder = write_directory(source, tmp_path / "model", variant="autobitlinear")
    with serve({"someone/model": folder}) as running:
        yield running


def profile(hub: Hub, folder: Path, *arguments: str, lines: int = 1) -> str:
    """What a refusal says, in so many lines."""
    child = subprocess.run(
        [sys.executable, "-m", "trine", "profile", "someone/model", *arguments],
        env=hub.environment(folder / "home"),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode in (1, 2) and child.stdout == ""
    assert child.stderr.count("\n") == lines, child.stderr
    return child.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threads", "100000"], "more than 16 per core"),
        (["--prompt", " "], "the prompt is empty"),
        (["--tokens", "3", "--prompt", "x"], "exclude each other"),
        (["--out", "model/config.json"], "is a file"),
    ],
)
def test_what_needs_no_model_is_refused_before_the_hub_is_asked(
    hub: Hub, tmp_path: Path, arguments: list[str], message: str
) -> None:
    assert message in profile(hub, tmp_path, *arguments)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layers", "3"], "must be 1 to 2"),
        (["--tokens", "5000"], "exceed the context"),
        (["--prompt", "Hi"], "carries no tokenizer"),
        (["--mode", "online"], "use --mode offline"),
    ],
)
def test_what_the_config_decides_is_refused_before_the_weights_come(
    hub: Hub, tmp_path: Path, arguments: list[str], message: str
) -> None:
    assert message in profile(hub, tmp_path, *arguments, "--out", "new/folder")
    assert hub.fetched() == ["config.json"]
    assert not (tmp_path / "new").exists()


def test_damaged_weights_are_found_after_a_line_of_progress(hub: Hub, tmp_path: Path) -> None:
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    said = profile(hub, tmp_path, "--out", "new", lines=2).splitlines()
    assert said[0] == "trine: fetching someone/model"
    assert "the file is truncated; download it again" in said[1]
    assert not (tmp_path / "new").exists()
