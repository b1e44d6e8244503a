"""The `tokenizer.*` keys of a GGUF file from what a Hugging Face directory says of its text.

A byte-level BPE vocabulary (GPT-2, LLaMA-3, Qwen 2) becomes ggml's own keys, which other programs
read; the whole tokenizer.json goes along under the specification's `tokenizer.huggingface.json`, so
that nothing is lost on the way back. Token types: 1 normal, 3 control, 4 user defined, 5 unused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from trine.checkpoint.config import ModelConfig
from trine.checkpoint.gguf_text import (
    CHAT_TEMPLATE,
    GENERATION_CONFIG,
    TOKENIZER_CONFIG,
    TOKENIZER_JSON,
)
from trine.checkpoint.vocabulary import TextSource

_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# The pattern that splits text into words -> llama.cpp's name for it (src/llama-vocab.cpp).
_PRE: Mapping[str, str] = MappingProxyType(
    {_LLAMA3: "llama-bpe", _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}"): "qwen2"}
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The keys, and what of the vocabulary they could not hold (for the person who converts)."""

    keys: Mapping[str, Any]
    missing: str | None = None


def vocabulary_keys(text: TextSource, config: ModelConfig) -> Vocabulary:
    """The keys of a model's text side; those of a GGUF source are passed on as they are."""
    keys: dict[str, Any] = {}
    missing = None
    if text.gguf is not None:
        keys |= text.gguf
    elif text.tokenizer_json is not None:
        keys[TOKENIZER_JSON] = text.tokenizer_json
        found, missing = _bpe(json.loads(text.tokenizer_json), text, config)
        keys |= found
    else:
        # What llama.cpp asks of a file whose users give token ids.
        keys["tokenizer.ggml.model"] = "none"
    if text.chat_template is not None:
        keys[CHAT_TEMPLATE] = text.chat_template
    for key, value in ((TOKENIZER_CONFIG, text.config), (GENERATION_CONFIG, text.generation)):
        if value:
            keys[key] = json.dumps(value, ensure_ascii=False)
    # An id that is out of the vocabulary, or none, is left out: programs would refuse the file.
    ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    for name, token in zip(("bos", "eos", "eot"), (config.bos_token_id, *ends), strict=False):
        if token is not None and 0 <= token < config.vocab_size:
            keys.setdefault(f"tokenizer.ggml.{name}_token_id", token)
    return Vocabulary(keys, missing)


def _bpe(
    document: Mapping[str, Any], text: TextSource, config: ModelConfig
) -> tuple[dict[str, Any], str | None]:
    model = document.get("model") or {}
    kind, pre = model.get("type"), _pre_name(document.get("pre_tokenizer") or {})
    if kind != "BPE" or pre is None:
        what = "words are split" if kind == "BPE" else f"{kind} vocabulary works"
        return {}, f"GGUF has no name for how its {what}"
    tokens = [f"[PAD{number}]" for number in range(config.vocab_size)]
    types = [_UNUSED] * config.vocab_size
    entries = [(token, number, _NORMAL) for token, number in model["vocab"].items()]
    entries += [
        (added["content"], added["id"], _CONTROL if added.get("special") else _USER_DEFINED)
        for added in document.get("added_tokens") or []
    ]
    for token, number, token_type in entries:
        if not 0 <= number < config.vocab_size:
            return {}, f"its token {number} is beyond the model's {config.vocab_size}"
        tokens[number], types[number] = token, token_type
    merges = [each if isinstance(each, str) else " ".join(each) for each in model["merges"]]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.add_bos_token": _adds_bos(text, config),
    }, None


def _pre_name(section: Mapping[str, Any]) -> str | None:
    """llama.cpp's name of a pre-tokeniser; None for one that it has no name for."""
    parts = section.get("pretokenizers", [section])
    if len(parts) == 1 and parts[0].get("type") == "ByteLevel" and parts[0].get("use_regex", True):
        return None if parts[0].get("add_prefix_space") else "gpt-2"
    if len(parts) == 2 and parts[0].get("type") == "Split":
        return _PRE.get((parts[0].get("pattern") or {}).get("Regex", ""))
    return None


def _adds_bos(text: TextSource, config: ModelConfig) -> bool:
    """Whether the tokenizer puts BOS first: asked of itself, as transformers does."""
    from tokenizers import Tokenizer

    ids = Tokenizer.from_str(text.tokenizer_json or "").encode("a").ids
    return config.bos_token_id is not None and ids[:1] == [config.bos_token_id]
