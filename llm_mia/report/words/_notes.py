"""Notes of a result → sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ...decision import DocumentObstacle, NoteKind, Obstacle, Shortage, ShortageKind, Unit, Wanted
from ...documents import describe_note
from ...records import Note
from ._audit_by_shadows import SHADOW_WORDS
from ._comparisons import p_words, role_words
from ._counting import counted, have
from ._history import HISTORY_WORDS
from ._inputs import INPUT_WORDS
from ._precision import precision_words

__all__ = ["ASSUMPTION", "note_words", "notes_words"]

Figures = Mapping[str, Any]

TOO_SHORT = "too short to have a scored token"
ASSUMPTION = (
    "a candidate that was not trained on could as well have been among the known non-members (same source, period, "
    "style, length); checks can refute this assumption, but never confirm it"
)
UNBOUNDED = "the number of members among the candidates has no lower bound here"


def notes_words(notes: Iterable[Note]) -> list[str]:
    """A sentence for each note, and a single sentence for all scores that are lower for members."""
    sentences, lower = list[str](), list[Figures]()
    for note in notes:
        if note.kind == NoteKind.SCORE_REVERSED and not note.figures["foreign"]:
            lower.append(note.figures)
        else:
            sentences.append(note_words(note))
    return [*sentences, *([_lower_for_members(lower)] if lower else [])]


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
    passages, documents = counted(figures["passages"], "known passage"), counted(figures["documents"], "document")
    return (
        f"{figures['attack']} was {how} on {passages} of {documents}; these set no threshold, and the rates and AUROCs "
        "of the attacks do not count them"
    )


def _by_default(figures: Figures) -> str:
    counts = figures["shortage"]
    shortage = Shortage(**{**counts, "kind": ShortageKind(counts["kind"]), "unit": Unit(counts["unit"])})
    what = "no attack could be selected" if figures["wanted"] == Wanted.AUTO else "no stack could be fitted"
    half = " (the fit part is half of the known set)" if shortage.kind is ShortageKind.FIT_PART else ""
    return f"{what}, so {figures['attack']} decides, by a fixed rule: {shortage}{half}"


def _labelled(figures: Figures) -> str:
    selected = ", and rows that selected or fitted what decides are flagged too often" if figures["selected"] else ""
    return "labelled rows are among the flags: for rows that set the threshold a flag carries no information" + selected


def _discoveries(figures: Figures) -> str:
    passages = figures["unit"] == Unit.PASSAGES
    known = counted(figures["n"], "non-member" if passages else "document") + ("" if passages else " of non-members")
    return f"with {known}, this FDR allows either no flag or at least {counted(figures['least'], 'flag')}"


def _documents_instead(figures: Figures) -> str:
    """Why passages have no bound on the number of members, and what would have."""
    reason = f"{UNBOUNDED}, because passages of the same document are not independent"
    obstacle = figures.get("obstacle")
    if obstacle == DocumentObstacle.SHADOWS:
        return f"{UNBOUNDED}, because passages under the same model are not independent"
    if obstacle is None:
        return f"{reason}; 'llm-mia flag TABLE --documents' counts documents instead, and bounds their number"
    missing = {
        DocumentObstacle.OTHER_NONMEMBERS: (
            "the table that was calibrated, since documents are compared with the documents of its non-members"
        ),
        DocumentObstacle.ON_BOTH_SIDES: (
            "each document on one side only, among the candidates or among the non-members; "
            f"{counted(figures.get('documents', 0), 'document')} {'is' if figures.get('documents') == 1 else 'are'} on "
            f"both sides now, the first {figures.get('first')!r}"
        ),
        DocumentObstacle.INFINITE: "finite scores of all candidates",
    }[DocumentObstacle(str(obstacle))]
    return f"{reason}; decisions on documents, which count documents instead, would need {missing}"


def _no_finding(figures: Figures) -> str:
    why = {
        Obstacle.UNSCORED: "no candidate has a score",
        Obstacle.LABELLED: "labelled rows are among the flags",
        Obstacle.OTHER_NONMEMBERS: (
            "passages share documents, and the table does not hold the non-members that set the threshold: give the "
            "table that was calibrated"
        ),
        Obstacle.CATEGORIES: (
            "passages share documents, and a document lies in several categories: give documents of a single category, "
            "or calibrate without categories"
        ),
        Obstacle.CATEGORIES_FDR: (
            "passages share documents, and a false discovery rate is held over several categories: decide at a false "
            "positive rate, or calibrate without categories"
        ),
        Obstacle.FEW_DOCUMENTS: (
            "too few documents of non-members have as many passages as the candidate documents: add documents of "
            "non-members that are as long"
        ),
        Obstacle.NOTHING_TO_EXCHANGE: (
            "no document of candidates can be compared with a document of non-members: give non-members whose "
            "passages form whole documents, as the candidates do"
        ),
    }[Obstacle(figures["why"])]
    return f"no finding is possible: {why}"


def _why_unscored(figures: Figures) -> str:
    if figures["foreign"]:
        return "the table has none"
    left_out = figures.get("left_out", 0)
    short = figures["count"] - left_out
    why = f"{left_out:,} because each process that computed {'them' if left_out > 1 else 'it'} has ended"
    return TOO_SHORT if not left_out else f"{short:,} {TOO_SHORT}, {why}" if short else why


def _unscored_highest(figures: Figures) -> str:
    candidates = "candidates" if figures["unit"] == Unit.PASSAGES else "candidate documents"
    return (
        f"{figures['nonmembers']:,} of {counted(figures['of_nonmembers'], 'non-member')} and {figures['candidates']:,} "
        f"of {figures['of_candidates']:,} {candidates} have no score, for unknown reasons; so the finding counts each "
        "of these non-members as if it had the highest score, and of these candidates as if it had the lowest, which "
        "gives "
        f"{p_words(figures['with'])} instead of {p_words(figures['without'])}"
    )


def _reversed(figures: Figures) -> str:
    if not figures["foreign"]:
        return _lower_for_members([figures])
    attack = figures["attack"]
    other = attack.removeprefix("-") if attack.startswith("-") else f"-{attack}"
    return (
        f"members have lower scores than non-members by {_with_auroc(figures)}; if a lower value means member, name "
        f"the column '{other}'; otherwise check the labels"
    )


def _lower_for_members(scores: Sequence[Figures]) -> str:
    return (
        f"members have lower scores than non-members by {', '.join(map(_with_auroc, scores))}; check that members and "
        "non-members, or target and reference model, are not exchanged"
    )


def _with_auroc(figures: Figures) -> str:
    return f"{figures['attack']} (AUROC {figures['auroc']:.3f} [{figures['low']:.3f}, {figures['high']:.3f}])"


WORDS: Mapping[NoteKind, Callable[[Figures], str]] = {
    NoteKind.ASSUMPTION: lambda _: f"The error rate holds if {ASSUMPTION}.",
    **SHADOW_WORDS,
    NoteKind.DECIDER_FITTED: _fitted,
    NoteKind.DECIDER_BY_DEFAULT: _by_default,
    NoteKind.NONMEMBERS_UNSCORED: lambda f: (
        f"{have(f['count'], 'non-member')} no score ({_why_unscored(f)}), and no part in the threshold"
    ),
    NoteKind.UNSCORED_HIGHEST: _unscored_highest,
    NoteKind.POOL_UNKNOWN: lambda f: (
        f"no row is of the category {' or '.join(map(repr, f['names']))}, which is to be joined with others; the "
        f"categories are {', '.join(map(repr, f['categories']))}"
    ),
    NoteKind.DOCUMENTS_SHARED: lambda f: (
        f"the {f['passages']} {'scores by shadow models' if f['by_shadows'] else 'non-members'} come from "
        f"{counted(f['documents'], 'document')}; {'scores' if f['by_shadows'] else 'passages'} of a document are "
        "not independent, so each document counts once, and the rate is an average over new documents; where large "
        "documents score higher than small ones, a larger share of all passages can be flagged"
    ),
    NoteKind.ORIGIN_UNKNOWN: lambda _: (
        "the scores or the calibration do not record their model, so nobody has checked that both are of the same model"
    ),
    NoteKind.OTHER_NONMEMBERS: lambda f: (
        f"the known non-members of this table did not set the threshold; {f['above']:,} of {f['nonmembers']:,} of them "
        f"are above it, and of non-members like those that set it at most {100 * f['fpr']:g} % are expected to be"
    ),
    NoteKind.LABELLED_FLAGGED: _labelled,
    NoteKind.STACK_COLUMNS_MISSING: lambda f: (
        f"{have(f['count'], 'candidate')} no score in at least one column of the stack ({_ids(f)}); the median of the "
        "known non-members is used instead"
    ),
    NoteKind.SCORES_INFINITE: lambda f: (
        f"{have(f['count'], 'candidate')} an infinite score and cannot be flagged ({_ids(f)}); search for the cause"
    ),
    NoteKind.SCORES_MISSING: lambda f: (
        f"{have(f['count'], 'candidate')} no score and cannot be flagged ({_ids(f)}); flags.csv gives the reason"
    ),
    NoteKind.DISCOVERIES_LIMITED: _discoveries,
    NoteKind.DISCOVERIES_ANY_DEPENDENCE: lambda _: (
        "passages share documents, so the false discovery rate is held by Benjamini–Yekutieli: this method "
        "assumes that each p-value by itself is valid, and nothing about how passages depend on each other"
    ),
    NoteKind.MEMBERS_UNBOUNDED_LABELLED: lambda _: f"{UNBOUNDED}: labelled passages are among them",
    NoteKind.MEMBERS_UNBOUNDED_CATEGORIES: lambda _: (
        "the number of members among the candidates of all categories together has no lower bound: each category has "
        "a separate calibration set"
    ),
    NoteKind.MEMBERS_UNBOUNDED_DOCUMENTS: _documents_instead,
    NoteKind.MEMBERS_UNBOUNDED_FEW: lambda f: (
        f"{UNBOUNDED}: {counted(f['documents'], 'document')} of non-members with as many passages "
        f"{'is' if f['documents'] == 1 else 'are'} too few"
    ),
    NoteKind.MEMBERS_BOUNDED_IN_PART: lambda f: (
        f"the finding and the bound on the number of members count only the {counted(f['documents'], 'document')} of "
        f"which {counted(f['passages'], 'passage')} {'was' if f['passages'] == 1 else 'were'} compared"
    ),
    NoteKind.FINDING_IMPOSSIBLE: _no_finding,
    NoteKind.FITTED_LEFT_OUT: lambda f: (
        f"{counted(f['count'], 'known passage')} that selected or fitted what decides "
        f"{'is' if f['count'] == 1 else 'are'} left out"
    ),
    NoteKind.THRESHOLD_SET_HERE: lambda _: (
        "some or all non-members of the table set this threshold, so their false positive rate carries no "
        "information: give a table with other non-members"
    ),
    NoteKind.EPSILON_UNBOUNDED: lambda _: (
        "several passages come from the same document, so they were not drawn one by one, and ε has no lower bound here"
    ),
    NoteKind.EPSILON_NOT_RANDOMISED: lambda _: (
        "ε has no lower bound here: any difference between members and non-members would raise it; if they were drawn "
        "at random from one pool before the training, state that with `randomised`"
    ),
    NoteKind.POWER_OF_SEVERAL: lambda _: "the number of documents needed is computed only for a single attack",
    NoteKind.POWER_UNKNOWN: lambda f: f"the number of documents needed cannot be computed: {f['problem']}",
    **HISTORY_WORDS,
    **INPUT_WORDS,
    NoteKind.OTHER_UNSCORED: lambda f: (
        f"{role_words(f['role'])} has scored no candidate or no non-member, so the collection is not compared with it"
    ),
    NoteKind.OTHER_FEW_DOCUMENTS: lambda f: (
        f"{role_words(f['role'])} scored only {counted(f['candidates'], 'document')} of candidates and "
        f"{f['nonmembers']} of non-members: with so few the smallest possible p-value is {f['smallest_p']:.3g}, and a "
        f"finding needs p ≤ {f['level']:.3g}, which takes {f['needed']} documents of each"
    ),
    NoteKind.SCORE_REVERSED: _reversed,
    NoteKind.SCORE_FOLLOWS_ROWS: lambda f: (
        f"{f['attack']} follows the order of the rows (rank correlation {f['correlation']:.2f} over {f['documents']:,} "
        f"documents of {f['among']}; by chance this happens at most once in 1,000 times): harmless if the rows were "
        "sorted by a property of the texts, such as their length or source; otherwise find out how the order "
        "entered the score"
    ),
    NoteKind.PRECISION: precision_words,
    NoteKind.SENTENCE: lambda f: str(f["text"]),
}
"""The sentence of each kind, from its figures."""
