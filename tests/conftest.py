"""Settings that every test folder shares."""

from __future__ import annotations

import os
import signal

import hypothesis

# A deadline is a timing assert, and this machine may be anyone's. CI tries the same examples every
# time, so that what it says is about the change; new ones are found elsewhere.
hypothesis.settings.register_profile(
    "trine", deadline=None, derandomize=os.environ.get("CI") == "true"
)
hypothesis.settings.load_profile("trine")

# A shell has its background jobs ignore Ctrl-C, and what they start inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
