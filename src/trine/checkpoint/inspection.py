"""What is in a model's files: tensors, types, scales, trits, and what is missing.

Works on files that trine cannot run, too: their tensors are listed and the reason is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.checkpoint import Checkpoint, TernaryWeight
from trine.checkpoint.gguf import GGUFCheckpoint
from trine.checkpoint.gguf_file import GGUFFile
from trine.checkpoint.open import open_checkpoint
from trine.checkpoint.safetensors import SafetensorsFile
from trine.checkpoint.tensors import is_ternary, tensor_names, tensor_shape
from trine.errors import CheckpointError
from trine.ternary.hf import CODES_PER_BYTE

GGUF, SAFETENSORS = ".gguf", ".safetensors"
# Longer values of a file's metadata are counted and not shown.
_LONGEST = 80
# Of each byte, how many of its four codes are 0, 1, 2, 3.
_COUNTS = np.array(
    [
        [sum(byte >> shift & 3 == code for shift in (0, 2, 4, 6)) for code in range(4)]
        for byte in range(256)
    ]
)


@dataclass(frozen=True, slots=True)
class Trits:
    """Shares of -1, 0 and +1 in a ternary matrix, and the scale that multiplies it."""

    scale: float
    minus: float
    zero: float
    plus: float


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor; `nbytes` None for an unknown type, `trits` only where it is ternary."""

    name: str
    kind: str
    shape: list[int]
    nbytes: int | None
    trits: Trits | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Inspection:
    """`problem`: why trine cannot run the model, in one line; None when it can."""

    source: str
    tensors: list[Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    problem: str | None = None


def inspect(name: str, progress: Callable[[int, int], None] | None = None) -> Inspection:
    """Look at a model, or at one `.gguf` or `.safetensors` file.

    Raises ModelNotFound for a name that is nothing, CheckpointError for a file without a readable
    header.
    """
    path = Path(name).expanduser()
    if path.is_file() and path.suffix.lower() == SAFETENSORS:
        return _safetensors(name, path)
    if path.is_file() and path.suffix.lower() == GGUF:
        return _gguf(name, path, progress)
    checkpoint = open_checkpoint(name)
    checkpoint.fetch()
    tensors = _model_tensors(checkpoint, {}, progress)
    return Inspection(name, tensors, _facts(checkpoint), _missing_text(checkpoint))


def count_trits(weight: TernaryWeight) -> Trits:
    """Count the codes of a matrix; CheckpointError for the illegal one."""
    counts = np.bincount(weight.packed.reshape(-1), minlength=256) @ _COUNTS
    if counts[3]:
        raise CheckpointError(f"{counts[3]} codes are the illegal 0b11")
    minus, zero, plus = (float(share) for share in counts[:3] / counts.sum())
    return Trits(float(weight.scale), minus, zero, plus)


def _safetensors(name: str, path: Path) -> Inspection:
    file = SafetensorsFile(path)
    tensors = []
    for each in file.names():
        dtype, shape, nbytes = file.describe(each)
        tensors.append(Tensor(each, dtype, list(shape), nbytes))
    return Inspection(
        name,
        tensors,
        problem="a single file says nothing of its model; give the directory for scales and trits",
    )


def _gguf(name: str, path: Path, progress: Callable[[int, int], None] | None) -> Inspection:
    file = GGUFFile(path)
    listed = [
        Tensor(entry.name, entry.type_name, list(entry.shape), entry.nbytes)
        for entry in file.tensors.values()
    ]
    facts = {key: _shown(value) for key, value in file.metadata.items()}
    try:
        checkpoint = open_checkpoint(name)
    except CheckpointError as error:
        return Inspection(name, listed, facts, problem=str(error))
    assert isinstance(checkpoint, GGUFCheckpoint)
    if (choice := checkpoint.i2_s) is not None:
        facts = {"I2_S blocks": f"{choice.layout.block} weights: {choice.reason}"} | facts
    own = {stored: name for name, stored in checkpoint.names.items()}
    known = {t.name: t for t in _model_tensors(checkpoint, checkpoint.names, progress)}
    tensors = [known[tensor.name] if tensor.name in own else tensor for tensor in listed]
    return Inspection(name, tensors, facts, _missing_text(checkpoint))


def _model_tensors(
    checkpoint: Checkpoint,
    stored: Mapping[str, str],
    progress: Callable[[int, int], None] | None,
) -> list[Tensor]:
    names = list(tensor_names(checkpoint.config))
    tensors = []
    for done, name in enumerate(names, start=1):
        tensors.append(_model_tensor(checkpoint, name, stored.get(name, name)))
        if progress is not None:
            progress(done, len(names))
    return tensors


def _model_tensor(checkpoint: Checkpoint, name: str, shown: str) -> Tensor:
    kind, nbytes = _stored(checkpoint, name)
    shape = list(tensor_shape(checkpoint.config, name))
    try:
        trits = count_trits(checkpoint.ternary(name)) if is_ternary(name) else None
        if trits is None:
            _require_numbers(checkpoint.dense(name))
    except CheckpointError as error:
        return Tensor(shown, kind, shape, nbytes, problem=str(error))
    return Tensor(shown, kind, shape, nbytes, trits)


def _stored(checkpoint: Checkpoint, name: str) -> tuple[str, int | None]:
    """The type's name and the bytes, as the source holds the tensor."""
    if isinstance(checkpoint, GGUFCheckpoint):
        entry = checkpoint.file.entry(checkpoint.names[name])
        return entry.type_name, entry.nbytes
    if not is_ternary(name):
        tensor = checkpoint.dense(name)
    elif checkpoint.has_master:
        tensor = checkpoint.master(name)
    else:
        rows, columns = tensor_shape(checkpoint.config, name)
        return "packed uint8", rows * columns // CODES_PER_BYTE
    return tensor.dtype.name, tensor.nbytes


def _require_numbers(tensor: NDArray[Any]) -> None:
    # A million at a time: an embedding has hundreds.
    flat = tensor.reshape(-1)
    for start in range(0, flat.size, 1 << 20):
        piece = flat[start : start + (1 << 20)].astype(np.float32)
        if not np.isfinite(piece).all():
            raise CheckpointError("it holds values that are no numbers")


def _facts(checkpoint: Checkpoint) -> dict[str, Any]:
    return dict(checkpoint.hf_config or {})


def _missing_text(checkpoint: Checkpoint) -> list[str]:
    text = checkpoint.text
    missing = []
    if text.tokenizer_json is None and not (text.gguf and "tokenizer.ggml.tokens" in text.gguf):
        missing.append("vocabulary (no text can be generated, token ids can)")
    if text.chat_template is None:
        missing.append("chat template")
    if (
        text.gguf
        and text.gguf.get("tokenizer.ggml.model") == "gpt2"
        and ("tokenizer.ggml.pre" not in text.gguf)
    ):
        missing.append("tokenizer.ggml.pre (how text is split into words)")
    return missing


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return f"{len(value)} values"
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{len(value)} characters"
    return value
