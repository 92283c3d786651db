"""Conformal p-values and thresholds where passages share documents: each document counts once, not each passage."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import CalibrationError, UsageError
from ._checks import Floats, finite
from ._thresholds import confident_threshold, describe_uncertified, nonmembers_needed

__all__ = [
    "MORE_DOCUMENTS",
    "check_enough_documents",
    "confident_document_threshold",
    "hierarchical_p_values",
    "hierarchical_rank",
    "hierarchical_threshold",
]

Ints = NDArray[np.intp]

MORE_DOCUMENTS = (
    "add documents, divide large ones, such as a book into its chapters, allow a larger error rate, or, if each "
    "passage really is independent of the others, name another document for each"
)
"""What to do where the documents are too few."""


def hierarchical_p_values(scores: ArrayLike, calibration: ArrayLike, documents: Sequence[str | int] | Ints) -> Floats:
    """A p-value for each score, shape (m,): p = (1 + Σ over documents of the share of its passages ≥ score) / (D + 1).

    D is the number of documents of the calibration set. For a passage of a new document that was not trained on,
    P(p ≤ u) ≤ u for every u, over that document and the calibration set together, whatever the correlation of passages
    within a document and however many passages each has. This assumes that the new document is exchangeable with the
    documents of the calibration set, and that the passage could as well have been another of its document. So it is an
    average in which each document counts once. If the size of a document has a relation to its scores, the average over
    all passages, in which large documents count more, can be larger.

    The same holds for p ≤ 1/2 where the passage belongs to a document of the calibration set, drawn like the passages
    of it that are known: with N of these, the exact p-value is (Σ + (1 − share)/(N + 1)) / D, where Σ is the sum above
    and *share* that of this document. It is at most p where D − Σ ≥ (D + 1)/2.

    Where each document has a single passage, this is `conformal_p_values`. p-values of several passages depend on each
    other in a way that is not known to be positive: over many candidates, `benjamini_yekutieli` holds.

    Args:
        scores: of the candidates, shape (m,). NaN gives a NaN p-value.
        calibration: scores of known non-members, shape (n,), in any order.
        documents: the document of each, shape (n,).

    Raises:
        CalibrationError: *calibration* is empty.
        InputError: a calibration score is NaN or infinite.
        UsageError: *documents* has another length.

    Lee, Barber and Willett 2023, arXiv:2306.06342, section 3.

    >>> known, documents = [1.0, 2.0, 3.0, 4.0], ["a", "a", "b", "c"]
    >>> hierarchical_p_values([2.0, 9.0], known, documents).tolist()  # (1 + 1/2 + 1 + 1) / 4 and 1 / 4
    [0.875, 0.25]
    """
    known, _, sizes = _grouped(calibration, documents)
    candidates = np.asarray(scores, dtype=np.float64)
    return np.where(np.isnan(candidates), np.nan, _p_values(candidates, known, sizes))


def hierarchical_threshold(calibration: ArrayLike, documents: Sequence[str | int] | Ints, fpr: float) -> float:
    """The least threshold for *fpr* on average: ``score > threshold`` exactly where `hierarchical_p_values` ≤ *fpr*.

    It is the largest calibration score with a p-value above *fpr*. A passage of a new document that was not trained on
    scores above it with probability at most *fpr*, under the assumptions of `hierarchical_p_values`. Where each
    document has a single passage, it is `fpr_threshold`.

    Raises:
        CalibrationError: the documents cannot certify *fpr*; the message gives the necessary number.
        InputError, UsageError: as `hierarchical_p_values` does.

    With the 19 documents that 5 % needs, a passage must score above every passage of all of them:

    >>> hierarchical_threshold(range(38), [i // 2 for i in range(38)], 0.05)
    37.0
    """
    known, _, sizes = _grouped(calibration, documents)
    check_enough_documents(_count(sizes), len(known), fpr)
    return float(known[_p_values(known, known, sizes) > fpr].max())


def hierarchical_rank(n: int, documents: int, fpr: float) -> int:
    """The k for which `hierarchical_threshold` is the k-th largest of *n* scores of equally large *documents*.

    >>> hierarchical_rank(99, 99, 0.05), hierarchical_rank(38, 19, 0.05), hierarchical_rank(198, 99, 0.05)
    (5, 1, 9)
    """
    check_enough_documents(documents, n, fpr)
    return 1 + math.floor((fpr * (documents + 1) - 1) * n / documents + 1e-9)


def confident_document_threshold(
    calibration: ArrayLike, documents: Sequence[str | int] | Ints, fpr: float, confidence: float = 0.95
) -> float:
    """The threshold for *fpr* with *confidence*: `confident_threshold` of the highest score of each document.

    With probability *confidence* or more over the draw of the documents, at most a share *fpr* of new documents that
    were not trained on has any passage above it. A passage of a new document is above it only where the highest of the
    document is, so its probability is at most *fpr* too, whatever the correlation within documents. This requires that
    the documents are drawn independently from the same distribution. It is stricter than necessary where documents have
    many passages: they are then limited as a whole.

    Raises:
        CalibrationError: the documents cannot certify *fpr* with *confidence*.
        InputError, UsageError: as `hierarchical_p_values` does.

    >>> known = [*range(59), *[-1] * 59]  # the highest of each document is 0, 1, …, 58
    >>> confident_document_threshold(known, [*range(59), *range(59)], 0.05)
    58.0
    """
    known, numbers, _ = _grouped(calibration, documents)
    highest = np.full(int(numbers.max()) + 1, -np.inf)
    np.maximum.at(highest, numbers, known)
    check_enough_documents(len(highest), len(known), fpr, confidence)
    return confident_threshold(highest, fpr, confidence)


def check_enough_documents(documents: int, passages: int, fpr: float, confidence: float | None = None) -> None:
    """Raise `CalibrationError` where the *documents* of *passages* non-members cannot certify *fpr*."""
    needed = nonmembers_needed(fpr, confidence)
    if documents < needed:
        counted = "1 document" if documents == 1 else f"{documents} documents"
        raise CalibrationError(
            f"{counted} of non-members, with {passages} passages, {describe_uncertified(fpr, confidence)}: at least "
            f"{needed} documents are needed, because passages of a document are not independent; {MORE_DOCUMENTS}"
        )


def _grouped(calibration: ArrayLike, documents: Sequence[str | int] | Ints) -> tuple[Floats, Ints, Ints]:
    """Scores, the number of the document of each, and how many passages its document has; shapes (n,)."""
    known = finite(calibration, "calibration scores")
    if not len(known):
        raise CalibrationError("there are no calibration scores: known non-members are needed")
    if len(documents) != len(known):
        raise UsageError(f"{len(known)} calibration scores but {len(documents)} documents")
    _, numbers = np.unique(np.asarray(documents), return_inverse=True)
    return known, numbers, np.bincount(numbers)[numbers]


def _count(sizes: Ints) -> int:
    """The number of documents, from the number of passages in the document of each passage."""
    return round(float((1 / sizes).sum()))


def _p_values(scores: Floats, known: Floats, sizes: Ints) -> Floats:
    """The p-values of *scores*; *sizes* is the number of passages in the document of each of *known*."""
    shares = np.zeros(scores.shape)
    # Passages are counted by the size of their document, so that equal sums of shares compare equal: 1/10 added ten
    # times is 0.9999999999999999, and 10/10 is 1.
    for size in np.unique(sizes).tolist():
        ascending = np.sort(known[sizes == size])
        shares += (len(ascending) - np.searchsorted(ascending, scores, side="left")) / size
    return np.asarray((1 + np.round(shares, 9)) / (1 + _count(sizes)), dtype=np.float64)
