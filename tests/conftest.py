"""Settings that every test folder shares."""

from __future__ import annotations

import hypothesis

# A deadline is a timing assert, and this machine may be anyone's.
hypothesis.settings.register_profile("trine", deadline=None)
hypothesis.settings.load_profile("trine")
