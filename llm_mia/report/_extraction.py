"""What a model emits verbatim, for people."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..extraction import DocumentExtraction, ExtractedSpan, Extraction, Proof, Stretch
from ..store import to_json
from ._cells import escape, share
from .words import extraction_notes, extraction_rate, extraction_size, extraction_statement

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["extraction_summary", "extraction_table"]

MOST_DOCUMENTS, MOST_SPANS, MOST_CHARACTERS = 20, 10, 160
PRINTED = str.maketrans(dict.fromkeys((*range(32), *range(127, 160)), " "))


def extraction_summary(extraction: Extraction) -> dict[str, Any]:
    """Every figure for machines; the texts of the spans are in ``spans.csv``."""
    without_texts = replace(extraction, spans=[replace(span, text="") for span in extraction.spans])
    figures: dict[str, Any] = json.loads(to_json(without_texts))
    return {
        **figures,
        "statement": extraction_statement(extraction),
        "note_sentences": extraction_notes(extraction),
        "spans_csv": str(extraction.path / "spans.csv"),
    }


def extraction_table(extraction: Extraction) -> RenderableType:
    """Documents with what is extractable of each, the likeliest spans with their text, proofs, and what it means."""
    from rich.console import Group
    from rich.padding import Padding

    known = extraction_rate(extraction)
    parts: list[RenderableType] = [
        f"[bold]{extraction_size(extraction)}[/]: {escape(extraction_statement(extraction))}",
        f"[yellow]{known}[/]" if extraction.nonmembers is None else known,
        "",
        _documents(extraction),
    ]
    if extraction.spans:
        parts += ["", *_spans(extraction)]
    if extraction.proofs:
        parts += ["", _proofs(extraction)]
    parts += ["", "[dim]Bear in mind[/]"]
    parts += [Padding(f"[dim]• {escape(note)}[/]", (0, 0, 0, 2)) for note in extraction_notes(extraction)]
    parts += ["", f"[dim]all figures[/]  {escape(str(extraction.path / 'extraction.json'))}"]
    parts += [f"[dim]all spans[/]    {escape(str(extraction.path / 'spans.csv'))}"]
    return Group(*parts)


def _documents(extraction: Extraction) -> RenderableType:
    from rich import box
    from rich.console import Group
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("document", overflow="fold")
    stretch = "likeliest stretch" + ("" if extraction.sampling.exact else ",\nat least")
    queries = "queries" if extraction.sampling.exact else "queries,\nat most"
    for name in ("extractable, %", "spans", "longest,\ntokens", stretch, f"{queries}\nexpected", "\nfor 95 %"):
        table.add_column(name, justify="right")
    table.add_column("longest greedy\nrun, tokens", justify="right")
    ordered = sorted(extraction.documents, key=lambda one: (-one.share, -_likeliest(one)))
    for one in ordered[:MOST_DOCUMENTS]:
        table.add_row(
            escape(one.document.translate(PRINTED)),
            f"{100 * one.share:.1f}",
            f"{one.spans:,}",
            f"{one.longest_span:,}",
            *_stretch(one.likeliest),
            f"{one.greedy_tokens:,}",
            style="bold" if one.spans else "",
        )
    more = len(ordered) - MOST_DOCUMENTS
    return Group(table, *([f"[dim]and {more:,} more, none with more of it extractable[/]"] if more > 0 else []))


def _spans(extraction: Extraction) -> list[RenderableType]:
    ordered = sorted(extraction.spans, key=lambda one: -one.likeliest.log_probability)
    lines: list[RenderableType] = [f"[bold]The likeliest {min(len(ordered), MOST_SPANS)} of {len(ordered):,} spans[/]"]
    for one in ordered[:MOST_SPANS]:
        lines.append(
            f"{escape(one.id.translate(PRINTED))}  tokens {one.start_token:,} to {one.end_token:,}, characters "
            f"{one.start_char:,} to {one.end_char:,}, likeliest stretch {_chance(one.likeliest)}"
        )
        lines.append(f"  [dim]{escape(_shown(one))}[/]")
    return lines


def _proofs(extraction: Extraction) -> RenderableType:
    from rich import box
    from rich.console import Group
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", title_justify="left", title_style="bold")
    table.title = "Written by the model itself, from what precedes the likeliest stretch of a span"
    table.add_column("passage", overflow="fold")
    for name in ("from token", "prompt,\ntokens", "greedy,\ntokens", "greedy,\nbytes", "samples that\nare the text"):
        table.add_column(name, justify="right")
    table.add_column("share", justify="right")
    table.add_column("probability", justify="right")
    for one in extraction.proofs:
        table.add_row(escape(one.id.translate(PRINTED)), *_proof(one))
    greedy = sum(one.greedy for one in extraction.proofs)
    line = f"{greedy:,} of {len(extraction.proofs):,} stretches come token for token by greedy decoding"
    return Group(table, line)


def _proof(one: Proof) -> tuple[str, ...]:
    verbatim = "all " if one.greedy else ""
    return (
        f"{one.start_token:,}",
        f"{one.prompt_tokens:,}",
        f"{verbatim}{one.greedy_tokens:,} of {one.tokens:,}",
        f"{one.greedy_bytes:,} of {one.bytes:,}",
        f"{one.matched:,} of {one.samples:,}" if one.samples else "–",
        "–" if one.share is None else share(one.share),
        f"{one.probability:.3g}",
    )


def _stretch(one: Stretch | None) -> tuple[str, str, str]:
    if one is None:
        return "–", "–", "–"
    return _chance(one), _count(one.expected_queries), _count(one.queries_for_95_percent)


def _chance(one: Stretch) -> str:
    """A probability, or the range of it; far below what a float holds, as a power of ten."""
    low, high = (_power(log) for log in (one.log_probability, one.log_probability_high))
    return low if low == high else f"{low}–{high}"


def _power(log: float) -> str:
    if log < -700 and math.isfinite(log):
        return f"1e{log / math.log(10):.0f}"
    return f"{math.exp(log):.3g}"


def _count(queries: float) -> str:
    if not math.isfinite(queries):
        return "∞"
    return f"{queries:,.0f}" if queries < 1e6 else f"{queries:.2g}"


def _likeliest(one: DocumentExtraction) -> float:
    return -math.inf if one.likeliest is None else one.likeliest.log_probability


def _shown(span: ExtractedSpan) -> str:
    """The text on one line, its middle left out where it is long."""
    text = span.text.translate(PRINTED)
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[: MOST_CHARACTERS // 2]} … {text[-MOST_CHARACTERS // 2 :]}"
