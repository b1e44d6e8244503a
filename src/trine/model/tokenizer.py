"""A model's tokenizer: text to ids and back, and which ids end a text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from trine.checkpoint.vocabulary import TextSource
from trine.errors import CheckpointError, UsageError
from trine.model.detokenizer import Detokenizer, TokenBytes, decode, token_bytes
from trine.model.gguf_vocabulary import (
    has_vocabulary,
    special_id,
    special_tokens,
    tokenizer_of,
)

if TYPE_CHECKING:
    import tokenizers

# The special tokens that chat templates name, as tokenizer_config.json calls them.
_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token")


class Tokenizer:
    """Made by `Tokenizer.of`. `special` has the texts of bos_token, eos_token and so on by name."""

    def __init__(
        self,
        library: tokenizers.Tokenizer,
        tokens: TokenBytes,
        special: Mapping[str, str],
        vocab_size: int,
    ) -> None:
        self._library, self._tokens = library, tokens
        self.special, self._vocab_size = special, vocab_size
        added = library.get_added_tokens_decoder().items()
        self._special_ids = {token.content: i for i, token in added if token.special}

    @classmethod
    def of(cls, source: TextSource, vocab_size: int) -> Tokenizer | None:
        """The tokenizer of a model with `vocab_size` ids; None when its files have none.

        Raises CheckpointError for one that is damaged or of a kind that is not supported.
        """
        if not has_tokenizer(source):
            return None
        vocabulary = source.gguf if source.gguf and has_vocabulary(source.gguf) else None
        special = {} if vocabulary is None else special_tokens(vocabulary)
        special |= _special_of(source.config)
        if source.tokenizer_json is not None:
            library, decoder = _parse(source.tokenizer_json)
        else:
            library = tokenizer_of(vocabulary or {})
            decoder = json.loads(library.to_str())["decoder"]
        # A file may ask for both, and both would change the text without a word.
        library.no_truncation()
        library.no_padding()
        added = {
            i: (token.content, token.special)
            for i, token in library.get_added_tokens_decoder().items()
        }
        tokens = token_bytes(decoder, library.get_vocab(with_added_tokens=False), added)
        return cls(library, tokens, special, vocab_size)

    def encode(self, text: str, *, special_tokens: bool = True) -> list[int]:
        """The ids of a text, with BOS and EOS as the model wants them unless told otherwise.

        Special tokens written out in the text become those tokens, as in Hugging Face.
        Raises UsageError for text that is no UTF-8, CheckpointError for ids the model has not.
        """
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError(
                "the text is not valid UTF-8; check the terminal's or the file's encoding"
            ) from None
        try:
            found = self._library.encode(text, add_special_tokens=special_tokens)
        # The library raises bare Exception, for example when a word has no token.
        except Exception as error:
            raise CheckpointError(
                f"the model's tokenizer cannot encode the text: {error}"
            ) from None
        ids = list(found.ids)
        if ids and max(ids) >= self._vocab_size:
            raise CheckpointError(
                f"the tokenizer gives id {max(ids)}, the model knows {self._vocab_size}"
            )
        return ids

    def decode(self, ids: Iterable[int], *, continues: bool = False) -> str:
        """The text of `ids` without special tokens; `continues` a text keeps its first space."""
        return decode(self._tokens, ids, continues=continues)

    def byte_lengths(self, ids: Iterable[int]) -> list[int]:
        """How many bytes of text each token stands for."""
        return [len(self._tokens.table.get(i, b"")) for i in ids]

    def bos_id(self) -> int | None:
        """The id that `encode` puts before every text; None where it puts none."""
        bos = self.id_of(self.special.get("bos_token", ""))
        return bos if bos is not None and self.encode("")[:1] == [bos] else None

    def detokenizer(self, *, continues: bool = True) -> Detokenizer:
        """Text from tokens that come one by one."""
        return Detokenizer(self._tokens, continues=continues)

    def id_of(self, token: str) -> int | None:
        """The id of a token by its exact text, special ones too."""
        return self._library.token_to_id(token)

    def special_id(self, token: str) -> int | None:
        """The id of a special token: one that is for the model, and not shown."""
        return self._special_ids.get(token)


def has_tokenizer(source: TextSource) -> bool:
    """Whether a model's files hold a vocabulary, good or bad."""
    return source.tokenizer_json is not None or has_vocabulary(source.gguf or {})


def no_tokenizer(name: str) -> UsageError:
    """What to say when a model without a tokenizer is asked for text."""
    return UsageError(
        f"{name} has no tokenizer, so it can neither read nor write text; give token ids "
        f"(trine generate --tokens 1,2,3), or a model with tokenizer.json"
    )


def stop_ids(
    source: TextSource, tokenizer: Tokenizer | None, config_eos: int | list[int] | None
) -> frozenset[int]:
    """Every id that the model's files name as the end of a text.

    config.json, generation_config.json, tokenizer_config.json and GGUF's eos and eot may differ;
    each is believed. Raises CheckpointError for something that is no id.
    """
    found: set[int] = set()
    for name, value in (
        ("config.json", config_eos),
        ("generation_config.json", source.generation.get("eos_token_id")),
    ):
        for token in value if isinstance(value, list) else [value]:
            if token is not None and (type(token) is not int or token < 0):
                raise CheckpointError(f"{name}: eos_token_id {token!r} is no token id")
            found |= set() if token is None else {token}
    if source.gguf is not None:
        ends = (special_id(source.gguf, name) for name in ("eos", "eot"))
        found |= {end for end in ends if end is not None}
    if tokenizer is not None and "eos_token" in tokenizer.special:
        token = tokenizer.id_of(tokenizer.special["eos_token"])
        found |= set() if token is None else {token}
    return frozenset(found)


def _parse(content: str) -> tuple[tokenizers.Tokenizer, Mapping[str, Any] | None]:
    import tokenizers

    try:
        decoder = json.loads(content).get("decoder")
        return tokenizers.Tokenizer.from_str(content), decoder
    # The library raises bare Exception for every parse error.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"tokenizer.json is damaged: {reason}") from None


def _special_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The special tokens of tokenizer_config.json, each a text or an object with `content`."""
    found = {}
    for name in _NAMES:
        value = config.get(name)
        content = value.get("content") if isinstance(value, dict) else value
        if isinstance(content, str):
            found[name] = content
    return found
