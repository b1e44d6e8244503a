"""From a name on the command line to a Checkpoint."""

from __future__ import annotations

from pathlib import Path

from trine.checkpoint import builtin
from trine.checkpoint.checkpoint import Checkpoint, Provenance
from trine.checkpoint.gguf import GGUFCheckpoint
from trine.checkpoint.hf import HFCheckpoint
from trine.checkpoint.hub import hub_id, open_hub
from trine.checkpoint.synthetic import PREFIX, PRESETS, SyntheticCheckpoint
from trine.errors import CheckpointError, ModelNotFound


def open_checkpoint(name: str, *, seed: int = 0) -> Checkpoint:
    """Open `synthetic:<preset>`, `builtin:<name>`, a directory, a `.gguf` file, or a hub id.

    A hub id is `owner/name[/file.gguf][@revision]`. The weights of a directory or file are checked
    at once; those of a directory on the hub stay there until `Checkpoint.fetch` or the first use of
    a tensor.

    Raises ModelNotFound when the name is none of them, CheckpointError when files are damaged.
    """
    if name.startswith(PREFIX):
        return SyntheticCheckpoint(name, seed)
    if name.startswith(builtin.PREFIX):
        return builtin.open_builtin(name)
    path = Path(name).expanduser()
    if path.is_dir():
        checkpoint = HFCheckpoint(path, Provenance(id=name, synthetic=False))
        checkpoint.fetch()
        return checkpoint
    if path.is_file() and path.suffix.lower() == ".gguf":
        return GGUFCheckpoint(path, Provenance(id=name, synthetic=False))
    if path.exists():
        raise CheckpointError(f"{name} is no .gguf file; give one, or the model's directory")
    asked = hub_id(name)
    # A path that is misspelt within a folder that exists is no matter for the hub.
    if asked is not None and not path.parent.is_dir():
        return open_hub(asked)
    raise ModelNotFound(
        f"no model {name!r}: give a directory, a .gguf file, a hub id (owner/name), or one of "
        + ", ".join([*builtin.builtin_names(), *(PREFIX + preset for preset in PRESETS)])
    )
