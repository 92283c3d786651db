"""The candidate documents by a model that cannot know them."""

from __future__ import annotations

import numpy as np

from ..documents import document_scores
from ..scores import UNKNOWN, ScoreTable
from ._calibration import Calibration
from ._exchange import Exchangeable, same_size
from ._finding import Ints
from ._finding_record import OtherFlags
from ._other_models import Pair, compare_models, scores_by_others
from ._rules import Rule

__all__ = ["other_models_by_document"]


def other_models_by_document(
    table: ScoreTable, calibration: Calibration, known: Ints, rule: Rule, level: float
) -> tuple[OtherFlags, ...]:
    """The comparison with each other model that has scored candidates and known non-members; by document.

    The score of a document is the mean of its passages. Documents are cut to a common number of passages, drawn at
    random, so that they can be compared; shorter documents are left out.
    """
    compared = np.zeros(len(table), dtype=bool)
    compared[known] = compared[table.rows(None)] = True
    by_target, groups, results = table.column(calibration.attack), table.groups(), []
    for role, attack, scores in scores_by_others(table, calibration.attack):
        both = np.flatnonzero(compared & np.isfinite(by_target) & np.isfinite(scores))
        documents = [groups[row] for row in both.tolist()]
        candidate = table.labels[both] == UNKNOWN
        if candidate.all() or not candidate.any():
            continue
        kept = same_size(Exchangeable(by_target[both], candidate, documents, np.zeros(len(both), dtype=np.intp)))
        named = [documents[position] for position in kept.tolist()]
        first, second = (document_scores(column[both][kept], named) for column in (by_target, scores))
        of_candidates = {name for name, mark in zip(named, candidate[kept].tolist(), strict=True) if mark}
        labels = [None if name in of_candidates else 0 for name in first.names]
        columns = {"target": first.values, "other": second.values}
        pair = Pair(role, attack, ScoreTable.of(columns, labels, ids=first.names, name=table.name))
        results += compare_models(pair, calibration, rule, level)
    return tuple(results)
