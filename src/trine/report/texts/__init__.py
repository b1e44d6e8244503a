"""The words of the reports, one module per language and nothing but data.

In: keys and rule ids. Out: templates for `str.format`. Next: `trine.report.language` picks one.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FindingText:
    """What one finding rule says; each text is a template over the finding's `values`."""

    title: str
    why: str
    fix: str
