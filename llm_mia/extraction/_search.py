"""The search through all passages: which spans each has, and where they are in its text."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..backends import Tokenizer
from ..errors import ModelError
from ..metrics import clopper_pearson
from ..records import Note, Passage, TokenSignals, WindowRule
from ..signals import edges
from ._passage import Examination, examine
from ._proofs import LikeliestSpans
from ._records import DocumentExtraction, ExtractedSpan, ExtractionNote, KnownNonmembers, Stretch
from ._sampling import Sampling
from ._spans import Span
from ._stretches import TokenRun

__all__ = ["SearchResult", "SearchRule", "search"]


@dataclass(frozen=True, slots=True)
class SearchRule:
    """The definition of a span, and the windows of the signals."""

    sampling: Sampling
    stretch: int
    probability: float
    prefix: int
    opening: int
    """The number of tokens that open every window."""
    window: WindowRule

    @property
    def first(self) -> int:
        """Position of the first scored token in a passage: 0 where tokens open the windows, else 1."""
        return 0 if self.opening else 1

    def examine(self, signals: TokenSignals) -> Examination:
        """The stretches and spans of a passage."""
        further = edges(len(signals) + self.first, self.window, opening=self.opening)
        return examine(
            signals,
            self.sampling,
            n=self.stretch,
            probability=self.probability,
            skip=max(0, self.prefix - self.first),
            edges=[edge - self.first for edge in further],
        )


@dataclass(slots=True)
class _DocumentCounts:
    """Counts over the passages of a document so far."""

    label: int | None
    passages: int = 0
    stretches: int = 0
    spans: int = 0
    longest_span: int = 0
    bytes: int = 0
    bytes_covered: int = 0
    likeliest: Stretch | None = None
    greedy: TokenRun | None = None
    greedy_id: str = ""

    def add(self, passage: Passage, examination: Examination, rule: SearchRule) -> None:
        """Count a passage, but not its spans."""
        self.label = passage.label if self.label == passage.label else None
        self.passages += 1
        self.bytes += passage.n_bytes
        self.stretches += examination.stretches
        low, high = examination.log_probability, examination.log_probability_high
        if not math.isnan(low) and (self.likeliest is None or low > self.likeliest.log_probability):
            self.likeliest = Stretch.of(passage.id, examination.likeliest + rule.first, low, high)
        if self.greedy is None or examination.greedy.length > self.greedy.length:
            self.greedy, self.greedy_id = examination.greedy, passage.id

    def add_spans(self, text: str, spans: Iterable[ExtractedSpan]) -> None:
        """Count the spans of a passage, whose text is *text*."""
        covered = 0
        for span in spans:
            self.spans += 1
            self.longest_span = max(self.longest_span, span.tokens)
            self.bytes_covered += len(text[max(covered, span.start_char) : span.end_char].encode())
            covered = span.end_char

    def record(self, document: str, first: int) -> DocumentExtraction:
        """The counts as a record; *first* as in `SearchRule.first`."""
        greedy = self.greedy or TokenRun(0, 0)
        return DocumentExtraction(
            document=document,
            label=self.label,
            passages=self.passages,
            stretches=self.stretches,
            spans=self.spans,
            longest_span=self.longest_span,
            bytes=self.bytes,
            bytes_covered=self.bytes_covered,
            share=self.bytes_covered / self.bytes,
            likeliest=self.likeliest,
            greedy_tokens=greedy.length,
            greedy_id=self.greedy_id,
            greedy_start_token=greedy.start + first,
        )


@dataclass(slots=True)
class SearchResult:
    """The counts and spans of the passages examined so far."""

    rule: SearchRule
    passages: int = 0
    too_short: int = 0
    longest: int = 0
    """Scored tokens of the longest passage."""
    copied: int = 0
    unknown: int = 0
    crossing: int = 0
    nonmembers: int = 0
    """Known non-members that have a stretch."""
    nonmembers_with_spans: int = 0
    spans: list[ExtractedSpan] = field(default_factory=list)
    _documents: dict[str, _DocumentCounts] = field(default_factory=dict)

    def add(self, passage: Passage, signals: TokenSignals, tokenizer: Tokenizer) -> list[ExtractedSpan]:
        """Examine and count a passage; returns its spans."""
        examination = self.rule.examine(signals)
        self.passages += 1
        self.longest = max(self.longest, len(signals))
        self.too_short += not examination.stretches
        self.copied += examination.copied
        self.unknown += examination.unknown
        self.crossing += examination.crossing
        if passage.label == 0 and examination.stretches:
            self.nonmembers += 1
            self.nonmembers_with_spans += bool(examination.spans)
        spans = _extracted(passage, signals, examination, tokenizer, self.rule)
        counts = self._documents.setdefault(passage.document, _DocumentCounts(passage.label))
        counts.add(passage, examination, self.rule)
        counts.add_spans(passage.text, spans)
        self.spans.extend(spans)
        return spans

    def documents(self) -> list[DocumentExtraction]:
        """The documents, in input order."""
        return [counts.record(name, self.rule.first) for name, counts in self._documents.items()]

    def known_nonmembers(self) -> KnownNonmembers | None:
        """How many known non-members have spans; None where there are no such passages."""
        if not self.nonmembers:
            return None
        # The upper end of a two-sided interval at 90 % confidence is too low in 5 % of cases.
        bound = clopper_pearson(self.nonmembers_with_spans, self.nonmembers, 0.90).high
        return KnownNonmembers(self.nonmembers, self.nonmembers_with_spans, bound)

    def notes(self) -> list[Note]:
        """What a reader ought to know."""
        rule = self.rule
        short: dict[str, object] = {
            "too_short": self.too_short,
            "passages": self.passages,
            "stretch": rule.stretch,
            "prefix": rule.prefix,
        }
        notes = [
            (self.too_short, Note(ExtractionNote.TOO_SHORT, short)),
            (self.copied, Note(ExtractionNote.COPIED, {"stretches": self.copied})),
            (self.unknown, Note(ExtractionNote.UNKNOWN, {"stretches": self.unknown})),
            (self.crossing, Note(ExtractionNote.CROSSING, {"stretches": self.crossing})),
            (not rule.sampling.exact, Note(ExtractionNote.LOWER_BOUNDS)),
            (True, Note(ExtractionNote.CONDITIONS)),
        ]
        return [note for applies, note in notes if applies]


def search(
    passages: Iterable[tuple[Passage, TokenSignals]], rule: SearchRule, tokenizer: Tokenizer, likeliest: LikeliestSpans
) -> SearchResult:
    """The spans of each passage under *rule*; every span is also added to *likeliest*.

    Raises:
        ModelError: the tokenizer is not that of the signals, or does not give the places of its tokens.
    """
    result = SearchResult(rule)
    for passage, signals in passages:
        if signals.tokenizer != tokenizer.fingerprint:
            raise ModelError(
                "the tokenizer differs from that of the signals: name the model with which the run directory began"
            )
        for span in result.add(passage, signals, tokenizer):
            likeliest.add(span, passage.text)
    return result


def _extracted(
    passage: Passage, signals: TokenSignals, examination: Examination, tokenizer: Tokenizer, rule: SearchRule
) -> list[ExtractedSpan]:
    """The spans of a passage with their places in its text."""
    if not examination.spans:
        return []
    places = _token_places(passage, signals, tokenizer, rule)
    return [_extracted_span(passage, span, examination, places, rule) for span in examination.spans]


def _extracted_span(
    passage: Passage, span: Span, examination: Examination, places: NDArray[np.int64], rule: SearchRule
) -> ExtractedSpan:
    start, end = span.start + rule.first, span.end + rule.first
    start_char, end_char = int(places[start, 0]), int(places[end - 1, 1])
    high = examination.upper_bound(span)
    return ExtractedSpan(
        id=passage.id,
        document=passage.document,
        label=passage.label,
        start_token=start,
        end_token=end,
        tokens=end - start,
        start_char=start_char,
        end_char=end_char,
        likeliest=Stretch.of(passage.id, span.likeliest + rule.first, span.log_probability, high),
        text=passage.text[start_char:end_char],
    )


def _token_places(passage: Passage, signals: TokenSignals, tokenizer: Tokenizer, rule: SearchRule) -> NDArray[np.int64]:
    """Start and end of each token of the passage in its text, shape (tokens, 2)."""
    places = tokenizer.spans(passage.text)
    scored = len(signals) + rule.first
    if len(places) != scored:
        raise ModelError(
            f"passage {passage.id!r}: the tokenizer gives {len(places)} tokens, but the signals have {scored}: "
            "score it again in another run directory"
        )
    return places
