"""What the model writes word for word, for somebody who reads it in an exhibit."""

from __future__ import annotations

from collections.abc import Iterator

from ...extraction import ExtractedSpan, Extraction, Proof
from ._counting import counted

__all__ = ["span_words", "verbatim_words"]


def verbatim_words(extraction: Extraction | None) -> Iterator[str]:
    """What the model writes word for word, and what that is compared with; nothing where it was not searched."""
    if extraction is None:
        return
    totals, known = extraction.totals, extraction.nonmembers
    rule = (
        f"stretches of {counted(extraction.stretch, 'token')} that come with probability {extraction.probability:g} or "
        "more, given the text before them"
    )
    searched = f"{counted(totals.documents, 'document')} were searched for {rule}"
    yield (
        f"{searched}: {totals.documents_with_spans:,} of them have such spans, {totals.spans:,} in all, "
        f"{100 * totals.share:.2g} % of the text; the longest has {counted(totals.longest, 'token')}. This is no "
        "decision with an error rate, and a text without spans may still have been trained on."
    )
    if extraction.reference is None:
        yield (
            "No reference model was compared, so texts that many models know by heart, such as scripture, licences and "
            "quotations, are among the spans."
        )
    else:
        are = "is" if totals.spans_shared == 1 else "are"
        yield (
            f"{counted(totals.spans_shared, 'further span')} {are} not counted: "
            f"{extraction.reference.model.id}, which should not know these texts, may write at least half of each too."
        )
    if known is None:
        yield "No known non-members were searched, so it is not known how often a span comes without training."
    else:
        yield (
            f"Of {counted(known.documents, 'document')} of known non-members {known.with_spans:,} "
            f"{'has' if known.with_spans == 1 else 'have'} such spans: at most {100 * known.bound:.2g} % of such "
            "documents (95 % confidence, if documents are independent)."
        )


def span_words(span: ExtractedSpan, proof: Proof | None) -> Iterator[str]:
    """How probably the model writes a span, and what it wrote when it was asked to, a sentence each."""
    likeliest = span.likeliest
    bounds = "" if likeliest.probability_high == likeliest.probability else f" to {likeliest.probability_high:.3g}"
    yield (
        f"{counted(span.tokens, 'token')}; the likeliest stretch begins at token {likeliest.start_token:,} and comes "
        f"with probability {likeliest.probability:.3g}{bounds}, given the text before it: once in "
        f"{likeliest.expected_queries:,.3g} queries on average"
    )
    other = span.reference
    if other is not None:
        high = "" if other.probability_high == other.probability else f" to {other.probability_high:.3g}"
        counts = "so it does not count" if other.writes_too else f"at least {other.ratio:.3g} times less probably"
        yield f"the reference model writes that stretch with probability {other.probability:.3g}{high}: {counts}"
    if proof is None:
        return
    wrote = (
        "the whole stretch, token for token"
        if proof.greedy
        else f"the first {proof.greedy_tokens:,} of its {counted(proof.tokens, 'token')}"
    )
    yield f"given the {counted(proof.prompt_tokens, 'token')} before it, greedy decoding wrote {wrote}"
    if proof.share is not None:
        yield (
            f"of {counted(proof.samples, 'random continuation')}, {proof.matched:,} "
            f"{'is' if proof.matched == 1 else 'are'} the stretch, token for token (95 % interval "
            f"{100 * proof.share.low:.0f}–{100 * proof.share.high:.0f} %)"
        )
