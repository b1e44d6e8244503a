"""Tokenizers: those of Hugging Face on the same files; GGUF vocabularies, those of their source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Library

from requirements import require_module
from text_models import (
    SAMPLES,
    byte_level,
    gguf_byte_level,
    gguf_sentencepiece,
    sentencepiece,
    write_text_model,
)
from trine.checkpoint import TextSource, open_checkpoint
from trine.errors import CheckpointError, UsageError
from trine.model.tokenizer import Tokenizer, stop_ids

VOCABULARY = 1024
BYTES = byte_level()
PIECES, SCORES = sentencepiece()


def made(source: TextSource) -> Tokenizer:
    found = Tokenizer.of(source, VOCABULARY)
    assert found is not None
    return found


def from_json(library: Library, **config: Any) -> Tokenizer:
    return made(TextSource(tokenizer_json=library.to_str(), config=config))


def from_gguf(keys: dict[str, Any]) -> Tokenizer:
    return made(TextSource(gguf=keys))


BOTH = [
    pytest.param(from_json(BYTES), BYTES, id="byte-level"),
    pytest.param(from_json(PIECES), PIECES, id="sentencepiece"),
    pytest.param(from_gguf(gguf_byte_level(BYTES)), BYTES, id="gguf gpt2"),
    pytest.param(from_gguf(gguf_sentencepiece(PIECES, SCORES)), PIECES, id="gguf llama"),
]


@pytest.mark.parametrize(("ours", "library"), BOTH)
def test_ids_and_texts_are_those_of_the_source(ours: Tokenizer, library: Library) -> None:
    for text in SAMPLES:
        for special in (True, False):
            ids = library.encode(text, add_special_tokens=special).ids
            assert ours.encode(text, special_tokens=special) == ids
        assert ours.decode(ids) == library.decode(ids)
        assert ours.decode(ids) == text


@pytest.mark.parametrize(("ours", "library"), BOTH)
@given(text=st.text())
@example("a ▁b")
def test_any_text_comes_back(ours: Tokenizer, library: Library, text: str) -> None:
    # SentencePiece writes a space as this character, and so cannot tell them apart.
    expected = text.replace("▁", " ") if library is PIECES else text
    assert ours.decode(ours.encode(text, special_tokens=False)) == expected
    assert ours.encode(text) == library.encode(text).ids


@pytest.mark.parametrize(("ours", "library"), BOTH)
@given(data=st.data())
def test_pieces_of_a_stream_are_the_whole_and_never_part_of_a_character(
    ours: Tokenizer, library: Library, data: st.DataObject
) -> None:
    """Also for ids that no text has: bytes that are no UTF-8, ids beyond the vocabulary."""
    ids = data.draw(st.lists(st.integers(0, library.get_vocab_size() + 2), max_size=20))
    continues = data.draw(st.booleans())
    stream = ours.detokenizer(continues=continues)
    pieces = [*map(stream.push, ids), stream.flush()]
    whole = ours.decode(ids, continues=continues)
    assert "".join(pieces) == whole
    assert all(piece.encode().decode() == piece for piece in pieces)
    # Each piece holds the characters complete by then: a prefix's text, but for an unfinished end.
    for count in range(len(ids)):
        shown = "".join(pieces[: count + 1])
        assert whole.startswith(shown)
        prefix = ours.decode(ids[: count + 1], continues=continues)
        # Two: Python's decoder waits for the third byte of a surrogate, which is no character.
        assert prefix in (shown, shown + "\ufffd", shown + "\ufffd" * 2)


@given(ids=st.lists(st.integers(0, 399), max_size=30))
def test_byte_level_ids_of_no_text_decode_as_in_the_library(ids: list[int]) -> None:
    assert from_json_once().decode(ids) == BYTES.decode(ids)


def from_json_once(found: list[Tokenizer] = []) -> Tokenizer:  # noqa: B006 (a cache)
    if not found:
        found.append(from_json(BYTES))
    return found[0]


def test_an_emoji_of_three_tokens_appears_once_and_whole() -> None:
    ours = from_json(BYTES)
    ids = ours.encode("Ω🦄!", special_tokens=False)
    assert len(ids) == 6  # the first two bytes of an emoji are one token here
    stream = ours.detokenizer()
    assert [stream.push(i) for i in ids] == ["", "Ω", "", "", "🦄", "!"]


def test_a_continuation_keeps_its_first_space_and_a_text_of_its_own_does_not() -> None:
    ours = from_json(PIECES)
    ids = ours.encode("king", special_tokens=False)
    assert ours.decode(ids, continues=True) == " king"
    assert ours.decode(ids) == "king"


def test_it_is_hugging_faces_tokenizer(tmp_path: Path) -> None:
    require_module("torch")
    from transformers import AutoTokenizer

    folder = write_text_model(tmp_path / "model")
    config = folder / "tokenizer_config.json"
    plain = json.loads(config.read_text())
    texts = [*SAMPLES, "<|user|>hi<|end|>"]
    # Where there is a tokenizer.json, it alone says what comes before and behind a text.
    for more in ({}, {"add_bos_token": False}, {"add_bos_token": True, "add_eos_token": True}):
        config.write_text(json.dumps(plain | more))
        theirs = AutoTokenizer.from_pretrained(folder)
        ours = made(open_checkpoint(str(folder)).text)
        for text in texts:
            ids = theirs.encode(text)
            assert ours.encode(text) == ids, more
            shown = theirs.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            assert ours.decode(ids) == shown


def test_truncation_and_padding_in_the_file_do_not_change_a_text() -> None:
    library = byte_level()
    library.enable_truncation(3)
    library.enable_padding(length=8)
    assert from_json(library).encode(SAMPLES[0]) == BYTES.encode(SAMPLES[0]).ids


def test_special_tokens_are_known_by_name_and_not_shown() -> None:
    for ours in (
        from_json(BYTES, bos_token="<|begin|>", eos_token={"content": "<|end|>"}),
        from_gguf(gguf_byte_level(BYTES)),
    ):
        assert ours.special == {"bos_token": "<|begin|>", "eos_token": "<|end|>"}
        assert (ours.bos_id(), ours.special_id("<|end|>"), ours.special_id("king")) == (0, 1, None)
        assert ours.decode([0, 1, *ours.encode("king", special_tokens=False), 2]) == "king"


def test_an_added_token_that_is_not_special_is_shown_as_it_is_written() -> None:
    library = byte_level()
    library.add_tokens(["café au lait"])
    ours = from_json(library)
    ids = ours.encode("a café au lait", special_tokens=False)
    assert max(ids) == library.get_vocab_size() - 1
    assert ours.decode(ids) == "a café au lait"


def test_every_file_may_name_the_end_of_a_text() -> None:
    library = from_json(BYTES, eos_token="<|end|>")
    source = TextSource(generation={"eos_token_id": [7, 8]})
    assert stop_ids(source, library, 9) == {1, 7, 8, 9}
    assert stop_ids(TextSource(), None, None) == frozenset()
    keys = gguf_byte_level(BYTES) | {"tokenizer.ggml.eot_token_id": 3}
    assert stop_ids(TextSource(gguf=keys), from_gguf(keys), [4]) == {1, 3, 4}
    with pytest.raises(CheckpointError, match="'end' is no token id"):
        stop_ids(TextSource(generation={"eos_token_id": "end"}), None, None)


def test_the_official_gguf_without_a_word_splitter_is_recognised_by_its_vocabulary() -> None:
    keys = gguf_byte_level(BYTES)
    fill = [f"[fill {i}]" for i in range(128000 - len(keys["tokenizer.ggml.tokens"]))]
    keys["tokenizer.ggml.tokens"] += [*fill, "<|begin_of_text|>"]
    keys |= {"tokenizer.ggml.token_type": [1] * 128000 + [3], "tokenizer.ggml.bos_token_id": 128000}
    del keys["tokenizer.ggml.pre"], keys["tokenizer.ggml.add_bos_token"]
    ours = Tokenizer.of(TextSource(gguf=keys), 128256)
    assert ours is not None
    ids = ours.encode("it 12345")
    # LLaMA-3 splits digits by threes and puts BOS first.
    assert ids == [128000, *(i for part in ("it", " ", "123", "45") for i in plain_ids(part))]


def test_a_gguf_file_without_a_vocabulary_has_no_tokenizer_and_may_name_an_end() -> None:
    for keys in ({}, {"tokenizer.ggml.model": "none"}, {"tokenizer.ggml.eos_token_id": 7}):
        source = TextSource(gguf=keys)
        assert Tokenizer.of(source, VOCABULARY) is None
        assert stop_ids(source, None, None) == set(keys.values()) - {"none"}


def test_a_gguf_file_may_carry_a_whole_tokenizer_json() -> None:
    keys = gguf_byte_level(BYTES)
    ours = made(TextSource(tokenizer_json=BYTES.to_str(), gguf=keys))
    assert ours.special == {"bos_token": "<|begin|>", "eos_token": "<|end|>"}
    assert ours.encode("the king") == BYTES.encode("the king").ids


def plain_ids(text: str) -> list[int]:
    return BYTES.encode(text, add_special_tokens=False).ids


def changed(**keys: Any) -> dict[str, Any]:
    found = gguf_byte_level(BYTES) | {f"tokenizer.ggml.{name}": v for name, v in keys.items()}
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (changed(model="bert"), "model is 'bert'; supported are 'gpt2' and 'llama'"),
        (changed(model=5), r"tokenizer\.ggml\.model is missing or no str: 5"),
        (changed(pre="poro-chat"), "pre is 'poro-chat'; supported are gpt-2"),
        (changed(pre=None), "pre is None"),
        (changed(pre=7), "pre is 7"),
        (changed(tokens=[1, 2]), "tokens holds something that is no str"),
        (changed(merges=["ab"]), "an entry has not two parts"),
        (changed(merges=["Q Z9"]), r"tokenizer\.ggml: .*Z9"),
        (changed(merges="ab"), "merges is missing or no list"),
        (changed(token_type=[1]), "token_type has 1 entries"),
        (changed(bos_token_id=10**6), r"bos_token_id is 1000000, and there are \d+ tokens"),
        (changed(bos_token_id="<s>"), "bos_token_id is '<s>', no id"),
        (changed(model="llama"), "scores is missing"),
        (changed(model="llama", scores=[1.0]), "scores has 1 entries"),
    ],
)
def test_a_gguf_vocabulary_that_is_not_supported_is_named(
    keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message) as refusal:
        from_gguf(keys)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"tokenizer\.json is damaged"),
        ("[]", r"tokenizer\.json is damaged"),
        ("{}", r"tokenizer\.json is damaged"),
        (json.dumps({"model": {"type": "BPE"}}), "damaged"),
        (json.dumps(json.loads(BYTES.to_str()) | {"decoder": None}), r"decoder \(none\) is not"),
        (
            json.dumps(
                json.loads(BYTES.to_str())
                | {"decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}}
            ),
            r"decoder \(WordPiece\) is not supported",
        ),
    ],
)
def test_a_tokenizer_file_that_cannot_be_used_is_one_line(content: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as refusal:
        made(TextSource(tokenizer_json=content))
    assert "\n" not in str(refusal.value)


def test_text_that_is_no_utf8_and_ids_the_model_has_not_are_refused() -> None:
    with pytest.raises(UsageError, match="not valid UTF-8"):
        from_json(BYTES).encode("\ud800")
    small = Tokenizer.of(TextSource(tokenizer_json=BYTES.to_str()), 300)
    assert small is not None
    with pytest.raises(CheckpointError, match=r"gives id \d+, the model knows 300"):
        small.encode("Once upon a time")
