"""Models on the Hugging Face hub: first what they are, then, when asked for, their weights.

The official client downloads, caches and resumes; endpoint, cache and offline mode are its own
environment variables (HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from trine.checkpoint.checkpoint import Provenance
from trine.checkpoint.hf import HFCheckpoint
from trine.checkpoint.hf_text import TOKENIZER
from trine.errors import ModelNotFound

T = TypeVar("T")


class HubCheckpoint(HFCheckpoint):
    """A repository of the hub at one commit; opening it fetches config.json and the tokenizer.

    The config is judged before anything else is fetched. `fetch`, or the first use of a tensor,
    brings the weights of the same commit.
    """

    def __init__(self, repository: str) -> None:
        config = _get(repository, "config.json")
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


def _get(repository: str, name: str) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(_one_line(repository, lambda: hf_hub_download(repository, name)))


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
        raise ModelNotFound(_reason(repository, error)) from None
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
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return f"{repository!r} holds no config.json, so it is no Hugging Face model directory"
    text = str(error).strip() or repr(error)
    first = text.splitlines()[0].rstrip(" .")
    return f"cannot get {repository!r} from the hub: {first}; check the connection and try again"
