"""What only the page of two runs says: its headline, the titles of its table, and its limits."""

from __future__ import annotations

from ...auditing import TwoRuns
from ._counting import counted

__all__ = ["COLUMNS", "CONTENTS", "DIFFERS", "LIMITS", "NOT_SHOWN", "headline_words"]

COLUMNS = ("On the same passages", "a", "b", "b less a", "95\u00a0% interval", "p-value", "Differs")
CONTENTS = (("answer", "Both answers"), ("settings", "What differs"), ("figures", "Differences"), ("limits", "Limits"))
"""Sections of the page: anchor and name."""
DIFFERS, NOT_SHOWN = "yes", "not shown"
"""In the last column."""
LIMITS = (
    "A difference shows no cause. Besides the setting that was meant to differ, others may: the first table has all.",
    "Each interval holds by itself with 95\u00a0% confidence. The words ‘yes’ in the last column hold together: "
    "with a probability of at most about 5\u00a0%, any of them is wrong.",
    "Where no difference is shown, the runs need not agree: these passages may be too few to show it.",
    "Intervals and p-values go by document, because passages of a document are not independent.",
    "The test of the flags takes both thresholds as they are; other known non-members would have set others.",
    "Fewer flags after a change do not show that the model has forgotten: texts that are not flagged may still have "
    "been trained on.",
)


def headline_words(runs: TwoRuns) -> str:
    """How many candidates each run flags and whether that differs; without flags, how many figures differ."""
    flags = runs.flags
    if flags is not None:
        first, second = flags.both + flags.only_first, flags.both + flags.only_second
        differs = "the runs differ" if runs.flags_stated else "no difference is shown"
        return f"Run a flags {counted(first, 'candidate')}, run b {second:,}: {differs}."
    stated, of = sum(each.stated for each in runs.differences), counted(runs.comparisons, "comparison")
    if not stated:
        return f"None of {of} shows a difference between the runs."
    return f"{stated} of {of} show{'s' if stated == 1 else ''} a difference between the runs."
