"""The vocabulary of a GGUF file as a tokenizer of the `tokenizers` library.

Two kinds exist among ternary models: "gpt2" (byte-level BPE with merges; the split into words is
named by `tokenizer.ggml.pre`) and "llama" (SentencePiece BPE: scores instead of merges). Keys and
meanings: the GGUF specification (ggml-org/ggml, docs/gguf.md) and llama.cpp's src/llama-vocab.cpp.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from trine.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_CONTROL, _USER_DEFINED = 3, 4
_SPACE = "▁"
_LLAMA3_BOS = 128000
_HF_NAMES = MappingProxyType(
    {"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token"}
)

# How text is split into words before merging, by the tokenizers' own tokenizer.json files. None:
# the library's own pattern, which is GPT-2's. Then: whether whole words skip the merges, and
# whether BOS comes first unless the file says otherwise.
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
_PRE: Mapping[str, tuple[str | None, bool, bool]] = MappingProxyType(
    {"gpt-2": (None, False, False), "qwen2": (_QWEN2, False, False)}
    | dict.fromkeys(
        ("llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1"), (_LLAMA3, True, True)
    )
)


def tokenizer_of(gguf: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that the `tokenizer.*` keys of a GGUF file describe.

    Raises CheckpointError, with the key, for a kind that is not supported or keys that contradict
    each other.
    """
    kind = _get(gguf, "model", str)
    if kind not in ("gpt2", "llama"):
        raise CheckpointError(
            f"tokenizer.ggml.model is {reprlib.repr(kind)}; supported are 'gpt2' and 'llama'"
        )
    tokens = _list(gguf, "tokens", str)
    types = _list(gguf, "token_type", int, optional=True)
    if types and len(types) != len(tokens):
        raise CheckpointError(
            f"tokenizer.ggml.token_type has {len(types)} entries for {len(tokens)} tokens"
        )
    try:
        built, bos = _byte_level(gguf, tokens) if kind == "gpt2" else _sentencepiece(gguf, tokens)
        _add_special(built, tokens, types)
        _frame(built, gguf, tokens, bos_by_default=bos)
    except CheckpointError:
        raise
    # The library raises bare Exception for all that it refuses.
    except Exception as error:
        raise CheckpointError(f"tokenizer.ggml: {error}") from None
    return built


def has_vocabulary(gguf: Mapping[str, Any]) -> bool:
    """Whether a file holds a vocabulary at all; "none" is ggml's word for a file without."""
    return gguf.get("tokenizer.ggml.model") not in (None, "none")


def special_id(gguf: Mapping[str, Any], name: str) -> int | None:
    """The id of "bos", "eos", "eot", "unknown" or "padding"; None where the file names none."""
    index = gguf.get(f"tokenizer.ggml.{name}_token_id")
    if index is not None and (type(index) is not int or index < 0):
        raise CheckpointError(f"tokenizer.ggml.{name}_token_id is {reprlib.repr(index)}, no id")
    return index


def special_tokens(gguf: Mapping[str, Any]) -> dict[str, str]:
    """The texts of the special tokens under Hugging Face's names: bos_token, eos_token ..."""
    found = {ours: _special_token(gguf, its) for its, ours in _HF_NAMES.items()}
    return {name: token[1] for name, token in found.items() if token is not None}


def _special_token(gguf: Mapping[str, Any], name: str) -> tuple[int, str] | None:
    index, tokens = special_id(gguf, name), _list(gguf, "tokens", str)
    if index is None:
        return None
    if index >= len(tokens):
        raise CheckpointError(
            f"tokenizer.ggml.{name}_token_id is {index}, and there are {len(tokens)} tokens"
        )
    return index, tokens[index]


def _byte_level(gguf: Mapping[str, Any], tokens: list[str]) -> tuple[Tokenizer, bool]:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    name = gguf.get("tokenizer.ggml.pre")
    if name is None and tokens[_LLAMA3_BOS : _LLAMA3_BOS + 1] == ["<|begin_of_text|>"]:
        name = "llama-bpe"  # the official 2B-4T file lacks the key, and has LLaMA-3's vocabulary
    if not isinstance(name, str) or name not in _PRE:
        raise CheckpointError(
            f"tokenizer.ggml.pre is {reprlib.repr(name)}; supported are {', '.join(_PRE)}; use "
            f"the Hugging Face directory, whose tokenizer.json needs no such name"
        )
    pattern, whole_words, bos = _PRE[name]
    merges = [tuple(merge.split(" ", 1)) for merge in _list(gguf, "merges", str)]
    if any(len(merge) != 2 for merge in merges):
        raise CheckpointError("tokenizer.ggml.merges: an entry has not two parts")
    model = models.BPE(_ids(tokens), merges, ignore_merges=whole_words)
    built = Tokenizer(model)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    built.pre_tokenizer = (
        byte_level
        if pattern is None
        else pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level])
    )
    built.decoder = decoders.ByteLevel()
    return built, bos


