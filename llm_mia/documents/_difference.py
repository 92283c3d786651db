"""Whether the scores of a collection are higher than another model's scores of the same documents predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ScoresError
from ..metrics import auroc
from ..records import Interval, SharedNames
from ._permutation import (
    Bools,
    permutation_p_value,
    permutations_for,
    side_means,
    smallest_p_value,
    standard_error,
    standardised,
    with_average,
)
from ._scores import (
    Floats,
    GroupedScores,
    check_disjoint,
    document_scores,
    evidence_by_attack,
    group_scores,
    joined_names,
)
from ._sensitivity import auroc_of_shift, shift_of_auroc

__all__ = ["DifferenceTest", "Pairs", "difference_test"]

PairedSide: TypeAlias = tuple[ArrayLike, ArrayLike, Sequence[str]]
"""Scores of passages by the target, scores by the other model (each (n,) or (n, attacks)), and n documents."""

LEAST_CORRELATION = 0.5
"""Of the two models' evidence, within the sides: with less, the other model's scores predict too little."""
Z_LEVEL, Z_POWER = 1.645, 0.842
"""Normal quantiles of a one-sided level of 5 %, and of a power of 80 %."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The evidence of documents by the target and by the other model, those of candidates first."""

    target: Floats
    """Shape (documents, attacks)."""
    other: Floats
    """Shape (documents, attacks)."""
    sizes: tuple[int, int]
    """Documents of candidates, and of non-members."""
    same_attack: bool
    """Whether *other* holds the same attacks, with the other model in the target's place."""
    scores: Floats
    """Shape (passages, attacks): the target's scores of the non-members' passages."""

    def p_value(self, permutations: int, seed: int, area: float = 0.5) -> tuple[float, float]:
        """The statistic and its p-value, after a difference of the AUROC *area* is taken from the candidates."""
        target = self.target.copy()
        target[: self.sizes[0]] -= [shift_of_auroc(column, area) for column in self.scores.T]
        columns = self._columns(target)

        def statistic(picked: Bools) -> Floats:
            attacks = zip(columns[0].T, columns[1].T, strict=True)
            return np.asarray(
                np.stack([_exceeding(*attack, picked, self.same_attack) for attack in attacks]).max(axis=0)
            )

        return permutation_p_value(statistic, self.sizes, permutations, np.random.default_rng(seed))

    @property
    def correlation(self) -> float:
        """Of the two models' evidence within the sides; of several attacks the highest."""
        picked = np.arange(sum(self.sizes))[None] < self.sizes[0]
        target, other = self._columns(self.target)
        attacks = zip(target.T, other.T, strict=True)
        return max(float(adjusted_statistic(*attack, picked)[1][0]) for attack in attacks)

    def _columns(self, target: Floats) -> tuple[Floats, Floats]:
        columns = standardised(target), standardised(self.other)
        return (with_average(columns[0]), with_average(columns[1])) if self.same_attack else columns


@dataclass(frozen=True, slots=True)
class DifferenceTest:
    """The comparison of candidates with non-members, given what another model's scores show of the same documents."""

    statistic: float
    """Of several attacks the largest; 0 where candidates score as high as the other model's scores predict."""
    p_value: float
    """One-sided, by permutation of whole documents."""
    other: Interval
    """Chance that a candidate passage scores above a passage of a non-member by the other model (AUROC), by document.
    It ought to be 0.5: the other model cannot know the candidates."""
    detectable: float
    """The AUROC that a difference between candidates and non-members must have for the other model to show it, at 5 %
    (one-sided, by document), with a probability of 80 %. An approximation by the normal distribution."""
    correlation: float
    """Of the two models' evidence of documents, within the sides; of several attacks the highest. Below 0.5 the p-value
    is 1: a model that responds to other properties of the texts than the target cannot predict the target's scores."""
    n_documents: tuple[int, int]
    """Documents of candidates and of non-members that both models scored."""
    smallest_p: float
    """The least p-value that is possible with so many documents and permutations."""


def difference_test(
    candidates: PairedSide,
    nonmembers: PairedSide,
    *,
    same_attack: bool = True,
    seed: int = 0,
    permutations: int | None = None,
    level: float = 0.05,
    confidence: float = 0.95,
) -> tuple[DifferenceTest, Pairs]:
    """The test of whether candidates score higher than another model's scores predict, and the evidence it compared.

    The other model cannot know the candidates, so a difference in its scores is a difference of the texts. The p-value
    is super-uniform where the documents of both sides are exchangeable, whatever the two models are: the line between
    the two scores is computed anew in each permutation. Where the documents are *not* exchangeable, because the texts
    of the two sides differ, it holds approximately, if the two scores respond to the texts through a single quantity,
    linearly, and no worse to what distinguishes the sides than to what distinguishes documents within a side.

    With the same attack by both models, the test is a *reverse regression*: the other model's score is predicted from
    the target's by the line within the sides, and the test is significant where candidates lie below it. The direct
    regression would not do: both scores are imprecise measurements, so its line is too flat and leaves a part of the
    difference of the texts in the result. The reverse line is too steep, and errs against a finding. The two bound the
    true line (Frisch 1934). The price is power where the two models agree little: with a correlation of documents of
    0.95 nothing is lost, with 0.6 about half, and below 0.5 there is no test.

    Where *same_attack* is false, the attack itself takes the other model (such as `reference`), and the other model's
    score is a covariate: the direct regression removes a part of what the difference of the two models leaves of it.
    An imprecise other model leaves more, so the same attack by both models, such as ``loss``, is the safer comparison.

    Of several attacks the largest statistic counts, in the permutations too; `with_average` is one of them.

    Args:
        candidates: scores by the target, by the other model, and the documents.
        nonmembers: likewise.
        same_attack: whether both models' scores are of the same attack.
        seed: of permutations and bootstrap.
        permutations: number of random permutations; None: as many as *level* needs, 9,999 to 99,999.
        level: the significance level that the permutations have to resolve.
        confidence: of the interval of the other model's AUROC.

    Raises:
        ScoresError: a side has no passage that both models scored.

    Reverse regression: Goldberger 1984, Journal of Human Resources 19:293.
    """
    sides = [_grouped(side, whose) for side, whose in ((candidates, "candidate"), (nonmembers, "non-member"))]
    check_disjoint(sides[0][0], sides[1][0], "among the candidates and among the non-members")
    target, other = (np.concatenate([evidence_by_attack(side[which]) for side in sides]) for which in (0, 1))
    sizes = len(sides[0][0].names), len(sides[1][0].names)
    pairs = Pairs(target, other, sizes, same_attack, sides[1][0].values)
    permutations = permutations_for(sum(sizes), permutations, level)
    statistic, p_value = pairs.p_value(permutations, seed)
    shown, detectable = _shown_by_other(sides[0][1], sides[1][1], confidence, seed)
    smallest = smallest_p_value(sizes, permutations)
    return DifferenceTest(statistic, p_value, shown, detectable, pairs.correlation, sizes, smallest), pairs


