"""The evidence on each candidate document, to rank them by; no decision is made or recorded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ..calibration import nonmembers_needed
from ..errors import CalibrationError
from ..scores import ScoreTable
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
    groups, rows = table.groups(), table.rows(None)
    reasons = _obstacles(table, calibration)
    kept = np.array([groups[row] not in reasons for row in rows], dtype=bool)
    p_values, sizes = dict[str, float](), set[int]()
    needed, compared = nonmembers_needed(calibration.fpr), 0
    if kept.any():
        judged = judged_documents(table, calibration, rows[kept])
        compared = int(judged.n_calibration.max())
        for name, p_value, n in zip(judged.names, judged.p_values.tolist(), judged.n_calibration.tolist(), strict=True):
            if np.isnan(p_value):
                reasons[name] = NoPValue.NO_SCORE
            elif n < needed:
                reasons[name] = NoPValue.FEW_DOCUMENTS
            else:
                p_values[name] = p_value
        sizes = {used for name, used in zip(judged.names, judged.n_used.tolist(), strict=True) if name in p_values}
    q_values, method = q_values_of(np.array([*p_values.values()]), any_dependence=len(sizes) > 1)
    corrected = dict(zip(p_values, q_values.tolist(), strict=True))
    counts = dict[str, int]()
    for row in rows.tolist():
        counts[groups[row]] = counts.get(groups[row], 0) + 1
    documents = tuple(
        RankedDocument(name, n, p_values.get(name), corrected.get(name), reasons.get(name))
        for name, n in counts.items()
    )
    return DocumentRanking(documents, method, compared, needed)


def _obstacles(table: ScoreTable, calibration: Calibration) -> dict[str, NoPValue]:
    """Candidate documents that cannot be compared with those of the known non-members, and why."""
    groups, scores, rows = table.groups(), table.column(calibration.attack), table.rows(None)
    everyone = dict.fromkeys(groups[row] for row in rows)
    if calibration.categories:
        return dict.fromkeys(everyone, NoPValue.CATEGORIES)
    try:
        known = calibration_rows(table, calibration)
    except CalibrationError:
        return dict.fromkeys(everyone, NoPValue.OTHER_NONMEMBERS)
    infinite = dict.fromkeys((groups[row] for row in rows if np.isinf(scores[row])), NoPValue.INFINITE_SCORE)
    holders = {groups[row] for row in known}
    return infinite | dict.fromkeys((name for name in everyone if name in holders), NoPValue.ON_BOTH_SIDES)
