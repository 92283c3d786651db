"""What a model emits verbatim, in words."""

from __future__ import annotations

from collections.abc import Mapping

from ...extraction import Extraction, ExtractionNote, Sampling

__all__ = ["extraction_notes", "extraction_rate", "extraction_size", "extraction_statement"]

NOTES: Mapping[ExtractionNote, str] = {
    ExtractionNote.TOO_SHORT: (
        "{too_short:,} of {passages:,} passages are too short for a stretch of {stretch} tokens after {prefix}; their "
        "bytes count, and they have no spans"
    ),
    ExtractionNote.COPIED: (
        "{stretches:,} probable stretches occur earlier in their passage, where a model can copy them without having "
        "been trained on them; they do not count"
    ),
    ExtractionNote.UNKNOWN: "{stretches:,} stretches hold a token whose probability is not known (NaN)",
    ExtractionNote.CROSSING: (
        "{stretches:,} stretches cross the edge of a window, where there is no prompt with their probability; they do "
        "not count, and a span ends there"
    ),
    ExtractionNote.LOWER_BOUNDS: (
        "probabilities are lower bounds, by which spans are chosen; upper bounds are shown with them, because signals "
        "give only a part of the mass of the likeliest tokens"
    ),
    ExtractionNote.CONDITIONS: (
        "a token's probability is that after what precedes it in its window of the model; with a shorter or another "
        "prompt, or with the frame of a chat around it, the probability is another"
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
        f"the model emits each stretch of {extraction.stretch} tokens that makes a span with probability "
        f"{extraction.probability:g} or more when given what precedes it, by {_sampling(extraction.sampling)}: "
        "evidence that the model has memorised the text of a span. It is no decision with an error rate, and a text "
        "without spans may have been trained on all the same"
    )


def extraction_rate(extraction: Extraction) -> str:
    """How often known non-members have such spans."""
    known = extraction.nonmembers
    if known is None:
        return (
            "no passage is a known non-member (label 0), so it is not known how often texts that were not trained on "
            "have such spans"
        )
    return (
        f"of {known.passages:,} known non-members {known.with_spans:,} have such spans; the rate is at most "
        f"{100 * known.bound:.2g} % (95 % confidence, independent passages)"
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
