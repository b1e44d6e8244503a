"""A pytest plugin: the tests run on the extension module that SANITIZED_MODULE names.

scripts/test-sanitize.sh builds it; `-p sanitized` loads this before any test imports trine.
"""

from __future__ import annotations

import importlib.util
import os
import sys

_SPEC = importlib.util.spec_from_file_location("trine._native", os.environ["SANITIZED_MODULE"])
assert _SPEC is not None and _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
sys.modules["trine._native"] = _MODULE
_SPEC.loader.exec_module(_MODULE)
