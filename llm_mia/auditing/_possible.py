"""What an input allows to decide, known before anything is scored."""

from __future__ import annotations

from ..calibration import nonmembers_needed
from ..decision import AUTO, STACK, NoteKind
from ..documents import documents_needed, smallest_p_value
from ..history import level_share
from ..records import Note
from ..scores import ScoreTable
from ..validity import RequestedRates

__all__ = ["possible_decisions"]

COLLECTION_LEVEL = 0.05 * level_share(1)
"""What the first test of a collection needs as its p-value."""
PERMUTATIONS = 9_999


def possible_decisions(table: ScoreTable, rates: RequestedRates, decider: str = "") -> Note:
    """A note with the numbers that decisions on passages, on documents and on the collection depend on.

    Decisions on passages and decisions on documents need the same number of documents of non-members.

    Args:
        table: the passages of all sets.
        rates: what is to be certified.
        decider: an attack, or ``auto`` or ``stack``, which half of the documents of non-members select.
    """
    groups = table.groups()
    candidates, nonmembers = (list(dict.fromkeys(groups[row] for row in table.rows(label))) for label in (None, 0))
    both = sorted(set(candidates) & set(nonmembers))
    needed = nonmembers_needed(rates.fpr, rates.confidence)
    left = len(nonmembers) // 2 if decider in (AUTO, STACK) else len(nonmembers)
    if decider == AUTO and left < needed:  # then nothing is selected, and all set the threshold
        left = len(nonmembers)
    smallest = smallest_p_value((len(candidates), len(nonmembers)), PERMUTATIONS) if candidates else 1.0
    figures = {
        "candidates": len(table.rows(None)),
        "nonmembers": len(table.rows(0)),
        "candidate_documents": len(candidates),
        "nonmember_documents": len(nonmembers),
        "compared": left,
        "on_both_sides": len(both),
        "first": both[0] if both else None,
        "fpr": rates.fpr,
        "needed": needed,
        "collection": smallest <= COLLECTION_LEVEL,
        "collection_needs": documents_needed(COLLECTION_LEVEL),
    }
    return Note(NoteKind.DECISIONS_POSSIBLE, figures)
