"""The text files of a Hugging Face directory, for models of 512 ids."""

from __future__ import annotations

import json
from pathlib import Path

TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}"


def write_text(folder: Path) -> None:
    """A byte-level BPE of 300 ids with a BOS, two control tokens and a word of its own."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("h", "e"), ("he", "l"), ("hel", "l"), ("hell", "o"), ("Ġ", "w")]
    words = [*alphabet, *(a + b for a, b in merges)]
    built = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, merges))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    built.add_special_tokens(["<s>", "</s>"])
    built.add_tokens([AddedToken("<own>", normalized=False)])
    start = built.token_to_id("<s>")
    built.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", start)]
    )
    built.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>"})
    )
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    (folder / "generation_config.json").write_text(json.dumps({"temperature": 0.5}))
    config = json.loads((folder / "config.json").read_text())
    config |= {"bos_token_id": start, "eos_token_id": start + 1, "of_the_user": "kept"}
    (folder / "config.json").write_text(json.dumps(config))
