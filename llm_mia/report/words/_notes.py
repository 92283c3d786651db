"""Notes of a result → sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...decision import NoteKind, Shortage, ShortageKind, Unit, Wanted
from ...documents import describe_note
from ...records import Note

__all__ = ["note_words", "notes_words"]

Figures = Mapping[str, Any]

UNBOUNDED = "the number of members among the candidates has no lower bound here"


def notes_words(notes: Iterable[Note]) -> list[str]:
    """A sentence for each note."""
    return [note_words(note) for note in notes]


def note_words(note: Note) -> str:
    """The sentence of a note.

    >>> note_words(Note(NoteKind.SCORES_MISSING, {"count": 7, "ids": ["a", "b", "c", "d", "e"]}))
    "7 candidates have no score and cannot be flagged ('a', 'b', 'c', 'd', 'e' and 2 more); flags.csv gives the reason"
    """
    if note.kind in set(NoteKind):
        return WORDS[NoteKind(note.kind)](note.figures)
    return describe_note(note)


def _ids(figures: Figures) -> str:
    named, more = figures["ids"], figures["count"] - len(figures["ids"])
    return ", ".join(map(repr, named)) + (f" and {more:,} more" if more > 0 else "")


def _fitted(figures: Figures) -> str:
    how = "fitted" if figures["stack"] else "selected"
    return (
        f"{figures['attack']} was {how} on {figures['passages']} known passages of {figures['documents']} documents; "
        "these set no threshold, and the rates and AUROCs of the attacks do not count them"
    )


def _by_default(figures: Figures) -> str:
    counts = figures["shortage"]
    shortage = Shortage(**{**counts, "kind": ShortageKind(counts["kind"]), "unit": Unit(counts["unit"])})
    what = "no attack could be selected" if figures["wanted"] == Wanted.AUTO else "no stack could be fitted"
    return f"{what}, so {figures['attack']} decides: {shortage}"


def _labelled(figures: Figures) -> str:
    selected = ", and rows that selected or fitted what decides are flagged too often" if figures["selected"] else ""
    return "labelled rows are among the flags: for rows that set the threshold a flag carries no information" + selected


def _discoveries(figures: Figures) -> str:
    kind = "non-members" if figures["unit"] == Unit.PASSAGES else "documents of non-members"
    return f"with {figures['n']} {kind}, this FDR allows either no flag or at least {figures['least']} flags"


WORDS: Mapping[NoteKind, Callable[[Figures], str]] = {
    NoteKind.ASSUMPTION: lambda _: (
        "The error rate holds if a candidate that was not trained on could as well have been among the known "
        "non-members (same source, period, style, length). Checks can refute this assumption, but never confirm it."
    ),
    NoteKind.CHECKS_ON_SAMPLE: lambda f: f"{f['source']}: {f['checked']:,} of {f['passages']:,} passages were checked",
    NoteKind.DECIDER_FITTED: _fitted,
    NoteKind.DECIDER_BY_DEFAULT: _by_default,
    NoteKind.NONMEMBERS_UNSCORED: lambda f: (
        f"{f['count']} non-members have no score (too short to have a scored token), so they set no threshold"
    ),
    NoteKind.DOCUMENTS_SHARED: lambda f: (
        f"the {f['passages']} non-members come from {f['documents']} documents; passages of a document are not "
        "independent, so the rate with this known set can differ more from the average rate"
    ),
    NoteKind.DOCUMENTS_FEW: lambda f: (
        f"FPR ≤ {100 * f['fpr']:g} % needs {f['needed']} independent documents of non-members, and there are "
        f"{f['documents']}: the rate is not guaranteed for candidates from other documents"
    ),
    NoteKind.ORIGIN_UNKNOWN: lambda _: (
        "the scores or the calibration do not record their model, so nobody has checked that both are of the same model"
    ),
    NoteKind.LABELLED_FLAGGED: _labelled,
    NoteKind.STACK_COLUMNS_MISSING: lambda f: (
        f"{f['count']} candidates have no score in at least one column of the stack ({_ids(f)}); the median of the "
        "known non-members is used instead"
    ),
    NoteKind.SCORES_INFINITE: lambda f: (
        f"{f['count']} candidates have an infinite score and cannot be flagged ({_ids(f)}); search for the cause"
    ),
    NoteKind.SCORES_MISSING: lambda f: (
        f"{f['count']} candidates have no score and cannot be flagged ({_ids(f)}); flags.csv gives the reason"
    ),
    NoteKind.DISCOVERIES_LIMITED: _discoveries,
    NoteKind.MEMBERS_UNBOUNDED_LABELLED: lambda _: f"{UNBOUNDED}: labelled passages are among them",
    NoteKind.MEMBERS_UNBOUNDED_CATEGORIES: lambda _: f"{UNBOUNDED}: each category has a separate calibration set",
    NoteKind.MEMBERS_UNBOUNDED_DOCUMENTS: lambda _: (
        f"{UNBOUNDED}, because passages of the same document are not independent; 'llm-mia flag --documents' counts "
        "documents instead, and bounds their number"
    ),
    NoteKind.MEMBERS_UNBOUNDED_FEW: lambda f: f"{UNBOUNDED}: {f['documents']} documents of non-members are too few",
    NoteKind.MEMBERS_BOUNDED_IN_PART: lambda f: (
        f"the bound on the number of members counts only the {f['documents']} documents of which {f['passages']} "
        "passages were compared"
    ),
    NoteKind.FITTED_LEFT_OUT: lambda f: (
        f"{f['count']} known passages that selected or fitted what decides are left out"
    ),
    NoteKind.THRESHOLD_SET_HERE: lambda _: (
        "some or all non-members of the table set this threshold, so their false positive rate carries no "
        "information: give a table with other non-members"
    ),
    NoteKind.EPSILON_UNBOUNDED: lambda _: (
        "several passages come from the same document and are not independent trials, so ε has no lower bound here"
    ),
    NoteKind.POWER_OF_SEVERAL: lambda _: "the number of documents needed is computed only for a single attack",
    NoteKind.POWER_UNKNOWN: lambda f: f"the number of documents needed cannot be computed: {f['problem']}",
    NoteKind.SENTENCE: lambda f: str(f["text"]),
}
"""The sentence of each kind, from its figures."""
