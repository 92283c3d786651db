"""How many documents and passages a collection test needs, estimated from a pilot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ScoresError, UsageError
from ..metrics import welch
from ..records import Interval, Note
from ._permutation import documents_needed
from ._scores import GroupedScores, check_disjoint, evidence, group_scores, require_single_attack

__all__ = ["PowerRow", "PowerTable", "power_table"]

PASSAGES = (1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True, slots=True)
class PowerRow:
    """The number of documents needed on each side if each has a given number of passages."""

    passages: int
    """Scored passages per document."""
    documents: int
    """Documents on each side, if the pilot's effect is the true effect."""
    documents_cautious: int | None
    """Documents on each side, if the true effect is the lower end of its interval; None where that is not above 0."""


@dataclass(frozen=True, slots=True)
class PowerTable:
    """The size of study that a pilot suggests."""

    rows: tuple[PowerRow, ...]
    effect: Interval
    """Mean document evidence, candidates less non-members, on the scale of the scores."""
    between: float
    """Standard deviation between the documents of a side; it includes that of passages where *within* is NaN."""
    within: float
    """Standard deviation of passages within a document; NaN where each document of the pilot has a single passage."""
    documents_at_least: int
    """Documents needed on each side, however many passages each has."""
    level: float
    """Level of the collection test."""
    power: float
    """Probability that the collection test reaches *level*."""
    notes: tuple[Note, ...]
    """What limits the table; see `describe_note`."""


def power_table(
    candidates: tuple[ArrayLike, Sequence[str]],
    nonmembers: tuple[ArrayLike, Sequence[str]],
    *,
    level: float = 0.05,
    power: float = 0.8,
    passages: Sequence[int] = PASSAGES,
    confidence: float = 0.95,
) -> PowerTable:
    """The number of documents that `collection_test` needs on each side, for each number of *passages* per document.

    With so many documents, the test is significant at *level* with a probability of about *power*, if the pilot's
    effect and spread are the true values. The variance of a document with k passages is between² + within²/k; both are
    estimated from the pilot by one-way analysis of variance. The number is the normal approximation for two samples
    with Guenther's term for the t distribution, and not less than a permutation test needs to reach *level*. The effect
    of a pilot that was chosen for its effect is too large on average, so each row also has the number for the lower end
    of the effect's interval (about *confidence*, Welch's t).

    Args:
        candidates: scores of shape (n,), and n documents.
        nonmembers: likewise.
        level: of the collection test.
        power: probability of a significant result.
        passages: numbers of passages per document, a row each.
        confidence: of the effect's interval.

    With several attacks joined by weights, the documents are those held out.

    Raises:
        ScoresError: no passages, infinite scores, a document on both sides, fewer than two documents with scores on a
            side, no spread, or candidate documents not above the documents of non-members.
        UsageError: unequal lengths, or *level* or *power* outside (0, 1).

    Searle, Casella and McCulloch 1992, chapter 3; Guenther 1981, The American Statistician 35:243.

    >>> candidates = [5.0, 7.0, 2.0, 4.0, 4.0, 6.0], ["a", "a", "b", "b", "c", "c"]
    >>> nonmembers = [3.0, 5.0, 0.0, 2.0, 2.0, 4.0], ["d", "d", "e", "e", "f", "f"]
    >>> table = power_table(candidates, nonmembers, passages=[1, 10])  # means 6, 3, 5 and 4, 1, 3
    >>> round(table.effect.value, 2), round(table.between**2, 2), round(table.within**2, 2)  # 7/3 - 2/2 and 2
    (2.0, 1.33, 2.0)
    >>> table.rows[1].documents  # 2 (1.645 + 0.842)² (1.33 + 2/10) / 2² + 1.645²/4 = 5.4
    6
    """
    _check(level, power, passages)
    sides = (
        require_single_attack(group_scores(*candidates, "candidate")),
        require_single_attack(group_scores(*nonmembers, "non-member")),
    )
    check_disjoint(*sides, "among the candidates and among the non-members")
    between, within = _components(sides)
    effect = _effect(sides, confidence)
    rows = []
    for k in passages if not math.isnan(within) else [k for k in passages if k == 1]:
        variance = between**2 + (0.0 if math.isnan(within) else within**2 / k)
        cautious = _documents(variance, effect.low, level, power) if effect.low > 0 else None
        rows.append(PowerRow(k, _documents(variance, effect.value, level, power), cautious))
    at_least = _documents(between**2, effect.value, level, power)
    return PowerTable(tuple(rows), effect, between, within, at_least, level, power, _notes(sides, effect, within))


