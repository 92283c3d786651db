"""What a model emits verbatim, in words."""

from __future__ import annotations

from collections.abc import Mapping

from ...extraction import Extraction, ExtractionNote, Sampling

__all__ = ["extraction_notes", "extraction_rate", "extraction_size", "extraction_statement"]

NOTES: Mapping[ExtractionNote, str] = {
    ExtractionNote.TOO_SHORT: (
        "{too_short:,} of {passages:,} passages are too short for a stretch of {stretch} tokens after a prefix of "
        "{prefix}: they have no spans, but the extractable share of a document counts their bytes"
    ),
    ExtractionNote.COPIED: (
        "{stretches:,} probable stretches occur earlier in the same passage, so a model can copy them without having "
        "been trained on them; they do not count"
    ),
    ExtractionNote.UNKNOWN: "{stretches:,} stretches hold a token whose probability is not known (NaN)",
    ExtractionNote.CROSSING: (
        "{stretches:,} stretches cross the edge of a window, so no single prompt gives their probability; they do not "
        "count, and a span ends there"
    ),
    ExtractionNote.LOWER_BOUNDS: (
        "probabilities are lower bounds, and spans are selected by them; upper bounds are shown too. Exact values "
        "would need the probabilities of all the likeliest tokens, which signals do not hold"
    ),
    ExtractionNote.CONDITIONS: (
        "the probability of a token is its probability after all the text before it in the model's window; with a "
        "shorter or another prompt, or with a chat template, it is different"
    ),
}
"""By kind of note; the fields are its figures."""


def extraction_size(extraction: Extraction) -> str:
    """How many spans, in how many documents."""
    with_spans = sum(document.spans > 0 for document in extraction.documents)
    return f"{len(extraction.spans):,} spans in {with_spans:,} of {len(extraction.documents):,} documents"


def extraction_statement(extraction: Extraction) -> str:
    """What the spans mean, in a sentence."""
    return (
        f"given the text before it, the model writes each stretch of {extraction.stretch} tokens in a span with "
        f"probability {extraction.probability:g} or more, by {_sampling(extraction.sampling)}. This is evidence that "
        "the model has memorised the text of a span. It is not a decision with an error rate, and a text without spans "
        "may still have been trained on"
    )


def extraction_rate(extraction: Extraction) -> str:
    """How often known non-members have such spans."""
    known = extraction.nonmembers
    if known is None:
        return (
            "no passage is a known non-member (label 0), so nobody can say how often texts that were not trained on "
            "have such spans"
        )
    return (
        f"of {known.passages:,} known non-members, {known.with_spans:,} have such spans; their share among all such "
        f"texts is at most {100 * known.bound:.2g} % (95 % confidence, if passages are independent)"
    )


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
