"""How probable so many flags are where no candidate is a member and passages share documents: by exchanging labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..calibration import fewest_improbable, largest_excess, largest_excess_flags
from ..documents import group_scores, matched_size, random_ranks
from ..records import SharedNames, number_by_name
from ..validity.permutation import LabelExchange, exchange_labels
from ._sensitivity import REMOVED_AT, removable

__all__ = ["Exchangeable", "Exchanged", "exchange_test", "same_size"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

KEEP = 0.9
"""Share of the documents on each side that have at least the number of passages to which documents are cut."""
CELLS = 4_000_000
"""Passages times arrangements that are held at once."""
MOST_CELLS = 100_000_000
"""Passages times arrangements in all."""
FEWEST, MOST, AT_MOST = 499, 1_999, 200_000
"""Random arrangements; the last where the level needs more."""


@dataclass(frozen=True, slots=True, eq=False)
class Exchangeable:
    """Candidates and calibration set, of which no candidate is a member in the case that is tested; shapes (n,)."""

    scores: Floats
    candidate: Bools
    documents: Sequence[str]
    categories: Ints
    """The category of each passage; a document lies in a single category."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """The result of `exchange_test`."""

    p_value: float
    statistic: float
    """Of the passages compared."""
    candidates: int
    """Passages compared; documents of several sizes are cut to a common size."""
    nonmembers: int
    documents: int
    """Documents of both sides."""
    arrangements: int
    least: int | None
    """The fewest flags that the arrangements give with probability *level* at most; None for the smallest q-value."""
    excess: float
    """`largest_excess`, or `largest_excess_flags`, where a difference adds whole documents of flags."""


Statistic = Callable[[Bools], Floats]
"""Of arrangements, shape (rows, n): where each passage is a candidate."""
Rank = Callable[[int, int], int]


def exchange_test(
    passages: Exchangeable, rank: Rank, *, smallest: bool, level: float, seed: int = 0
) -> Exchanged | None:
    """P(as many flags or more, if no candidate is a member); None where no label can be exchanged.

    If candidates could as well have been drawn as non-members, their labels can be exchanged: those of a document with
    candidates alone with a whole document of non-members of the same category, and those of a document that holds both
    between its passages. For each arrangement of the labels the threshold is set again. So the p-value is
    super-uniform, whatever the correlation of passages within a document, and includes the luck of the calibration set.

    Documents are exchangeable only if they have equally many passages. Where their numbers of passages differ, whole
    documents are cut to a common number, drawn at random, that nine tenths of the documents on each side reach;
    shorter documents are left out. This assumes that the size of a document has no other relation to its scores.

    Args:
        passages: with a score each.
        rank: the rank k of the threshold among n calibration scores of D documents, from n and D.
        smallest: the statistic is the smallest q-value (Simes' test), not the number of flags.
        level: of the test; at least 20 / *level* arrangements are drawn, or each is computed where there are fewer.
        seed: of the arrangements.
    """
    kept = same_size(passages)
    labels = passages.candidate[kept]
    categories, scores = passages.categories[kept], passages.scores[kept]
    _, documents = number_by_name(SharedNames.of(passages.documents).take(kept))
    del passages, kept  # of millions of passages these are hundreds of megabytes
    exchange = exchange_labels(labels, documents, categories)
    if exchange.log_arrangements <= 1e-9:
        return None
    statistic = _smallest_q(scores) if smallest else _count(scores, labels, documents, categories, rank)
    observed = float(statistic(labels[None])[0])
    chance, arrangements = _by_chance(exchange, statistic, observed, level, seed)
    p_value = float(np.mean(chance >= observed - 1e-12))
    size = int(np.bincount(documents[labels]).max())
    m = int(labels.sum())
    if smallest:
        excess = _excess_of_smallest(scores, labels, chance, size, level)
    else:
        excess = _excess_of_count(int(observed), m, chance, size, level)
    return Exchanged(
        p_value=p_value,
        statistic=observed,
        candidates=m,
        nonmembers=int((~labels).sum()),
        documents=int(documents.max()) + 1,
        arrangements=arrangements,
        least=None if smallest else fewest_improbable(_probabilities(chance, m), level),
        excess=excess if p_value <= level else 0.0,
    )


def _by_chance(
    exchange: LabelExchange, statistic: Statistic, observed: float, level: float, seed: int
) -> tuple[Floats, int]:
    """The statistic of every arrangement of the labels; where they are many, of the observed and of random ones.

    Also how many are computed.
    """
    n = len(exchange.labels)
    wanted = max(min(math.ceil(20 / level), AT_MOST), min(MOST, max(FEWEST, MOST_CELLS // n)))
    single = len(exchange.groups) == 1 and len(exchange.groups[0]) == 1
    if single and exchange.log_arrangements <= math.log(wanted + 1):
        every = [float(statistic(labels > 0)[0]) for labels in exchange.every()]
        return np.array(every), len(every)
    rng, rows = np.random.default_rng(seed), max(1, min(250, CELLS // n))
    drawn = [statistic(block > 0) for block in exchange.draw(wanted, rng, rows)]
    return np.concatenate([[observed], *drawn]), wanted


def _excess_of_count(flags: int, m: int, chance: Floats, size: int, level: float) -> float:
    """`largest_excess` of a difference that flags whole documents of the *m* candidates, the largest of *size*."""
    return largest_excess(_probabilities(chance, m), flags, -(-m // size), level, size)


def _probabilities(chance: Floats, m: int) -> Floats:
    """The share of the arrangements that give 0, 1, …, m flags."""
    return np.bincount(chance.astype(np.intp), minlength=m + 1) / len(chance)


def _excess_of_smallest(scores: Floats, labels: Bools, chance: Floats, size: int, level: float) -> float:
    """`largest_excess_flags` of a difference that flags whole documents of candidates."""
    ratios = np.sort(-chance)
    within = np.flatnonzero(np.searchsorted(ratios, ratios, side="right") <= REMOVED_AT * level * len(ratios))
    if not len(within):
        return 0.0
    order, end = _descending(scores)
    here = labels[order]
    of_all = np.cumsum(here, dtype=np.float64)[end]
    removed = removable(of_all[here], (2 + end - of_all)[here], float(ratios[within[-1]]))
    return largest_excess_flags(removed // size, -(-int(labels.sum()) // size), level)


def same_size(passages: Exchangeable) -> Ints:
    """The rows to compare: whole documents that exchange labels are cut to a common size in each category."""
    candidate = passages.candidate
    grouped = group_scores(passages.scores, passages.documents)
    size, candidates = (grouped.sizes(which) for which in (np.ones(len(candidate), dtype=bool), candidate))
    category = np.zeros(len(size), dtype=np.intp)
    category[grouped.numbers] = passages.categories
    limit, draws = np.full(len(size), np.inf), random_ranks(grouped, 0)
    for number in np.unique(category).tolist():
        sides = [(category == number) & (candidates == side) & (size > 0) for side in (0, size)]
        whole = sides[0] | sides[1]
        if all(side.any() for side in sides) and len(np.unique(size[whole])) > 1:
            most = min(matched_size(size[side], KEEP) for side in sides)
            limit[whole] = np.where(size[whole] >= most, most, 0)
    return np.flatnonzero(draws < limit[grouped.numbers])


def _count(scores: Floats, labels: Bools, documents: NDArray[np.int32], categories: Ints, rank: Rank) -> Statistic:
    """The number of candidates above the threshold of their category."""
    parts: list[tuple[slice | Ints, NDArray[np.int32], Floats, int]] = []
    for number in np.unique(categories).tolist():
        rows = np.flatnonzero(categories == number)
        m = int(labels[rows].sum())
        k = rank(len(rows) - m, len(np.unique(documents[rows][~labels[rows]])))
        if m and k:
            order = np.argsort(-scores[rows], kind="stable")
            ordered = -scores[rows[order]]
            places = np.empty(len(rows), dtype=np.int32)
            places[order] = np.arange(len(rows), dtype=np.int32)
            everything = slice(None) if len(rows) == len(scores) else rows
            parts.append((everything, places, ordered, k))

    def count(candidate: Bools) -> Floats:
        flags = np.zeros(len(candidate))
        for rows, places, ordered, k in parts:
            for at, here in enumerate(candidate):
                # Flagged are the candidates before all passages with the score of the k-th non-member.
                nonmembers = places[~here[rows]]
                if k > len(nonmembers):
                    flags[at] += len(places) - len(nonmembers)
                    continue
                threshold = ordered[np.partition(nonmembers, k - 1)[k - 1]]
                above = int(np.searchsorted(ordered, threshold, side="left"))
                flags[at] += above - int((nonmembers < above).sum())
        return flags

    return count


def _smallest_q(scores: Floats) -> Statistic:
    """The smallest of (1 + non-members at or above) / (candidates at or above), negated: Simes' test."""
    order, end = _descending(scores)

    def smallest(candidate: Bools) -> Floats:
        here = candidate[:, order]
        of_all = np.cumsum(here, axis=1, dtype=np.int32)[:, end]
        ratio = (1 + end + 1 - of_all) / np.maximum(of_all, 1)
        return -np.asarray(np.where(here, ratio, np.inf).min(axis=1))

    return smallest


def _descending(scores: Floats) -> tuple[Ints, Ints]:
    """The order of *scores* from the highest, and for each place in it the last place with an equal score."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    return order, np.searchsorted(-ordered, -ordered, side="right") - 1
