"""Models on the Hugging Face hub: first what they are, then, when asked for, their weights.

    owner/name                     a Hugging Face directory, or the only .gguf file of a repository
    owner/name/file.gguf           one file of a repository
    owner/name@revision            either at a branch, a tag, a commit or refs/pr/N

The official client downloads, caches and resumes; endpoint, cache and offline mode are its own
environment variables (HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE).
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trine.checkpoint.checkpoint import Checkpoint, Provenance
from trine.checkpoint.gguf import GGUFCheckpoint
from trine.checkpoint.hf import HFCheckpoint
from trine.checkpoint.hf_text import TOKENIZER
from trine.errors import ModelNotFound

T = TypeVar("T")

_ID = re.compile(
    r"(?P<repository>[\w.-]+/[\w.-]+)"
    r"(?:/(?P<file>[\w./-]+\.gguf))?"
    r"(?:@(?P<revision>[\w./-]+))?"
)
_CONFIG = "config.json"


@dataclass(frozen=True, slots=True)
class HubId:
    """What a name asks the hub for; `file` only for a GGUF file, `revision` None for the newest."""

    repository: str
    file: str | None = None
    revision: str | None = None


def hub_id(name: str) -> HubId | None:
    """The parts of `owner/name[/file.gguf][@revision]`; None for what is none."""
    found = _ID.fullmatch(name)
    return None if found is None else HubId(**found.groupdict())


def open_hub(asked: HubId) -> Checkpoint:
    """The model that is asked for. Of a directory the weights come later, a GGUF file comes whole.

    Raises ModelNotFound, in one line, for whatever the hub has not or does not give.
    """
    try:
        if asked.file is not None:
            return _gguf(asked.repository, asked.file, asked.revision)
        try:
            return HubCheckpoint(asked.repository, asked.revision)
        except _NoFile:
            return _gguf(asked.repository, _only_gguf(asked), asked.revision)
    except _NoFile as error:
        raise ModelNotFound(str(error)) from None


def _gguf(repository: str, file: str, revision: str | None) -> GGUFCheckpoint:
    path = _get(repository, file, revision)
    commit = path.parents[len(Path(file).parts) - 1].name
    name = f"{repository}/{file}"
    return GGUFCheckpoint(path, Provenance(id=name, synthetic=False, revision=commit))


class HubCheckpoint(HFCheckpoint):
    """A repository of the hub at one commit; opening it fetches config.json and the tokenizer.

    The config is judged before anything else is fetched. `fetch`, or the first use of a tensor,
    brings the weights of the same commit.
    """

    def __init__(self, repository: str, revision: str | None = None) -> None:
        config = _get(repository, _CONFIG, revision)
        self._repository, self._commit = repository, config.parent.name
        provenance = Provenance(id=repository, synthetic=False, revision=self._commit)
        super().__init__(config.parent, provenance)
        self.tokenizer_file = _get_if_there(repository, TOKENIZER, self._commit)

    def _locate(self, patterns: Sequence[str]) -> Path:
        from huggingface_hub import snapshot_download

        return Path(
            _one_line(
                self._repository,
                lambda: snapshot_download(
                    self._repository, revision=self._commit, allow_patterns=list(patterns)
                ),
            )
        )


class _NoFile(ModelNotFound):
    """A repository, or its part in the cache, without a file that was asked for."""


def _only_gguf(asked: HubId) -> str:
    """The one .gguf file of a repository without a config.json, or of its part in the cache."""
    from huggingface_hub import HfApi, constants, snapshot_download

    def names() -> list[str]:
        if not constants.HF_HUB_OFFLINE:
            return HfApi().list_repo_files(asked.repository, revision=asked.revision)
        folder = Path(snapshot_download(asked.repository, revision=asked.revision))
        return [path.relative_to(folder).as_posix() for path in folder.rglob("*.gguf")]

    names_found = _one_line(asked.repository, names)
    files = sorted(name for name in names_found if name.endswith(".gguf"))
    if len(files) == 1:
        return files[0]
    if not files:
        raise ModelNotFound(
            f"{asked.repository!r} holds neither a config.json nor a .gguf file, so it is no model "
            f"that trine reads"
        )
    raise ModelNotFound(
        f"{asked.repository!r} holds {len(files)} .gguf files; name one, for example "
        f"{asked.repository}/{files[0]}"
    )


def _get(repository: str, name: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        # Where nobody watches, bars are hundreds of lines of a log.
        disable_progress_bars()
    return Path(_one_line(repository, lambda: hf_hub_download(repository, name, revision=revision)))


def _get_if_there(repository: str, name: str, commit: str) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    def get() -> Path | None:
        try:
            return Path(hf_hub_download(repository, name, revision=commit))
        except EntryNotFoundError:
            return None

    return _one_line(repository, get)


def _one_line(repository: str, call: Callable[[], T]) -> T:
    """The result of a call of the client, whose failures become one ModelNotFound each."""
    # Each retry is a warning of several lines; what came of them is said once, below.
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return call()
    # The client's errors have no common base: HTTP, offline mode, cache and gating all differ.
    except Exception as error:
        from huggingface_hub.errors import EntryNotFoundError

        kind = _NoFile if isinstance(error, EntryNotFoundError) else ModelNotFound
        raise kind(_reason(repository, error)) from None
    finally:
        logger.setLevel(level)


def _reason(repository: str, error: Exception) -> str:
    from huggingface_hub import constants, errors

    offline = (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError)
    if constants.HF_HUB_OFFLINE and isinstance(error, offline):
        return (
            f"{repository!r} is not in the cache, and HF_HUB_OFFLINE forbids to fetch it; "
            f"unset HF_HUB_OFFLINE, or give a local directory"
        )
    if isinstance(error, errors.GatedRepoError):
        return f"{repository!r} asks for its terms to be accepted; accept them, then hf auth login"
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"the hub has no repository {repository!r} that you may read; check the name, or log "
            f"in with hf auth login"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repository!r} has no such revision; give a branch, a tag or a commit behind the @"
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return f"{repository!r} holds no such file"
    text = str(error).strip() or repr(error)
    first = text.splitlines()[0].rstrip(" .")
    return f"cannot get {repository!r} from the hub: {first}; check the connection and try again"
