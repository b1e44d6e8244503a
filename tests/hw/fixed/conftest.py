"""The integer model needs NumPy alone."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    """In place of the folder above's, which asks for a simulator."""
