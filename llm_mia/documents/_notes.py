"""The notes of this package as sentences, in one place."""

from __future__ import annotations

from collections.abc import Mapping

from ..records import Note

__all__ = ["describe_note"]

SENTENCES: Mapping[str, str] = {
    "candidates_unscored": "candidate documents without a passage that has a score: {documents}; they get no p-value",
    "calibration_unscored": (
        "calibration documents without a passage that has a score: {documents}; they are not used for calibration"
    ),
    "documents_cut": "documents of up to {passages} passages are compared by {used} of their passages, drawn at random",
    "sizes_differ": (
        "documents differ in size: the p-values hold if the sizes of candidates are distributed like those of "
        "calibration documents"
    ),
    "few_calibration_documents": (
        "calibration documents: {documents}; the smallest possible p-value is {smallest_p:.3g}, and "
        "FPR ≤ {fpr:g} needs {needed} documents"
    ),
    "passages_unscored": "{side} passages without a score: {unscored} of {passages}; they are left out",
    "documents_unscored": (
        "{side} passages without a score: {unscored} of {passages}; they are left out, and with them whole documents: "
        "{documents}"
    ),
    "few_documents": (
        "documents tested: {candidates} of candidates and {nonmembers} of non-members; the smallest possible "
        "p-value is {smallest_p:.3g}, and p ≤ {level:g} needs {needed} documents of each"
    ),
    "sizes_unequal": (
        "candidate documents have {candidates:g} passages, and documents of non-members {nonmembers:g} (medians); they "
        "are not exchangeable, so the p-value is approximate"
    ),
    "random_halves_differ": (
        "two random halves of the non-members differ (p = {p_value:.3g}), which happens by chance in {level:.0%} of "
        "cases: repeat the test with another seed, and do not rely on it if the halves differ again"
    ),
    "ordered_halves_differ": (
        "the first half of the non-members differs from the second half (p = {p_value:.3g}): their scores change along "
        "the order of the input, so candidates from another source would differ from them even without training"
    ),
    "single_passages": (
        "each document has a single passage, so the effect of more passages per document cannot be estimated"
    ),
    "effect_may_be_zero": (
        "the true effect may be zero (interval {low:.3g} to {high:.3g}), so no number of documents is surely enough"
    ),
    "pilot_unscored": "passages without a score, left out of the number of documents needed: {unscored}",
}
"""By kind of note; the fields are its figures."""


def describe_note(note: Note) -> str:
    """The sentence for a note of `DocumentPValues`, `CollectionTest`, `Placebo` or `PowerTable`.

    >>> describe_note(Note("pilot_unscored", {"unscored": 3}))
    'passages without a score, left out of the number of documents needed: 3'
    """
    return SENTENCES[note.kind].format(**note.figures)
