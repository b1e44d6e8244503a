"""Files that a kill at any moment cannot spoil: written aside, synced, then renamed into place."""

from __future__ import annotations

import contextlib
import os
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

import torch
from trine.errors import CheckpointError, TrineError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to that becomes `path` when the block ends, and vanishes when it raises.

    Raises TrineError in one line when the disk refuses; `path` then still holds what it held.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.chmod(0o644)
        aside.replace(path)
    # Of a full disk torch.save makes a RuntimeError, safetensors an error of its own.
    except (OSError, RuntimeError, SafetensorError) as error:
        raise TrineError(
            f"cannot write {path}: {error}; the last good version of it is kept"
        ) from None
    finally:
        aside.unlink(missing_ok=True)


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a training state: tensors, numbers, strings, and containers of them."""
    with replacing(path) as aside:
        torch.save(state, aside)


def load_state(path: Path) -> dict[str, Any]:
    """Read a training state; nothing in it is executed. CheckpointError when it is damaged."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"cannot read the training state {path}: {reason}") from None
    if not isinstance(state, dict) or not {"step", "recipe", "networks"} <= state.keys():
        raise CheckpointError(f"{path} is no training state of trine")
    return state
