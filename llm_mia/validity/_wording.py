"""Every sentence of this package, in one place: why a check matters, what removes the fault, and its details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from ..records import Note

__all__ = ["all_ids", "details", "first_ids", "list_ids", "remedy", "why"]

_IDS_SHOWN = 5

_SAME_POOL = "Draw members and non-members at random from the same pool: same source, period, style and length."
_SAME_RULES = "Take both classes from the same source, and clean and cut them by the same rule."
_SAME_DIFFICULTY = (
    "Take both sets from the same source, cleaned and cut by the same rule. If the other model was trained on some of "
    "the texts, take another model."
)
_REPEATS_MEMBER = (
    "A non-member that contains the text of a member was trained on after all: it raises the threshold, which hides "
    "members."
)
_REMOVE_REPEATS = (
    "Remove these passages from either class, and split by document, not by passage; unless it is redacted, "
    "validity.json lists all ids."
)
_SHARE_NO_TEXT = "Take non-members that share no text with members, and split by document, not by passage."
_TRUTH_IS_KNOWN = (
    "If the text of a candidate is in the known set, its label is known, and its score depends on the calibration."
)
_REMOVE_CANDIDATES = (
    "Remove these candidates, or the known passages that they repeat; unless it is redacted, validity.json lists all "
    "ids."
)
_MORE_NONMEMBERS = "Add {unit} until there are {needed}, or choose a larger rate."
_DOCUMENTS_COUNT = (
    "Passages of one document are not independent: a rate for new documents depends on the number of documents."
)


def _leak(feature: str) -> str:
    return f"If {feature} alone separates the classes, so may a score that depends on it."


TEXTS: Mapping[str, tuple[str, str]] = {
    "scores_*": (
        "A passage without a finite score cannot be used for calibration, and leaving it out would bias the sample; an "
        "attack that gives all passages the same score distinguishes none.",
        "Find the cause (a passage without a scored token, an overflow), and score again; decide by an attack whose "
        "scores differ.",
    ),
    "blind_*_tpr_at_fpr_*": (
        "At a low false positive rate, the passages whose texts show their class most clearly decide the result.",
        _SAME_POOL,
    ),
    "blind_*": (
        "What a classifier that never sees the model can separate, a score can separate without any training.",
        f"{_SAME_POOL} If documents are too few to detect a difference, add documents to both classes.",
    ),
    "leak_document_name": (
        "Document names that begin differently in the two classes suggest different sources.",
        _SAME_RULES,
    ),
    "leak_latest_year": (
        _leak("the latest year in a passage"),
        "Take members and non-members of the same period, not from before and after a cut-off.",
    ),
    "leak_bytes": (
        _leak("the length in bytes"),
        "Cut both classes to passages of the same length, by the same rule.",
    ),
    "leak_bytes_per_word": (_leak("the length of the words"), _SAME_RULES),
    "leak_upper": (_leak("the share of capital letters"), _SAME_RULES),
    "leak_punctuation": (_leak("the share of punctuation"), _SAME_RULES),
    "leak_non_ascii": (
        _leak("the share of non-ASCII characters"),
        "Take both classes in the same languages and in the same encoding.",
    ),
    "leak_other_scripts": (
        _leak("the share of characters of other scripts"),
        "Take both classes in the same languages and scripts.",
    ),
    "leak_broken_words": (_leak("words that are divided by a hyphen"), _SAME_RULES),
    "leak_digits_in_words": (_leak("digits within words"), _SAME_RULES),
    "leak_odd_characters": (_leak("ligatures and unreadable characters"), _SAME_RULES),
    "leak_double_spaces": (_leak("several spaces between words"), _SAME_RULES),
    "leak_spaced_punctuation": (_leak("white space before punctuation"), _SAME_RULES),
    "leak_rare_triples": (_leak("the share of triples of letters that no other document has"), _SAME_RULES),
    "leak_rare_words": (_leak("the share of words that no other document has"), _SAME_RULES),
    "leak_exchanged_letters": (_leak("words with two letters exchanged"), _SAME_RULES),
    "leak_replaced_letters": (_leak("words with a letter replaced"), _SAME_RULES),
    "leak_missing_letters": (_leak("words with a letter missing or added"), _SAME_RULES),
    "overlap_7_words": (_REPEATS_MEMBER, _SHARE_NO_TEXT),
    "overlap_13_words": (_REPEATS_MEMBER, _REMOVE_REPEATS),
    "control_rate": (
        "Sealed non-members were decided on as candidates, and more were flagged than the requested rate explains: the "
        "known non-members may not represent passages that were not trained on.",
        "Find out how the sealed non-members differ from the known ones, and take known non-members like the "
        "candidates.",
    ),
    "target_like_shadows": (
        "The error rate assumes that the target was trained as the shadow models were. It finds these texts more, or "
        "less, likely than any of them would: it was trained otherwise, and the threshold may not hold for it.",
        "Train shadow models as the target was trained (epochs, learning rate, share of the pool), or give known "
        "non-members.",
    ),
    "near_duplicates": (_REPEATS_MEMBER, _REMOVE_REPEATS),
    "candidates_overlap_13_words": (_TRUTH_IS_KNOWN, _REMOVE_CANDIDATES),
    "candidates_near_duplicates": (_TRUTH_IS_KNOWN, _REMOVE_CANDIDATES),
    "documents_in_both_classes": (
        "Passages of one document are not independent: training on some teaches a model about the others.",
        "Give each document to a single class, unless passages were drawn at random and candidates will be too.",
    ),
    "placebo_*": (
        "Two random halves of the non-members differ by chance alone: if a check separates them, no figure here is "
        "reliable.",
        "Check the documents: passages of one text under several document names look independent.",
    ),
    "*_known_text": (
        "A passage that the reference model has memorised hides membership: the target can hardly know it better.",
        "Take a reference model that was trained before, or without, the named passages, or leave these out.",
    ),
    "*_candidates_*_auroc": (
        "A model that cannot know the candidates separates them from non-members only by a difference of the texts, "
        "and the same difference can raise or lower the target's scores.",
        _SAME_DIFFICULTY,
    ),
    "*_members_*_auroc": (
        "A model that cannot know the members separates them from non-members only by a difference of the texts, and "
        "the same difference can raise or lower the target's scores.",
        _SAME_DIFFICULTY,
    ),
    "shift_*": (
        "An error rate holds for candidates that could have been drawn as non-members, not for candidates that differ "
        "from them.",
        "Take non-members of the same source, period, style and length as the candidates, or decide on fewer, similar "
        "candidates.",
    ),
    "size_*_documents": (_DOCUMENTS_COUNT, _MORE_NONMEMBERS),
    "size_fpr_*": (
        "With fewer non-members, no threshold can hold the requested rate, whatever the scores.",
        _MORE_NONMEMBERS,
    ),
    "size_tpr_at_fpr_*": (
        "The ROC has no step at a false positive rate below 1 over the number of non-members.",
        _MORE_NONMEMBERS,
    ),
}
"""Why a check matters and what removes the fault, by the pattern of its name; the first that matches counts."""

DETAILS: Mapping[str, str] = {
    "few_documents": (
        "{first} and {second} documents: too few to distinguish any difference from chance; at least {needed} of each "
        "are needed"
    ),
    "hardly_detectable": "so few documents that an AUROC of {least:g} would look like chance",
    "left_out": "{count} of {total} passages left out, because this model has not scored them",
    "no_scores": "this model has scored none of the passages",
    "few_nonmembers": "to bound it from below takes {needed} non-members, and the known set has {nonmembers}",
    "few_placebo_documents": "{documents} documents of non-members, and {needed} are needed",
    "few_placebo_arrangements": (
        "{documents} documents of non-members: too few to distinguish any difference from chance"
    ),
    "words_classifier": "by words and characters (logistic regression); significant from {critical:.3f}",
    "counts_classifier": (
        "by counts such as lengths and years (boosted shallow trees); significant from {critical:.3f}"
    ),
    "no_document_names": "documents have no names",
    "distinct_beginnings": "no two ways to begin a name are shared by several documents",
    "shared_beginnings": (
        "{beginnings} beginnings, ordered by the members' share among them, which favours separation"
    ),
    "not_finite": "{count} NaN or infinite: {ids}",
    "not_finite_lowest": "{count} NaN (taken as lowest) or infinite: {ids}",
    "all_equal": "all {count} scores equal {value:g}: they carry no information",
    "not_given": "no scores of {sets} were given",
    "few_scores": "{scores} finite scores: {needed} are needed",
    "passages": "{ids}",
    "mean_overlap": "mean share of a non-member's runs of 7 words that are in members",
    "repeats": "{count} of {total} {set}: {ids}",
    "shared_documents": (
        "{ids}: no fault of the checks, which keep each of these documents in a single fold and exchange labels within "
        "it; but a passage of a document that holds non-members is not of a new document"
    ),
    "single_document": "all candidates come from one document: its topic cannot be distinguished from a shift",
    "length_distance": "largest distance between the distributions of the lengths in bytes (Kolmogorov–Smirnov)",
    "fpr_size": "FPR ≤ {fpr:g} needs {needed} {unit}",
    "confident_fpr_size": "FPR ≤ {fpr:g} with {confidence:g} % confidence needs {needed} {unit}",
    "tpr_size": "TPR at FPR {fpr:g} needs {needed} {unit}",
}
"""By kind of note; the fields are its figures."""


def why(name: str) -> str:
    """Why the check *name* matters.

    >>> why("leak_bytes")
    'If the length in bytes alone separates the classes, so may a score that depends on it.'
    """
    return _texts(name)[0]


def remedy(name: str, notes: Sequence[Note] = ()) -> str:
    """What removes the fault that the check *name* detects.

    >>> remedy("size_fpr_0.05", [Note("fpr_size", {"fpr": 0.05, "needed": 19, "unit": "non-members"})])
    'Add non-members until there are 19, or choose a larger rate.'
    """
    figures = {name: figure for note in notes for name, figure in note.figures.items()}
    return _texts(name)[1].format(**figures)


def details(notes: Sequence[Note], detectable: float | None = None) -> str:
    """The notes of a check in words, and the AUROC that it could have detected; empty where there are none.

    >>> details([Note("not_finite", {"count": 2, "ids": ["p1", "p2"]})])
    "2 NaN or infinite: 'p1', 'p2'"
    >>> details([], 0.58)
    'an AUROC of 0.58 would have been detected with a probability of 0.8'
    """
    parts = [_detail(note) for note in notes]
    if detectable is not None:
        parts.append(f"an AUROC of {detectable:.2f} would have been detected with a probability of 0.8")
    return "; ".join(parts)


def list_ids(ids: Sequence[str], count: int | None = None) -> str:
    """The first five of *ids*, and the number of the others, if there are *count* in all.

    >>> list_ids(["a", "b", "c", "d", "e", "f", "g"]), list_ids(["a", "b"], 12), list_ids([], 12)
    ("'a', 'b', 'c', 'd', 'e' and 2 more", "'a', 'b' and 10 more", 'ids left out (redacted)')
    """
    if not ids:
        return "ids left out (redacted)"
    shown = ids[:_IDS_SHOWN]
    more = (len(ids) if count is None else count) - len(shown)
    return ", ".join(map(repr, shown)) + (f" and {more} more" if more else "")


def all_ids(ids: Sequence[str]) -> dict[str, Any]:
    """The figures of a note about passages that may have to be removed: their number, and all of their *ids*."""
    return {"count": len(ids), "ids": list(ids)}


def first_ids(ids: Sequence[str]) -> dict[str, Any]:
    """The figures of a note about passages: their number, and the first five of their *ids*."""
    return {"count": len(ids), "ids": list(ids[:_IDS_SHOWN])}


def _texts(name: str) -> tuple[str, str]:
    return next(texts for pattern, texts in TEXTS.items() if fnmatchcase(name, pattern))


def _detail(note: Note) -> str:
    figures = dict(note.figures)
    if "ids" in figures:
        figures["ids"] = list_ids(figures["ids"], figures["count"])
    if "sets" in figures:
        figures["sets"] = " and ".join(figures["sets"])
    return DETAILS[note.kind].format(**figures)
