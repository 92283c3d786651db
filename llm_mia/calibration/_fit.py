"""Whether a density ratio is log-linear in the features, as the weights of a calibration set assume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._checks import Floats

__all__ = ["RatioFit", "fit_of_ratio"]

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Shares of the passages below the values at which a step is tested."""
MOST_FEATURES = 10
"""Features above which their products are not tested: the products would outnumber the documents."""
FLIPS = 999
_ROWS = 100
_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True, slots=True)
class RatioFit:
    """How well a log-linear density ratio fits."""

    p_value: float
    """Of the test that the logarithm of the ratio is linear in the features; 1 where there is nothing to test."""
    worst: str
    """The term that departs most from a log-linear ratio, such as ``the square of feature 0``."""


def fit_of_ratio(features: Floats, candidate: NDArray[np.bool_], documents: Sequence[str], seed: int = 0) -> RatioFit:
    """The fit of a density ratio, candidates over calibration set, that is log-linear in *features*.

    Each square, each step at a quantile and each product of two features is added to the logistic regression by a score
    test whose variance is that of whole documents. The p-value is that of the largest of these statistics, from random
    signs of documents (wild bootstrap), so it holds approximately, and over all terms together. A large p-value does
    not show that the ratio is log-linear.

    *features* has shape (n, d), *candidate* and *documents* n values.

    Rao 1948; the signs: Wu 1986, Annals of Statistics 14:1261; by document Kline and Santos 2012, Journal of
    Econometric Methods 1:23.
    """
    from sklearn.linear_model import LogisticRegression

    varying = np.flatnonzero(features.std(axis=0) > 0)
    if not len(varying):
        return RatioFit(1.0, "")
    x = (features[:, varying] - features[:, varying].mean(axis=0)) / features[:, varying].std(axis=0)
    fitted: Any = LogisticRegression(C=1e4, max_iter=1000).fit(x, candidate)
    expected = fitted.predict_proba(x)[:, 1]
    names, terms = zip(*_terms(x, varying.tolist()), strict=True)
    beyond, kept = _beyond_linear(np.column_stack(terms), x, expected * (1 - expected))
    if not kept.any():
        return RatioFit(1.0, "")
    number = np.unique(np.array(documents, dtype=object), return_inverse=True)[1]
    scores = np.zeros((int(number.max()) + 1, int(kept.sum())))
    np.add.at(scores, number, beyond[:, kept] * (candidate - expected)[:, None])
    spread = np.sqrt((scores**2).sum(axis=0))
    scores = scores / np.where(spread > 0, spread, 1.0)
    statistics = np.abs(scores.sum(axis=0))
    largest, rng, as_large = statistics.max(), np.random.default_rng(seed), 0
    for start in range(0, FLIPS, _ROWS):
        signs = rng.choice([-1.0, 1.0], (min(_ROWS, FLIPS - start), len(scores)))
        as_large += int((np.abs(signs @ scores).max(axis=1) >= largest - 1e-9).sum())
    worst = np.flatnonzero(kept)[int(statistics.argmax())]
    return RatioFit((1 + as_large) / (1 + FLIPS), names[worst])


def _terms(x: Floats, numbers: Sequence[int]) -> Iterator[tuple[str, Floats]]:
    """What a log-linear ratio leaves out, by name: *x* are standardised features, *numbers* their numbers."""
    for at, number in enumerate(numbers):
        yield f"the square of feature {number}", x[:, at] ** 2
        for step in np.unique(np.quantile(x[:, at], SHARES)):
            yield f"a step of feature {number}", (x[:, at] > step).astype(np.float64)
    if len(numbers) <= MOST_FEATURES:
        for i, first in enumerate(numbers):
            for j in range(i + 1, len(numbers)):
                yield f"the product of features {first} and {numbers[j]}", x[:, i] * x[:, j]


def _beyond_linear(terms: Floats, x: Floats, variance: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """The terms less what is linear in *x*, weighted by *variance*, and which of them have something left."""
    design = np.column_stack([np.ones(len(x)), x])
    root = np.sqrt(variance)[:, None]
    solved = np.linalg.lstsq(design * root, terms * root, rcond=None)[0]
    beyond = terms - design @ solved
    left, whole = ((root * beyond) ** 2).sum(axis=0), ((root * terms) ** 2).sum(axis=0)
    return beyond, left > _LEAST_VARIANCE * np.maximum(whole, 1e-300)
