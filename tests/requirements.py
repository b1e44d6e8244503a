"""What a test needs and a machine may lack: the one door through which tests are skipped.

On a user's machine the test is skipped by name. With CI=true it fails: there a skip would hide
that nothing was tested.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test (or the module that is being imported) for want of `what`."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}, and CI=true allows no skips", pytrace=False)
    pytest.skip(what, allow_module_level=True)


def require_module(name: str) -> Any:
    """The module `name`."""
    try:
        module: ModuleType = importlib.import_module(name)
    except ImportError:
        missing(f"the module {name} is not installed")
    return module


def require_package(name: str) -> None:
    """That `name` can be imported, without importing it here.

    For native packages that do not share a process with torch: pyosys corrupts its heap.
    """
    if importlib.util.find_spec(name) is None:
        missing(f"the package {name} is not installed")


def require_program(name: str) -> str:
    """The path of the program `name`: on the PATH, or where this environment's packages put it."""
    beside = str(Path(sys.executable).parent)
    path = shutil.which(name) or shutil.which(name, path=beside)
    return path or missing(f"the program {name} is not installed")