def _sentencepiece(gguf: Mapping[str, Any], tokens: list[str]) -> tuple[Tokenizer, bool]:
    from tokenizers import Tokenizer, decoders, models, normalizers

    scores = _list(gguf, "scores", float)
    if len(scores) != len(tokens):
        raise CheckpointError(
            f"tokenizer.ggml.scores has {len(scores)} entries for {len(tokens)} tokens"
        )
    ids = _ids(tokens)
    unknown = _special_token(gguf, "unknown")
    model = models.BPE(
        ids,
        _merges(ids, scores),
        unk_token=None if unknown is None else unknown[1],
        fuse_unk=True,
        byte_fallback="<0x00>" in ids,
    )
    built = Tokenizer(model)
    prefix = gguf.get("tokenizer.ggml.add_space_prefix", True)
    spaces: list[Any] = [normalizers.Replace(" ", _SPACE)]
    built.normalizer = normalizers.Sequence(
        [normalizers.Prepend(_SPACE), *spaces] if prefix else spaces
    )
    steps: list[Any] = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    built.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if prefix else steps)
    return built, True


def _merges(ids: Mapping[str, int], scores: list[float]) -> list[tuple[str, str]]:
    """SentencePiece merges whatever gives the best piece next; as a list, best first."""
    found = [
        (-scores[i], i, cut, (token[:cut], token[cut:]))
        for token, i in ids.items()
        for cut in range(1, len(token))
        if token[:cut] in ids and token[cut:] in ids
    ]
    return [pair for *_, pair in sorted(found)]


def _add_special(built: Tokenizer, tokens: list[str], types: list[int]) -> None:
    from tokenizers import AddedToken

    pairs = list(zip(tokens, types, strict=False))
    for special, kind in ((True, _CONTROL), (False, _USER_DEFINED)):
        added = [
            AddedToken(token, special=special, normalized=False)
            for token, its in pairs
            if its == kind and token
        ]
        (built.add_special_tokens if special else built.add_tokens)(added)


def _frame(
    built: Tokenizer, gguf: Mapping[str, Any], tokens: list[str], *, bos_by_default: bool
) -> None:
    """Put BOS before and EOS behind a text where the file asks for it."""
    from tokenizers import processors

    bos = _special_token(gguf, "bos") if _asks(gguf, "add_bos_token", bos_by_default) else None
    eos = _special_token(gguf, "eos") if _asks(gguf, "add_eos_token", False) else None
    ends = {token: i for i, token in (end for end in (bos, eos) if end is not None)}
    if ends:
        single = [*([bos[1]] if bos else []), "$A", *([eos[1]] if eos else [])]
        built.post_processor = processors.TemplateProcessing(
            single=single, special_tokens=list(ends.items())
        )


def _asks(gguf: Mapping[str, Any], name: str, default: bool) -> bool:
    return bool(gguf.get(f"tokenizer.ggml.{name}", default))


def _ids(tokens: list[str]) -> dict[str, int]:
    """Ids by token; of tokens that are written alike the first is the one text becomes."""
    return {token: i for i, token in reversed(list(enumerate(tokens)))}


def _get(gguf: Mapping[str, Any], name: str, kind: type) -> Any:
    value = gguf.get(f"tokenizer.ggml.{name}")
    if not isinstance(value, kind):
        raise CheckpointError(
            f"tokenizer.ggml.{name} is missing or no {kind.__name__}: {reprlib.repr(value)}"
        )
    return value


def _list(gguf: Mapping[str, Any], name: str, kind: type, *, optional: bool = False) -> list[Any]:
    if optional and f"tokenizer.ggml.{name}" not in gguf:
        return []
    values: list[Any] = _get(gguf, name, list)
    if not all(isinstance(value, kind) for value in values):
        raise CheckpointError(f"tokenizer.ggml.{name} holds something that is no {kind.__name__}")
    return values
