"""What a model's files say of its text: vocabulary, chat template, how it is meant to be sampled.

Raw material, as the files hold it; `trine.model.tokenizer` and `trine.model.chat` judge it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TextSource:
    """A model's text side; empty for one that has none.

    tokenizer_json: the content of tokenizer.json. gguf: the `tokenizer.*` keys of a GGUF file,
    arrays as lists. config: tokenizer_config.json. chat_template: Jinja source, from
    chat_template.jinja, tokenizer_config.json or a GGUF file. generation: generation_config.json.
    """

    tokenizer_json: str | None = None
    gguf: Mapping[str, Any] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    chat_template: str | None = None
    generation: Mapping[str, Any] = field(default_factory=dict)
