"""Token ids from a prompt or a seed, and every refusal."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from hf_directory import write_directory
from trine.checkpoint import Checkpoint, open_checkpoint
from trine.checkpoint.synthetic import SyntheticCheckpoint
from trine.errors import CheckpointError, UsageError
from trine.profiling.inputs import make_tokens

TINY = SyntheticCheckpoint("synthetic:tiny")


def with_tokenizer(folder: Path, words: dict[str, int]) -> Checkpoint:
    """A checkpoint directory whose tokenizer puts <s> in front, as LLaMA-3's does."""
    write_directory(TINY, folder, variant="bitlinear")
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", words["<s>"])]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return open_checkpoint(str(folder))


def test_a_prompt_goes_through_the_tokenizer(tmp_path: Path) -> None:
    words = {"<s>": 1, "<unk>": 0, "Microsoft": 7, "is": 9}
    checkpoint = with_tokenizer(tmp_path, words)
    tokens = make_tokens(checkpoint, prompt="Microsoft is", tokens=None, decode=8)
    assert (tokens.ids, tokens.prompt) == ([1, 7, 9], "Microsoft is")


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    checkpoint = with_tokenizer(tmp_path, {"<s>": 1, "<unk>": 0, "big": 5000})
    with pytest.raises(CheckpointError, match="gives id 5000, the model knows 1024"):
        make_tokens(checkpoint, prompt="big", tokens=None, decode=0)


def test_a_damaged_tokenizer_is_one_line(tmp_path: Path) -> None:
    checkpoint = with_tokenizer(tmp_path, {"<s>": 1, "<unk>": 0})
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is damaged"):
        make_tokens(checkpoint, prompt="x", tokens=None, decode=0)


def test_seeded_ids_are_the_same_each_time_and_inside_the_vocabulary() -> None:
    first, again = (make_tokens(TINY, prompt=None, tokens=500, decode=0).ids for _ in range(2))
    assert first == again and len(set(first)) > 100
    assert set(first) <= set(range(TINY.config.vocab_size))


def test_three_tokens_without_a_word() -> None:
    assert len(make_tokens(TINY, prompt=None, tokens=None, decode=8).ids) == 3


def test_the_context_is_filled_but_not_exceeded() -> None:
    assert len(make_tokens(TINY, prompt=None, tokens=2040, decode=8).ids) == 2040
    with pytest.raises(UsageError, match="exceed the context of 2048"):
        make_tokens(TINY, prompt=None, tokens=2041, decode=8)
