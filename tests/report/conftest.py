"""One run rendered once: every test of this folder reads the same files."""

from __future__ import annotations

from pathlib import Path

import pytest

from profile_builder import build_profile, plant
from trine.profiling.profile import Profile
from trine.report.bundle import write_all


@pytest.fixture(scope="session")
def profile() -> Profile:
    """The tiny geometry, re-quantising, with one compilation in the first q_proj."""
    compiled = plant(
        operator="q_proj",
        stage="prefill",
        state="cold",
        layer=0,
        add_ns=2_500_000_000,
        compile_ns=2_400_000_000,
        graphs_compiled=2,
        compile_cache_hits=1,
    )
    return build_profile(compiled, mode="online", repeat=3)


@pytest.fixture(scope="session")
def bundle(profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all files of `profile`."""
    out = tmp_path_factory.mktemp("bundle")
    write_all(profile, out)
    return out
