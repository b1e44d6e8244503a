"""Tiny models with text: both kinds of vocabulary, as tokenizer.json and as GGUF keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from hf_directory import write_directory
from small_models import TINY

TEXT = (
    "Once upon a time there was a king who had three sons, and the youngest couldn't sleep. "
    "Il était une fois un café; 12345 Bäume, naïve 😀 👩‍👩‍👧 emoji, 日本語。\n\n  Two  spaces\t"
    "and the king's daughters said: 'we'll see, they've gone.' "
) * 3
SAMPLES = (
    "Once upon a time",
    " leading space",
    "naïve café 😀👩‍👩‍👧!",
    "unseen: Ω≈ç√ 🦄 \u0000 \t\r\n end ",
    "日本語 12345",
    "",
)
BYTE_LEVEL_SPECIAL = ["<|begin|>", "<|end|>", "<|user|>", "<|assistant|>"]
CHAT = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>"
    "{{ message['content'] | trim }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def byte_level() -> Tokenizer:
    """Byte-level BPE as of GPT-2; BOS comes first."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=BYTE_LEVEL_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([TEXT], trainer)
    made.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", special_tokens=[("<|begin|>", 0)]
    )
    return made


def sentencepiece() -> tuple[Tokenizer, list[float]]:
    """SentencePiece BPE with byte fallback, as LLaMA-2 has it, and the scores of its pieces."""
    first = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trained = Tokenizer(models.BPE())
    spaces: list[Any] = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    trained.normalizer = normalizers.Sequence(spaces)
    trainer = trainers.BpeTrainer(vocab_size=200, show_progress=False)
    trained.train_from_iterator([word for word in TEXT.split(" ") if "1" not in word], trainer)
    # A piece's place in the list of merges is its rank, so its score is the negative of that.
    state = json.loads(trained.to_str())["model"]
    pieces = sorted(state["vocab"], key=state["vocab"].__getitem__)
    ids = {token: i for i, token in enumerate([*first, *pieces])}
    scores = [0.0] * len(first) + [-float(rank) for rank in range(len(pieces))]
    made = Tokenizer(
        models.BPE(
            ids,
            [tuple(merge) for merge in state["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    made.normalizer = trained.normalizer
    made.add_special_tokens([AddedToken(t, normalized=False) for t in ("<unk>", "<s>", "</s>")])
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return made, scores


def gguf_byte_level(made: Tokenizer, pre: str = "gpt-2") -> dict[str, Any]:
    """The GGUF keys of `byte_level()`."""
    tokens = _tokens(made)
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if t in BYTE_LEVEL_SPECIAL else 1 for t in tokens],
        "tokenizer.ggml.merges": [
            " ".join(m) for m in json.loads(made.to_str())["model"]["merges"]
        ],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.add_bos_token": True,
    }


def gguf_sentencepiece(made: Tokenizer, scores: list[float]) -> dict[str, Any]:
    """The GGUF keys of `sentencepiece()`."""
    tokens = _tokens(made)
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, *[1] * (len(tokens) - 259)],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }


def write_text_model(folder: Path, *, chat: bool = True, **generation: Any) -> Path:
    """synthetic:tiny as a directory with `byte_level()`; `generation`: its generation_config."""
    write_directory(TINY, folder, variant="autobitlinear", layers=2)
    byte_level().save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|begin|>",
        "eos_token": "<|end|>",
    }
    if chat:
        config["chat_template"] = CHAT
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    if generation:
        (folder / "generation_config.json").write_text(json.dumps(generation), encoding="utf-8")
    return folder


def _tokens(made: Tokenizer) -> list[str]:
    vocabulary = made.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)
