"""What the model writes word for word: prompt, output and original side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...extraction import ExtractedSpan, Extraction, Proof
from .._results import Results
from ..words import extraction_notes, span_words, verbatim_words
from ._pages import page
from ._tables import Cell, csv_table

__all__ = ["span_pages", "spans_table"]

PER_PAGE = 50
TITLES = (
    *("id", "document", "label", "start_token", "end_token", "tokens"),
    *("probability", "probability_high", "expected_queries", "counts"),
    *("reference_probability", "reference_probability_high", "ratio"),
    *("greedy_writes_it", "samples", "samples_that_match"),
)
CONTROLS = (
    "The same search in texts that are known not to be in the training data shows what a span is worth: these spans do "
    "not come from training on these texts."
)
TEXTS = ("text", "prompt", "output", "original")
LABELS = {1: "known member", 0: "known non-member", None: "candidate"}


@dataclass(frozen=True, slots=True)
class ShownSpan:
    """A span as a page shows it."""

    title: str
    facts: tuple[str, ...]
    texts: tuple[tuple[str, str], ...]


def span_pages(results: Results) -> dict[str, bytes]:
    """The pages about spans by their path: those of known non-members, which are controls, have pages of their own.

    Spans that count come first, and of these the likeliest.
    """
    extraction = results.extraction
    if extraction is None:
        return {}
    proofs = _proofs(extraction)
    ordered = sorted(extraction.spans, key=lambda span: (not span.counts, -span.likeliest.log_probability))
    shown = [span for span in ordered if span.label != 0]
    controls = [span for span in ordered if span.label == 0]
    about = list(verbatim_words(extraction))
    return {
        **_pages(results, proofs, shown, "spans/spans", "Spans that the model writes word for word", about),
        **_pages(results, proofs, controls, "spans/controls", "Spans of known non-members", [CONTROLS]),
    }


def _pages(
    results: Results,
    proofs: dict[tuple[str, int], Proof],
    spans: Sequence[ExtractedSpan],
    path: str,
    title: str,
    intro: Sequence[str],
) -> dict[str, bytes]:
    extraction = results.extraction
    assert extraction is not None
    pages = max(1, -(-len(spans) // PER_PAGE))
    files = {}
    for number in range(1, pages + 1):
        part = spans[(number - 1) * PER_PAGE : number * PER_PAGE]
        files[f"{path}-{number:03d}.html"] = page(
            "spans.html",
            title,
            intro=intro,
            notes=extraction_notes(extraction) if number == 1 else [],
            number=number,
            pages=pages,
            spans=[_shown(span, proofs.get(_place(span)), redact=results.redact) for span in part],
        )
    return files


def _shown(span: ExtractedSpan, proof: Proof | None, *, redact: bool) -> ShownSpan:
    title = f"{span.document}, passage {span.id}, tokens {span.start_token:,} to {span.end_token - 1:,}"
    texts: list[tuple[str, str]] = []
    if not redact and proof is not None and proof.prompt + proof.output + proof.original:
        texts = [
            ("Prompt: what the model was given", proof.prompt),
            ("Output: what it wrote", proof.output),
            ("Original: the text that follows", proof.original),
        ]
    elif not redact and span.text:
        texts = [("Original", span.text)]
    return ShownSpan(f"{title} ({LABELS[span.label]})", tuple(span_words(span, proof)), tuple(texts))


def spans_table(results: Results) -> bytes:
    """The bytes of ``spans/spans.csv``: a row for each span, in the order of the input; no texts where redacted."""
    extraction = results.extraction
    assert extraction is not None
    titles = TITLES if results.redact else TITLES + TEXTS
    return csv_table(titles, _rows(extraction, redact=results.redact))


def _rows(extraction: Extraction, *, redact: bool) -> Iterator[list[Cell]]:
    proofs = _proofs(extraction)
    for span in extraction.spans:
        proof, likeliest = proofs.get(_place(span)), span.likeliest
        row: list[Cell] = [span.id, span.document, span.label, span.start_token, span.end_token, span.tokens]
        row += [likeliest.probability, likeliest.probability_high, likeliest.expected_queries]
        other = span.reference
        row += [
            span.counts,
            *([None] * 3 if other is None else [other.probability, other.probability_high, other.ratio]),
        ]
        row += [None, None, None] if proof is None else [proof.greedy, proof.samples, proof.matched]
        if not redact:
            row.append(span.text)
            row += [None, None, None] if proof is None else [proof.prompt, proof.output, proof.original]
        yield row


def _proofs(extraction: Extraction) -> dict[tuple[str, int], Proof]:
    return {(proof.id, proof.start_token): proof for proof in extraction.proofs}


def _place(span: ExtractedSpan) -> tuple[str, int]:
    """By which a proof names the likeliest stretch of its span."""
    return (span.id, span.likeliest.start_token)
