"""From a name on the command line to a Checkpoint."""

from __future__ import annotations

import re
from pathlib import Path

from trine.checkpoint.checkpoint import Checkpoint, Provenance
from trine.checkpoint.hf import HFCheckpoint
from trine.checkpoint.synthetic import PREFIX, PRESETS, SyntheticCheckpoint
from trine.errors import CheckpointError, ModelNotFound

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
# Weights, config and tokenizer; not the other formats that a repository may carry beside them.
_HUB_FILES = ["config.json", "tokenizer*.json", "*.safetensors", "*.safetensors.index.json"]


def open_checkpoint(name: str, *, seed: int = 0) -> Checkpoint:
    """Open `synthetic:<preset>`, a local Hugging Face directory, or a hub id (cached, resumable).

    Raises ModelNotFound when the name is none of them, CheckpointError when files are damaged.
    """
    if name.startswith(PREFIX):
        return SyntheticCheckpoint(name, seed)
    path = Path(name).expanduser()
    if path.is_dir():
        return HFCheckpoint(path, Provenance(id=str(name), synthetic=False))
    if path.exists():
        raise CheckpointError(f"{name} is a file; give the model's directory")
    if _HUB_ID.fullmatch(name) and not path.parent.is_dir():
        return _from_hub(name)
    raise ModelNotFound(
        f"no model {name!r}: give a directory, a hub id (owner/name), or one of "
        + ", ".join(f"{PREFIX}{preset}" for preset in PRESETS)
    )


def _from_hub(repository: str) -> Checkpoint:
    from huggingface_hub import snapshot_download

    try:
        directory = Path(snapshot_download(repository, allow_patterns=_HUB_FILES))
    # The client's errors have no common base: HTTP, offline mode, cache and gating all differ.
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ModelNotFound(f"cannot get {repository!r} from the hub: {reason}") from None
    provenance = Provenance(id=repository, synthetic=False, revision=directory.name)
    return HFCheckpoint(directory, provenance)
