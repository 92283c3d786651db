"""Was a collection trained on? Dataset inference by permutation of whole documents, on documents held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ScoresError
from ..metrics import auroc
from ..records import Interval
from ._permutation import documents_needed, permuted, smallest_p_value
from ._scores import Floats, Grouped, disjoint, evidence, grouped

__all__ = ["CollectionTest", "Placebo", "collection_test"]

Side: TypeAlias = tuple[ArrayLike, Sequence[str]]
"""Scores of passages, (n,) or (n, attacks), and the document of each."""

SHRINKAGE = 0.1
UNEQUAL = 2.0
"""Passages per document of one side, in those of the other, above which the p-value is called approximate."""


@dataclass(frozen=True, slots=True)
class Placebo:
    """The same test where there is nothing to find: held-out control documents against each other."""

    p_value: float
    """Of one random half against the other: 0.05 or less in one of 20 cases. NaN with fewer than two documents."""
    in_order_p_value: float
    """Of the first half against the second as they were given, two-sided: small where the controls drift along their
    order (date, source), so that a suspect collection from elsewhere would differ too. Under eight documents it
    can't reach 0.05. NaN as above."""

    def doubts(self, level: float) -> list[str]:
        """A sentence for each that is significant at *level*."""
        found = []
        if self.p_value <= level:
            found.append(
                f"two random halves of the control documents differ (p = {self.p_value:.3g}), as {level:.0%} of halves "
                "do by chance: where other seeds show it too, mistrust the test"
            )
        if self.in_order_p_value <= level:
            found.append(
                f"the first half of the control documents differs from the second (p = {self.in_order_p_value:.3g}): "
                "they change along their order, so suspect documents from elsewhere would differ untrained too"
            )
        return found


@dataclass(frozen=True, slots=True)
class CollectionTest:
    """What the held-out documents say about a suspect collection."""

    statistic: float
    """Mean document evidence, suspect less control, in standard errors (Welch's t over documents)."""
    p_value: float
    """(1 + #{permutations with a statistic at least as large}) / (1 + permutations); one-sided. All ways to divide the
    documents are taken where there are no more."""
    effect: Interval
    """Chance that a held-out suspect passage scores above a control one (AUROC), by document."""
    placebo: Placebo
    n_documents: tuple[int, int]
    """Suspect and control documents tested on."""
    smallest_p: float
    """No p-value under this is possible with so many documents and permutations."""
    weights: tuple[float, ...]
    """Of each attack, per standard deviation of its scores in the fit part, unit length; (1.0,) for a single attack."""
    notes: tuple[str, ...]
    """What was set aside, is out of reach or casts doubt, a sentence each."""


