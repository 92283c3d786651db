"""How much a model leaks: the attack that is strongest on a half of the documents, measured on the other half."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..calibration import nonmembers_needed
from ..records import Interval
from ._columns import Columns
from ._record import Leakage, MeasuredAttack
from ._split import PoolSplit

__all__ = ["Measuring"]


@dataclass(frozen=True, slots=True, eq=False)
class Measuring:
    """What attacks on every defence are measured by: the same halves, the same rates, the same baseline."""

    split: PoolSplit
    rates: Sequence[float]
    """Rates of false positives."""
    undefended: Columns
    """Scores of the attacks on the model without defence."""

    def strongest(self, columns: Columns) -> str | None:
        """The attack with the largest AUROC on the half that chooses, the first of equals; None where none has any."""
        areas = {name: self._area(scores) for name, scores in columns.items()}
        best = max((area for area in areas.values() if not np.isnan(area)), default=None)
        return None if best is None else next(name for name, area in areas.items() if area == best)

    def leakage(self, columns: Columns, attack: str, baseline: str) -> Leakage | None:
        """What *attack* achieves on the half that measures, and the difference to *baseline* without defence.

        Args:
            columns: the scores on what the defence leaves.
            attack: a name in *columns*.
            baseline: a name in `undefended`.

        Returns:
            None where a class has no score.
        """
        scores = columns[attack]
        rows = self._measured(scores)
        labels = self.split.labels[rows]
        members, nonmembers = int((labels == 1).sum()), int((labels == 0).sum())
        if not members or not nonmembers:
            return None
        return Leakage(
            attack=attack,
            auroc=metrics.auroc(scores[rows], labels, documents=self._documents(rows)),
            tpr_at_fpr={
                rate: metrics.tpr_at_fpr(scores[rows], labels, rate, documents=self._documents(rows))
                if nonmembers >= nonmembers_needed(rate)
                else None
                for rate in self.rates
            },
            change=self._change(scores, self.undefended[baseline]),
            members=members,
            nonmembers=nonmembers,
        )

    def best_ways(self, by_variant: Mapping[str, Columns]) -> tuple[Columns, dict[str, str]]:
        """The columns of each attack in the way that is best on the half that chooses, and that way."""
        ways: dict[str, str] = {}
        for variant, columns in by_variant.items():
            for name, scores in columns.items():
                area = self._area(scores)
                if name not in ways or area > self._area(by_variant[ways[name]][name]):
                    ways[name] = variant
        return {name: by_variant[variant][name] for name, variant in ways.items()}, ways

    def attacks(
        self, names: Sequence[str], columns: Columns, ways: Mapping[str, str] | None = None
    ) -> tuple[MeasuredAttack, ...]:
        """The AUROC of each of the attacks *names* on the half that measures; without a column, none."""
        return tuple(
            MeasuredAttack(name, self._interval(columns[name]) if name in columns else None, (ways or {}).get(name, ""))
            for name in names
        )

    def gap(self, confidences: NDArray[np.float64]) -> Interval | None:
        """The difference of the mean token probabilities of members and non-members, on the half that measures.

        A passage of which no token is shown has probability 0.
        """
        rows = self._measured(confidences)
        member = self.split.labels[rows] == 1
        if member.all() or not member.any():
            return None
        ordered = np.concatenate([rows[member], rows[~member]])
        confidences = np.maximum(confidences, 0.0)
        members, nonmembers = confidences[rows[member]], confidences[rows[~member]]
        return metrics.confidence_gap(members, nonmembers, documents=self._documents(ordered)).gap

    def share_of_members(self, flagged: NDArray[np.float64]) -> Interval | None:
        """The share of *flagged* among the members that are no NaN, of both halves; None where all are NaN."""
        rows = np.flatnonzero((self.split.labels == 1) & ~np.isnan(flagged))
        return metrics.flagged_share(flagged[rows] > 0, self._documents(rows)) if len(rows) else None

    def _area(self, scores: NDArray[np.float64]) -> float:
        """The AUROC on the half that chooses; NaN where a class has no score."""
        chosen, labels = self.split.choosing & ~np.isnan(scores), self.split.labels
        members, nonmembers = scores[chosen & (labels == 1)], scores[chosen & (labels == 0)]
        if not len(members) or not len(nonmembers):
            return float("nan")
        return float(metrics.percentiles(members, nonmembers).mean() / 100)

    def _interval(self, scores: NDArray[np.float64]) -> Interval | None:
        rows = self._measured(scores)
        labels = self.split.labels[rows]
        if len(np.unique(labels)) < 2:
            return None
        return metrics.auroc(scores[rows], labels, documents=self._documents(rows))

    def _change(self, scores: NDArray[np.float64], undefended: NDArray[np.float64]) -> Interval | None:
        rows = np.intersect1d(self._measured(scores), self._measured(undefended))
        labels = self.split.labels[rows]
        if len(np.unique(labels)) < 2:
            return None
        return metrics.compare_attacks(scores[rows], undefended[rows], labels, self._documents(rows)).difference

    def _measured(self, scores: NDArray[np.float64]) -> NDArray[np.intp]:
        return np.flatnonzero(~self.split.choosing & ~np.isnan(scores))

    def _documents(self, rows: NDArray[np.intp]) -> list[str]:
        return [self.split.documents[row] for row in rows]
