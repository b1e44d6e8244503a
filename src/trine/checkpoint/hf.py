"""Hugging Face BitNet directories: config.json and safetensors, single or sharded.

Three kinds of ternary matrix occur, told apart by `quantization_config` and checked against the
tensors' dtype: float master weights (quantised with absmean), uint8 packed weights whose
`weight_scale` multiplies (`linear_class: autobitlinear`), and the same whose `weight_scale`
divides (`linear_class: bitlinear`, the default). The reader inverts the latter.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.checkpoint import Checkpoint, Provenance, TernaryWeight
from trine.checkpoint.hf_config import declared_mode, geometry, read_json
from trine.checkpoint.hf_text import FILES, TOKENIZER, read_text_files
from trine.checkpoint.safetensors import SafetensorsFile
from trine.checkpoint.tensors import EMBEDDING, LM_HEAD, is_ternary, tensor_names, tensor_shape
from trine.checkpoint.vocabulary import TextSource
from trine.errors import CheckpointError
from trine.ternary import absmean_ternary, pack_hf
from trine.ternary.hf import CODES_PER_BYTE

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
# Not the other formats that a repository may carry beside them.
WEIGHTS = ("*.safetensors", "*.safetensors.index.json")

# Scales between these are numbers, and so are their inverses.
_LEAST, _LARGEST = np.float32(1e-37), np.float32(1e37)

Files = dict[str, SafetensorsFile]


class HFCheckpoint(Checkpoint):
    """A local directory in the layout of `save_pretrained`; opening it reads config.json alone."""

    def __init__(self, directory: Path, provenance: Provenance) -> None:
        path = directory / "config.json"
        self.hf_config = raw = read_json(path)
        self.config = geometry(raw, str(path))
        self.provenance = provenance
        self.native_mode = declared_mode(raw, str(path))
        tokenizer = directory / TOKENIZER
        self.tokenizer_file = tokenizer if tokenizer.is_file() else None
        self._directory = directory
        self._opened: Files | None = None

    @functools.cached_property
    def text(self) -> TextSource:
        """What tokenizer.json and the files beside it say."""
        return read_text_files(self._locate(FILES))

    @property
    def has_master(self) -> bool:
        """True for float checkpoints, False for packed ones."""
        return self.native_mode == "online"

    @property
    def directory(self) -> Path:
        """Where the files lie; those of the hub after `fetch`."""
        return self._directory

    def fetch(self) -> None:
        """Open the weights; CheckpointError for a tensor that is missing, unknown or misshapen."""
        self._files()

    def release(self) -> None:
        """Let the files' pages go."""
        for file in set((self._opened or {}).values()):
            file.release()

    def dense(self, name: str) -> NDArray[Any]:
        """The tensor as stored; the lm_head of a tied model is the embedding."""
        return self._tensor(EMBEDDING if name == LM_HEAD and self.config.tied_embeddings else name)

    def master(self, name: str) -> NDArray[Any]:
        """The float weight [N, K] as stored; CheckpointError when it is packed."""
        tensor = self._tensor(name)
        if not self.has_master:
            raise CheckpointError(
                f"{self._directory}: {name} is packed ternary; online mode needs a checkpoint "
                f"with float master weights (the -bf16 variant), or use --mode offline"
            )
        return tensor

    def ternary(self, name: str) -> TernaryWeight:
        """The packed bytes as stored and the scale that multiplies, or the master's absmean."""
        tensor = self._tensor(name)
        if self.has_master:
            with np.errstate(all="ignore"):
                codes, scale = absmean_ternary(tensor.astype(np.float32))
            if not np.isfinite(scale):
                file = self._files()[name].path
                raise CheckpointError(f"{file}: {name} holds values that are no numbers")
            return TernaryWeight(pack_hf(codes), scale)
        stored = np.float32(self._tensor(_scale_of(name)).reshape(()))
        if not _LEAST <= stored <= _LARGEST:
            file = self._files()[_scale_of(name)].path
            raise CheckpointError(
                f"{file}: the scale of {name} is {stored}; a scale is a number above 0"
            )
        divides = self.native_mode == "packed"
        return TernaryWeight(tensor, np.float32(1) / stored if divides else stored)

    def _locate(self, patterns: Sequence[str]) -> Path:
        """The directory that holds the files of these names, as far as there are any."""
        return self._directory

    def _files(self) -> Files:
        if self._opened is None:
            self._directory = self._locate(WEIGHTS)
            files = _tensor_files(self._directory)
            self._judge(files)
            self._opened = files
        return self._opened

    def _tensor(self, name: str) -> NDArray[Any]:
        files = self._files()
        if name not in files:
            raise CheckpointError(f"{self._directory}: the tensor {name} is missing")
        return files[name].tensor(name)

    def _judge(self, files: Files) -> None:
        """Refuse, from the headers alone, whatever does not fit the config to the letter."""
        known = set()
        for name in tensor_names(self.config):
            known |= {name, *self._judge_tensor(files, name)}
        if self.config.tied_embeddings and LM_HEAD in files:
            known.add(LM_HEAD)
            head, embedding = (files[name].tensor(name) for name in (LM_HEAD, EMBEDDING))
            # Bytes, because bfloat16 and float32 of the same file compare alike only by their bits.
            if head.dtype != embedding.dtype or not np.array_equal(
                head.view(np.uint8), embedding.view(np.uint8)
            ):
                raise CheckpointError(
                    f"{self._directory}: the config ties {LM_HEAD} to the embedding, and the file "
                    f"holds another one; set tie_word_embeddings to false"
                )
        # Derived from the config: old exports store it, and nothing reads it.
        unknown = sorted(n for n in files if n not in known and not n.endswith(".inv_freq"))
        if unknown:
            more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            raise CheckpointError(
                f"{self._directory}: {unknown[0]!r}{more} has no place in a BitNet b1.58 model of "
                f"{self.config.layers} layers; leaving it out would change the model"
            )

    def _judge_tensor(self, files: Files, name: str) -> set[str]:
        """Judge one tensor; the names of those that belong to it."""
        if name not in files:
            raise CheckpointError(f"{self._directory}: the tensor {name} is missing")
        tensor, shape = files[name].tensor(name), tensor_shape(self.config, name)
        file = files[name].path
        packed = is_ternary(name) and not self.has_master
        if (tensor.dtype == np.uint8) != packed:
            kind = "packed uint8" if packed else "floats"
            raise CheckpointError(
                f"{file}: {name} is {tensor.dtype}, and the config's "
                f"quantization_config says {kind}; correct the one that is wrong"
            )
        if packed and shape[0] % CODES_PER_BYTE:
            raise CheckpointError(
                f"{file}: {name} has {shape[0]} rows by the config, and the packed layout holds a "
                f"multiple of {CODES_PER_BYTE}; use the checkpoint with float master weights"
            )
        if packed:
            shape = (shape[0] // CODES_PER_BYTE, *shape[1:])
        if tensor.shape != shape:
            raise CheckpointError(
                f"{file}: {name} has shape {list(tensor.shape)}, the config says {list(shape)}"
            )
        if not packed:
            return set()
        scale = _scale_of(name)
        if scale not in files:
            raise CheckpointError(f"{self._directory}: the tensor {scale} is missing")
        stored = files[scale].tensor(scale)
        if stored.size != 1 or stored.dtype == np.uint8:
            raise CheckpointError(
                f"{files[scale].path}: the scale of {name} is {stored.dtype} of shape "
                f"{stored.shape}"
            )
        return {scale}


def _scale_of(name: str) -> str:
    return f"{name}_scale"


def _tensor_files(directory: Path) -> Files:
    if (directory / SINGLE).is_file():
        file = SafetensorsFile(directory / SINGLE)
        return dict.fromkeys(file.names(), file)
    if not (directory / INDEX).is_file():
        raise CheckpointError(f"{directory} holds neither {SINGLE} nor {INDEX}")
    weight_map = read_json(directory / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{directory / INDEX} has no weight_map")
    shards: dict[str, SafetensorsFile] = {}
    for shard in sorted(set(map(str, weight_map.values()))):
        if Path(shard).name != shard:
            raise CheckpointError(f"{directory / INDEX} points outside its directory: {shard!r}")
        shards[shard] = SafetensorsFile(directory / shard)
    files = {name: shards[str(shard)] for name, shard in weight_map.items()}
    # A tensor that a shard holds and the index does not name must not be lost either.
    return {name: file for file in shards.values() for name in file.names()} | files
