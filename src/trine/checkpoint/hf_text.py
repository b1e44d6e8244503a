"""The text files of a Hugging Face directory: tokenizer, chat template, sampling defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trine.checkpoint.hf_config import read_json
from trine.checkpoint.vocabulary import TextSource
from trine.errors import CheckpointError

TOKENIZER = "tokenizer.json"
CONFIG = "tokenizer_config.json"
TEMPLATE = "chat_template.jinja"
GENERATION = "generation_config.json"
FILES = (TOKENIZER, CONFIG, TEMPLATE, GENERATION)


def read_text_files(directory: Path) -> TextSource:
    """The text side of a Hugging Face directory; every file of `FILES` may be absent.

    Raises CheckpointError for one that cannot be read.
    """
    config = _object(directory / CONFIG)
    template = _content(directory / TEMPLATE)
    return TextSource(
        tokenizer_json=_content(directory / TOKENIZER),
        config=config,
        chat_template=_template(config, directory / CONFIG) if template is None else template,
        generation=_object(directory / GENERATION),
    )


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None


def _object(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _template(config: Mapping[str, Any], path: Path) -> str | None:
    """tokenizer_config.json holds one template, or a list of named ones: then the default."""
    found = config.get("chat_template")
    if isinstance(found, list):
        named = {t["name"]: t.get("template") for t in found if isinstance(t, dict) and "name" in t}
        if "default" not in named:
            raise CheckpointError(f"{path}: none of the chat templates is named 'default'")
        found = named["default"]
    if found is not None and not isinstance(found, str):
        raise CheckpointError(f"{path}: chat_template is no text")
    return found
