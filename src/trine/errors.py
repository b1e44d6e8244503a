"""Every exception that trine raises on purpose.

    TrineError
    ├── UsageError          what was asked for cannot be done (exit code 2)
    │   ├── ModelNotFound   the name is no preset, directory, file or hub id
    │   └── OutputExists    a result would be overwritten without --force
    ├── CheckpointError     a model's files are damaged, incomplete, or of another kind
    ├── ProfileError        a profile is malformed, or its figures contradict each other
    ├── OutOfMemory         the model does not fit, with the figure needed
    ├── MissingExtra        an optional part is not installed, with the command that does it
    ├── HardwareError       a hardware unit is not what it should be, or a job failed in it
    └── ToolError           an external program is missing or failed

Each message is one line: the value, what would be legal, and the next step.
The library raises; only `trine.cli` prints and exits.
"""

from __future__ import annotations


class TrineError(Exception):
    """Base of the tree; `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(TrineError):
    """The request itself is wrong: an option's value, an empty prompt, a folder that is a file."""

    exit_code = 2


class ModelNotFound(UsageError):
    """A model name that is no preset, no local directory and no reachable hub id."""


class OutputExists(UsageError):
    """Refusal to overwrite an earlier result."""


class CheckpointError(TrineError):
    """A checkpoint that cannot be trusted: truncated, wrong shape, unknown or missing tensor."""


class ProfileError(TrineError):
    """A profile that is malformed or inconsistent: overlap, negative gap, unknown column."""


class OutOfMemory(TrineError):
    """The model needs more memory than is free; the message says how much."""


class MissingExtra(TrineError):
    """An optional dependency is absent; the message carries the install command."""

    def __init__(self, extra: str, needed_for: str) -> None:
        super().__init__(f'{needed_for} needs the "{extra}" extra: pip install "trine[{extra}]"')
        self.extra = extra


class ToolError(TrineError):
    """An external program (compiler, browser) is missing or returned an error."""


class HardwareError(TrineError):
    """A hardware unit, simulated or real: wrong identity, failed job, full ring."""
