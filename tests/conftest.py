"""Fixtures that every test folder shares."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import hypothesis
import pytest

# A deadline is a timing assert, and this machine may be anyone's.
hypothesis.settings.register_profile("trine", deadline=None)
hypothesis.settings.load_profile("trine")


@pytest.fixture
def require_tool() -> Callable[[str], str]:
    """A function from a program's name to its path.

    Where the program is missing, the test is skipped by name on a user's machine and fails with
    CI=true: there a skip would hide that nothing was tested.
    """

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            message = f"{name} is not installed"
            if os.environ.get("CI") == "true":
                pytest.fail(f"{message}, and CI=true allows no skips")
            pytest.skip(message)
        return path

    return find
