"""What known non-members show of spans: how often a text of like length that was not trained on has a span."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median_low
from typing import NamedTuple

import numpy as np

from ..metrics import clopper_pearson
from ._records import DocumentExtraction, KnownNonmembers, LikeLength

__all__ = ["Band", "known_nonmembers", "span_p_value"]

LEVEL = 0.05
"""The largest p-value at which documents have spans more often than known non-members of like length."""


class Band(NamedTuple):
    """Documents of like length: counts of those in question and of known non-members, and of those with spans."""

    documents: int
    with_spans: int
    nonmembers: int
    nonmembers_with_spans: int


def known_nonmembers(documents: Sequence[DocumentExtraction]) -> KnownNonmembers | None:
    """How many documents of known non-members have spans; None where no such document is long enough for a stretch.

    *documents* must hold none with passages of both kinds: a span of its known non-members would count for the texts in
    question.
    """
    known = [document for document in documents if document.label == 0 and document.stretches]
    if not known:
        return None
    count = sum(document.spans_counted > 0 for document in known)
    stretches = [document.stretches for document in known]
    return KnownNonmembers(
        documents=len(known),
        with_spans=count,
        bound=_bound(count, len(known)),
        least=min(stretches),
        most=max(stretches),
        like=_like_length(documents),
    )


def _like_length(documents: Sequence[DocumentExtraction]) -> LikeLength | None:
    """The bands of length in which there are documents of both kinds; None where there is no such band."""
    in_question = [document.stretches for document in documents if document.label != 0 and document.stretches]
    if not in_question:
        return None
    middle = median_low(in_question)
    by_length: dict[int, list[DocumentExtraction]] = {}
    for document in documents:
        if document.stretches:
            by_length.setdefault(round(math.log2(document.stretches / middle)), []).append(document)
    bands = [band for band in map(_band, by_length.values()) if band.documents and band.nonmembers]
    if not bands:
        return None
    total = Band(*(sum(counts) for counts in zip(*bands, strict=True)))
    p_value = span_p_value(bands)
    beyond_chance = p_value <= LEVEL * (1 + 1e-9)  # 1/20 is not above 0.05 by rounding
    return LikeLength(*total, _bound(total.nonmembers_with_spans, total.nonmembers), p_value, beyond_chance)


def _band(documents: Iterable[DocumentExtraction]) -> Band:
    counts = [[0, 0], [0, 0]]
    for document in documents:
        of_kind = counts[document.label == 0]
        of_kind[0] += 1
        of_kind[1] += document.spans_counted > 0
    return Band(*counts[0], *counts[1])


def _bound(count: int, documents: int) -> float:
    """Upper bound on a share of documents, with 95 % confidence."""
    # The upper end of a two-sided interval at 90 % confidence is too low in 5 % of cases.
    return clopper_pearson(count, documents, 0.90).high


def span_p_value(bands: Sequence[Band]) -> float:
    """Probability that at least as many of the documents in question have spans, if they are like the non-members.

    If in each band the documents in question and the known non-members are exchangeable, then, given how many documents
    of a band have spans, those of them that are in question are a hypergeometric count. The p-value is that of the sum
    over the bands (Fisher's exact test, in strata): it is at most α with probability at most α.

    >>> round(span_p_value([Band(documents=1, with_spans=1, nonmembers=19, nonmembers_with_spans=0)]), 6)
    0.05
    >>> round(span_p_value([Band(2, 1, 2, 0), Band(1, 1, 1, 0)]), 6)  # 1/2 · 1/2
    0.25
    """
    distribution = np.ones(1)
    for band in bands:
        distribution = np.convolve(distribution, _hypergeometric(band))
    observed = sum(band.with_spans for band in bands)
    return float(min(1.0, distribution[observed:].sum()))


def _hypergeometric(band: Band) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Distribution of the number of documents with spans that are in question, shape (documents + 1,)."""
    marked, total = band.with_spans + band.nonmembers_with_spans, band.documents + band.nonmembers
    logs = np.full(band.documents + 1, -np.inf)
    for count in range(max(0, marked - band.nonmembers), min(marked, band.documents) + 1):
        logs[count] = _log_choose(band.documents, count) + _log_choose(band.nonmembers, marked - count)
    return np.asarray(np.exp(logs - _log_choose(total, marked)))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
