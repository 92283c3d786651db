"""What a search counts: each document, and all texts in question."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..records import Passage
from ._passage import Examination
from ._records import DocumentExtraction, Totals
from ._span_records import ExtractedSpan, Stretch
from ._stretches import TokenRun

__all__ = ["DocumentCounts", "TotalCounts"]


@dataclass(slots=True)
class DocumentCounts:
    """Counts over the passages of a document so far."""

    label: int | None
    passages: int = 0
    nonmembers: int = 0
    """Passages that are known non-members."""
    stretches: int = 0
    spans: int = 0
    spans_counted: int = 0
    longest_span: int = 0
    bytes: int = 0
    bytes_covered: int = 0
    bytes_counted: int = 0
    likeliest: Stretch | None = None
    greedy: TokenRun | None = None
    greedy_id: str = ""

    def add(self, passage: Passage, examination: Examination, first: int) -> None:
        """Count a passage, but not its spans; *first* is the position of the first token that is scored."""
        self.label = passage.label if self.label == passage.label else None
        self.passages += 1
        self.nonmembers += passage.label == 0
        self.bytes += passage.n_bytes
        self.stretches += examination.stretches
        low, high = examination.log_probability, examination.log_probability_high
        if not math.isnan(low) and (self.likeliest is None or low > self.likeliest.log_probability):
            self.likeliest = Stretch.of(passage.id, examination.likeliest + first, low, high)
        if self.greedy is None or examination.greedy.length > self.greedy.length:
            self.greedy, self.greedy_id = examination.greedy, passage.id

    def add_spans(self, spans: Iterable[ExtractedSpan]) -> None:
        """Count the spans of a passage."""
        for span in spans:
            self.spans += 1
            self.spans_counted += span.counts
            self.longest_span = max(self.longest_span, span.tokens * span.counts)
            self.bytes_covered += span.bytes
            self.bytes_counted += span.bytes_counted

    def record(self, document: str, first: int) -> DocumentExtraction:
        """The counts as a record; *first* as for `add`."""
        greedy = self.greedy or TokenRun(0, 0)
        return DocumentExtraction(
            document=document,
            label=self.label,
            passages=self.passages,
            stretches=self.stretches,
            spans=self.spans,
            spans_counted=self.spans_counted,
            longest_span=self.longest_span,
            bytes=self.bytes,
            bytes_covered=self.bytes_covered,
            bytes_counted=self.bytes_counted,
            share=self.bytes_counted / self.bytes,
            likeliest=self.likeliest,
            greedy_tokens=greedy.length,
            greedy_id=self.greedy_id,
            greedy_start_token=greedy.start + first,
        )


@dataclass(slots=True)
class TotalCounts:
    """Counts over the passages that are not known non-members so far."""

    passages: int = 0
    bytes: int = 0
    stretches: int = 0
    spans: int = 0
    spans_shared: int = 0
    bytes_counted: int = 0
    bytes_covered: int = 0
    longest: int = 0

    def add(self, passage: Passage, stretches: int, spans: Sequence[ExtractedSpan]) -> None:
        """Count a passage with its *stretches* and spans; nothing where it is a known non-member."""
        if passage.label == 0:
            return
        counted = [span for span in spans if span.counts]
        self.passages += 1
        self.bytes += passage.n_bytes
        self.stretches += stretches
        self.spans += len(counted)
        self.spans_shared += len(spans) - len(counted)
        self.bytes_counted += sum(span.bytes_counted for span in spans)
        self.bytes_covered += sum(span.bytes for span in spans)
        self.longest = max([self.longest, *(span.tokens for span in counted)])

    def record(self, documents: Sequence[DocumentExtraction], spans: Sequence[ExtractedSpan]) -> Totals:
        """The counts as a record, of these *documents* and *spans*."""
        return Totals(
            passages=self.passages,
            documents=sum(document.label != 0 for document in documents),
            bytes=self.bytes,
            stretches=self.stretches,
            spans=self.spans,
            spans_shared=self.spans_shared,
            bytes_counted=self.bytes_counted,
            bytes_covered=self.bytes_covered,
            share=self.bytes_counted / self.bytes if self.bytes else 0.0,
            documents_with_spans=len({span.document for span in spans if span.counts and span.label != 0}),
            longest=self.longest,
        )
