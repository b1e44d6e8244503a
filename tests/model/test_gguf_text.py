"""A GGUF file writes and chats as the directory it was made from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import trine
from hf_directory import write_directory
from small_models import sized
from text_models import CHAT, byte_level
from trine.checkpoint import TextSource, open_checkpoint
from trine.checkpoint.convert import convert

# I2_S holds rows of a multiple of 128 weights.
SMALL = sized(hidden_size=256, intermediate_size=512, heads=4, kv_heads=2, head_dim=64, layers=2)


@pytest.mark.parametrize("whole", [True, False], ids=["tokenizer.json", "ggml keys"])
def test_the_same_model_writes_the_same_text(
    tmp_path: Path, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_checkpoint(
        str(write_directory(SMALL, tmp_path / "model", variant="autobitlinear", layers=2))
    )
    text = TextSource(
        tokenizer_json=byte_level().to_str(),
        config={"bos_token": "<|begin|>", "eos_token": "<|end|>"},
        chat_template=CHAT,
        generation={"eos_token_id": [1, 3]},
    )
    file = tmp_path / "model.gguf"
    convert(source, text, file, "gguf-i2_s")
    checkpoint = open_checkpoint(str(file))
    if not whole:
        keys = {k: v for k, v in (checkpoint.text.gguf or {}).items() if "huggingface" not in k}
        keys |= {"tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 1}
        stripped = dataclasses.replace(checkpoint.text, tokenizer_json=None, gguf=keys, config={})
        monkeypatch.setattr(type(checkpoint), "text", stripped)
    ours = trine.load(checkpoint, threads=1, body="2bit", head="float")
    assert ours.stop_ids == {1, 3}
    tokenizer = ours.require_tokenizer()
    assert tokenizer.special == {"bos_token": "<|begin|>", "eos_token": "<|end|>"}
    messages = [{"role": "user", "content": "the king 😀"}]
    assert ours.template().render(messages) == "<|begin|><|user|>the king 😀<|end|><|assistant|>"
    assert tokenizer.encode("the king 😀") == byte_level().encode("the king 😀").ids
    theirs = trine.load(source, threads=1, body="2bit", head="float")
    ids = tokenizer.encode("the king")
    tokens = ours.generate("the king", max_tokens=12, temperature=1.0, seed=3).tokens
    found = theirs.generate(ids, max_tokens=12, temperature=1.0, seed=3, stop_ids=[1, 3]).tokens
    assert tokens == found and len(tokens) > 0
