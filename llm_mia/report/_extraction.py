"""What a model writes word for word, for people."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..extraction import DocumentExtraction, ExtractedSpan, Extraction, Proof, SpanReference, Stretch, without_texts
from ..records import SCHEMA_VERSION
from ._cells import escape, share
from ._first_screen import first_screen, places_of
from ._layout import Column, Listing
from ._plain import plain
from .words import (
    counted,
    extraction_answer,
    extraction_notes,
    extraction_rate,
    extraction_reference,
    extraction_size,
    extraction_statement,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["extraction_screen", "extraction_summary", "extraction_table"]

MOST_DOCUMENTS, MOST_SPANS, MOST_CHARACTERS = 20, 10, 160
PRINTED = str.maketrans(dict.fromkeys((*range(32), *range(127, 160)), " "))


def extraction_summary(extraction: Extraction) -> dict[str, Any]:
    """Every figure for machines; the texts of spans and proofs are in ``spans.csv`` and ``proofs.csv``.

    A number without bound, such as the queries for a stretch of probability 0, is null.
    """
    figures = asdict(without_texts(extraction))
    return {
        "schema_version": SCHEMA_VERSION,
        **{name: plain(value) for name, value in figures.items()},
        "answer": asdict(extraction_answer(extraction)),
        "statement": extraction_statement(extraction),
        "note_sentences": extraction_notes(extraction),
        "spans_csv": str(extraction.path / "spans.csv"),
        "proofs_csv": str(extraction.path / "proofs.csv") if extraction.proofs else None,
    }


def extraction_screen(extraction: Extraction, spell: Callable[[str], str] = str) -> RenderableType:
    """The answer on a single screen; *spell* rewrites the parameters that sentences name between backticks."""
    places = places_of(extraction.path, ("spans.csv", "proofs.csv"))
    return first_screen(extraction_answer(extraction), places, spell)


def extraction_table(extraction: Extraction, spell: Callable[[str], str] = str) -> RenderableType:
    """The extractable share of each document, the likeliest spans with their text, proofs, and what they mean.

    *spell* rewrites the parameters that notes name between backticks.
    """
    from rich.console import Group
    from rich.padding import Padding

    known = extraction_rate(extraction)
    parts: list[RenderableType] = [
        f"[bold]{extraction_size(extraction)}[/]: {escape(extraction_statement(extraction))}",
        *([] if known is None else [f"[yellow]{known}[/]" if extraction.nonmembers is None else known]),
        *([f"reference model: {escape(extraction_reference(extraction))}"] if extraction.spans else []),
        "",
        _documents(extraction),
    ]
    if extraction.spans:
        parts += ["", *_spans(extraction)]
    if extraction.proofs:
        parts += ["", _proofs(extraction)]
    parts += ["", "[dim]Notes[/]"]
    parts += [Padding(f"[dim]• {escape(spell(note))}[/]", (0, 0, 0, 2)) for note in extraction_notes(extraction)]
    parts += ["", f"[dim]all figures[/]  {escape(str(extraction.path / 'extraction.json'))}"]
    parts += [f"[dim]all spans[/]    {escape(str(extraction.path / 'spans.csv'))}"]
    return Group(*parts)


def _documents(extraction: Extraction) -> RenderableType:
    from rich.console import Group

    at_least, at_most = ("", "") if extraction.sampling.exact else (", at least", ", at most")
    titles = (
        "extractable,\n%",
        "spans",
        "longest,\ntokens",
        f"likeliest\nstretch{at_least}",
        f"queries\nexpected{at_most}",
        f"queries\nfor 95 %{at_most}",
        "longest greedy\nrun, tokens",
    )
    compared = extraction.reference is not None
    too = ["the reference\ntoo, %"] if compared else []
    table = Listing([Column("document", "names"), *map(Column, (titles[0], *too, *titles[1:]))])
    ordered = sorted(extraction.documents, key=lambda document: (-document.share, -_likeliest(document)))
    for document in ordered[:MOST_DOCUMENTS]:
        table.add(
            escape(document.document.translate(PRINTED)),
            f"{100 * document.share:.1f}",
            *([_shared(document)] if compared else []),
            f"{document.spans_counted:,}",
            f"{document.longest_span:,}",
            *_stretch(document.likeliest),
            f"{document.greedy_tokens:,}",
            style="bold" if document.spans_counted else "",
        )
    more = len(ordered) - MOST_DOCUMENTS
    others = f"[dim]and {counted(more, 'more document')}, with at most this share[/]"
    return Group(table, *([others] if more > 0 else []))


def _shared(document: DocumentExtraction) -> str:
    """The share of a document in spans that do not count, in percent."""
    return f"{100 * (document.bytes_covered - document.bytes_counted) / document.bytes:.1f}"


def _spans(extraction: Extraction) -> list[RenderableType]:
    ordered = sorted(extraction.spans, key=lambda span: -span.likeliest.log_probability)
    lines: list[RenderableType] = [f"[bold]{_which(len(ordered))}[/]"]
    for span in ordered[:MOST_SPANS]:
        lines.append(
            f"{escape(span.id.translate(PRINTED))}  tokens {span.start_token:,} to {span.end_token:,}, characters "
            f"{span.start_char:,} to {span.end_char:,}, likeliest stretch {_chance(span.likeliest)}"
            f"{_by_reference(span)}"
        )
        lines.append(f"  [dim]{escape(_shown(span))}[/]")
    return lines


def _by_reference(span: ExtractedSpan) -> str:
    if span.reference is None:
        return ""
    too = "" if span.counts else " (the reference model writes it too, so it does not count)"
    return f", under the reference {_chance(span.reference)}{too}"


def _which(spans: int) -> str:
    return f"The likeliest {min(spans, MOST_SPANS)} of {spans:,} spans" if spans > 1 else "The span"


def _proofs(extraction: Extraction) -> RenderableType:
    from rich.console import Group

    titles = (
        "from\ntoken",
        "prompt,\ntokens",
        "greedy,\ntokens",
        "greedy,\nbytes",
        "samples that\nare the text",
        "share",
        "probability",
    )
    table = Listing(
        [Column("passage", "names"), *map(Column, titles)],
        "Generated by the model, from the text before the likeliest stretch of a span",
    )
    for proof in extraction.proofs:
        table.add(escape(proof.id.translate(PRINTED)), *_proof(proof))
    greedy = sum(proof.greedy for proof in extraction.proofs)
    stretches = counted(len(extraction.proofs), "stretch", "stretches")
    line = f"greedy decoding generates {greedy:,} of {stretches} token for token"
    return Group(table, line)


def _proof(proof: Proof) -> tuple[str, ...]:
    verbatim = "all " if proof.greedy else ""
    return (
        f"{proof.start_token:,}",
        f"{proof.prompt_tokens:,}",
        f"{verbatim}{proof.greedy_tokens:,} of {proof.tokens:,}",
        f"{proof.greedy_bytes:,} of {proof.bytes:,}",
        f"{proof.matched:,} of {proof.samples:,}" if proof.samples else "–",
        "–" if proof.share is None else share(proof.share),
        f"{proof.probability:.3g}",
    )


def _stretch(stretch: Stretch | None) -> tuple[str, str, str]:
    if stretch is None:
        return "–", "–", "–"
    return _chance(stretch), _count(stretch.expected_queries), _count(stretch.queries_for_95_percent)


def _chance(stretch: Stretch | SpanReference) -> str:
    """A probability, or the range of it; far below what a float holds, as a power of ten."""
    low, high = (_power(log) for log in (stretch.log_probability, stretch.log_probability_high))
    return low if low == high else f"{low}–{high}"


def _power(log: float) -> str:
    if log < -700 and math.isfinite(log):
        return f"1e{log / math.log(10):.0f}"
    return f"{math.exp(log):.3g}"


def _count(queries: float) -> str:
    if not math.isfinite(queries):
        return "∞"
    return f"{queries:,.0f}" if queries < 1e6 else f"{queries:.2g}"


def _likeliest(document: DocumentExtraction) -> float:
    return -math.inf if document.likeliest is None else document.likeliest.log_probability


def _shown(span: ExtractedSpan) -> str:
    """The text on a single line; a long text without its middle."""
    text = span.text.translate(PRINTED)
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[: MOST_CHARACTERS // 2]} … {text[-MOST_CHARACTERS // 2 :]}"