def _shown_by_other(
    candidates: GroupedScores, nonmembers: GroupedScores, confidence: float, seed: int
) -> tuple[Interval, float]:
    """The other model's AUROC of candidates against non-members, and the AUROC that it would have shown."""
    scores = with_average(standardised(np.concatenate([candidates.values, nonmembers.values])))[:, -1]
    names = joined_names(candidates, nonmembers)
    labels = np.repeat([1, 0], [len(candidates.values), len(nonmembers.values)])
    shown = auroc(scores, labels, documents=names, confidence=confidence, rng=seed)
    documents = document_scores(scores, names).values
    sizes = len(candidates.names), len(nonmembers.names)
    # Of the difference of the sides' means over all permutations.
    deviation = documents.std(ddof=1) * np.sqrt(1 / sizes[0] + 1 / sizes[1])
    return shown, auroc_of_shift(scores[labels == 0], float((Z_LEVEL + Z_POWER) * deviation))


def adjusted_statistic(values: Floats, covariate: Floats, picked: Bools) -> tuple[Floats, Floats]:
    """The mean of the picked *values* less that of the others, given the *covariate*, in standard errors.

    With it the correlation of *values* and *covariate* within the two sides; their regression within the sides is the
    line that the difference is adjusted by. The standard error allows for its imprecision and for unequal variances.
    *values* and *covariate* have shape (n,), *picked* (rows, n).

    >>> values, covariate = np.array([1.0, 2.0, 4.0, 0.0, 3.0, 3.0]), np.array([1.0, 2.0, 3.0, 1.0, 2.0, 3.0])
    >>> adjusted, correlation = adjusted_statistic(values, covariate, np.array([[True] * 3 + [False] * 3]))
    >>> np.round(adjusted, 2).tolist(), np.round(correlation, 2).tolist()  # equal means of the covariate: 7/3 − 6/3
    ([0.63], [0.92])
    """
    counts, means = side_means(
        np.column_stack([values, covariate, values**2, covariate**2, values * covariate]), picked
    )
    squares = [
        [count * (mean[:, k] - mean[:, i] * mean[:, j]) for i, j, k in ((0, 0, 2), (1, 1, 3), (0, 1, 4))]
        for count, mean in zip(counts, means, strict=True)
    ]
    of_values, of_covariate, products = (squares[0][i] + squares[1][i] for i in range(3))
    varies = of_covariate > 1e-9
    safe = np.where(varies, of_covariate, 1.0)
    slope = np.where(varies, products / safe, 0.0)
    variances = [
        np.where(count > 1, (s[0] - 2 * slope * s[2] + slope**2 * s[1]) / np.maximum(count - 1, 1), np.nan)
        for count, s in zip(counts, squares, strict=True)
    ]
    apart = means[0] - means[1]
    left = np.maximum(of_values - slope * products, 0) / np.maximum(picked.shape[1] - 3, 1)
    slope_error = np.where(varies, apart[:, 1] ** 2 * left / safe, 0.0)
    error = np.sqrt(standard_error(variances, counts) ** 2 + slope_error)
    correlation = products / np.sqrt(np.maximum(of_values * of_covariate, 1e-18))
    return (apart[:, 0] - slope * apart[:, 1]) / error, correlation


def _exceeding(target: Floats, other: Floats, picked: Bools, same_attack: bool) -> Floats:
    """How far the target's scores of the picked documents exceed what the other model's scores predict."""
    if not same_attack:
        return adjusted_statistic(target, other, picked)[0]
    below, correlation = adjusted_statistic(other, target, picked)
    # Without agreement the other model shows nothing of what the target responds to: there is no line.
    return np.where(correlation >= LEAST_CORRELATION, -below, -np.inf)


def _grouped(side: PairedSide, whose: str) -> tuple[GroupedScores, GroupedScores]:
    """Both models' scores of shape (n, attacks), of the passages that both scored."""
    target, other, documents = side
    values = [np.asarray(scores, dtype=np.float64).reshape(len(documents), -1) for scores in (target, other)]
    kept = ~np.isnan(np.column_stack(values)).any(axis=1)
    if not kept.any():
        raise ScoresError(f"no {whose} passage has scores of both models")
    names = SharedNames.of(documents).take(np.flatnonzero(kept))
    first, second = (group_scores(scores[kept], names, whose) for scores in values)
    return first, second
