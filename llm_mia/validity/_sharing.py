"""Checks of what two sets share: words in a row, near duplicates, documents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._material import CANDIDATE, MEMBER, NON_MEMBER, Material, listed
from ._overlap import near_duplicates, shared, word_hashes
from ._verdicts import Check, Verdict

__all__ = ["sharing_checks"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_WHOLE = 0.8  # of its runs of 13 words: the text as a whole stands elsewhere
_MOST_COMMON = 0.5  # of the runs of 7 words, on average: two editions of one text
_MEANINGLESS = 0.5
_CANDIDATES = 0.05

_WHY_CLEAN = (
    "A non-member that contains a member's text was trained on after all: it lifts the threshold and hides members."
)
_WHY_KNOWN = (
    "Of a candidate whose text stands in the known set the truth is known, and its score is no independent one."
)
_MEND_CLEAN = "Remove the passages named from one of the classes, and draw by document, not by passage."
_MEND_KNOWN = "Remove the candidates named, or the known passages that they repeat."


def sharing_checks(material: Material, fpr: float) -> list[Check]:
    """Exact shares of these passages, no sample of anything: runs of 7 and 13 words, near duplicates, documents.

    Non-members that repeat a member can set the threshold on their own once they are more than *fpr* of all.
    """
    members, others, candidates = (material.rows(role) for role in (MEMBER, NON_MEMBER, CANDIDATE))
    hashes = word_hashes(material.texts)
    found = []
    if len(members):
        common = float(shared(hashes, others, members, 7).mean())
        verdict: Verdict = "doubtful" if common >= _MOST_COMMON else "sound"
        seen = "mean share of a non-member's runs of 7 words that stand in members"
        found.append(Check("overlap_7_words", common, verdict, _WHY_CLEAN, _MEND_CLEAN, None, seen))
        both = [(others, members), (members, others)]
        whole = [shared(hashes, one, other, 13) >= _WHOLE for one, other in both]
        near = [near_duplicates(hashes, one, other) >= 0 for one, other in both]
        for name, hits in (("overlap_13_words", whole), ("near_duplicates", near)):
            found.append(_repeated(name, material, [(row, hit) for (row, _), hit in zip(both, hits, strict=True)], fpr))
    known = np.concatenate([others, members])
    if len(candidates):
        repeats = {
            "candidates_overlap_13_words": shared(hashes, candidates, known, 13) >= _WHOLE,
            "candidates_near_duplicates": near_duplicates(hashes, candidates, known) >= 0,
        }
        for name, hit in repeats.items():
            share, seen = float(hit.mean()), listed(material.ids(candidates[hit]))
            verdict = "doubtful" if share > _CANDIDATES else "sound"
            found.append(Check(name, share, verdict, _WHY_KNOWN, _MEND_KNOWN, None, seen))
    return [*found, *_documents(material)]


def _repeated(name: str, material: Material, sides: list[tuple[Ints, NDArray[np.bool_]]], fpr: float) -> Check:
    """The larger of the shares of non-members and of members that stand in the other class."""
    rows, hit = max(sides, key=lambda side: float(side[1].mean()))
    share = float(hit.mean())
    verdict: Verdict = "sound" if share <= fpr else "doubtful" if share < _MEANINGLESS else "void"
    kind = "members" if material.roles[rows[0]] == MEMBER else "non-members"
    seen = f"{int(hit.sum())} of {len(rows)} {kind}: {listed(material.ids(rows[hit]))}" if hit.any() else ""
    return Check(name, share, verdict, _WHY_CLEAN, _MEND_CLEAN, None, seen)


def _documents(material: Material) -> list[Check]:
    """Documents of both classes: allowed, since the passages of one may be drawn at random, but said."""
    ones, others = (material.rows(role) for role in (MEMBER, NON_MEMBER))
    if not len(ones):
        return []
    both = np.intersect1d(material.documents[ones], material.documents[others])
    names = sorted({material.passages[row].document for row in ones[np.isin(material.documents[ones], both)]})
    share = len(both) / len(np.unique(material.documents[np.concatenate([ones, others])]))
    seen = f"{listed(names)}: each in one fold, its labels exchanged within it" if names else ""
    return [
        Check(
            "documents_in_both_classes",
            share,
            "sound",
            "Passages of one document are not independent: training on some teaches a model of the others.",
            "Give each document to one class, unless passages were drawn at random and candidates will be too.",
            None,
            seen,
        )
    ]
