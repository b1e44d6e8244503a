"""Hub ids, through the real client against a hub on the loopback that counts what it is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpus import VARIANTS, Corpus
from hf_directory import write_directory
from hub_server import COMMIT, Hub, commit, serve
from trine.checkpoint.synthetic import SyntheticCheckpoint

SOURCE = SyntheticCheckpoint("synthetic:tiny")
UP = "model.layers.1.mlp.up_proj.weight"
# The client reads its environment when it is imported, so each test is a process of its own.
SCRIPT = f"""
import sys
from trine.checkpoint import open_checkpoint
from trine.errors import TrineError
try:
    found = open_checkpoint(sys.argv[1])
    print(found.config.layers, found.native_mode, found.provenance.revision)
    if "fetch" in sys.argv:
        print(found.ternary({UP!r}).packed.sum())
except TrineError as error:
    sys.exit(f"{{type(error).__name__}}: {{error}}")
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    good = write_directory(SOURCE, tmp_path / "good", variant="autobitlinear")
    (good / "tokenizer.json").write_text("{}")
    (good / "model.gguf").write_text("another format")
    other = write_directory(SOURCE, tmp_path / "other", variant="autobitlinear")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"model_type": "mamba"}))
    (tmp_path / "empty").mkdir()
    old = write_directory(
        SyntheticCheckpoint("synthetic:tiny", 7), tmp_path / "old", variant="bitlinear"
    )
    for folder, files in {"gguf": ["quants/m.gguf"], "two": ["a.gguf", "b.gguf"]}.items():
        for file in files:
            (tmp_path / folder / file).parent.mkdir(parents=True, exist_ok=True)
            VARIANTS["gguf-i2_s-b1.58"](Corpus(), (tmp_path / folder / file).with_suffix(""))
    names = {
        "someone/good": good,
        "someone/good@v1.0": old,
        "someone/good@refs/pr/1": old,
        "someone/other": other,
        "someone/empty": tmp_path / "empty",
        "someone/gguf": tmp_path / "gguf",
        "someone/two": tmp_path / "two",
    }
    with serve(names) as running:
        yield running


def run(hub: Hub, home: Path, *arguments: str, **more: str) -> tuple[str, str]:
    """(standard output, last line of the errors)."""
    child = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        env=hub.environment(home, **more),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in child.stderr, child.stderr
    lines = child.stderr.strip().splitlines()
    return child.stdout, lines[-1] if lines else ""


def test_the_config_comes_alone_and_the_weights_when_asked_for(hub: Hub, tmp_path: Path) -> None:
    out, _ = run(hub, tmp_path / "home", "someone/good")
    assert out == f"2 offline {COMMIT}\n"
    assert hub.fetched() == ["config.json", "tokenizer.json"]
    out, _ = run(hub, tmp_path / "home", "someone/good", "fetch")
    assert out.splitlines()[1] == str(SOURCE.ternary(UP).packed.sum())
    assert hub.fetched() == ["config.json", "tokenizer.json", "model.safetensors"]


def test_another_model_costs_one_small_file(hub: Hub, tmp_path: Path) -> None:
    _, error = run(hub, tmp_path / "home", "someone/other", "fetch")
    assert "model_type is 'mamba'" in error
    assert hub.fetched() == ["config.json"]


def test_offline_uses_the_cache_and_nothing_else(hub: Hub, tmp_path: Path) -> None:
    online, _ = run(hub, tmp_path / "home", "someone/good", "fetch")
    hub.requests.clear()
    offline, _ = run(hub, tmp_path / "home", "someone/good", "fetch", HF_HUB_OFFLINE="1")
    assert offline == online
    _, error = run(hub, tmp_path / "new", "someone/good", HF_HUB_OFFLINE="1")
    assert error == (
        "ModelNotFound: 'someone/good' is not in the cache, and HF_HUB_OFFLINE forbids to fetch "
        "it; unset HF_HUB_OFFLINE, or give a local directory"
    )
    assert hub.requests == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("someone/none", "the hub has no repository"),
        ("someone/empty", "holds neither a config.json nor a .gguf file"),
        ("someone/good@v9", "'someone/good' has no such revision; give a branch, a tag or a"),
        ("someone/two", "holds 2 .gguf files; name one, for example someone/two/a.gguf"),
        ("someone/gguf/none.gguf", "'someone/gguf' holds no such file"),
    ],
)
def test_what_the_hub_has_not_is_one_line(
    hub: Hub, tmp_path: Path, name: str, message: str
) -> None:
    _, error = run(hub, tmp_path / "home", name)
    assert error.startswith("ModelNotFound: ") and message in error


@pytest.mark.parametrize("revision", ["v1.0", "refs/pr/1", commit("v1.0")])
def test_a_revision_is_the_one_that_was_asked_for(hub: Hub, tmp_path: Path, revision: str) -> None:
    out, _ = run(hub, tmp_path / "home", f"someone/good@{revision}", "fetch")
    its = commit("refs/pr/1" if revision.startswith("refs") else "v1.0")
    weight = SyntheticCheckpoint("synthetic:tiny", 7).ternary(UP)
    assert out.splitlines() == [f"2 packed {its}", str(weight.packed.sum())]
    newest, _ = run(hub, tmp_path / "home", "someone/good", "fetch")
    assert newest.splitlines() == [f"2 offline {COMMIT}", str(SOURCE.ternary(UP).packed.sum())]


@pytest.mark.parametrize("name", ["someone/gguf", "someone/gguf/quants/m.gguf@main"])
def test_a_gguf_file_of_the_hub(hub: Hub, tmp_path: Path, name: str) -> None:
    expected = f"2 offline {COMMIT}\n{Corpus().ternary(UP).packed.sum()}\n"
    assert run(hub, tmp_path / "home", name, "fetch")[0] == expected
    assert "m.gguf" in hub.fetched()
    hub.requests.clear()
    assert run(hub, tmp_path / "home", name, "fetch", HF_HUB_OFFLINE="1")[0] == expected
    assert hub.requests == []
