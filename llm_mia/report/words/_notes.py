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
    how = "fitted" if figures["stack"] else "chosen"
    return (
        f"{figures['attack']} was {how} on {figures['passages']} known passages of {figures['documents']} documents, "
        "which nothing else here counts"
    )


def _by_default(figures: Figures) -> str:
    counts = figures["shortage"]
    shortage = Shortage(**{**counts, "kind": ShortageKind(counts["kind"]), "unit": Unit(counts["unit"])})
    what = "no attack could be chosen" if figures["wanted"] == Wanted.AUTO else "no stack could be fitted"
    return f"{what}, so {figures['attack']} decides: {shortage}"


def _labelled(figures: Figures) -> str:
    selected = (
        " and of those that selected or fitted what decides the flags are too many" if figures["selected"] else ""
    )
    return f"labelled rows are flagged too; of those that set the threshold the flags show nothing{selected}"


def _discoveries(figures: Figures) -> str:
    kind = "non-members" if figures["unit"] == Unit.PASSAGES else "documents of non-members"
    return f"{figures['n']} {kind} cannot support fewer than {figures['least']} discoveries at this FDR"


WORDS: Mapping[NoteKind, Callable[[Figures], str]] = {
    NoteKind.ASSUMPTION: lambda _: (
        "The error rate holds if a candidate that was not trained on could as well have been among the known "
        "non-members (same source, period, style, length). Checks can show that it could not, and never that it could."
    ),
    NoteKind.CHECKS_ON_SAMPLE: lambda f: f"{f['source']}: {f['checked']:,} of {f['passages']:,} passages were checked",
    NoteKind.DECIDER_FITTED: _fitted,
    NoteKind.DECIDER_BY_DEFAULT: _by_default,
    NoteKind.NONMEMBERS_UNSCORED: lambda f: (
        f"{f['count']} non-members have no score (too short to have a scored token); none of them was calibrated on"
    ),
    NoteKind.DOCUMENTS_SHARED: lambda f: (
        f"the {f['passages']} non-members come from {f['documents']} documents; passages of a document are not "
        "independent, so the realised rate can lie further from the rate that is held on average"
    ),
    NoteKind.DOCUMENTS_FEW: lambda f: (
        f"{f['documents']} documents are fewer than the {f['needed']} independent documents that "
        f"FPR ≤ {100 * f['fpr']:g} % takes: candidates from other documents are not covered"
    ),
    NoteKind.ORIGIN_UNKNOWN: lambda _: (
        "scores or calibration do not record which model made them, so that they match is taken on trust"
    ),
    NoteKind.LABELLED_FLAGGED: _labelled,
    NoteKind.STACK_COLUMNS_MISSING: lambda f: (
        f"{f['count']} candidates lack a score in some column of the stack ({_ids(f)}); the median of known "
        "non-members replaces it"
    ),
    NoteKind.SCORES_INFINITE: lambda f: (
        f"{f['count']} candidates have an infinite score and cannot be flagged ({_ids(f)}); find out why"
    ),
    NoteKind.SCORES_MISSING: lambda f: (
        f"{f['count']} candidates have no score and cannot be flagged ({_ids(f)}); flags.csv gives the reason"
    ),
    NoteKind.DISCOVERIES_LIMITED: _discoveries,
    NoteKind.MEMBERS_UNBOUNDED_LABELLED: lambda _: f"{UNBOUNDED}: labelled passages are among them",
    NoteKind.MEMBERS_UNBOUNDED_CATEGORIES: lambda _: f"{UNBOUNDED}: each category has its separate calibration set",
    NoteKind.MEMBERS_UNBOUNDED_DOCUMENTS: lambda _: (
        f"{UNBOUNDED}: passages share documents, and are not independent; 'llm-mia flag --documents' bounds it by "
        "document"
    ),
    NoteKind.MEMBERS_UNBOUNDED_FEW: lambda f: f"{UNBOUNDED}: {f['documents']} documents of non-members are too few",
    NoteKind.MEMBERS_BOUNDED_IN_PART: lambda f: (
        f"the least number of members counts only the {f['documents']} documents that are judged on {f['passages']} "
        "passages"
    ),
    NoteKind.FITTED_LEFT_OUT: lambda f: (
        f"{f['count']} known passages that selected or fitted what decides are left out"
    ),
    NoteKind.THRESHOLD_SET_HERE: lambda _: (
        "some or all of the table's non-members set this threshold, so their rate above it shows nothing: give others"
    ),
    NoteKind.EPSILON_UNBOUNDED: lambda _: (
        "passages share documents and are not independent trials, so ε has no lower bound here"
    ),
    NoteKind.POWER_OF_SEVERAL: lambda _: "the number of documents needed is computed for a single attack",
    NoteKind.POWER_UNKNOWN: lambda f: f"the number of documents needed cannot be computed: {f['problem']}",
    NoteKind.SENTENCE: lambda f: str(f["text"]),
}
"""The sentence of each kind, from its figures."""
