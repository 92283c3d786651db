"""The answer of an extraction: how much of the texts a model writes word for word, and what that may mean."""

from __future__ import annotations

from ...extraction import Extraction
from ._answer import Answer, Outcome
from ._answering import short_name
from ._comparisons import p_words
from ._counting import counted, size_words
from ._extraction import extraction_notes, extraction_reference, that_counts

__all__ = ["extraction_answer"]

MAY_STILL = "a model writes few of its training texts word for word"


def extraction_answer(extraction: Extraction) -> Answer:
    """What the model writes of the texts in question, beside the reference model and the known non-members.

    The outcome is a finding only where there is a reference model that does not write the spans too, and where known
    non-members of like length have spans less often (p ≤ 0.05).
    """
    totals = extraction.totals
    outcome, reserve, change = _outcome(extraction)
    facts = [("writes", _writes(extraction))] if totals.spans else []
    if totals.spans or totals.spans_shared:
        facts.append(("reference", extraction_reference(extraction)))
    if extraction.proofs:
        greedy = sum(proof.greedy for proof in extraction.proofs)
        stretches = counted(len(extraction.proofs), "stretch", "stretches")
        facts.append(("proof", f"greedy decoding writes {greedy:,} of {stretches} token for token"))
    return Answer(
        question=f"Does {short_name(extraction.model.id)} write {_texts(extraction)} word for word?",
        outcome=outcome,
        headline=_headline(extraction, reserve),
        error_rate=_error_rate(extraction),
        facts=tuple(facts),
        trust=(_trust(extraction),),
        caveats=len(extraction_notes(extraction)),
        change=change,
    )


def _texts(extraction: Extraction) -> str:
    totals = extraction.totals
    if not totals.documents:
        return "these known non-members"
    these = "this document" if totals.documents == 1 else f"these {totals.documents:,} documents"
    return f"{these} ({size_words(totals.bytes)})"


def _outcome(extraction: Extraction) -> tuple[Outcome, str, str]:
    """The kind of answer, the reserve that its sentence needs, and what would change it."""
    if not extraction.totals.spans:
        return Outcome.NO_FINDING, "", ""
    known = extraction.nonmembers
    if extraction.reference is None and known is None:
        return (
            Outcome.DOUBTFUL,
            "nothing shows how much of it any model would write",
            "a reference model, and known non-members of like length",
        )
    if extraction.reference is None:
        return Outcome.DOUBTFUL, "no reference model shows how much of it any model would write", "a reference model"
    like = None if known is None else known.like
    if like is None:
        return (
            Outcome.DOUBTFUL,
            "no known non-member of like length shows how often that is chance",
            "known non-members of like length",
        )
    if not like.beyond_chance:
        return (
            Outcome.DOUBTFUL,
            "known non-members do not show that this is more than chance",
            "more known non-members of like length",
        )
    return Outcome.FINDING, "", ""


def _headline(extraction: Extraction, reserve: str) -> str:
    totals = extraction.totals
    if not totals.passages:
        return "Every text is known not to be in the training data: this shows what chance writes."
    if not totals.spans and totals.spans_shared:
        return "It writes nothing word for word that the reference model does not write too."
    if not totals.spans:
        stretch = f"stretch of {counted(extraction.stretch, 'token')}{that_counts(extraction)}"
        return f"It writes none of them: no {stretch} has probability {extraction.probability:g} or more."
    share = f"{100 * totals.share:.2g} % of the text" if totals.share < 0.995 else "nearly all of the text"
    longest = f"longest span: {counted(totals.longest, 'token')}"
    return f"It writes {share} word for word ({longest}){', but ' if reserve else ''}{reserve}."


def _error_rate(extraction: Extraction) -> str:
    """How often texts that were not trained on have spans; for an answer without spans, how little it shows."""
    totals, known = extraction.totals, extraction.nonmembers
    if totals.passages and not totals.spans:
        return f"It may still have been trained on them: {MAY_STILL}."
    if known is None:
        return "No error rate can be given: no text is known not to be in the training data."
    like = known.like
    if like is None:
        return f"{_of(known.with_spans, known.documents)} known non-members have spans, none of them of like length."
    return (
        f"Of known non-members of like length, {_of(like.nonmembers_with_spans, like.nonmembers)} have spans; here "
        f"{_of(like.with_spans, like.documents)} ({p_words(like.p_value)})."
    )


def _writes(extraction: Extraction) -> str:
    totals = extraction.totals
    return (
        f"{counted(totals.spans, 'span')} in {totals.documents_with_spans:,} of the {totals.documents:,}; "
        f"{counted(extraction.stretch, 'token')} in a row with probability ≥ {extraction.probability:g}"
    )


def _trust(extraction: Extraction) -> str:
    if extraction.totals.spans:
        return "Consistent with training on them; other texts may have been trained on too."
    return "Only memorised text leaves spans; llm-mia audit looks for weaker signs."


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}"