def collection_test(
    suspect: Side,
    control: Side,
    *,
    fit_fraction: float = 0.5,
    seed: int = 0,
    permutations: int = 9999,
    level: float = 0.05,
    confidence: float = 0.95,
) -> CollectionTest:
    """The p-value is super-uniform if the suspect collection was not trained on, provided that its documents are then
    exchangeable with the control documents; however alike the passages of a document are.

    Scores of several attacks are joined by weights learned on the *fit_fraction* of documents, and only the others are
    tested; with one attack nothing is learned, and all documents are tested. Each document counts once, by the mean of
    its passages; documents, not passages, are permuted. A t-test on passages has no such guarantee: two random halves
    of one author's texts come out significant. Documents that are longer on one side are not exchangeable as they
    stand: the statistic is studentised for that, which is approximate and noted. With ten times the passages on one
    side it was significant at 5 % in 4–6 % of simulations, and in 3–7 % with ten times the documents on one, too.

    The effect's interval holds the AUROC between the collections with about *confidence* (bootstrap over documents,
    see `llm_mia.metrics.auroc`). The random placebo checks the calculation on these very documents; neither it nor
    the p-value can tell training from any other difference between suspect and control documents, such as their date
    or subject. `llm_mia.validity` asks about that.

    *suspect* and *control* are (scores of shape (n,) or (n, attacks), n documents); *level* is what notes refer to.

    Raises `ScoresError`: no passages, unequal lengths or attacks, infinite scores, a document on both sides, a side
    without scores, several attacks with under two documents on a side, *fit_fraction* or *level* outside (0, 1),
    permutations too few for *level*. After Maini et al. 2024, arXiv:2406.06443; permutation p-values: Phipson and
    Smyth 2010; studentised: Chung and Romano 2013.

    >>> suspect = [3.0, 4.0, 5.0, 5.0, 4.0, 6.0], ["a", "a", "b", "b", "c", "c"]
    >>> control = [1.0, 2.0, 2.0, 2.0, 1.0, 3.0, 0.0, 1.0], ["d", "d", "e", "e", "f", "f", "g", "g"]
    >>> found = collection_test(suspect, control, permutations=999)
    >>> round(found.statistic, 2), found.n_documents, round(found.p_value * math.comb(7, 3), 6)
    (4.9, (3, 4), 1.0)
    """
    _check(fit_fraction, level, permutations)
    notes: list[str] = []
    sides = _sides(suspect, control, notes)
    rng = np.random.default_rng(seed)
    weights = np.ones(1)
    if sides[0].values.shape[1] > 1:
        fitted, sides = _split(sides, fit_fraction, rng)
        weights, scale = direction(*fitted)
        sides = _joined(sides[0], weights / scale), _joined(sides[1], weights / scale)
    else:
        sides = _joined(sides[0], weights), _joined(sides[1], weights)
    values = evidence(sides[0], sides[0].scored, "mean"), evidence(sides[1], sides[1].scored, "mean")
    n_documents = len(values[0]), len(values[1])
    statistic, p_value = permuted(*values, permutations, rng)
    placebo = _placebo(values[1], permutations, rng)
    smallest = smallest_p_value(n_documents, permutations)
    if smallest > level:
        needed = math.ceil(documents_needed(level) / (1 - fit_fraction if len(weights) > 1 else 1))
        notes.append(
            f"{n_documents[0]} suspect and {n_documents[1]} control documents tested: no p-value is under "
            f"{smallest:.3g}, and p ≤ {level:g} takes {needed} documents on each side"
        )
    notes.extend(_unequal(*sides) + placebo.doubts(level))
    effect = _effect(*sides, confidence, seed)
    return CollectionTest(
        statistic, p_value, effect, placebo, n_documents, smallest, tuple(weights.tolist()), tuple(notes)
    )


def direction(suspect: Grouped, control: Grouped) -> tuple[Floats, Floats]:
    """Weights of the attacks, unit length, per standard deviation of each; and these standard deviations.

    Fisher's discriminant: the difference of the sides' means over documents, through the inverse of the correlation of
    passages within a side. That is shrunk by a tenth towards none: attacks agree so much that it hardly has an inverse.

    >>> one = grouped([[1.0, 0.0], [3.0, 0.1], [1.0, 0.1], [3.0, 0.0]], ["a", "a", "b", "b"])
    >>> other = grouped([[0.0, 0.0], [2.0, 0.1], [0.0, 0.1], [2.0, 0.0]], ["c", "c", "d", "d"])
    >>> direction(one, other)[0].round(3).tolist()
    [1.0, 0.0]
    """
    means = [
        np.column_stack(
            [evidence(Grouped(column, side.names, side.numbers), side.scored, "mean") for column in side.values.T]
        ).mean(axis=0)
        for side in (suspect, control)
    ]
    within = np.concatenate([side.values - mean for side, mean in zip((suspect, control), means, strict=True)])
    scale = np.sqrt((within**2).mean(axis=0))
    largest = np.max([np.abs(side.values).max(axis=0) for side in (suspect, control)], axis=0)
    scale[scale <= 1e-12 * largest] = np.inf  # an attack that never varies gets no weight
    correlation = (within / scale).T @ (within / scale) / len(within)
    shrunk = (1 - SHRINKAGE) * correlation + SHRINKAGE * np.eye(len(scale))
    weights = np.linalg.solve(shrunk, (means[0] - means[1]) / scale)
    length = float(np.linalg.norm(weights))
    return weights / (length or 1.0), scale


