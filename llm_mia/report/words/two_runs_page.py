"""What only the page of two runs says: its headline, the titles of its table, and its limits."""

from __future__ import annotations

from ...auditing import TwoRuns
from ._counting import counted

__all__ = ["COLUMNS", "LIMITS", "headline_words"]

COLUMNS = ("On the same passages", "a", "b", "b less a", "95 % interval", "p-value", "Differs")
LIMITS = (
    "A difference shows no cause. Besides the setting that was meant to differ, others may: the first table has all.",
    "Each interval holds by itself with 95 % confidence. The marks in the last column hold together: with a "
    "probability of at most 5 %, any of them is wrong.",
    "No mark does not show that the runs agree: a difference may be there that these passages are too few to show.",
    "Intervals and p-values go by document, because passages of a document are not independent.",
    "The test of the flags takes both thresholds as they are; other known non-members would have set others.",
    "Fewer flags after a change do not show that the model has forgotten: texts that are not flagged may still have "
    "been trained on.",
)


def headline_words(runs: TwoRuns) -> str:
    """How many of the comparisons show a difference, in a sentence."""
    stated = sum(each.stated for each in runs.differences) + runs.flags_stated
    of = counted(runs.comparisons, "comparison")
    if not stated:
        return f"None of {of} shows a difference between the runs."
    return f"{stated} of {of} show{'s' if stated == 1 else ''} a difference between the runs."
