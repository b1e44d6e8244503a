"""The text side of a checkpoint: which files count, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hf_directory import write_directory
from hub_server import serve
from trine.checkpoint import TextSource, open_checkpoint
from trine.checkpoint.hf_text import read_text_files
from trine.checkpoint.synthetic import SyntheticCheckpoint
from trine.errors import CheckpointError

SOURCE = SyntheticCheckpoint("synthetic:tiny")
# The hub's client reads its environment when it is imported.
SCRIPT = """
from trine.checkpoint import open_checkpoint
text = open_checkpoint("someone/model").text
print(text.tokenizer_json, text.chat_template, text.generation, text.config)
"""


def test_a_synthetic_model_has_no_text() -> None:
    assert SOURCE.text == TextSource(None, None, {}, None, {})


def test_a_directory_gives_what_its_files_say(tmp_path: Path) -> None:
    folder = write_directory(SOURCE, tmp_path / "model", variant="autobitlinear", layers=1)
    assert open_checkpoint(str(folder)).text == TextSource()
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"bos_token": "<s>", "chat_template": "in"}')
    (folder / "generation_config.json").write_text('{"eos_token_id": [1, 2]}')
    text = open_checkpoint(str(folder)).text
    assert (text.tokenizer_json, text.gguf, text.chat_template) == ("{}", None, "in")
    assert text.config["bos_token"] == "<s>"
    assert text.generation == {"eos_token_id": [1, 2]}
    # The file of its own is the newer custom and wins.
    (folder / "chat_template.jinja").write_text("own")
    assert open_checkpoint(str(folder)).text.chat_template == "own"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", b"\xff\xfe", "tokenizer.json cannot be read"),
        ("tokenizer_config.json", b"[]", "must hold a JSON object"),
        ("tokenizer_config.json", b'{"chat_template": 3}', "chat_template is no text"),
        ("tokenizer_config.json", b'{"chat_template": [{"name": "rag"}]}', "named 'default'"),
        ("generation_config.json", b"{", "cannot be read as JSON"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_text_files(tmp_path)


def test_of_several_templates_the_default_counts(tmp_path: Path) -> None:
    named = [{"name": "tools", "template": "a"}, {"name": "default", "template": "b"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    assert read_text_files(tmp_path).chat_template == "b"


def test_a_hub_model_brings_its_text_without_its_weights(tmp_path: Path) -> None:
    folder = write_directory(SOURCE, tmp_path / "model", variant="autobitlinear", layers=1)
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    (folder / "chat_template.jinja").write_text("own", encoding="utf-8")
    (folder / "generation_config.json").write_text('{"eos_token_id": 2}', encoding="utf-8")
    with serve({"someone/model": folder}) as hub:
        child = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=hub.environment(tmp_path / "home"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert child.stdout == "{} own {'eos_token_id': 2} {}\n", child.stderr
        assert "model.safetensors" not in hub.fetched()
