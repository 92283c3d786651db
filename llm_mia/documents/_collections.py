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
from ..records import Interval, Note, SharedNames
from ._difference import Pairs
from ._permutation import (
    documents_needed,
    permutation_test,
    permutations_for,
    smallest_p_value,
    standardised,
    welch_statistic,
    with_average,
)
from ._scores import Floats, GroupedScores, check_disjoint, evidence_by_attack, group_scores, joined_names
from ._sensitivity import shift_of_auroc, vanishing_auroc

__all__ = ["CollectionTest", "Placebo", "collection_test", "vanishing_difference"]

Side: TypeAlias = tuple[ArrayLike, Sequence[str]]
"""Scores of passages, (n,) or (n, attacks), and the document of each."""

SEARCHED = 20
"""Permutations of the search for a vanishing finding, per 1/level."""
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
    """The test of candidates as a whole against non-members."""

    statistic: float
    """Mean document evidence, candidates less non-members, in standard errors (Welch's t over documents). Of several
    attacks the largest."""
    statistics: tuple[float, ...]
    """The statistic of each attack; of several attacks, after them that of their average."""
    p_value: float
    """(1 + #{permutations with a statistic at least as large}) / (1 + permutations); one-sided. All divisions of the
    documents are used where there are no more of them."""
    effect: Interval
    """Chance that a candidate passage scores above a passage of a non-member (AUROC), by document. Of several attacks
    that of their average, which no result has chosen."""
    placebo: Placebo
    n_documents: tuple[int, int]
    """Number of documents of candidates and of non-members in the test."""
    smallest_p: float
    """The least p-value that is possible with so many documents and permutations."""
    notes: tuple[Note, ...]
    """What was left out, what cannot be reached and what casts doubt on the test; see `describe_note`."""


def collection_test(
    candidates: Side,
    nonmembers: Side,
    *,
    seed: int = 0,
    permutations: int | None = None,
    level: float = 0.05,
    confidence: float = 0.95,
) -> CollectionTest:
    """A permutation test of whether the documents of *candidates* score higher than those of *nonmembers*.

    The p-value is super-uniform if the candidates were not trained on, provided that their documents are then
    exchangeable with the documents of non-members, whatever the correlation of passages within a document.

    Of several attacks, the largest statistic counts that an attack has, or the average of all (each per its standard
    deviation). The same choice is made anew in each permutation, so it costs no error rate, and nothing is learned or
    split: all documents are tested. The evidence of a document is the mean of its passages; documents, not passages,
    are permuted. A t-test on passages has no such guarantee: it finds two random halves of the texts of a single author
    significantly different. Where the documents of one side are longer, they are not exchangeable: the statistic is
    studentised to allow for it, and a note says that the p-value is approximate. With ten times the passages on one
    side, the test was significant at 5 % in 4–6 % of simulations; with ten times the documents on one side as well, in
    3–7 %.

    The effect's interval contains the AUROC between the collections with about *confidence* (bootstrap over documents,
    see `llm_mia.metrics.auroc`). The placebo checks the calculation on the same documents. Neither the placebo nor the
    p-value distinguishes training from other differences between candidates and non-members, such as their date or
    subject. `difference_test` compares with another model, which such differences affect too, and `llm_mia.validity`
    checks for them.

    Args:
        candidates: scores of shape (n,) or (n, attacks), and n documents.
        nonmembers: likewise.
        seed: of permutations, placebo and bootstrap.
        permutations: number of random permutations, fewer for more than 3,000 documents; None: as many as *level*
            needs, 9,999 to 99,999.
        level: the significance level that notes refer to.
        confidence: of the effect's interval.

    Raises:
        ScoresError: no passages, infinite scores, a document on both sides, or a side without scores.
        UsageError: unequal lengths or numbers of attacks, *level* outside (0, 1), or too few permutations for *level*.

    After Maini et al. 2024, arXiv:2406.06443; permutation p-values: Phipson and Smyth 2010; studentised: Chung and
    Romano 2013; the largest of several: Westfall and Young 1993.

    >>> candidates = [3.0, 4.0, 5.0, 5.0, 4.0, 6.0], ["a", "a", "b", "b", "c", "c"]
    >>> nonmembers = [1.0, 2.0, 2.0, 2.0, 1.0, 3.0, 0.0, 1.0], ["d", "d", "e", "e", "f", "f", "g", "g"]
    >>> test = collection_test(candidates, nonmembers, permutations=999)
    >>> round(test.statistic, 2), test.n_documents, round(test.p_value * math.comb(7, 3), 6)
    (4.9, (3, 4), 1.0)
    """
    _check(level, permutations)
    notes: list[Note] = []
    sides = _sides(candidates, nonmembers, notes)
    values = evidence_by_attack(sides[0]), evidence_by_attack(sides[1])
    n_documents = len(values[0]), len(values[1])
    permutations = permutations_for(sum(n_documents), permutations, level)
    rng = np.random.default_rng(seed)
    statistic, p_value = permutation_test(*values, permutations, rng)
    placebo = _placebo(values[1], permutations, rng)
    smallest = smallest_p_value(n_documents, permutations)
    if smallest > level:
        figures = {"candidates": n_documents[0], "nonmembers": n_documents[1], "smallest_p": smallest, "level": level}
        notes.append(Note("few_documents", {**figures, "needed": documents_needed(level)}))
    notes.extend(_unequal_sizes(*sides) + placebo.doubts(level))
    return CollectionTest(
        statistic,
        _statistics(*values),
        p_value,
        _effect(*sides, confidence, seed),
        placebo,
        n_documents,
        smallest,
        tuple(notes),
    )


