"""The scores of a replay → how well each attack separates members, as records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..calibration import nonmembers_needed
from ..records import Interval
from ..scores import UNKNOWN, ScoreTable
from ._replaying import column_of
from ._results import OutputResult

__all__ = ["judge"]

NO_CLASS = "needs scores of members and of non-members"


def judge(
    table: ScoreTable,
    defense: str,
    attacks: Sequence[str],
    variants: Sequence[str],
    *,
    fprs: Sequence[float],
    choosing: NDArray[np.bool_] | None = None,
) -> tuple[OutputResult, ...]:
    """AUROC and TPR of each attack on what *defense* shows, in the order of *attacks*.

    Of several ways to take what is shown, the attacker has the one with the larger AUROC. Where *choosing*, shape
    (passages,), names the passages that choose it, the figures are of the others; else they are of the same passages,
    and a choice between two equal ways favours the attacker a little.
    """
    return tuple(_judge(table, defense, attack, variants or ("",), fprs, choosing) for attack in attacks)


def _judge(
    table: ScoreTable,
    defense: str,
    attack: str,
    variants: Sequence[str],
    fprs: Sequence[float],
    choosing: NDArray[np.bool_] | None,
) -> OutputResult:
    if attack in table.no_scores:
        return OutputResult(defense, attack, None, reason=table.no_scores[attack])
    columns = {variant: table.column(column_of(attack, variant)) for variant in variants}
    scored = (table.labels != UNKNOWN) & ~np.any([np.isnan(scores) for scores in columns.values()], axis=0)
    measured = np.flatnonzero(scored if choosing is None else scored & ~choosing)
    chosen = measured if choosing is None else np.flatnonzero(scored & choosing)
    labels, groups = table.labels, table.groups()
    if any(len(np.unique(labels[rows])) < 2 for rows in (measured, chosen)):
        return OutputResult(defense, attack, None, reason=NO_CLASS)
    areas = {variant: _area(scores[chosen], labels[chosen]) for variant, scores in columns.items()}
    best = max(areas, key=lambda variant: areas[variant])
    documents = [groups[row] for row in measured]
    of_measured = labels[measured]
    by_variant = {
        variant: metrics.auroc(scores[measured], of_measured, documents=documents)
        for variant, scores in columns.items()
    }
    nonmembers = int((of_measured == 0).sum())
    return OutputResult(
        defense,
        attack,
        by_variant[best],
        {fpr: _tpr(columns[best][measured], of_measured, documents, fpr) for fpr in fprs},
        best,
        by_variant if len(by_variant) > 1 else {},
        members=len(measured) - nonmembers,
        nonmembers=nonmembers,
    )


def _area(scores: NDArray[np.float64], labels: NDArray[np.int8]) -> float:
    return float(metrics.percentiles(scores[labels == 1], scores[labels == 0]).mean() / 100)


def _tpr(
    scores: NDArray[np.float64], labels: NDArray[np.int8], documents: Sequence[str], fpr: float
) -> Interval | None:
    """None where the non-members are too few for the rate."""
    if (labels == 0).sum() < nonmembers_needed(fpr):
        return None
    return metrics.tpr_at_fpr(scores, labels, fpr, documents=documents)
