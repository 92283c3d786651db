"""What a model emits verbatim, for people."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..extraction import DocumentExtraction, ExtractedSpan, Extraction, ExtractionNote, Proof, Sampling, Stretch
from ..records import Note
from ._cells import escape, share

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["extraction_statement", "extraction_table"]

MOST_DOCUMENTS, MOST_SPANS, MOST_CHARACTERS = 20, 10, 160
PRINTED = str.maketrans(dict.fromkeys((*range(32), *range(127, 160)), " "))


NOTES = {
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


def extraction_statement(extraction: Extraction) -> str:
    """What the spans mean, in a sentence."""
    return (
        f"the model emits each stretch of {extraction.stretch} tokens that makes a span with probability "
        f"{extraction.probability:g} or more when given what precedes it, by {_sampling(extraction.sampling)}: "
        "evidence that the model has memorised the text of a span. It is no decision with an error rate, and a text "
        "without spans may have been trained on all the same"
    )


def _sampling(sampling: Sampling) -> str:
    if sampling.greedy:
        return "greedy decoding"
    return "sampling at temperature 1" + (f" among the {sampling.top_k} likeliest tokens" if sampling.top_k else "")


def _note(note: Note) -> str:
    return NOTES[ExtractionNote(note.kind)].format(**note.figures)


def extraction_table(found: Extraction) -> RenderableType:
    """Documents with what is extractable of each, the likeliest spans with their text, proofs, and what it means."""
    from rich.console import Group
    from rich.padding import Padding

    with_spans = sum(one.spans > 0 for one in found.documents)
    parts: list[RenderableType] = [
        f"[bold]{len(found.spans):,} spans in {with_spans:,} of {len(found.documents):,} documents[/]: "
        f"{escape(extraction_statement(found))}",
        _calibration(found),
        "",
        _documents(found),
    ]
    if found.spans:
        parts += ["", *_spans(found)]
    if found.proofs:
        parts += ["", _proofs(found)]
    parts += ["", "[dim]Bear in mind[/]"]
    notes = [*found.input_notes, *map(_note, found.notes)]
    parts += [Padding(f"[dim]• {escape(note)}[/]", (0, 0, 0, 2)) for note in notes]
    parts += ["", f"[dim]all figures[/]  {escape(str(found.path / 'extraction.json'))}"]
    parts += [f"[dim]all spans[/]    {escape(str(found.path / 'spans.csv'))}"]
    return Group(*parts)


def _calibration(found: Extraction) -> str:
    known = found.nonmembers
    if known is None:
        return (
            "[yellow]no passage is a known non-member (label 0), so nobody can say how often such spans are found in "
            "texts that were not trained on[/]"
        )
    return (
        f"of {known.passages:,} known non-members {known.with_spans:,} have such spans; the rate is at most "
        f"{100 * known.bound:.2g} % [dim](95 % confidence, independent passages)[/]"
    )


def _documents(found: Extraction) -> RenderableType:
    from rich import box
    from rich.console import Group
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("document", overflow="fold")
    stretch = "likeliest stretch" + ("" if found.sampling.exact else ",\nat least")
    queries = "queries" if found.sampling.exact else "queries,\nat most"
    for name in ("extractable, %", "spans", "longest,\ntokens", stretch, f"{queries}\nexpected", "\nfor 95 %"):
        table.add_column(name, justify="right")
    table.add_column("longest greedy\nrun, tokens", justify="right")
    ordered = sorted(found.documents, key=lambda one: (-one.share, -_likeliest(one)))
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


def _spans(found: Extraction) -> list[RenderableType]:
    ordered = sorted(found.spans, key=lambda one: -one.likeliest.log_probability)
    lines: list[RenderableType] = [f"[bold]The likeliest {min(len(ordered), MOST_SPANS)} of {len(ordered):,} spans[/]"]
    for one in ordered[:MOST_SPANS]:
        lines.append(
            f"{escape(one.id.translate(PRINTED))}  tokens {one.start_token:,} to {one.end_token:,}, characters "
            f"{one.start_char:,} to {one.end_char:,}, likeliest stretch {_chance(one.likeliest)}"
        )
        lines.append(f"  [dim]{escape(_shown(one))}[/]")
    return lines


def _proofs(found: Extraction) -> RenderableType:
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
    for one in found.proofs:
        table.add_row(escape(one.id.translate(PRINTED)), *_proof(one))
    greedy = sum(one.greedy for one in found.proofs)
    line = f"{greedy:,} of {len(found.proofs):,} stretches come token for token by greedy decoding"
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
