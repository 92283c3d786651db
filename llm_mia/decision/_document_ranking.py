"""The evidence on each candidate document, to rank them by; no decision is made or recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ..calibration import nonmembers_needed
from ..errors import CalibrationError
from ..records import count_each, number_names
from ..scores import UNKNOWN, ScoreTable
from ._calibrating import add_decider_column, calibration_rows
from ._calibration import Calibration
from ._documents import judged_documents
from ._equal_scores import join_equal_scores
from ._flags import q_values_of
from ._rules import QValueMethod

__all__ = ["DocumentRanking", "NoPValue", "RankedDocument", "rank_documents"]


class NoPValue(StrEnum):
    """Why a document has no p-value."""

    ON_BOTH_SIDES = "on_both_sides"
    """It holds known non-members too, so it cannot be compared with the documents of known non-members."""
    FEW_DOCUMENTS = "few_documents"
    """It would be compared with so few documents that its p-value could not reach the false positive rate."""
    NO_SCORE = "no_score"
    """None of its passages has a score."""
    INFINITE_SCORE = "infinite_score"
    """A passage has an infinite score, and a mean needs finite scores."""
    CATEGORIES = "categories"
    """Each category has its threshold, and a document has no category."""
    OTHER_NONMEMBERS = "other_nonmembers"
    """The table does not hold the non-members that set the threshold."""


REASONS: tuple[NoPValue | None, ...] = (None, *NoPValue)


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """A candidate document."""

    name: str
    passages: int
    p_value: float | None
    q_value: float | None
    reason: NoPValue | None
    """Why there is no p-value; None where there is one."""


@dataclass(frozen=True, slots=True)
class DocumentRanking:
    """The candidate documents in the order of the table."""

    documents: tuple[RankedDocument, ...]
    q_values: QValueMethod
    compared_with: int
    """Documents of known non-members in the largest comparison; 0 where there is none."""
    needed: int
    """Documents of known non-members without which no p-value is stated."""


def rank_documents(table: ScoreTable, calibration: Calibration) -> DocumentRanking:
    """The p-value and q-value of each candidate document, as `flag_documents` computes them, without a decision.

    The p-value of a document that was not trained on is super-uniform, provided that it is exchangeable with the
    documents of the known non-members (`llm_mia.documents.document_p_values`). A document that holds known non-members
    too gets no p-value, and takes no part in the correction for many documents. q-values are corrected for the number
    of documents with a p-value. Where `flag_documents` refuses all documents because of some, only those have none.

    >>> table = ScoreTable.of([1.0, 3.0, 2.0, 9.0, 1.5], [0, 0, 0, None, None], documents=["a", "b", "c", "new", "c"])
    >>> from llm_mia.decision import calibrate
    >>> ranking = rank_documents(table, calibrate(table, "score", fpr=0.25))
    >>> [(document.name, document.p_value, str(document.reason)) for document in ranking.documents]
    [('new', 0.25, 'None'), ('c', None, 'on_both_sides')]
    """
    table, _ = join_equal_scores(add_decider_column(table, calibration), calibration.attack)
    candidate = table.labels == UNKNOWN
    names, numbers = number_names(table.groups().take(candidate))
    reasons = np.zeros(len(names), dtype=np.int8)
    for reason, where in _obstacles(table, calibration, candidate):
        reasons[numbers[where]] = REASONS.index(reason)
    p_values, q_values, sizes = np.full(len(names), np.nan), np.full(len(names), np.nan), set[int]()
    needed, compared = nonmembers_needed(calibration.fpr), 0
    kept = np.flatnonzero(reasons == 0)
    if len(kept):
        candidate[candidate] = (reasons == 0)[numbers]
        judged = judged_documents(table, calibration, candidate)  # in the order of *kept*
        compared = int(judged.n_calibration.max())
        unscored, few = np.isnan(judged.p_values), judged.n_calibration < needed
        reasons[kept[few]] = REASONS.index(NoPValue.FEW_DOCUMENTS)
        reasons[kept[unscored]] = REASONS.index(NoPValue.NO_SCORE)
        stated = ~unscored & ~few
        p_values[kept[stated]] = judged.p_values[stated]
        sizes = set(judged.n_used[stated].tolist())
    stated = ~np.isnan(p_values)
    q_values[stated], method = q_values_of(p_values[stated], any_dependence=len(sizes) > 1)
    columns = (count_each(numbers, len(names)), p_values, q_values, reasons)
    documents = tuple(
        RankedDocument(name, n, p if p == p else None, q if q == q else None, REASONS[reason])
        for name, n, p, q, reason in zip(names, *(column.tolist() for column in columns), strict=True)
    )
    return DocumentRanking(documents, method, compared, needed)


def _obstacles(
    table: ScoreTable, calibration: Calibration, candidate: NDArray[np.bool_]
) -> Iterator[tuple[NoPValue, NDArray[np.bool_]]]:
    """Why documents cannot be compared with those of the known non-members, and which candidates are of such documents.

    A later reason takes the place of an earlier one.
    """
    everywhere = np.ones(int(candidate.sum()), dtype=bool)
    if calibration.categories:
        yield NoPValue.CATEGORIES, everywhere
        return
    try:
        known = calibration_rows(table, calibration)
    except CalibrationError:
        yield NoPValue.OTHER_NONMEMBERS, everywhere
        return
    groups = table.groups()
    yield NoPValue.INFINITE_SCORE, np.isinf(table.column(calibration.attack))[candidate]
    yield NoPValue.ON_BOTH_SIDES, groups.take(known).used()[groups.codes[candidate]]