def _effect(sides: tuple[GroupedScores, GroupedScores], confidence: float) -> Interval:
    """The difference of the sides' means over documents."""
    all_evidence = (evidence(side, side.scored, "mean") for side in sides)
    candidates, nonmembers = (values[~np.isnan(values)] for values in all_evidence)
    value = float(candidates.mean() - nonmembers.mean())
    if value <= 0:
        raise ScoresError(
            f"candidate documents score no higher than documents of non-members (difference {value:.3g}), so there is "
            "no effect that more documents could show"
        )
    return Interval(value, *welch(candidates, nonmembers, confidence), confidence)


def _notes(sides: tuple[GroupedScores, GroupedScores], effect: Interval, within: float) -> tuple[Note, ...]:
    notes = []
    if math.isnan(within):
        notes.append(Note("single_passages", {}))
    if effect.low <= 0:
        notes.append(Note("effect_may_be_zero", {"low": effect.low, "high": effect.high}))
    unscored = sum(int(np.sum(~side.scored)) for side in sides)
    if unscored:
        notes.append(Note("pilot_unscored", {"unscored": unscored}))
    return tuple(notes)


def _documents(variance: float, effect: float, level: float, power: float) -> int:
    """Documents needed on each side for a one-sided test of means that differ by *effect*.

    >>> _documents(1.0, 0.5, 0.05, 0.8), _documents(1.0, 10.0, 0.05, 0.8)  # 49.5 + 0.7; the least for permutations
    (51, 3)
    """
    from scipy.special import ndtri

    z = -float(ndtri(level))
    needed = 2 * (z + float(ndtri(power))) ** 2 * variance / effect**2 + z**2 / 4
    return max(math.ceil(needed), documents_needed(level))


def _components(sides: tuple[GroupedScores, GroupedScores]) -> tuple[float, float]:
    """Standard deviations between documents and within them, each side about its mean; sizes may differ."""
    squares_between = squares_within = weight = 0.0
    degrees_between = degrees_within = 0
    for side, whose in zip(sides, ("candidate", "non-member"), strict=True):
        numbers, values = side.numbers[side.scored], side.values[side.scored]
        documents = len(np.unique(numbers))
        if documents < 2:
            raise ScoresError(
                f"at least 2 documents with scores are needed on each side: there are {documents} {whose} documents"
            )
        sizes = np.bincount(numbers, minlength=len(side.names))
        means = np.bincount(numbers, weights=values, minlength=len(sizes)) / np.maximum(sizes, 1)
        squares_within += float(((values - means[numbers]) ** 2).sum())
        squares_between += float((sizes * (means - values.mean()) ** 2).sum())
        weight += len(values) - float((sizes**2).sum()) / len(values)
        degrees_between += documents - 1
        degrees_within += len(values) - documents
    if squares_between + squares_within == 0:
        raise ScoresError("the scores of each side are all equal, so their spread is not known")
    if not degrees_within:
        return math.sqrt(squares_between / degrees_between), math.nan
    within = squares_within / degrees_within
    between = max(0.0, (squares_between - degrees_between * within) / weight)
    return math.sqrt(between), math.sqrt(within)


def _check(level: float, power: float, passages: Sequence[int]) -> None:
    for name, share in (("level", level), ("power", power)):
        if not 0 < share < 1:
            raise UsageError(f"`{name}` must lie between 0 and 1, both excluded: got {share:g}")
    if power <= level:
        raise UsageError(f"`power` must be above `level`, {level:g}: got {power:g}")
    if not passages or min(passages) < 1:
        raise UsageError(f"`passages` must hold numbers of 1 or more: got {list(passages)}")
