"""The perplexity of held-out texts, with an interval by document, and its ratio to that of another model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..records import Interval

__all__ = ["perplexity", "perplexity_ratio"]


def perplexity(logs: NDArray[np.float64], tokens: NDArray[np.int64], documents: Sequence[str]) -> Interval:
    """The perplexity exp(−Σ log p / Σ tokens) of all passages, with its 95 % interval.

    The interval is Student's t for a ratio of sums over documents, linearised, on the logarithmic scale: tokens and
    passages of a document may depend on each other. With a single document it is 0..∞.

    Args:
        logs: log-likelihood of each passage in nats, shape (n,).
        tokens: of each passage, shape (n,).
        documents: of each passage.

    Cochran 1977, Sampling Techniques, section 6.3.

    >>> logs, tokens = np.array([-20.0, -20.0, -22.0]), np.array([10, 10, 10])
    >>> interval = perplexity(logs, tokens, ["a", "b", "c"])
    >>> round(interval.value, 2), round(interval.low, 2), round(interval.high, 2)
    (7.9, 5.93, 10.52)
    """
    return _exp(_mean(-logs, tokens, documents))


def perplexity_ratio(
    logs: NDArray[np.float64], others: NDArray[np.float64], tokens: NDArray[np.int64], documents: Sequence[str]
) -> Interval:
    """The perplexity by *logs* divided by that by *others*, of another model on the same tokens, with its interval.

    The interval is that of `perplexity`, for the difference of the log-likelihoods: what makes a document easy for both
    models is no uncertainty of the ratio.

    >>> logs = np.array([-22.0, -11.0, -33.0])
    >>> perplexity_ratio(logs, logs, np.array([10, 5, 15]), "abc")
    Interval(value=1.0, low=1.0, high=1.0, confidence=0.95)
    """
    return _exp(_mean(others - logs, tokens, documents))


def _mean(sums: NDArray[np.float64], tokens: NDArray[np.int64], documents: Sequence[str]) -> Interval:
    """The sum of *sums* per token, with its interval."""
    from scipy.special import stdtrit

    _, numbers = np.unique(np.array(list(documents)), return_inverse=True)
    of_document, lengths = np.bincount(numbers, sums), np.bincount(numbers, tokens)
    n, mean = len(lengths), float(of_document.sum() / lengths.sum())
    if n < 2:
        return Interval(mean, -math.inf, math.inf)
    residuals = of_document - mean * lengths
    error = math.sqrt(n / (n - 1) * float((residuals**2).sum())) / float(lengths.sum())
    half = float(stdtrit(n - 1, 0.975)) * error
    return Interval(mean, mean - half, mean + half)


def _exp(interval: Interval) -> Interval:
    with np.errstate(over="ignore"):
        value, low, high = (float(np.exp(each)) for each in (interval.value, interval.low, interval.high))
    return Interval(value, low, high, interval.confidence)