def _check(fit_fraction: float, level: float, permutations: int) -> None:
    for name, share in (("fit_fraction", fit_fraction), ("level", level)):
        if not 0 < share < 1:
            raise ScoresError(f"{name} must lie between 0 and 1, both excluded: got {share:g}")
    needed = math.ceil(1 / level - 1e-9) - 1
    if permutations < needed:
        raise ScoresError(f"{permutations} permutations cannot give p ≤ {level:g}: at least {needed} are needed")


def _sides(suspect: Side, control: Side, notes: list[str]) -> tuple[Grouped, Grouped]:
    """Both sides checked, scores of shape (n, attacks), without the passages that lack one, which *notes* counts."""
    first, second = grouped(*suspect, "suspect"), grouped(*control, "control")
    disjoint(first, second, "suspect and control")
    attacks = [side.values.reshape(len(side.values), -1).shape[1] for side in (first, second)]
    if attacks[0] != attacks[1]:
        raise ScoresError(f"suspect passages have {attacks[0]} scores each but control passages {attacks[1]}")
    return _scored(first, "suspect", notes), _scored(second, "control", notes)


def _scored(side: Grouped, whose: str, notes: list[str]) -> Grouped:
    kept = side.scored
    if not kept.any():
        raise ScoresError(f"no {whose} passage has a score")
    lost = int(np.sum(side.sizes(kept) == 0))
    if not kept.all():
        documents = f", and {lost} documents with them" if lost else ""
        notes.append(f"{np.sum(~kept)} of {len(kept)} {whose} passages lack a score and are left out{documents}")
    return _only(side, kept)


def _only(side: Grouped, kept: NDArray[np.bool_]) -> Grouped:
    names = [side.names[number] for number in side.numbers[kept].tolist()]
    return grouped(side.values[kept].reshape(len(names), -1), names)


def _unequal(suspect: Grouped, control: Grouped) -> list[str]:
    """A sentence where the documents of one side are much longer."""
    ours, theirs = (float(np.median(side.sizes(side.scored))) for side in (suspect, control))
    if max(ours, theirs) <= UNEQUAL * min(ours, theirs):
        return []
    return [
        f"suspect documents have {ours:g} passages and control ones {theirs:g} (medians), so they are not exchangeable "
        "as they stand: the p-value is approximate"
    ]


def _split(
    sides: tuple[Grouped, Grouped], fit_fraction: float, rng: np.random.Generator
) -> tuple[tuple[Grouped, Grouped], tuple[Grouped, Grouped]]:
    """The fit parts, and the parts held out, by document."""
    parts = []
    for side, whose in zip(sides, ("suspect", "control"), strict=True):
        d = len(side.names)
        if d < 2:
            raise ScoresError(
                f"one {whose} document cannot be split to learn weights: give one attack, or more documents"
            )
        # Drawn over the names in order, so that the order of rows doesn't matter.
        drawn = rng.permutation(d) < min(max(round(fit_fraction * d), 1), d - 1)
        fit = np.empty(d, dtype=bool)
        fit[np.argsort(side.names)] = drawn
        parts.append((_only(side, fit[side.numbers]), _only(side, ~fit[side.numbers])))
    return (parts[0][0], parts[1][0]), (parts[0][1], parts[1][1])


def _joined(side: Grouped, weights: Floats) -> Grouped:
    return Grouped(side.values @ weights, side.names, side.numbers)


def _placebo(control: Floats, permutations: int, rng: np.random.Generator) -> Placebo:
    if len(control) < 2:
        return Placebo(math.nan, math.nan)
    half = len(control) // 2
    shuffled = rng.permutation(control)
    p_value = permuted(shuffled[:half], shuffled[half:], permutations, rng)[1]
    either = [permuted(*pair, permutations, rng)[1] for pair in _both_ways(control[:half], control[half:])]
    return Placebo(p_value, min(1.0, 2 * min(either)))


def _both_ways(first: Floats, second: Floats) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    return (first, second), (second, first)


def _effect(suspect: Grouped, control: Grouped, confidence: float, seed: int) -> Interval:
    names = [side.names[number] for side in (suspect, control) for number in side.numbers.tolist()]
    labels = np.repeat([1, 0], [len(suspect.values), len(control.values)])
    scores = np.concatenate([suspect.values, control.values])
    return auroc(scores, labels, documents=names, confidence=confidence, rng=seed)
