"""An audit's numbers as figures take them: read from its records once, for all figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...auditing import Audit
from ...decision import ErrorRate, calibration_part
from ...scores import ScoreTable

__all__ = ["Audited", "Floats", "Marked"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """Finite scores of a set of passages, and whether each is flagged."""

    scores: Floats
    flagged: Bools
    missing: int
    """Passages without a finite score."""


@dataclass(frozen=True)
class Audited:
    """An audit with its scores; all that the figures are made from."""

    audit: Audit
    table: ScoreTable
    """With the column that decides."""

    @classmethod
    def of(cls, audit: Audit) -> Audited:
        """The audit with the scores that its run directory holds."""
        return cls(audit, audit.scores)

    @property
    def rate_is_fpr(self) -> bool:
        """Whether a false positive rate is held, and not a false discovery rate."""
        return self.audit.flags.rule.rate is ErrorRate.FALSE_POSITIVES

    @cached_property
    def part(self) -> ScoreTable:
        """The passages that neither selected the attack nor fitted it."""
        return calibration_part(self.table, self.audit.calibration)

    @cached_property
    def candidates(self) -> Marked:
        """The candidates, in the order of the flags."""
        rows = self.audit.flags.rows_by_column
        return _marked(rows.scores, rows.flagged)

    @cached_property
    def known(self) -> Mapping[int, Marked]:
        """Members (1) and non-members (0), flagged by the threshold; by an FDR none is flagged."""
        calibration, part = self.audit.calibration, self.part
        marked = {}
        for label in (1, 0):
            rows = part.rows(label)
            scores = part.column(calibration.attack)[rows]
            categories = [part.categories[row] for row in rows] if part.by else None
            flagged = np.zeros(len(rows), dtype=bool)
            if self.rate_is_fpr and bool(part.by) == bool(calibration.categories):
                flagged = calibration.flagged(scores, categories)
            marked[label] = _marked(scores, flagged)
        return marked

    @property
    def thresholds(self) -> list[float]:
        """The thresholds, ascending; none where a false discovery rate is held."""
        calibration = self.audit.calibration
        if not self.rate_is_fpr:
            return []
        return sorted({*calibration.thresholds.values()} or {calibration.threshold})


def _marked(scores: Floats, flagged: Bools) -> Marked:
    finite = np.isfinite(scores)
    if finite.all():  # of millions of candidates no copy
        return Marked(scores, flagged, 0)
    return Marked(scores[finite], flagged[finite], int((~finite).sum()))
