"""Whether the shadow models that set a threshold stand for the target: against each other, and beside the target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..decision import Calibration, ShadowRate, mean_over_models, shadow_rates
from ..records import Interval
from ..scores import ScoreTable
from ..validity import Check, Verdict

__all__ = ["LIKENESS", "Likeness", "ShadowCheck", "likeness_of", "shadow_check"]

Floats = NDArray[np.float64]
LIKENESS = "target_like_shadows"
"""Name of the check whether the target is like a shadow model."""
LEVEL = 0.01
"""Probability that the target is taken for unlike the shadows although it is exchangeable with them."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How likely the target finds passages, beside the shadow models; nats per token.

    `target` is the mean over passages of its log-likelihood less that of the shadows, and `shadows` hold the same of
    each shadow against the others.
    """

    compared: str
    """``members``: with the shadows that were trained on the same passages; ``all``: with all shadows."""
    passages: int
    target: float
    shadows: tuple[float, ...]
    limit: float
    """Of a further model like the shadows `target` lies beyond it with probability 0.01 (Student's t)."""

    @property
    def unlike(self) -> bool:
        """Whether the target lies beyond the limit: above it, or where all shadows are compared below it."""
        return self.target > self.limit if self.compared == "members" else self.target < self.limit


@dataclass(frozen=True, slots=True)
class ShadowCheck:
    """What the error rate rests on where shadow models set the threshold."""

    sha256: str
    """Digest of the set of shadow models."""
    same_texts: bool
    """Whether the threshold is set by the candidates' texts under the shadows; else by all passages of the pool."""
    same_base: bool | None
    """Whether the target was trained from the same base as the shadows; None where no record shows it."""
    rates: tuple[ShadowRate, ...]
    """Each shadow in the target's place, by the threshold that the others set."""
    fpr: Interval
    """Mean share of its non-members that is flagged, over shadows; 95 % interval by Student's t over them."""
    tpr: Interval | None
    """The same of its members."""
    likeness: tuple[Likeness, ...] = field(default=())

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest false positive rate of a shadow."""
        return min(each.fpr for each in self.rates), max(each.fpr for each in self.rates)

    @property
    def checks(self) -> list[Check]:
        """Whether the target is like the shadows, as a check of what sets the threshold: it can make it doubtful."""
        if not self.likeness:
            return [Check(LIKENESS, None, Verdict.SKIPPED)]
        worst = next((each for each in self.likeness if each.unlike), self.likeness[0])
        return [Check(LIKENESS, worst.target, Verdict.DOUBTFUL if worst.unlike else Verdict.SOUND)]


def shadow_check(
    table: ScoreTable,
    calibration: Calibration,
    *,
    sha256: str,
    same_texts: bool,
    same_base: bool | None,
    likeness: Sequence[Likeness],
) -> ShadowCheck:
    """The shadows left out one by one, and whether the target is like them.

    Args:
        table: with the rows of shadows in the target's place, and the column that *calibration* decides by.
        calibration: what these rows set.
        sha256: of the set of shadows.
        same_texts: see `ShadowCheck`.
        same_base: see `ShadowCheck`.
        likeness: what `likeness_of` gave.
    """
    rates = shadow_rates(table, calibration)
    powers = [each.tpr for each in rates if each.tpr is not None]
    return ShadowCheck(
        sha256=sha256,
        same_texts=same_texts,
        same_base=same_base,
        rates=rates,
        fpr=mean_over_models([each.fpr for each in rates]),
        tpr=mean_over_models(powers) if powers else None,
        likeness=tuple(likeness),
    )


def likeness_of(target: Floats, shadows: Floats, inside: NDArray[np.bool_], *, members: bool) -> Likeness | None:
    """The target's likelihoods of passages beside those of the shadows; None where no passage can be compared.

    With *members* each model is compared, passage by passage, with the shadows that were trained on the passage, so a
    target that was trained on it is like them, and another lies below. A target that lies *above* finds the passages
    more likely than training on them explains: it knows such texts better than the shadows, and its scores are too
    high. Without *members* the comparison is with all shadows, and a target that lies *below* was trained on a smaller
    part of the pool: then an attack that compares with the population gives too high scores.

    Args:
        target: shape (passages,), mean log-likelihoods.
        shadows: shape (passages, shadows).
        inside: shape (passages, shadows), whether the shadow was trained on the passage.
        members: see above.

    >>> shadows = np.array([[-2.0, -3.0, -2.1, -3.1], [-3.2, -2.0, -3.0, -2.2]])
    >>> alike = likeness_of(np.array([-2.0, -2.1]), shadows, shadows > -2.5, members=True)
    >>> round(alike.target, 3), alike.unlike
    (0.025, False)
    """
    from scipy.special import stdtrit

    kept = np.isfinite(target) & np.isfinite(shadows).all(axis=1)
    phi, others, within = target[kept], shadows[kept], inside[kept]
    counted = within if members else np.ones_like(within)
    by_shadow = [_difference(others[:, j], others, counted, leave_out=j) for j in range(others.shape[1])]
    deviations = [value for value in by_shadow if not math.isnan(value)]
    of_target = _difference(phi, others, counted)
    if len(deviations) < 2 or math.isnan(of_target):
        return None
    k, spread = len(deviations), float(np.std(deviations, ddof=1))
    reach = float(stdtrit(k - 1, 1 - LEVEL)) * spread * math.sqrt(1 + 1 / k)
    limit = float(np.mean(deviations)) + (reach if members else -reach)
    return Likeness("members" if members else "all", int(kept.sum()), of_target, tuple(deviations), limit)


def _difference(model: Floats, shadows: Floats, counted: NDArray[np.bool_], *, leave_out: int | None = None) -> float:
    """Mean over passages of the model's likelihood less the mean of the counted shadows; NaN where there is none."""
    others = counted.copy()
    usable = np.ones(len(model), dtype=bool)
    if leave_out is not None:
        usable = counted[:, leave_out]
        others[:, leave_out] = False
    usable = usable & others.any(axis=1)
    if not usable.any():
        return math.nan
    means = np.where(others, shadows, 0.0)[usable].sum(axis=1) / others[usable].sum(axis=1)
    return float((model[usable] - means).mean())
