"""Hugging Face BitNet directories: config.json and safetensors, single or sharded.

Three kinds of ternary matrix occur, told apart by tensor dtype and `quantization_config`:
float master weights (quantised with absmean), uint8 packed weights whose `weight_scale`
multiplies (`linear_class: autobitlinear`), and the same whose `weight_scale` divides
(`linear_class: bitlinear`, the default). The reader inverts the latter.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trine.checkpoint.checkpoint import Checkpoint, Provenance, TernaryWeight
from trine.checkpoint.config import from_hf
from trine.checkpoint.safetensors import SafetensorsFile
from trine.errors import CheckpointError
from trine.ternary import absmean_ternary, pack_hf
from trine.ternary.hf import CODES_PER_BYTE

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


class HFCheckpoint(Checkpoint):
    """A local directory in the layout of `save_pretrained`."""

    def __init__(self, directory: Path, provenance: Provenance) -> None:
        raw = _read_json(directory / "config.json")
        self.config = from_hf(raw, str(directory / "config.json"))
        self.provenance = provenance
        tokenizer = directory / "tokenizer.json"
        self.tokenizer_file = tokenizer if tokenizer.is_file() else None
        self._files = _tensor_files(directory)
        self._directory = directory
        quantization = raw.get("quantization_config") or {}
        method = quantization.get("quant_method", "bitnet")
        if method != "bitnet":
            raise CheckpointError(
                f"{directory}: quant_method {method!r} is not supported; BitNet uses 'bitnet'"
            )
        self._scale_divides = quantization.get("linear_class", "bitlinear") == "bitlinear"
        first = "model.layers.0.self_attn.q_proj.weight"
        self._packed = self._tensor(first).dtype == np.uint8
        if not self._packed:
            self.native_mode = "online"
        else:
            self.native_mode = "packed" if self._scale_divides else "offline"

    @property
    def has_master(self) -> bool:
        """True for float checkpoints, False for packed ones."""
        return not self._packed

    def dense(self, name: str) -> NDArray[Any]:
        """The tensor as stored; an absent lm_head of a tied model is the embedding."""
        if name == "lm_head.weight" and name not in self._files and self.config.tied_embeddings:
            name = "model.embed_tokens.weight"
        tensor = self._tensor(name)
        if tensor.dtype == np.uint8:
            raise CheckpointError(f"{self._directory}: {name} is uint8 where floats are expected")
        expected: tuple[int, ...] | None = None
        if name in ("model.embed_tokens.weight", "lm_head.weight"):
            expected = (self.config.vocab_size, self.config.hidden_size)
        self._require_shape(name, tensor, expected)
        return tensor

    def master(self, name: str) -> NDArray[Any]:
        """The float weight [N, K] as stored; CheckpointError when it is packed."""
        tensor = self._tensor(name)
        if tensor.dtype == np.uint8:
            raise CheckpointError(
                f"{self._directory}: {name} is packed ternary; online mode needs a checkpoint "
                f"with float master weights (the -bf16 variant), or use --mode offline"
            )
        self._require_shape(name, tensor, self.config.linear_shape(_module(name)))
        return tensor

    def ternary(self, name: str) -> TernaryWeight:
        """The packed bytes as stored and the scale that multiplies, or the master's absmean."""
        tensor = self._tensor(name)
        if tensor.dtype != np.uint8:
            codes, scale = absmean_ternary(self.master(name).astype(np.float32))
            return TernaryWeight(pack_hf(codes), scale)
        rows, columns = self.config.linear_shape(_module(name))
        self._require_shape(name, tensor, (rows // CODES_PER_BYTE, columns))
        stored = self._tensor(name.removesuffix("weight") + "weight_scale")
        if stored.size != 1:
            raise CheckpointError(
                f"{self._directory}: the scale of {name} has shape {stored.shape}"
            )
        scale = np.float32(stored.reshape(()))
        if not np.isfinite(scale) or scale <= 0:
            raise CheckpointError(f"{self._directory}: the scale of {name} is {scale}")
        return TernaryWeight(tensor, np.float32(1) / scale if self._scale_divides else scale)

    def _tensor(self, name: str) -> NDArray[Any]:
        if name not in self._files:
            raise CheckpointError(f"{self._directory}: the tensor {name} is missing")
        return self._files[name].tensor(name)

    def _require_shape(
        self, name: str, tensor: NDArray[Any], expected: tuple[int, ...] | None
    ) -> None:
        if expected is not None and tensor.shape != expected:
            raise CheckpointError(
                f"{self._directory}: {name} has shape {list(tensor.shape)}, the config says "
                f"{list(expected)}"
            )


def _module(name: str) -> str:
    return name.removesuffix(".weight").rsplit(".", 1)[-1]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path.parent} is no model directory: {path.name} is missing"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} must hold a JSON object")
    return data


def _tensor_files(directory: Path) -> dict[str, SafetensorsFile]:
    if (directory / SINGLE).is_file():
        file = SafetensorsFile(directory / SINGLE)
        return dict.fromkeys(file.names(), file)
    if not (directory / INDEX).is_file():
        raise CheckpointError(f"{directory} holds neither {SINGLE} nor {INDEX}")
    weight_map = _read_json(directory / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{directory / INDEX} has no weight_map")
    files: dict[str, SafetensorsFile] = {}
    for shard in sorted(set(map(str, weight_map.values()))):
        if Path(shard).name != shard:
            raise CheckpointError(f"{directory / INDEX} points outside its directory: {shard!r}")
        files[shard] = SafetensorsFile(directory / shard)
    return {str(name): files[str(shard)] for name, shard in weight_map.items()}
