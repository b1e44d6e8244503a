"""Pack a trained checkpoint for shipping: an ordinary Hugging Face directory, ternary at 2 bits.

Layout: `linear_class: autobitlinear`, offline. Each ternary matrix is uint8 [N/4, K] (the layout of
`trine.ternary.hf`) with its float32 `weight_scale` [1] that multiplies; the norms and the
embedding, which is the lm_head too, stay float32: nothing is rounded, what ships was trained.
Two bits and not five trits a byte, and one float dtype, because `transformers` then loads the
files as they are; base 3 and a bfloat16 embedding would save 0.2 and 1.4 MB of 4.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

import torch
from trine.checkpoint import Checkpoint
from trine.checkpoint.tensors import is_ternary, tensor_names
from trine.errors import CheckpointError
from trine.torch.train.folder import copy_tokenizer, write_json
from trine.torch.train.state import replacing


def pack(source: Checkpoint, directory: Path, out: Path) -> None:
    """Write the packed form of `source`, which was read from `directory`, to the folder `out`.

    Raises CheckpointError for a checkpoint whose lm_head is not its embedding.
    """
    if not source.config.tied_embeddings:
        raise CheckpointError(f"{directory} has an lm_head of its own; only a tied one is packed")
    tensors: dict[str, torch.Tensor] = {}
    for name in tensor_names(source.config):
        if is_ternary(name):
            weight = source.ternary(name)
            tensors[name] = torch.from_numpy(weight.packed)
            tensors[f"{name}_scale"] = torch.tensor([float(weight.scale)])
        else:
            tensors[name] = torch.from_numpy(source.dense(name).astype(np.float32))
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / "model.safetensors") as aside:
        save_file(tensors, aside, metadata={"format": "pt"})
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"]["quantization_mode"] = "offline"
    write_json(out / "config.json", config)
    copy_tokenizer(directory, out)
    generation = json.loads((directory / "generation_config.json").read_text(encoding="utf-8"))
    write_json(out / "generation_config.json", generation)
