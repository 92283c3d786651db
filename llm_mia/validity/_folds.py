"""Passages into folds, a document never in two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["FOLDS", "by_document", "most_folds"]

FOLDS = 5


def most_folds(labels: NDArray[np.bool_], documents: NDArray[np.intp]) -> int:
    """As many folds as can all hold a document of each class, `FOLDS` at most; below 2 none can be left out."""
    return min(FOLDS, len(np.unique(documents[labels])), len(np.unique(documents[~labels])))


def by_document(
    labels: NDArray[np.bool_], documents: NDArray[np.intp], folds: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """The fold of each passage, shape (n,): whole documents, as even in size as these allow, with both classes in each.

    By size alone: no label has a part in it, so a classifier that learns nothing has an AUROC of one half on average.
    Evening out the classes as well tells something of the labels left out by those learned from, where documents differ
    in size or hold both classes: 0.488 on average, by documents, and 0.493, by passages, on random splits of 69
    documents. So that is done only where a fold would else lack a class; it suffices for `most_folds`.

    >>> by_document(np.array([1, 1, 0, 0], bool), np.array([0, 1, 2, 2]), 1, np.random.default_rng(0)).tolist()
    [0, 0, 0, 0]
    """
    names, number = np.unique(documents, return_inverse=True)
    counts: NDArray[np.float64] = np.stack(
        [np.bincount(number, weights=kind, minlength=len(names)) for kind in (~labels, labels)], axis=1
    )
    shuffled = rng.permutation(len(names))
    order = shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]  # large before small
    fold = _filled(counts.sum(axis=1)[:, None], order, folds)
    held = np.stack([np.bincount(fold, weights=kind, minlength=folds) for kind in counts.T])
    if (held > 0).all():
        return fold[number]
    # Documents of both classes first, one to a fold, so that those of one class fill what these left empty.
    both = np.all(counts > 0, axis=1)
    return _filled(counts, np.concatenate([order[both[order]], order[~both[order]]]), folds)[number]


def _filled(counts: NDArray[np.float64], order: NDArray[np.intp], folds: int) -> NDArray[np.intp]:
    """Each document, in *order*, into the fold that holds least of what it brings; *counts* is (documents, kinds)."""
    loads, fold = np.zeros((folds, counts.shape[1])), np.empty(len(counts), dtype=np.intp)
    for at in order:
        chosen = int(np.argmin(loads[:, counts[at] > 0].sum(axis=1)))
        fold[at] = chosen
        loads[chosen] += counts[at]
    return fold
