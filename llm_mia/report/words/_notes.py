"""Notes of a result → sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...decision import DocumentObstacle, NoteKind, Obstacle, Shortage, ShortageKind, Unit, Wanted
from ...documents import describe_note
from ...records import Note
from ._comparisons import p_words
from ._counting import counted, have
from ._history import HISTORY_WORDS

__all__ = ["note_words", "notes_words"]

Figures = Mapping[str, Any]

TOO_SHORT = "too short to have a scored token"
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
    passages, documents = counted(figures["passages"], "known passage"), counted(figures["documents"], "document")
    return (
        f"{figures['attack']} was {how} on {passages} of {documents}; these set no threshold, and the rates and AUROCs "
        "of the attacks do not count them"
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
    passages = figures["unit"] == Unit.PASSAGES
    known = counted(figures["n"], "non-member" if passages else "document") + ("" if passages else " of non-members")
    return f"with {known}, this FDR allows either no flag or at least {counted(figures['least'], 'flag')}"


def _documents_instead(figures: Figures) -> str:
    """Why passages have no bound on the number of members, and what would have."""
    reason = f"{UNBOUNDED}, because passages of the same document are not independent"
    obstacle = figures.get("obstacle")
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


def _stand_in(figures: Figures) -> str:
    """Which model stands in for a reference model."""
    head = "there is no reference model, so "
    if "trained_on" not in figures:
        return f"{head}the {figures['model']} model takes its place in the checks, and reads all passages, too"
    return (
        f"{head}an n-gram model takes its place in the checks. It was trained on {figures['trained_on']:,} of "
        f"{counted(figures['documents'], 'document')} of non-members, which have no score by it; a reference model is "
        "stronger"
    )


def _possible(figures: Figures) -> str:
    """Which decisions an input allows, and what the others would need."""
    candidates, nonmembers = counted(figures["candidates"], "candidate"), counted(figures["nonmembers"], "non-member")
    sides = (
        f"{counted(figures['candidate_documents'], 'document')} of candidates, {figures['nonmember_documents']:,} of "
        "non-members"
    )
    allowed, missing, enough = list[str](), list[str](), figures["compared"] >= figures["needed"]
    if enough:
        allowed.append(f"on passages ({candidates}, {nonmembers})")
    else:
        missing.append(_documents_missing(figures))
    if figures["on_both_sides"]:
        both = "document holds" if figures["on_both_sides"] == 1 else "documents hold"
        missing.append(
            f"decisions on documents or on all candidates together need each document on one side only, and "
            f"{figures['on_both_sides']:,} {both} both candidates and non-members, the first {figures['first']!r}"
        )
    else:
        allowed += [f"on documents ({sides})"] if enough else []
        if figures["collection"]:
            allowed.append("on all candidates together ('llm-mia collection')")
        else:
            missing.append(
                f"a decision on all candidates together needs {figures['collection_needs']} documents on each side, "
                f"and there are {sides}"
            )
    head = f"this input allows decisions {', '.join(allowed)}" if allowed else "this input allows no decision"
    few = not enough or not (figures["collection"] or figures["on_both_sides"])
    advice = ["divide large documents, such as a book into its chapters, or add documents"] if few else []
    return "; ".join([head, *missing, *advice])


def _documents_missing(figures: Figures) -> str:
    """How many documents of non-members are missing for decisions on passages, and for those on documents."""
    selecting = figures["nonmember_documents"] - figures["compared"]
    others = f" after {selecting:,} others have selected what decides" if selecting else ""
    are = "is" if figures["compared"] == 1 else "are"
    return (
        f"decisions on passages or on documents need {figures['needed']:,} documents of non-members for FPR ≤ "
        f"{100 * figures['fpr']:g} %, and there {are} {figures['compared']:,}{others}"
    )


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
            "too few documents of non-members have as many passages as the candidate documents: add larger ones"
        ),
        Obstacle.NOTHING_TO_EXCHANGE: (
            "no document of candidates can be compared with a document of non-members: give non-members whose "
            "passages form whole documents, as the candidates do"
        ),
    }[Obstacle(figures["why"])]
    return f"no finding is possible: {why}"


def _not_validated(figures: Figures) -> str:
    if figures["foreign"]:
        texts = (
            "a table holds no texts, so it is unknown whether a classifier that never sees the model tells candidates, "
            "members and non-members apart, and whether they share texts ('llm-mia validate' checks files of texts)"
        )
    else:
        texts = "no audit has checked the texts of this run ('llm-mia audit' with the same folder does)"
    if figures["others"]:
        return f"not validated: {texts}"
    advice = "evaluate its scores too" if figures["evaluated"] else "give its scores as `others`"
    return (
        f"not validated: {texts}; and no scores of another model are given, so it is unknown whether a model that "
        f"cannot know the texts tells them apart too: {advice}"
    )


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
    attack = figures["attack"]
    head = (
        f"members have lower scores than non-members by {attack}: AUROC {figures['auroc']:.3f} [{figures['low']:.3f}, "
        f"{figures['high']:.3f}]"
    )
    if figures["foreign"]:
        other = attack.removeprefix("-") if attack.startswith("-") else f"-{attack}"
        return f"{head}; if a lower value means member, name the column '{other}'; otherwise check the labels"
    return f"{head}; check that members and non-members, or target and reference model, are not exchanged"


WORDS: Mapping[NoteKind, Callable[[Figures], str]] = {
    NoteKind.ASSUMPTION: lambda _: (
        "The error rate holds if a candidate that was not trained on could as well have been among the known "
        "non-members (same source, period, style, length). Checks can refute this assumption, but never confirm it."
    ),
    NoteKind.CHECKS_ON_SAMPLE: lambda f: (
        f"{f['source']}: {f['checked']:,} of {counted(f['passages'], 'passage')} were checked"
    ),
    NoteKind.STAND_IN: _stand_in,
    NoteKind.STAND_IN_MISSING: lambda f: (
        "no other model has scored the passages: there is no reference model, the embedded model is not installed or "
        f"is the target, and an n-gram model takes {f['needed']} documents of non-members, of which there are "
        f"{f['documents']}; give a model as `reference` or as `stand_in`"
    ),
    NoteKind.DECISIONS_POSSIBLE: _possible,
    NoteKind.DECIDER_FITTED: _fitted,
    NoteKind.DECIDER_BY_DEFAULT: _by_default,
    NoteKind.NONMEMBERS_UNSCORED: lambda f: (
        f"{have(f['count'], 'non-member')} no score ({'the table has none' if f['foreign'] else TOO_SHORT}), and no "
        "part in the threshold"
    ),
    NoteKind.UNSCORED_HIGHEST: _unscored_highest,
    NoteKind.POOL_UNKNOWN: lambda f: (
        f"no row is of the category {' or '.join(map(repr, f['names']))}, which is to be joined with others; the "
        f"categories are {', '.join(map(repr, f['categories']))}"
    ),
    NoteKind.DOCUMENTS_SHARED: lambda f: (
        f"the {f['passages']} non-members come from {counted(f['documents'], 'document')}; passages of a document are "
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
        "passages share documents, so the false discovery rate is held by Benjamini–Yekutieli: it needs that each "
        "p-value by itself is valid, and nothing of how passages depend on each other"
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
    NoteKind.OTHER_UNSCORED: lambda f: (
        f"the {f['role']} model has not scored passages of both sides, so the collection is not compared with it"
    ),
    NoteKind.OTHER_FEW_DOCUMENTS: lambda f: (
        f"documents that the {f['role']} model scored too: {f['candidates']} of candidates and {f['nonmembers']} of "
        f"non-members; the smallest possible p-value is {f['smallest_p']:.3g}, and p ≤ {f['level']:g} needs "
        f"{f['needed']} documents of each"
    ),
    NoteKind.NOT_VALIDATED: _not_validated,
    NoteKind.SCORES_EQUAL: lambda f: (
        f"{counted(f['rows'], f['role'])} have equal scores by {f['attack']} in {counted(f['documents'], 'group')}, as "
        "copies of a text have, so each group counts as a single document; if they are different texts, name the "
        "document of each with `document_column`"
    ),
    NoteKind.SCORE_REVERSED: _reversed,
    NoteKind.SCORE_FOLLOWS_ROWS: lambda f: (
        f"{f['attack']} follows the order of the rows (rank correlation {f['correlation']:.2f} over {f['documents']:,} "
        f"documents of {f['among']}; by chance this happens at most once in 1,000 times): harmless if the rows were "
        "sorted by a property of the texts, such as their length or source; otherwise find out how the order "
        "entered the score"
    ),
    NoteKind.SENTENCE: lambda f: str(f["text"]),
}
"""The sentence of each kind, from its figures."""
