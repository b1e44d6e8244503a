"""From any checkpoint to a file or directory of another form, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from trine.checkpoint.checkpoint import Checkpoint
from trine.checkpoint.gguf_vocabulary_keys import vocabulary_keys
from trine.checkpoint.gguf_writer import architecture, write_gguf
from trine.checkpoint.hf_writer import Form, write_hf
from trine.checkpoint.replacing import replacing
from trine.checkpoint.stored import Progress
from trine.checkpoint.vocabulary import TextSource
from trine.ternary.gguf import I2_S, TQ1_0, TQ2_0, GgufTernary

Target = Literal["hf-packed", "hf-master", "gguf-i2_s", "gguf-tq2_0", "gguf-tq1_0"]
_DIRECTORIES: Mapping[str, Form] = MappingProxyType({"hf-packed": "packed", "hf-master": "master"})
_FILES: Mapping[str, GgufTernary] = MappingProxyType(
    {"gguf-i2_s": I2_S, "gguf-tq2_0": TQ2_0, "gguf-tq1_0": TQ1_0}
)
TARGETS: tuple[str, ...] = (*_DIRECTORIES, *_FILES)


def convert(
    source: Checkpoint,
    text: TextSource,
    out: Path,
    target: Target,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> list[str]:
    """Write `source` with `text` as `target` to `out`; what a user must know of the result.

    Ternary codes, scales and floats are the same bits in every form. Raises OutputExists for an
    `out` that is there, unless `force`; UsageError and CheckpointError for a model that the form
    cannot hold; TrineError for a full disk. `out` is then as it was.
    """
    if target in _DIRECTORIES:
        with replacing(out, directory=True, force=force) as folder:
            write_hf(source, text, folder, _DIRECTORIES[target], progress)
        return []
    vocabulary = vocabulary_keys(text, source.config)
    layout = _FILES[target]
    with replacing(out, directory=False, force=force) as path:
        write_gguf(source, vocabulary.keys, path, layout, progress)
    return _notes(source, layout, vocabulary.missing)


def _notes(source: Checkpoint, layout: GgufTernary, missing: str | None) -> list[str]:
    notes = []
    if missing is not None:
        notes.append(
            f"the vocabulary is only in tokenizer.huggingface.json, which trine reads and "
            f"llama.cpp does not: {missing}"
        )
    config = source.config
    if architecture(config, layout) == "bitnet":
        if config.activation == "relu2":
            notes.append(
                "llama.cpp's graph for 'bitnet' computes SiLU where this model has relu2: it loads "
                "the file, and its text is not this model's"
            )
        if not config.tied_embeddings:
            notes.append("llama.cpp's graph for 'bitnet' ties the lm_head, and this model does not")
    return notes
