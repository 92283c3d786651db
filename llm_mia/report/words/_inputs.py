"""What inputs, and the models that read them, allow and leave unchecked, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...decision import NoteKind
from ._counting import counted

__all__ = ["INPUT_WORDS"]

Figures = Mapping[str, Any]


def _stand_in(figures: Figures) -> str:
    """Which model stands in for a reference model."""
    head = "there is no reference model, so "
    if "trained_on" not in figures:
        model = figures["model"]
        return f"{head}the {model} model is the stand-in: it reads all passages, and the target is compared with it"
    return (
        f"{head}an n-gram model is the stand-in, and the target is compared with it. It was trained on "
        f"{figures['trained_on']:,} of {counted(figures['documents'], 'document')} of non-members, and gives these no "
        "score; a reference model notices more differences"
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
        f"cannot know the texts separates them, too: {advice}"
    )


INPUT_WORDS: Mapping[NoteKind, Callable[[Figures], str]] = {
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
    NoteKind.NOT_VALIDATED: _not_validated,
    NoteKind.SCORES_EQUAL: lambda f: (
        f"{counted(f['rows'], f['role'])} have equal scores by {f['attack']} in {counted(f['documents'], 'group')}, as "
        "copies of a text have, so each group counts as a single document; if they are different texts, name the "
        "document of each with `document_column`"
    ),
}
"""The sentence of each kind of note on the inputs, from its figures."""