def vanishing_difference(
    candidates: Side, nonmembers: Side, others: Sequence[Pairs] = (), *, level: float = 0.05, seed: int = 0
) -> float:
    """The AUROC of the least difference between candidates and non-members at which no finding would be left.

    Were a part of the candidates' scores due to something else than training, and as large as this, then without that
    part the p-value of `collection_test` or that of a `difference_test` (*others*) would exceed *level*. The part is
    the same for all candidates; its AUROC is that of the non-members' passages against the same passages raised by it.
    It is 0.5 where a p-value exceeds *level* already. The documents are permuted anew at each step of the search, with
    the same seed.
    """
    sides = _sides(candidates, nonmembers, [])
    first, second = evidence_by_attack(sides[0]), evidence_by_attack(sides[1])
    documents = len(first) + len(second)
    permutations = permutations_for(documents, math.ceil(SEARCHED / level - 1e-9) - 1, level)

    def significant(area: float) -> bool:
        shift = np.array([shift_of_auroc(column, area) for column in sides[1].values.T])
        p_value = permutation_test(first - shift, second, permutations, np.random.default_rng(seed))[1]
        return p_value <= level and all(each.p_value(permutations, seed, area)[1] <= level for each in others)

    return vanishing_auroc(significant)


def _check(level: float, permutations: int | None) -> None:
    if not 0 < level < 1:
        raise UsageError(f"`level` must lie between 0 and 1, both excluded: got {level:g}")
    needed = math.ceil(1 / level - 1e-9) - 1
    if permutations is not None and permutations < needed:
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
    if kept.all():
        return GroupedScores(side.values.reshape(len(kept), -1), side.names, side.numbers)
    names = SharedNames(side.names, side.numbers[kept].astype(np.int32))
    return group_scores(side.values[kept].reshape(len(names), -1), names)


def _unequal_sizes(candidates: GroupedScores, nonmembers: GroupedScores) -> list[Note]:
    """A note where the documents of one side are much longer."""
    medians = {"candidates": candidates, "nonmembers": nonmembers}
    sizes = {name: float(np.median(side.sizes(side.scored))) for name, side in medians.items()}
    if max(sizes.values()) <= UNEQUAL_FROM * min(sizes.values()):
        return []
    return [Note("sizes_unequal", sizes)]


def _statistics(candidates: Floats, nonmembers: Floats) -> tuple[float, ...]:
    values = with_average(standardised(np.concatenate([candidates, nonmembers])))
    in_first = np.arange(len(values))[None] < len(candidates)
    return tuple(float(welch_statistic(column, in_first)[0]) for column in values.T)


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
    names = joined_names(candidates, nonmembers)
    labels = np.repeat(np.array([1, 0], dtype=np.int8), [len(candidates.values), len(nonmembers.values)])
    # No variable holds the scores, so that `auroc` can release them: of millions of passages they are large.
    return auroc(_averaged(candidates, nonmembers), labels, documents=names, confidence=confidence, rng=seed)


def _averaged(candidates: GroupedScores, nonmembers: GroupedScores) -> Floats:
    """The scores of all passages; of several attacks their average."""
    return with_average(standardised(np.concatenate([candidates.values, nonmembers.values])))[:, -1]
