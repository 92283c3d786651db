"""How often a model must be queried until it emits a text."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["expected_queries", "queries_for"]


def expected_queries(log_probability: float) -> float:
    """Mean number of queries until a text of this log-probability comes, 1/p; inf beyond the range of a float.

    >>> round(expected_queries(math.log(0.001)))
    1000
    """
    with np.errstate(over="ignore"):
        return float(np.exp(-np.float64(log_probability)))


def queries_for(log_probability: float, success: float) -> float:
    """Least number of queries after which a text of this log-probability has come with probability *success*.

        log(1 − success) / log(1 − p), rounded up

    Hayes et al. 2025, arXiv:2410.19482, equation 2. inf where no number is enough, or beyond the range of a float;
    NaN stays.

    >>> queries_for(math.log(0.5), 0.75), queries_for(math.log(0.001), 0.95), queries_for(0.0, 0.95)
    (2.0, 2995.0, 1.0)
    """
    if math.isnan(log_probability):
        return math.nan
    if log_probability >= 0:
        return 1.0
    wanted = -math.log1p(-success)
    if log_probability < -30:  # log(1 − p) is −p to the last digit, and below −745 p itself is no float
        with np.errstate(over="ignore"):
            return float(np.ceil(wanted * np.exp(-np.float64(log_probability))))
    exact = wanted / -math.log1p(-math.exp(log_probability))
    return float(max(1, math.ceil(exact * (1 - 1e-12))))
