"""The notes of this package as sentences, in one place."""

from __future__ import annotations

from collections.abc import Mapping

from ..records import Note

__all__ = ["describe_note"]

SENTENCES: Mapping[str, str] = {
    "candidates_unscored": "{documents} candidate documents have no passage with a score: they get no p-value",
    "calibration_unscored": (
        "{documents} calibration documents have no passage with a score: they are not used for calibration"
    ),
    "documents_cut": "documents of up to {passages} passages are judged on {used}, drawn at random",
    "sizes_differ": (
        "documents differ in size: the p-values hold if the sizes of candidates are distributed like those of "
        "calibration documents"
    ),
    "few_calibration_documents": (
        "{documents} calibration documents: no p-value is under {smallest_p:.3g}, and FPR ≤ {fpr:g} needs {needed}"
    ),
    "passages_unscored": "{unscored} of {passages} {side} passages have no score and are left out",
    "documents_unscored": (
        "{unscored} of {passages} {side} passages have no score and are left out, and {documents} documents with them"
    ),
    "few_documents": (
        "{suspect} suspect and {control} control documents tested: no p-value is under {smallest_p:.3g}, "
        "and p ≤ {level:g} needs {needed} documents on each side"
    ),
    "sizes_unequal": (
        "suspect documents have {suspect:g} passages and control documents {control:g} (medians), "
        "so they are not exchangeable: the p-value is approximate"
    ),
    "random_halves_differ": (
        "two random halves of the control documents differ (p = {p_value:.3g}), as {level:.0%} of halves do by chance: "
        "if they differ with other seeds too, do not rely on the test"
    ),
    "ordered_halves_differ": (
        "the first half of the control documents differs from the second (p = {p_value:.3g}): they change along their "
        "order, so suspect documents from another source would differ even without training"
    ),
    "single_passages": (
        "each document of the pilot has a single passage: the effect of more passages cannot be estimated"
    ),
    "effect_may_be_zero": (
        "the pilot's effect may be zero ({low:.3g} to {high:.3g}): no number of documents is certain to be enough"
    ),
    "pilot_unscored": "{unscored} passages of the pilot have no score and are left out",
}
"""By kind of note; the fields are its figures."""


def describe_note(note: Note) -> str:
    """The sentence for a note of `DocumentPValues`, `CollectionTest`, `Placebo` or `PowerTable`.

    >>> describe_note(Note("pilot_unscored", {"unscored": 3}))
    '3 passages of the pilot have no score and are left out'
    """
    return SENTENCES[note.kind].format(**note.figures)
