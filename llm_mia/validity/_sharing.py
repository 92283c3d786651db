"""Checks of what two sets share: runs of words, near duplicates, documents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..records import Note
from ._sets import CANDIDATE, MEMBER, NON_MEMBER, ROLES, PassageSets
from ._verdicts import Check, Verdict
from ._wording import all_ids
from .overlap import hash_words, near_duplicates, shared_share

__all__ = ["sharing_checks"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_WHOLE_TEXT = 0.8  # of the runs of 13 words: the text as a whole is in the other set
_SAME_WORK = 0.5  # of the runs of 7 words, on average: two editions of one text
_MEANINGLESS = 0.5
_CANDIDATES = 0.05


def sharing_checks(sets: PassageSets, fpr: float) -> list[Check]:
    """Exact shares of these passages, not estimates: runs of 7 and 13 words, near duplicates, documents.

    Non-members that repeat a member can set the threshold without the others if they are more than *fpr* of all.
    """
    members, nonmembers, candidates = (sets.rows(role) for role in (MEMBER, NON_MEMBER, CANDIDATE))
    words = hash_words(sets.texts)
    checks = []
    if len(members):
        common = float(shared_share(words, nonmembers, members, 7).mean())
        verdict = Verdict.DOUBTFUL if common >= _SAME_WORK else Verdict.SOUND
        checks.append(Check("overlap_7_words", common, verdict, None, (Note("mean_overlap", {}),)))
        both_ways = [(nonmembers, members), (members, nonmembers)]
        whole = [(rows, shared_share(words, rows, others, 13) >= _WHOLE_TEXT) for rows, others in both_ways]
        near = [(rows, near_duplicates(words, rows, others) >= 0) for rows, others in both_ways]
        checks += [
            _repeats_check("overlap_13_words", sets, whole, fpr),
            _repeats_check("near_duplicates", sets, near, fpr),
        ]
    if len(candidates):
        known = np.concatenate([nonmembers, members])
        repeats = {
            "candidates_overlap_13_words": shared_share(words, candidates, known, 13) >= _WHOLE_TEXT,
            "candidates_near_duplicates": near_duplicates(words, candidates, known) >= 0,
        }
        for name, repeated in repeats.items():
            share = float(repeated.mean())
            notes = (Note("passages", all_ids(sets.ids(candidates[repeated]))),) if repeated.any() else ()
            verdict = Verdict.DOUBTFUL if share > _CANDIDATES else Verdict.SOUND
            checks.append(Check(name, share, verdict, None, notes))
    return [*checks, *_document_checks(sets)]


def _repeats_check(name: str, sets: PassageSets, sides: list[tuple[Ints, NDArray[np.bool_]]], fpr: float) -> Check:
    """The larger of two shares: non-members whose text is in members, and members whose text is in non-members."""
    rows, repeated = max(sides, key=lambda side: float(side[1].mean()))
    share = float(repeated.mean())
    verdict = Verdict.SOUND if share <= fpr else Verdict.DOUBTFUL if share < _MEANINGLESS else Verdict.VOID
    figures = {**all_ids(sets.ids(rows[repeated])), "total": len(rows), "set": ROLES[sets.roles[rows[0]]]}
    notes = (Note("repeats", figures),) if repeated.any() else ()
    return Check(name, share, verdict, None, notes)


def _document_checks(sets: PassageSets) -> list[Check]:
    """The share of documents with both classes: allowed, since passages may be drawn at random, but reported."""
    members, nonmembers = (sets.rows(role) for role in (MEMBER, NON_MEMBER))
    if not len(members):
        return []
    both = np.intersect1d(sets.documents[members], sets.documents[nonmembers])
    names = sorted({sets.passages[row].document for row in members[np.isin(sets.documents[members], both)]})
    share = len(both) / len(np.unique(sets.documents[np.concatenate([members, nonmembers])]))
    notes = (Note("shared_documents", all_ids(names)),) if names else ()
    return [Check("documents_in_both_classes", share, Verdict.SOUND, None, notes)]
