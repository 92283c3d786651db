"""The search through all passages: which spans each has, and where they are in its text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..backends import Tokenizer
from ..errors import ModelError
from ..records import Note, Passage, TokenSignals, WindowRule
from ..signals import edges
from ._documents import DocumentCounts, TotalCounts
from ._passage import Examination, examine
from ._proofs import LikeliestSpans
from ._records import DocumentExtraction, ExtractionNote, Totals
from ._reference import Baseline, span_reference
from ._sampling import Sampling
from ._span_records import ExtractedSpan, Stretch
from ._spans import Span

__all__ = ["SearchResult", "SearchRule", "search"]

ROLES = {None: "candidate", 0: "non-member", 1: "member"}


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
    baseline: Baseline | None = None
    """The reference model; None where there is none."""

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
    spans: list[ExtractedSpan] = field(default_factory=list)
    _totals: TotalCounts = field(default_factory=TotalCounts)
    _documents: dict[str, DocumentCounts] = field(default_factory=dict)

    def add(
        self, passage: Passage, signals: TokenSignals, of_reference: TokenSignals | None, tokenizer: Tokenizer
    ) -> list[ExtractedSpan]:
        """Examine and count a passage; returns its spans."""
        examination = self.rule.examine(signals)
        self.passages += 1
        self.longest = max(self.longest, len(signals))
        self.too_short += not examination.stretches
        self.copied += examination.copied
        self.unknown += examination.unknown
        self.crossing += examination.crossing
        spans = _extracted(passage, signals, of_reference, examination, tokenizer, self.rule)
        counts = self._documents.setdefault(self._name(passage), DocumentCounts(passage.label))
        counts.add(passage, examination, self.rule.first)
        counts.add_spans(spans)
        self._totals.add(passage, examination.stretches, spans)
        self.spans.extend(spans)
        return spans

    def _name(self, passage: Passage) -> str:
        """The name of the passage's document, to which its role is added where it would seem to be another document.

        The document of a passage without a document is its id. Where ids are row numbers, row 1 of the members and row
        1 of the non-members are two documents.
        """
        document = passage.document
        before = self._documents.get(document)
        same = before is None or before.label == passage.label or passage.id != document
        return document if same else f"{document} ({ROLES[passage.label]})"

    def documents(self) -> list[DocumentExtraction]:
        """The documents, in input order."""
        return [counts.record(name, self.rule.first) for name, counts in self._documents.items()]

    def on_both_sides(self) -> set[str]:
        """The documents that hold known non-members and texts in question."""
        return {name for name, counts in self._documents.items() if 0 < counts.nonmembers < counts.passages}

    def totals(self, documents: Sequence[DocumentExtraction]) -> Totals:
        """All passages that are not known non-members."""
        return self._totals.record(documents, self.spans)

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
            (rule.baseline is not None and not rule.baseline.same_tokens, Note(ExtractionNote.OTHER_TOKENS)),
            (True, Note(ExtractionNote.CONDITIONS)),
        ]
        return [note for applies, note in notes if applies]


def search(
    passages: Iterable[tuple[Passage, TokenSignals, TokenSignals | None]],
    rule: SearchRule,
    tokenizer: Tokenizer,
    likeliest: LikeliestSpans,
) -> SearchResult:
    """The spans of each passage under *rule*; every span that counts is also added to *likeliest*.

    Args:
        passages: each with its signals under the target, and under the reference where *rule* has a baseline.
        rule: what a span is.
        tokenizer: of the target.
        likeliest: takes the spans.

    Raises:
        ModelError: a tokenizer is not that of the signals, or does not give the places of its tokens.
    """
    result = SearchResult(rule)
    for passage, signals, of_reference in passages:
        if signals.tokenizer != tokenizer.fingerprint:
            raise ModelError(
                "the tokenizer differs from that of the signals: name the model with which the run directory began"
            )
        for span in result.add(passage, signals, of_reference, tokenizer):
            if span.counts:
                likeliest.add(span, passage.text)
    return result


def _extracted(
    passage: Passage,
    signals: TokenSignals,
    of_reference: TokenSignals | None,
    examination: Examination,
    tokenizer: Tokenizer,
    rule: SearchRule,
) -> list[ExtractedSpan]:
    """The spans of a passage with their places in its text."""
    if not examination.spans:
        return []
    places = _token_places(passage, signals, tokenizer, rule)
    bounds = None
    if rule.baseline is not None and of_reference is not None:
        bounds = rule.baseline.stretches(passage, of_reference, places, rule.stretch, rule.first)
    offsets = np.concatenate([[0], np.cumsum([len(character.encode()) for character in passage.text])])
    spans, covered = list[ExtractedSpan](), 0
    for span in examination.spans:
        of_span = places[span.start + rule.first : span.end + rule.first]
        start_char, end_char = int(of_span[0, 0]), int(of_span[-1, 1])
        edges = np.maximum.accumulate(np.concatenate([[start_char], of_span[:, 1]]).clip(covered))
        sizes = np.diff(offsets[edges])
        reference = None
        if bounds is not None:
            reference = span_reference(span, examination.counted, bounds, rule.probability, sizes, rule.stretch)
        spans.append(
            ExtractedSpan(
                id=passage.id,
                document=passage.document,
                label=passage.label,
                start_token=span.start + rule.first,
                end_token=span.end + rule.first,
                tokens=span.end - span.start,
                start_char=start_char,
                end_char=end_char,
                bytes=int(sizes.sum()),
                likeliest=_likeliest(passage, span, examination, rule),
                reference=reference,
                text=passage.text[start_char:end_char],
            )
        )
        covered = end_char
    return spans


def _likeliest(passage: Passage, span: Span, examination: Examination, rule: SearchRule) -> Stretch:
    """The likeliest stretch of a span."""
    start, high = span.likeliest + rule.first, examination.upper_bound(span)
    return Stretch.of(passage.id, start, span.log_probability, high)


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
