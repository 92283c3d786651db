"""Passage after passage: what is emitted of it, and where in its text that stands."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..backends import Tokenizer
from ..errors import ModelError
from ..metrics import clopper_pearson
from ..records import Passage, TokenSignals, WindowRule
from ..signals import edges
from ._passage import Examined, examine
from ._proofs import Candidates
from ._records import DocumentExtraction, ExtractedSpan, KnownNonmembers, Stretch
from ._sampling import Sampling
from ._spans import Span

__all__ = ["Rule", "Tally", "look"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is looked for."""

    sampling: Sampling
    stretch: int
    probability: float
    prefix: int
    first: int
    """Position of the first scored token: 0 where the model opens with BOS, else 1."""
    window: WindowRule

    def examine(self, signals: TokenSignals) -> Examined:
        """One passage."""
        further = edges(len(signals) + self.first, self.window, bos=self.first == 0)
        return examine(
            signals,
            self.sampling,
            n=self.stretch,
            probability=self.probability,
            skip=max(0, self.prefix - self.first),
            edges=[edge - self.first for edge in further],
        )


@dataclass(slots=True)
class _Document:
    """What has been found of one document so far."""

    document: str
    label: int | None
    passages: int = 0
    stretches: int = 0
    spans: int = 0
    longest_span: int = 0
    bytes: int = 0
    bytes_covered: int = 0
    likeliest: Stretch | None = None
    greedy: tuple[int, str, int] | tuple[()] = ()

    def record(self) -> DocumentExtraction:
        length, name, start = self.greedy or (0, "", 0)
        own = {name: getattr(self, name) for name in self.__slots__ if name != "greedy"}
        return DocumentExtraction(**own, greedy_tokens=length, greedy_id=name, greedy_start_token=start)


@dataclass(slots=True)
class Tally:
    """What has been found so far."""

    passages: int = 0
    too_short: int = 0
    longest: int = 0
    copied: int = 0
    unknown: int = 0
    crossing: int = 0
    nonmembers: int = 0
    nonmembers_found: int = 0
    spans: list[ExtractedSpan] = field(default_factory=list)
    documents: dict[str, _Document] = field(default_factory=dict)

    def add(self, passage: Passage, signals: TokenSignals, found: Examined) -> None:
        """Count one more passage."""
        own = self.documents.setdefault(passage.document, _Document(passage.document, passage.label))
        own.label = passage.label if own.label == passage.label else None
        own.passages += 1
        own.bytes += passage.n_bytes
        own.stretches += found.stretches
        self.passages += 1
        self.longest = max(self.longest, len(signals))
        self.too_short += not found.stretches
        self.copied += found.copied
        self.unknown += found.unknown
        self.crossing += found.crossing
        if passage.label == 0 and found.stretches:
            self.nonmembers += 1
            self.nonmembers_found += bool(found.spans)

    def calibration(self) -> KnownNonmembers | None:
        """What the known non-members say."""
        if not self.nonmembers:
            return None
        # The upper end of a two-sided interval at 90 % errs on its side in 5 % of cases.
        bound = clopper_pearson(self.nonmembers_found, self.nonmembers, 0.90).high
        return KnownNonmembers(self.nonmembers, self.nonmembers_found, bound)

    def notes(self, rule: Rule) -> list[str]:
        """What a reader ought to know."""
        notes = []
        if self.too_short:
            notes.append(
                f"{self.too_short:,} of {self.passages:,} passages are too short for a stretch of {rule.stretch} "
                f"tokens after {rule.prefix}; their bytes count, and nothing can be found in them"
            )
        if self.copied:
            notes.append(
                f"{self.copied:,} probable stretches repeat what their passage shows earlier, which a model can copy "
                "without having been trained on it; they count nowhere"
            )
        if self.unknown:
            notes.append(f"{self.unknown:,} stretches hold a token whose probability is not known (NaN)")
        if self.crossing:
            notes.append(
                f"{self.crossing:,} stretches go over the edge of a window, where no one prompt gives their "
                "probability; they count nowhere, and a span ends there"
            )
        if not rule.sampling.exact:
            notes.append(
                "probabilities are lower bounds, by which spans are chosen; upper bounds stand beside them, for "
                "signals tell the mass of the likeliest tokens in part only"
            )
        return notes


def look(
    stored: Iterable[tuple[Passage, TokenSignals]], rule: Rule, tokenizer: Tokenizer, candidates: Candidates
) -> Tally:
    """What *rule* finds in each passage; *candidates* are offered every span.

    Raises:
        ModelError: the tokenizer is another than that of the signals, or can't say where its tokens stand.
    """
    tally = Tally()
    for passage, signals in stored:
        if signals.tokenizer != tokenizer.fingerprint:
            raise ModelError("the tokenizer is not the one that the signals were made with")
        found = rule.examine(signals)
        tally.add(passage, signals, found)
        places = _places(passage, signals, tokenizer, rule) if found.spans else None
        own = tally.documents[passage.document]
        own.likeliest = _likelier(own.likeliest, passage.id, found, rule)
        if len(own.greedy) == 0 or found.greedy.length > own.greedy[0]:
            own.greedy = (found.greedy.length, passage.id, found.greedy.start + rule.first)
        covered = 0
        for span in found.spans:
            assert places is not None
            record = _record(passage, span, found, places, rule)
            tally.spans.append(record)
            candidates.add(record, passage.text)
            own.spans += 1
            own.longest_span = max(own.longest_span, record.tokens)
            own.bytes_covered += len(passage.text[max(covered, record.start_char) : record.end_char].encode())
            covered = record.end_char
    return tally


def _record(passage: Passage, span: Span, found: Examined, places: NDArray[np.int64], rule: Rule) -> ExtractedSpan:
    start, end = span.start + rule.first, span.end + rule.first
    start_char, end_char = int(places[start, 0]), int(places[end - 1, 1])
    return ExtractedSpan(
        id=passage.id,
        document=passage.document,
        label=passage.label,
        start_token=start,
        end_token=end,
        start_char=start_char,
        end_char=end_char,
        likeliest=Stretch(passage.id, span.likeliest + rule.first, span.log_probability, found.high(span)),
        text=passage.text[start_char:end_char],
    )


def _places(passage: Passage, signals: TokenSignals, tokenizer: Tokenizer, rule: Rule) -> NDArray[np.int64]:
    """Where each token of the passage stands in its text."""
    places = tokenizer.spans(passage.text)
    if len(places) != len(signals) + rule.first:
        raise ModelError(
            f"passage {passage.id!r}: the tokenizer makes {len(places)} tokens of it, and {len(signals) + rule.first} "
            "when it was scored"
        )
    return places


def _likelier(best: Stretch | None, name: str, found: Examined, rule: Rule) -> Stretch | None:
    if math.isnan(found.log_probability) or (best is not None and best.log_probability >= found.log_probability):
        return best
    return Stretch(name, found.likeliest + rule.first, found.log_probability, found.log_probability_high)
