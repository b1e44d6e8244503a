"""Stop strings: found across the borders of tokens, and never shown in part."""

from __future__ import annotations

from collections.abc import Sequence

from trine.errors import UsageError


class StopStrings:
    """Passes text on until a stop string is complete; holds back what may become one.

    The first to be complete wins, of several that end together the longest: so where the text is
    cut does not depend on the pieces in which it comes.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        if any(not stop for stop in stops):
            raise UsageError("a stop string is empty; give some text, or leave it out")
        self._stops = tuple(stops)
        self._held = ""
        self.found: str | None = None

    def push(self, text: str) -> str:
        """What may be shown now. After a stop string was found, nothing."""
        if self.found is not None:
            return ""
        text = self._held + text
        self._held = ""
        hits = [(start + len(s), start, s) for s in self._stops if (start := text.find(s)) >= 0]
        if hits:
            _, start, self.found = min(hits)
            return text[:start]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """What was held back, when no more text comes."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """The longest end of `text` that begins `stop`, which the text does not contain."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
