"""From token ids back to text, exactly and one token at a time.

Every token of the supported kinds of vocabulary stands for bytes, whatever comes before it; text is
the UTF-8 of these bytes. So a character that several tokens make up (emoji, most of the world's
scripts) appears when its last byte is there, and what is emitted is never taken back.

    ByteLevel                            each character of a token is one byte (GPT-2's table)
    Replace ▁, ByteFallback, Fuse, Strip SentencePiece: ▁ is a space, <0xE2> one byte
    Metaspace                            the same without bytes

Bytes that are no UTF-8 become U+FFFD, as of `bytes.decode(errors="replace")`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trine.errors import CheckpointError

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE = "▁"


@dataclass(frozen=True, slots=True)
class TokenBytes:
    """The bytes of every token by id, b"" for one that is not shown.

    strips_space: a text of its own, which continues none, loses one leading space.
    """

    table: Mapping[int, bytes]
    strips_space: bool


class Detokenizer:
    """The text of a stream of tokens. `continues` a text: its first space belongs to it."""

    def __init__(self, tokens: TokenBytes, *, continues: bool = True) -> None:
        self._table = tokens.table
        self._strip = tokens.strips_space and not continues
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The characters that this token completes, often none."""
        return self._stripped(self._decoder.decode(self._table.get(token, b"")))

    def flush(self) -> str:
        """U+FFFD for a character that was left incomplete."""
        return self._stripped(self._decoder.decode(b"", final=True))

    def _stripped(self, text: str) -> str:
        if self._strip and text:
            self._strip = False
            return text.removeprefix(" ")
        return text


def decode(tokens: TokenBytes, ids: Iterable[int], *, continues: bool = False) -> str:
    """The text of `ids` at once: what a `Detokenizer` gives piece by piece."""
    stream = Detokenizer(tokens, continues=continues)
    return "".join([*map(stream.push, ids), stream.flush()])


def token_bytes(
    decoder: Mapping[str, Any] | None,
    vocabulary: Mapping[str, int],
    added: Mapping[int, tuple[str, bool]],
) -> TokenBytes:
    """The bytes of a vocabulary under a decoder in the form of tokenizer.json.

    added: content and whether it is special, by id; special ones are not shown, others stand for
    themselves. Raises CheckpointError for a decoder whose tokens are no bytes of their own.
    """
    steps = _steps(decoder)
    kinds = [step.get("type") for step in steps]
    if kinds == ["ByteLevel"]:
        table = {i: _byte_level(token) for token, i in vocabulary.items()}
        strips = False
    elif kinds and all(map(_is_sentencepiece, steps)):
        fallback = "ByteFallback" in kinds
        table = {i: _sentencepiece(token, fallback) for token, i in vocabulary.items()}
        strips = any(
            kind == "Strip" or (kind == "Metaspace" and step.get("prepend_scheme") != "never")
            for kind, step in zip(kinds, steps, strict=True)
        )
    else:
        names = ", ".join(map(str, kinds)) or "none"
        raise CheckpointError(
            f"tokenizer: its decoder ({names}) is not supported; ByteLevel, Metaspace, and "
            f"SentencePiece's Replace, ByteFallback, Fuse, Strip are"
        )
    for i, (content, special) in added.items():
        if special:
            table[i] = b""
        elif i not in table:
            table[i] = content.encode()
    return TokenBytes(table, strips)


def _steps(decoder: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    if decoder is None:
        return []
    if decoder.get("type") == "Sequence":
        return [step for each in decoder.get("decoders", []) for step in _steps(each)]
    return [decoder]


def _is_sentencepiece(step: Mapping[str, Any]) -> bool:
    kind = step.get("type")
    if kind == "Replace":
        return step.get("pattern") == {"String": _SPACE} and step.get("content") == " "
    if kind == "Strip":
        return (step.get("content"), step.get("start"), step.get("stop")) == (" ", 1, 0)
    if kind == "Metaspace":
        return str(step.get("replacement", _SPACE)) == _SPACE
    return kind in ("ByteFallback", "Fuse")


def _sentencepiece(token: str, fallback: bool) -> bytes:
    byte = _BYTE_TOKEN.fullmatch(token) if fallback else None
    return bytes([int(byte[1], 16)]) if byte else token.replace(_SPACE, " ").encode()


def _byte_level(token: str) -> bytes:
    try:
        return bytes(_BYTES[character] for character in token)
    except KeyError:  # a token that was never made of bytes stands for itself
        return token.encode()


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's table: printable Latin-1 stands for itself, the other bytes for U+0100 onwards."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    return table | {chr(0x100 + n): byte for n, byte in enumerate(others)}


_BYTES = _byte_alphabet()
