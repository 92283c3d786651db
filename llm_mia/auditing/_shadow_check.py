"""Whether the shadow models that set a threshold stand for the target: against each other, and beside the target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..decision import Calibration, ShadowRate, further_model, shadow_rates
from ..records import Interval
from ..scores import ScoreTable
from ..validity import Check, Verdict

__all__ = ["LIKENESS", "Likeness", "ShadowCheck", "likeness_of", "shadow_check"]

Floats = NDArray[np.float64]
LIKENESS = "target_like_shadows"
"""Name of the check whether the target is like a shadow model."""
DOUBTFUL_LEVEL, VOID_LEVEL = 0.01, 0.001
"""Probabilities that the audit of a target that is like the shadow models is doubtful or worse, and that it is void;
they are divided among the comparisons that it makes (Bonferroni)."""
MOST_NEEDED = 64
"""Shadow models that `Likeness.shadows_needed` counts up to."""
GRAVITY = (Verdict.SOUND, Verdict.DOUBTFUL, Verdict.VOID)


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
    """Of a further model like the shadows `target` lies beyond it with probability 0.01 at most (Student's t), or with
    half of that where an audit makes two comparisons."""
    void_limit: float
    """The same with probability 0.001: beyond it the threshold of the shadows does not hold for the target."""
    comparisons: int = 1
    """How many comparisons the audit makes, among which these probabilities are divided."""

    @property
    def verdict(self) -> Verdict:
        """Void beyond the limit of probability 0.001, doubtful between the limits, else sound.

        Beyond is above; where all shadows are compared it is below. A target that is like the shadows, whose deviations
        are normal, is doubtful or void with a probability of 0.01 at most, and void with 0.001 at most, in all
        comparisons of an audit together.
        """
        sign = 1 if self.compared == "members" else -1
        if sign * self.target > sign * self.void_limit:
            return Verdict.VOID
        return Verdict.DOUBTFUL if self.unlike else Verdict.SOUND

    @property
    def unlike(self) -> bool:
        """Whether the target lies beyond `limit`: above it, or where all shadows are compared below it."""
        return self.target > self.limit if self.compared == "members" else self.target < self.limit

    @property
    def shadows_needed(self) -> int | None:
        """How many shadow models would make the verdict void, if their mean and their spread were those of `shadows`.

        None where the verdict is not doubtful, and where more than `MOST_NEEDED` would be needed.
        """
        if self.verdict is not Verdict.DOUBTFUL:
            return None
        level, first = VOID_LEVEL / self.comparisons, len(self.shadows) + 1
        distance, spread = abs(self.target - float(np.mean(self.shadows))), float(np.std(self.shadows, ddof=1))
        enough = (k for k in range(first + first % 2, MOST_NEEDED + 1, 2) if _reach(k, level) * spread < distance)
        return next(enough, None)


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
    """Mean share of its non-members that is flagged, over shadows; the share of a further model like them lies in the
    interval with 95 % confidence (Student's t)."""
    tpr: Interval | None
    """The same of its members."""
    likeness: tuple[Likeness, ...] = field(default=())

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest false positive rate of a shadow."""
        return min(each.fpr for each in self.rates), max(each.fpr for each in self.rates)

    @property
    def gravest(self) -> Likeness | None:
        """The comparison with the worst verdict, the first of several; None where nothing could be compared."""
        return max(self.likeness, key=lambda each: GRAVITY.index(each.verdict), default=None)

    @property
    def void(self) -> bool:
        """Whether the target is so unlike the shadows that their threshold does not hold for it."""
        return any(each.verdict is Verdict.VOID for each in self.likeness)

    @property
    def checks(self) -> list[Check]:
        """Whether the target is like the shadows, as a check of what sets the threshold: doubtful, or void.

        See `Likeness.verdict` for how often a target like the shadows has these verdicts.
        """
        worst = self.gravest
        return [Check(LIKENESS, worst.target, worst.verdict) if worst else Check(LIKENESS, None, Verdict.SKIPPED)]


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
        fpr=further_model([each.fpr for each in rates]),
        tpr=further_model(powers) if powers else None,
        likeness=tuple(likeness),
    )


def likeness_of(
    target: Floats, shadows: Floats, inside: NDArray[np.bool_], *, members: bool, comparisons: int = 1
) -> Likeness | None:
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
        comparisons: how many comparisons the audit makes.

    >>> shadows = np.array([[-2.0, -3.0, -2.1, -3.1], [-3.2, -2.0, -3.0, -2.2]])
    >>> alike = likeness_of(np.array([-2.0, -2.1]), shadows, shadows > -2.5, members=True)
    >>> round(alike.target, 3), str(alike.verdict)
    (0.025, 'sound')
    """
    kept = np.isfinite(target) & np.isfinite(shadows).all(axis=1)
    phi, others, within = target[kept], shadows[kept], inside[kept]
    counted = within if members else np.ones_like(within)
    by_shadow = [_difference(others[:, j], others, counted, leave_out=j) for j in range(others.shape[1])]
    deviations = [value for value in by_shadow if not math.isnan(value)]
    of_target = _difference(phi, others, counted)
    if len(deviations) < 2 or math.isnan(of_target):
        return None
    levels = (level / comparisons for level in (DOUBTFUL_LEVEL, VOID_LEVEL))
    doubtful, void = (_limit(deviations, level, above=members) for level in levels)
    compared = "members" if members else "all"
    return Likeness(compared, int(kept.sum()), of_target, tuple(deviations), doubtful, void, comparisons)


def _limit(deviations: Sequence[float], level: float, *, above: bool) -> float:
    """Where a further model lies beyond with probability *level* at most: above, or else below.

    It is the prediction limit of a further normal value (Student's t). A shadow is compared with fewer shadows than the
    target, so its deviations differ a little more than those of a target like it: the probability is below *level*.
    """
    reach = _reach(len(deviations), level) * float(np.std(deviations, ddof=1))
    return float(np.mean(deviations)) + (reach if above else -reach)


def _reach(k: int, level: float) -> float:
    """How far the limit of *k* deviations is from their mean, in their standard deviations."""
    from scipy.special import stdtrit

    return float(stdtrit(k - 1, 1 - level)) * math.sqrt(1 + 1 / k)


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
