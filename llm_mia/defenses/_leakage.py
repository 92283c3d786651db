"""How much a model leaks: the attack that is strongest on a half of the documents, measured on the other half."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..calibration import nonmembers_needed
from ..records import Interval
from ._record import Leakage
from ._split import PoolSplit

__all__ = ["LEVEL", "Columns", "Measuring", "compare_with_lowest", "mark_lower"]

LEVEL = 0.025
"""The largest probability that any defence counts as lowering the AUROC although it does not."""

Columns = Mapping[str, NDArray[np.float64]]
"""By attack: the scores of all passages, NaN where a passage has none."""


def mark_lower(leakages: Sequence[Leakage | None]) -> list[Leakage | None]:
    """The *leakages* of all defences, each with whether its AUROC is lower than without defence.

    Each defence has a one-sided p-value, `Leakage.p_lower`, and Holm's procedure tests all of them together. So with
    probability at least 1 − `LEVEL`, no defence counts as lowering the AUROC that does not, however many are compared
    and whatever they have in common. The test is about the models as they were trained, once each.
    """
    tested = [at for at, each in enumerate(leakages) if each is not None and each.p_lower is not None]
    below = dict(zip(tested, metrics.holm([_p_lower(leakages[at]) for at in tested], LEVEL), strict=True))
    return [None if each is None else replace(each, lower=below.get(at, False)) for at, each in enumerate(leakages)]


def compare_with_lowest(
    leakages: Sequence[Leakage | None], scores: Sequence[NDArray[np.float64] | None], measuring: Measuring
) -> list[Leakage | None]:
    """The *leakages* of all defences; those that lower the AUROC with their difference to the lowest of these.

    *scores* are those of the attack of each, shape (passages,); None where there is none.
    """
    aurocs = {at: each.auroc.value for at, each in enumerate(leakages) if each is not None and each.lower}
    best = min(aurocs, key=lambda at: aurocs[at], default=-1)
    compared = list(leakages)
    for at in aurocs.keys() - {best}:
        leakage, here, lowest = leakages[at], scores[at], scores[best]
        if leakage is not None and here is not None and lowest is not None:
            compared[at] = replace(leakage, above_lowest=measuring.difference(here, lowest))
    return compared


def _p_lower(leakage: Leakage | None) -> float:
    assert leakage is not None
    assert leakage.p_lower is not None
    return leakage.p_lower


def _one_sided(paired: metrics.PairedComparison) -> float:
    """The p-value of the hypothesis that the first AUROC is no lower than the second."""
    return paired.p_value / 2 if paired.difference.value < 0 else 1 - paired.p_value / 2


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

        A defence lowers the AUROC only if *baseline* on what it leaves does worse, too. Without this, a defence that
        changes nothing would count too often: by chance the half that chooses may give it a weaker attack than it gives
        the model without defence, and the difference between these attacks is no effect of the defence.

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
        paired = self._compared(scores, self.undefended[baseline])
        return Leakage(
            attack=attack,
            auroc=metrics.auroc(scores[rows], labels, documents=self._documents(rows)),
            tpr_at_fpr={
                rate: metrics.tpr_at_fpr(scores[rows], labels, rate, documents=self._documents(rows))
                if nonmembers >= nonmembers_needed(rate)
                else None
                for rate in self.rates
            },
            change=None if paired is None else paired.difference,
            members=members,
            nonmembers=nonmembers,
            p_value=None if paired is None else paired.p_value,
            p_lower=None if paired is None else max(_one_sided(paired), self._p_of(columns, attack, baseline)),
        )

    def _p_of(self, columns: Columns, attack: str, baseline: str) -> float:
        """The p-value of the hypothesis that *baseline* does no worse on *columns* than without defence.

        0 where there is nothing further to test: *attack* is the same, or *baseline* has no scores there.
        """
        if attack == baseline or baseline not in columns:
            return 0.0
        paired = self._compared(columns[baseline], self.undefended[baseline])
        return 0.0 if paired is None else _one_sided(paired)

    def difference(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> Interval | None:
        """The AUROC of the scores *first* less that of *second*, on the half that measures; None where a class has no
        passage with both.
        """
        paired = self._compared(first, second)
        return None if paired is None else paired.difference

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

    def _compared(
        self, scores: NDArray[np.float64], undefended: NDArray[np.float64]
    ) -> metrics.PairedComparison | None:
        rows = np.intersect1d(self._measured(scores), self._measured(undefended))
        labels = self.split.labels[rows]
        if len(np.unique(labels)) < 2:
            return None
        return metrics.compare_attacks(scores[rows], undefended[rows], labels, self._documents(rows))

    def _measured(self, scores: NDArray[np.float64]) -> NDArray[np.intp]:
        return np.flatnonzero(~self.split.choosing & ~np.isnan(scores))

    def _documents(self, rows: NDArray[np.intp]) -> list[str]:
        return [self.split.documents[row] for row in rows]
