"""Whether a collection was trained on: dataset inference by permutation of whole documents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ScoresError, UsageError
from ..metrics import auroc
from ..records import Interval, Note
from ._permutation import documents_needed, permutation_test, smallest_p_value
from ._scores import Floats, GroupedScores, check_disjoint, evidence, group_scores

__all__ = ["CollectionTest", "Placebo", "collection_test", "discriminant_weights"]

Side: TypeAlias = tuple[ArrayLike, Sequence[str]]
"""Scores of passages, (n,) or (n, attacks), and the document of each."""

SHRINKAGE = 0.1
UNEQUAL_FROM = 2.0
"""Ratio of the median document sizes of the two sides above which the p-value is called approximate."""


@dataclass(frozen=True, slots=True)
class Placebo:
    """The same test where there is no effect: half of the tested non-members against the other half, by document."""

    p_value: float
    """Of two random halves: 0.05 or less in 1 of 20 cases. NaN with fewer than two documents."""
    in_order_p_value: float
    """Of the first half against the second, in the order of the input, two-sided. It is small where the documents of
    non-members change along their order (date, source), so that candidates from another source would differ too. With
    fewer than eight documents it cannot reach 0.05. NaN with fewer than two documents."""

    def doubts(self, level: float) -> list[Note]:
        """A note for each of the two p-values that is significant at *level*."""
        doubts = []
        if self.p_value <= level:
            doubts.append(Note("random_halves_differ", {"p_value": self.p_value, "level": level}))
        if self.in_order_p_value <= level:
            doubts.append(Note("ordered_halves_differ", {"p_value": self.in_order_p_value}))
        return doubts


@dataclass(frozen=True, slots=True)
class CollectionTest:
    """The test of candidates as a whole against non-members, on documents that learned no weights."""

    statistic: float
    """Mean document evidence, candidates less non-members, in standard errors (Welch's t over documents)."""
    p_value: float
    """(1 + #{permutations with a statistic at least as large}) / (1 + permutations); one-sided. All divisions of the
    documents are used where there are no more of them."""
    effect: Interval
    """Chance that a candidate passage scores above a passage of a non-member (AUROC), by document."""
    placebo: Placebo
    n_documents: tuple[int, int]
    """Number of documents of candidates and of non-members in the test."""
    smallest_p: float
    """The least p-value that is possible with so many documents and permutations."""
    weights: tuple[float, ...]
    """Weight of each attack, per standard deviation of its scores in the fit part; of unit length; (1.0,) for a single
    attack."""
    notes: tuple[Note, ...]
    """What was left out, what cannot be reached and what casts doubt on the test; see `describe_note`."""


def collection_test(
    candidates: Side,
    nonmembers: Side,
    *,
    fit_share: float = 0.5,
    seed: int = 0,
    permutations: int = 9999,
    level: float = 0.05,
    confidence: float = 0.95,
) -> CollectionTest:
    """A permutation test of whether the documents of *candidates* score higher than those of *nonmembers*.

    The p-value is super-uniform if the candidates were not trained on, provided that their documents are then
    exchangeable with the documents of non-members, whatever the correlation of passages within a document.

    Scores of several attacks are joined by weights that are learned on *fit_share* of the documents, and only the
    other documents are tested. With a single attack nothing is learned, and all documents are tested. The evidence of a
    document is the mean of its passages; documents, not passages, are permuted. A t-test on passages has no such
    guarantee: it finds two random halves of the texts of a single author significantly different. Where the documents
    of one side are longer, they are not exchangeable: the statistic is studentised to allow for it, and a note says
    that the p-value is approximate. With ten times the passages on one side, the test was significant at 5 % in 4–6 %
    of simulations; with ten times the documents on one side as well, in 3–7 %.

    The effect's interval contains the AUROC between the collections with about *confidence* (bootstrap over documents,
    see `llm_mia.metrics.auroc`). The placebo checks the calculation on the same documents. Neither the placebo nor the
    p-value distinguishes training from other differences between candidates and non-members, such as their date or
    subject. `llm_mia.validity` checks for such differences.

    Args:
        candidates: scores of shape (n,) or (n, attacks), and n documents.
        nonmembers: likewise.
        fit_share: of the documents, to learn the weights of several attacks on.
        seed: of split, permutations, placebo and bootstrap.
        permutations: number of random permutations.
        level: the significance level that notes refer to.
        confidence: of the effect's interval.

    Raises:
        ScoresError: no passages, infinite scores, a document on both sides, or a side without scores.
        UsageError: unequal lengths or numbers of attacks, several attacks with fewer than two documents on a side,
            *fit_share* or *level* outside (0, 1), or too few permutations for *level*.

    After Maini et al. 2024, arXiv:2406.06443; permutation p-values: Phipson and Smyth 2010; studentised: Chung and
    Romano 2013.

    >>> candidates = [3.0, 4.0, 5.0, 5.0, 4.0, 6.0], ["a", "a", "b", "b", "c", "c"]
    >>> nonmembers = [1.0, 2.0, 2.0, 2.0, 1.0, 3.0, 0.0, 1.0], ["d", "d", "e", "e", "f", "f", "g", "g"]
    >>> test = collection_test(candidates, nonmembers, permutations=999)
    >>> round(test.statistic, 2), test.n_documents, round(test.p_value * math.comb(7, 3), 6)
    (4.9, (3, 4), 1.0)
    """
    _check(fit_share, level, permutations)
    notes: list[Note] = []
    sides = _sides(candidates, nonmembers, notes)
    rng = np.random.default_rng(seed)
    weights = np.ones(1)
    if sides[0].values.shape[1] > 1:
        fitted, sides = _split(sides, fit_share, rng)
        weights, scale = discriminant_weights(*fitted)
        sides = _weighted_sum(sides[0], weights / scale), _weighted_sum(sides[1], weights / scale)
    else:
        sides = _weighted_sum(sides[0], weights), _weighted_sum(sides[1], weights)
    values = evidence(sides[0], sides[0].scored, "mean"), evidence(sides[1], sides[1].scored, "mean")
    n_documents = len(values[0]), len(values[1])
    statistic, p_value = permutation_test(*values, permutations, rng)
    placebo = _placebo(values[1], permutations, rng)
    smallest = smallest_p_value(n_documents, permutations)
    if smallest > level:
        needed = math.ceil(documents_needed(level) / (1 - fit_share if len(weights) > 1 else 1))
        figures = {"candidates": n_documents[0], "nonmembers": n_documents[1], "smallest_p": smallest, "level": level}
        notes.append(Note("few_documents", {**figures, "needed": needed}))
    notes.extend(_unequal_sizes(*sides) + placebo.doubts(level))
    effect = _effect(*sides, confidence, seed)
    return CollectionTest(
        statistic, p_value, effect, placebo, n_documents, smallest, tuple(weights.tolist()), tuple(notes)
    )


def discriminant_weights(candidates: GroupedScores, nonmembers: GroupedScores) -> tuple[Floats, Floats]:
    """Weights of the attacks, of unit length, per standard deviation of each attack; and these standard deviations.

    Fisher's discriminant: the inverse of the correlation of passages within a side, times the difference of the sides'
    means over documents. The correlation is shrunk by a tenth towards the identity: attacks agree so closely that it
    is nearly singular.

    >>> candidates = group_scores([[1.0, 0.0], [3.0, 0.1], [1.0, 0.1], [3.0, 0.0]], ["a", "a", "b", "b"])
    >>> nonmembers = group_scores([[0.0, 0.0], [2.0, 0.1], [0.0, 0.1], [2.0, 0.0]], ["c", "c", "d", "d"])
    >>> discriminant_weights(candidates, nonmembers)[0].round(3).tolist()
    [1.0, 0.0]
    """
    means = [
        np.column_stack(
            [evidence(GroupedScores(column, side.names, side.numbers), side.scored, "mean") for column in side.values.T]
        ).mean(axis=0)
        for side in (candidates, nonmembers)
    ]
    within = np.concatenate([side.values - mean for side, mean in zip((candidates, nonmembers), means, strict=True)])
    scale = np.sqrt((within**2).mean(axis=0))
    largest = np.max([np.abs(side.values).max(axis=0) for side in (candidates, nonmembers)], axis=0)
    scale[scale <= 1e-12 * largest] = np.inf  # an attack that never varies gets no weight
    correlation = (within / scale).T @ (within / scale) / len(within)
    shrunk = (1 - SHRINKAGE) * correlation + SHRINKAGE * np.eye(len(scale))
    weights = np.linalg.solve(shrunk, (means[0] - means[1]) / scale)
    length = float(np.linalg.norm(weights))
    return weights / (length or 1.0), scale


def _check(fit_share: float, level: float, permutations: int) -> None:
    for name, share in (("fit_share", fit_share), ("level", level)):
        if not 0 < share < 1:
            raise UsageError(f"`{name}` must lie between 0 and 1, both excluded: got {share:g}")
    needed = math.ceil(1 / level - 1e-9) - 1
    if permutations < needed:
        raise UsageError(f"{permutations} `permutations` cannot give p ≤ {level:g}: at least {needed} are needed")


def _sides(candidates: Side, nonmembers: Side, notes: list[Note]) -> tuple[GroupedScores, GroupedScores]:
    """Both sides, checked, with scores of shape (n, attacks). Passages without a score are left out, with a note."""
    first, second = group_scores(*candidates, "candidate"), group_scores(*nonmembers, "non-member")
    check_disjoint(first, second, "among the candidates and among the non-members")
    attacks = [side.values.reshape(len(side.values), -1).shape[1] for side in (first, second)]
    if attacks[0] != attacks[1]:
        raise UsageError(f"candidate passages have {attacks[0]} scores each but passages of non-members {attacks[1]}")
    return _keep_scored(first, "candidate", notes), _keep_scored(second, "non-member", notes)


def _keep_scored(side: GroupedScores, whose: str, notes: list[Note]) -> GroupedScores:
    kept = side.scored
    if not kept.any():
        raise ScoresError(f"no {whose} passage has a score")
    if not kept.all():
        figures = {"side": whose, "unscored": int(np.sum(~kept)), "passages": len(kept)}
        if lost := int(np.sum(side.sizes(kept) == 0)):
            notes.append(Note("documents_unscored", {**figures, "documents": lost}))
        else:
            notes.append(Note("passages_unscored", figures))
    return _select(side, kept)


def _select(side: GroupedScores, kept: NDArray[np.bool_]) -> GroupedScores:
    names = [side.names[number] for number in side.numbers[kept].tolist()]
    return group_scores(side.values[kept].reshape(len(names), -1), names)


def _unequal_sizes(candidates: GroupedScores, nonmembers: GroupedScores) -> list[Note]:
    """A note where the documents of one side are much longer."""
    medians = {"candidates": candidates, "nonmembers": nonmembers}
    sizes = {name: float(np.median(side.sizes(side.scored))) for name, side in medians.items()}
    if max(sizes.values()) <= UNEQUAL_FROM * min(sizes.values()):
        return []
    return [Note("sizes_unequal", sizes)]


def _split(
    sides: tuple[GroupedScores, GroupedScores], fit_share: float, rng: np.random.Generator
) -> tuple[tuple[GroupedScores, GroupedScores], tuple[GroupedScores, GroupedScores]]:
    """The fit parts, and the parts held out, by document."""
    parts = []
    for side, whose in zip(sides, ("candidate", "non-member"), strict=True):
        d = len(side.names)
        if d < 2:
            raise UsageError(
                f"1 {whose} document cannot be split to learn weights: name a single attack, or give more documents"
            )
        # Drawn over the sorted names, so that the order of rows does not matter.
        drawn = rng.permutation(d) < min(max(round(fit_share * d), 1), d - 1)
        fit = np.empty(d, dtype=bool)
        fit[np.argsort(side.names)] = drawn
        parts.append((_select(side, fit[side.numbers]), _select(side, ~fit[side.numbers])))
    return (parts[0][0], parts[1][0]), (parts[0][1], parts[1][1])


def _weighted_sum(side: GroupedScores, weights: Floats) -> GroupedScores:
    return GroupedScores(side.values @ weights, side.names, side.numbers)


def _placebo(nonmembers: Floats, permutations: int, rng: np.random.Generator) -> Placebo:
    if len(nonmembers) < 2:
        return Placebo(math.nan, math.nan)
    half = len(nonmembers) // 2
    shuffled = rng.permutation(nonmembers)
    p_value = permutation_test(shuffled[:half], shuffled[half:], permutations, rng)[1]
    first, second = nonmembers[:half], nonmembers[half:]
    one_sided = [permutation_test(*pair, permutations, rng)[1] for pair in ((first, second), (second, first))]
    return Placebo(p_value, min(1.0, 2 * min(one_sided)))


def _effect(candidates: GroupedScores, nonmembers: GroupedScores, confidence: float, seed: int) -> Interval:
    names = [side.names[number] for side in (candidates, nonmembers) for number in side.numbers.tolist()]
    labels = np.repeat([1, 0], [len(candidates.values), len(nonmembers.values)])
    scores = np.concatenate([candidates.values, nonmembers.values])
    return auroc(scores, labels, documents=names, confidence=confidence, rng=seed)
