"""`trine hw budget`: what the whole pipeline would take of an XC7Z020, and its predicted speed."""

from __future__ import annotations


def budget_command() -> int:
    """Print the predicted budget of the whole decoder on an XC7Z020, as Markdown."""
    from trine.hw.budget_tables import render

    print(render(), end="")
    return 0
