"""The folder of a run: an ordinary Hugging Face directory, and a `training` folder inside it.

config.json, model.safetensors, tokenizer.json, ...    what every command loads
training/state.pt       where a resumed run goes on
training/recipe.json    every number that decided the weights
training/log.jsonl      one line a step
training/loss.png       the log, drawn
training/twin/          the float twin, a Hugging Face directory too
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer

from trine.torch.train.corpus import END_OF_TEXT
from trine.torch.train.state import replacing

# What a Hugging Face directory may hold beside weights and config; taken along by a fine-tuning.
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)


class RunFolder:
    """The paths of a run below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.training = root / "training"
        self.twin = self.training / "twin"
        self.state = self.training / "state.pt"
        self.recipe = self.training / "recipe.json"
        self.log = self.training / "log.jsonl"
        self.plot = self.training / "loss.png"
        self.tokenizer = root / "tokenizer.json"

    def directory(self, network: str) -> Path:
        """Where a network ("ternary" or "float") is written as a Hugging Face directory."""
        return self.root if network == "ternary" else self.twin


# A model of plain text has no roles: in a chat it goes on with the text that was written in turns.
_TURNS = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """An indented JSON file, replaced as a whole."""
    with replacing(path) as aside:
        aside.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def write_tokenizer(directory: Path, tokenizer: Tokenizer, context: int) -> None:
    """A tokenizer that `transformers.AutoTokenizer` loads; it adds no token of its own accord."""
    directory.mkdir(parents=True, exist_ok=True)
    with replacing(directory / "tokenizer.json") as aside:
        tokenizer.save(str(aside))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
        "chat_template": _TURNS,
    }
    write_json(directory / "tokenizer_config.json", settings)


def copy_tokenizer(source: Path, directory: Path) -> None:
    """Take a fine-tuned checkpoint's own tokenizer files along."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in _TOKENIZER_FILES:
        if (source / name).is_file():
            with replacing(directory / name) as aside:
                shutil.copyfile(source / name, aside)


def write_config(directory: Path, model: Any) -> None:
    """config.json and generation_config.json of a network."""
    model.config.architectures = [type(model).__name__]
    model.config.dtype = "float32"
    write_json(directory / "config.json", json.loads(model.config.to_json_string(use_diff=False)))
    settings: Any = transformers.GenerationConfig
    generation = settings(
        bos_token_id=model.config.bos_token_id, eos_token_id=model.config.eos_token_id
    )
    write_json(directory / "generation_config.json", json.loads(generation.to_json_string()))


def write_weights(directory: Path, model: Any) -> None:
    """Float32 master weights, one replace; a tied lm_head is stored once, as the embedding."""
    tensors = dict(model.named_parameters())
    with replacing(directory / "model.safetensors") as aside:
        save_file(tensors, aside, metadata={"format": "pt"})
