"""The text side of a GGUF file: vocabulary, chat template, and what trine carried along."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trine.checkpoint.vocabulary import TextSource
from trine.errors import CheckpointError

# The GGUF specification's own key for a whole tokenizer.json.
TOKENIZER_JSON = "tokenizer.huggingface.json"
CHAT_TEMPLATE = "tokenizer.chat_template"
# tokenizer_config.json and generation_config.json, for which GGUF has no keys.
TOKENIZER_CONFIG, GENERATION_CONFIG = "trine.tokenizer_config", "trine.generation_config"


def text_of(metadata: Mapping[str, Any], source: str) -> TextSource:
    """The text side of a file's metadata; CheckpointError for a value of the wrong kind."""
    keys = {key: value for key, value in metadata.items() if key.startswith("tokenizer.")}
    template, whole = keys.get(CHAT_TEMPLATE), keys.get(TOKENIZER_JSON)
    for key, value in ((CHAT_TEMPLATE, template), (TOKENIZER_JSON, whole)):
        if value is not None and not isinstance(value, str):
            raise CheckpointError(f"{source}: {key} is no string")
    return TextSource(
        tokenizer_json=whole,
        gguf=keys or None,
        config=_object(metadata, TOKENIZER_CONFIG, source),
        chat_template=template,
        generation=_object(metadata, GENERATION_CONFIG, source),
    )


def _object(metadata: Mapping[str, Any], key: str, source: str) -> Mapping[str, Any]:
    text = metadata.get(key, "{}")
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise CheckpointError(f"{source}: {key} holds no JSON object")
    return value
