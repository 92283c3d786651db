"""Figures of weighted passages, for the resamples of a bootstrap."""

from __future__ import annotations

import numpy as np

from ..records import without_gaps
from ._intervals import Floats
from ._samples import Sample, Weighted

__all__ = ["area", "auroc_by_document", "weighted_auroc", "weighted_share", "weighted_shares"]

BLOCK = 1 << 18
"""Passages of which copies are in memory at the same time."""
COUNTS = 1 << 23
"""Counts of non-members by document that are in memory at the same time."""


def weighted_auroc(members: Floats, nonmembers: Floats) -> Weighted:
    """A function from weights to the AUROC of each resample."""
    order = np.argsort(nonmembers)
    below, not_above = (np.searchsorted(nonmembers[order], members, side=side) for side in ("left", "right"))

    def figure(w_members: Floats, w_nonmembers: Floats) -> Floats:
        sums = _cumulative_sums(w_nonmembers[:, order])
        wins = np.einsum("ri,ri->r", w_members, sums[:, below] + sums[:, not_above]) / 2
        with np.errstate(invalid="ignore"):
            return np.asarray(wins / (w_members.sum(axis=1) * w_nonmembers.sum(axis=1)))

    return figure


def area(members: Floats, nonmembers: Floats) -> float:
    """The AUROC of passages that count the same."""
    ascending, wins = np.sort(nonmembers), 0.0
    for start in range(0, len(members), BLOCK):
        part = members[start : start + BLOCK]
        wins += sum(float(np.searchsorted(ascending, part, side=side).sum()) for side in ("left", "right")) / 2
    return wins / (len(members) * len(nonmembers))


def auroc_by_document(sample: Sample) -> Weighted:
    """A function from weights of documents (`document_weights`) to the AUROC of each resample.

    Sums of wins are halves of whole numbers, so they are exact.
    """
    from scipy.sparse import csr_matrix

    (sizes, of_members), (other_sizes, of_nonmembers) = (
        (np.bincount(numbers), numbers)
        for numbers in (without_gaps(sample.member_documents), without_gaps(sample.nonmember_documents))
    )
    order = np.argsort(sample.nonmembers)
    ascending, of_ascending, n = sample.nonmembers[order], of_nonmembers[order], len(order)
    wins = np.zeros((len(sizes), len(other_sizes)))
    width = max(1, COUNTS // (n + 1))
    for first in range(0, len(other_sizes), width):
        # How many non-members of each of these documents are among the first 0, 1, …, n.
        upto = of_ascending[:, None] == np.arange(first, min(first + width, len(other_sizes)))
        upto = np.concatenate([np.zeros((1, upto.shape[1])), np.cumsum(upto, axis=0, dtype=np.float64)])
        for start in range(0, len(sample.members), BLOCK):
            part = slice(start, start + BLOCK)
            for side in ("left", "right"):
                places = np.searchsorted(ascending, sample.members[part], side=side)
                cells = np.full(len(places), 0.5), (of_members[part], places)
                wins[:, first : first + width] += csr_matrix(cells, shape=(len(sizes), n + 1)) @ upto

    def figure(w_members: Floats, w_nonmembers: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            won = np.einsum("rn,rn->r", w_members @ wins, w_nonmembers)
            return np.asarray(won / ((w_members @ sizes) * (w_nonmembers @ other_sizes)))

    return figure


def weighted_share(pivot: Floats, counted: Floats, rate: float, *, complement: bool = False) -> Weighted:
    """A function from weights to the largest share of *counted* above a threshold with at most *rate* of *pivot* above.

    "Above" is strict. The function takes the weights of *pivot* first. With *complement* it gives the share that is
    not above.
    """
    descending, ascending = np.argsort(-pivot), np.argsort(counted)
    # How many of counted are not above a threshold at each of pivot; 0 at the last, which is -inf.
    left = np.append(np.searchsorted(counted[ascending], pivot[descending], side="right"), 0)

    def figure(w_pivot: Floats, w_counted: Floats) -> Floats:
        above = _cumulative_sums(w_pivot[:, descending])[:, 1:]
        allowed = rate * above[:, -1:] * (1 + 1e-12)  # 0.29 · 100 is 28.999999999999996, 1 - 0.9 below 0.1
        first_too_many = (above <= allowed).sum(axis=1)
        unflagged = _cumulative_sums(w_counted[:, ascending])
        share = unflagged[np.arange(len(unflagged)), left[first_too_many]]
        total = unflagged[:, -1]
        with np.errstate(invalid="ignore"):
            share = (share if complement else total - share) / total
        return np.where(above[:, -1] > 0, share, np.nan)

    return figure


def weighted_shares(pivot: Floats, counted: Floats, rates: Floats) -> Weighted:
    """`weighted_share` at each of *rates*: a function from weights to shares of shape (r, rates)."""
    descending, ascending = np.argsort(-pivot), np.argsort(counted)
    left = np.append(np.searchsorted(counted[ascending], pivot[descending], side="right"), 0)

    def figure(w_pivot: Floats, w_counted: Floats) -> Floats:
        above = _cumulative_sums(w_pivot[:, descending])[:, 1:]
        flagged = np.empty((len(above), len(rates)))
        unflagged = _cumulative_sums(w_counted[:, ascending])
        for row, sums in enumerate(above):
            first_too_many = np.searchsorted(sums, rates * sums[-1] * (1 + 1e-12), side="right")
            total = unflagged[row, -1]
            share = (total - unflagged[row, left[first_too_many]]) / total if total else np.nan
            flagged[row] = share if sums[-1] > 0 else np.nan
        return flagged

    return figure


def _cumulative_sums(weights: Floats) -> Floats:
    """Row-wise sums of the first 0, 1, …, n weights: shape (r, n + 1)."""
    sums = np.zeros((weights.shape[0], weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums
