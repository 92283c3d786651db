"""What a model emits verbatim, in words."""

from __future__ import annotations

from collections.abc import Mapping

from ...extraction import Extraction, ExtractionNote, KnownNonmembers, Sampling
from ._comparisons import p_words
from ._counting import counted

__all__ = [
    "extraction_notes",
    "extraction_rate",
    "extraction_reference",
    "extraction_size",
    "extraction_statement",
    "that_counts",
]

NOTES: Mapping[ExtractionNote, str] = {
    ExtractionNote.TOO_SHORT: (
        "passages too short for a stretch of {stretch} tokens after a prefix of {prefix}: {too_short:,} of "
        "{passages:,}; they have no spans, but the extractable share of a document counts their bytes"
    ),
    ExtractionNote.COPIED: (
        "probable stretches that occur earlier in the same passage: {stretches:,}; a model can copy them without "
        "having been trained on them, so they do not count"
    ),
    ExtractionNote.UNKNOWN: "stretches with a token whose probability is not known (NaN): {stretches:,}",
    ExtractionNote.CROSSING: (
        "stretches that cross the edge of a window: {stretches:,}; no single prompt gives their probability, so they "
        "do not count, and a span ends there"
    ),
    ExtractionNote.LOWER_BOUNDS: (
        "probabilities are lower bounds, and spans are selected by them; upper bounds are shown too. Exact values "
        "would need the probabilities of all the likeliest tokens, which signals do not hold"
    ),
    ExtractionNote.OTHER_TOKENS: (
        "the reference model divides texts into other tokens, so its probability of a text lies between that of the "
        "tokens that cover the text and that of the tokens in it; the tokens at both edges make the difference"
    ),
    ExtractionNote.CONDITIONS: (
        "the probability of a token is its probability after all the text before it in the model's window; with a "
        "shorter or another prompt, or with a chat template, it is different"
    ),
}
"""By kind of note; the fields are its figures."""


UNCOUNTED = {ExtractionNote.COPIED, ExtractionNote.UNKNOWN, ExtractionNote.CROSSING}
"""Notes about stretches that may be probable, but do not count."""


def extraction_size(extraction: Extraction) -> str:
    """How many spans, in how many documents."""
    with_spans = sum(document.spans > 0 for document in extraction.documents)
    documents = counted(len(extraction.documents), "document")
    if not extraction.spans:
        return f"no spans in {documents}"
    return f"{counted(len(extraction.spans), 'span')} in {with_spans:,} of {documents}"


def extraction_statement(extraction: Extraction) -> str:
    """What the spans mean, or what it means that there are none, in a sentence."""
    stretch = f"stretch of {counted(extraction.stretch, 'token')}"
    rule = f"with probability {extraction.probability:g} or more, by {_sampling(extraction.sampling)}"
    if not extraction.spans:
        return (
            f"given the text before it, the model writes no {stretch}{that_counts(extraction)} {rule}. So there is no "
            "evidence that the model has memorised any of these texts; they may still have been trained on"
        )
    writes = f"given the text before it, the model writes each {stretch} in a span {rule}"
    if all(span.label == 0 for span in extraction.spans):
        return (
            f"{writes}. All spans lie in texts that are known not to be in the training data (label 0), so at this "
            "probability a span is no evidence that the model has memorised a text"
        )
    if not any(span.counts for span in extraction.spans):
        return (
            f"{writes}. The reference model writes every span too, so no span is evidence that the model has memorised "
            "a text; the texts may still have been trained on"
        )
    which = "" if extraction.reference is None else " that the reference model does not write too"
    return (
        f"{writes}. This is evidence that the model has memorised the text of a span{which}. It is not a decision with "
        "an error rate, and a text without spans may still have been trained on"
    )


def that_counts(extraction: Extraction) -> str:
    """What has to be added to a stretch that the model does not write, where it may write others that do not count."""
    return " that counts" if {note.kind for note in extraction.notes} & UNCOUNTED else ""


def extraction_rate(extraction: Extraction) -> str | None:
    """How often known non-members have such spans; None where there are no spans, and no known non-members."""
    known = extraction.nonmembers
    if known is None and not extraction.spans:
        return None
    if known is None:
        return (
            "no passage is a known non-member (label 0), so nobody can say how often texts that were not trained on "
            "have such spans"
        )
    have_spans = "has" if known.with_spans == 1 else "have"
    return (
        f"of {counted(known.documents, 'document')} of known non-members, {known.with_spans:,} {have_spans} such "
        f"spans; their share among all such documents is at most {100 * known.bound:.2g} % (95 % confidence, if "
        f"documents are independent){_like_length(known)}"
    )


def _like_length(known: KnownNonmembers) -> str:
    like = known.like
    if like is None:
        return (
            f"; none of them is as long as a text in question (they have {known.least:,} to "
            f"{counted(known.most, 'stretch', 'stretches')}), and a longer text has a span by chance more often"
        )
    return (
        f". Of like length: {like.nonmembers_with_spans:,} of {counted(like.nonmembers, 'known non-member')}, and "
        f"{like.with_spans:,} of {counted(like.documents, 'document')} in question ({p_words(like.p_value)}: the "
        "probability that so many of the latter have spans, if they are like the known non-members)"
    )


def extraction_reference(extraction: Extraction) -> str:
    """What the reference model makes of the spans, or what is unknown without it, in a sentence."""
    if extraction.reference is None:
        return "none: text that any model knows, such as scripture, counts as memorised"
    shared, name = extraction.totals.spans_shared, extraction.reference.model.id
    others = (
        "none of these spans" if not shared else f"{counted(shared, 'further span')}, which {_do(shared)} not count"
    )
    return f"{name} writes {others}"


def _do(number: int) -> str:
    return "does" if number == 1 else "do"


def extraction_notes(extraction: Extraction) -> list[str]:
    """What a reader ought to know, a sentence each."""
    return [
        *extraction.input_notes,
        *(NOTES[ExtractionNote(note.kind)].format(**note.figures) for note in extraction.notes),
    ]


def _sampling(sampling: Sampling) -> str:
    if sampling.greedy:
        return "greedy decoding"
    return "sampling at temperature 1" + (f" among the {sampling.top_k} likeliest tokens" if sampling.top_k else "")
