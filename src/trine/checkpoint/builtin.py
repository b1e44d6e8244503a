"""The models that ship with the package: `builtin:stories`.

Each is an ordinary Hugging Face directory in `trine/builtin`, packed by `trine.torch.train.pack`,
whose docstring is the format; docs/model-card-stories.md says what it is and what it cannot do.
"""

from __future__ import annotations

from pathlib import Path

from trine.checkpoint.checkpoint import Provenance
from trine.checkpoint.hf import HFCheckpoint
from trine.errors import ModelNotFound

PREFIX = "builtin:"
_FOLDER = Path(__file__).resolve().parent.parent / "builtin"


def builtin_names(folder: Path = _FOLDER) -> list[str]:
    """The models of this installation, as `builtin:<name>`."""
    if not folder.is_dir():
        return []
    return sorted(PREFIX + path.name for path in folder.iterdir() if path.is_dir())


def open_builtin(name: str, folder: Path = _FOLDER) -> HFCheckpoint:
    """The checkpoint of `builtin:<name>`; ModelNotFound for a model that does not ship."""
    known = builtin_names(folder)
    if name not in known:
        ships = f"there is {', '.join(known)}" if known else "none does"
        raise ModelNotFound(f"no model {name!r} ships with this installation; {ships}")
    checkpoint = HFCheckpoint(
        folder / name.removeprefix(PREFIX), Provenance(id=name, synthetic=False)
    )
    checkpoint.fetch()
    return checkpoint
