"""Which parts of the candidates the model writes word for word: as an extraction measured it, else from the signals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..extraction import Extraction, examine, stretch_sums
from ..records import PassRecord, TokenSignals
from ..signals import edges
from ..store import StoredText

__all__ = ["PROBABILITY", "STRETCH", "Extractable", "ExtractableSpan", "extractable_of", "window_edges"]

STRETCH, PROBABILITY = 50, 1e-3
"""Tokens of a stretch, and the least probability with which it counts."""


class ExtractableSpan(NamedTuple):
    """Tokens of a passage that the model writes stretch by stretch, after what precedes each."""

    start: int
    """The first token, among all tokens of the passage."""
    end: int
    """The token after the last."""
    probability: float
    """Of its likeliest stretch, lower bound."""


@dataclass(frozen=True, slots=True)
class Extractable:
    """What of the candidates is extractable."""

    spans: Mapping[str, Sequence[ExtractableSpan]]
    """By id of the passage; a passage without one is left out."""
    shares: Mapping[str, float]
    """By document; a document in which nothing could be examined is left out."""
    extracted: bool
    """Whether `extract` measured it: shares are of bytes then, else of tokens."""


def extractable_of(
    record: PassRecord,
    signals: Iterable[tuple[StoredText, TokenSignals]],
    documents: Mapping[str, str],
    extraction: Extraction | None,
) -> Extractable:
    """What *extraction* says of these candidates, or, where that is None, what the *signals* of the target show.

    Args:
        record: of the pass of the target.
        signals: of the candidates, read only where there is no extraction.
        documents: the document of each candidate, by id.
        extraction: what `extract` measured.
    """
    if extraction is not None:
        spans = dict[str, list[ExtractableSpan]]()
        for span in extraction.spans:
            if span.id in documents:
                measured = ExtractableSpan(span.start_token, span.end_token, span.likeliest.probability)
                spans.setdefault(span.id, []).append(measured)
        return Extractable(spans, {each.document: each.share for each in extraction.documents}, extracted=True)
    spans, covered, examined = {}, dict[str, int](), dict[str, int]()
    for text, of_text in signals:
        if len(of_text) < STRETCH or text.id not in documents:
            continue
        here, document = _spans(of_text, record), documents[text.id]
        if here:
            spans[text.id] = here
        covered[document] = covered.get(document, 0) + sum(span.end - span.start for span in here)
        examined[document] = examined.get(document, 0) + len(of_text)
    return Extractable(spans, {name: covered[name] / n for name, n in examined.items()}, extracted=False)


def window_edges(n: int, record: PassRecord) -> list[int]:
    """Positions of the *n* scored tokens of a passage from which on a further window scores."""
    first = 0 if record.model.opening else 1
    return [edge - first for edge in edges(n + first, record.window, opening=len(record.model.opening))]


def _spans(signals: TokenSignals, record: PassRecord) -> list[ExtractableSpan]:
    sums = stretch_sums(signals.logprob.astype(np.float64), STRETCH)
    # Few passages have such a stretch, and all that follows takes four times as long.
    if not (sums >= math.log(PROBABILITY)).any():
        return []
    first = 0 if record.model.opening else 1
    result = examine(signals, n=STRETCH, probability=PROBABILITY, edges=window_edges(len(signals), record))
    return [
        ExtractableSpan(first + span.start, first + span.end, math.exp(span.log_probability)) for span in result.spans
    ]
