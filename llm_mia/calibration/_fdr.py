"""False discovery rates over many candidates: the expected share of non-members among the discoveries."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ..errors import CalibrationError, UsageError
from ._checks import Floats, check_rate, in_blocks, twelve_digits
from ._thresholds import nonmembers_needed


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """The q-values (adjusted p-values), shape (m,), in the order of *p_values*.

    If every candidate with a q-value ≤ fdr is a discovery, the expected share of non-members among the discoveries is
    at most fdr·(share of non-members among all candidates). This holds for p-values that are independent or positively
    dependent (PRDS). Conformal p-values that share a calibration set are PRDS (Bates et al. 2023, arXiv:2104.08279,
    Theorem 2). For dependent candidates, such as passages of the same document, it is not proven.

    q ≤ fdr holds exactly where the step-up procedure at level fdr rejects. NaN stays NaN and does not count towards m.

    Raises:
        UsageError: a p-value lies outside [0, 1].

    Benjamini and Hochberg 1995.

    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.5]).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    return _stepped_up(p_values, 1.0)


def benjamini_yekutieli(p_values: ArrayLike) -> Floats:
    """The q-values (adjusted p-values) under any dependence, shape (m,), in the order of *p_values*.

    If every candidate with a q-value ≤ fdr is a discovery, the expected share of non-members among the discoveries is
    at most fdr, however the p-values depend on each other: weighted p-values, passages of the same document. Each
    p-value alone must be super-uniform for a non-member. The q-values are larger than those of `benjamini_hochberg`
    by the factor 1 + 1/2 + … + 1/m, about ln m + 0.6. NaN stays NaN and does not count towards m.

    Raises:
        UsageError: a p-value lies outside [0, 1].

    Benjamini and Yekutieli 2001, theorem 1.3.

    >>> benjamini_yekutieli([0.01, 0.04, 0.03, 0.5]).round(4).tolist()  # 25/12 times those of Benjamini–Hochberg
    [0.0833, 0.1111, 0.1111, 1.0]
    """
    m = int((~np.isnan(np.asarray(p_values, dtype=np.float64))).sum())
    return _stepped_up(p_values, _harmonic(m))


def _stepped_up(p_values: ArrayLike, factor: float) -> Floats:
    given = np.asarray(p_values, dtype=np.float64)
    known = ~np.isnan(given)
    outside = int(np.sum((given < 0) | (given > 1)))
    if outside:
        raise UsageError(f"{outside} of {int(known.sum())} p-values lie outside 0..1")
    ascending = given[known]
    ascending.sort()
    m = len(ascending)
    # Of equal p-values the last has the smallest quotient, and its q-value is that of all.
    last = np.flatnonzero(np.append(ascending[1:] != ascending[:-1], True)) if m else np.empty(0, dtype=np.intp)
    distinct = ascending[last]
    del ascending  # of millions of candidates the q-values take its place
    stepped = distinct * m * factor / (last + 1)
    # 0.05 · 3 / 3 is 0.05000000000000001: unrounded, three candidates above all of 19 non-members would be lost.
    rounded = np.array([min(1.0, twelve_digits(q)) for q in stepped.tolist()])
    of_distinct = np.append(np.minimum.accumulate(rounded[::-1])[::-1], np.nan)  # NaN is beyond every p-value
    return in_blocks(lambda block: of_distinct[np.searchsorted(distinct, block)], given)


def fdr_floor(n: int, m: int, fdr: float, *, any_dependence: bool = False, unit: str = "non-members") -> int:
    """The least number of discoveries that `benjamini_hochberg` can make, if it makes any.

    The least p-value from *n* non-members is 1/(n + 1), so k of *m* candidates are discovered together only where
    k·fdr/m ≥ 1/(n + 1). A result of 1 means that a single member can be discovered, which needs n ≥ m/fdr − 1. With
    *any_dependence* it is the least number for `benjamini_yekutieli`, which needs 1 + 1/2 + … + 1/m times as many.
    Where passages share documents, n is the number of documents, and *unit* names them in a message.

    Raises:
        CalibrationError: no discovery is possible even if all *m* are members; the message gives the necessary n.

    >>> fdr_floor(n=1999, m=100, fdr=0.05), fdr_floor(n=199, m=100, fdr=0.05)
    (1, 10)
    >>> fdr_floor(n=10, m=100, fdr=0.05)
    Traceback (most recent call last):
    llm_mia.errors.CalibrationError: 10 non-members cannot support a discovery at FDR ≤ 0.05: 19 are needed if all \
100 candidates are members, 1999 if only 1 is
    """
    check_rate("fdr", fdr)
    if n < 1 or m < 1:
        raise CalibrationError(f"an FDR needs non-members and candidates: there are {n} and {m}")
    factor = _harmonic(m) if any_dependence else 1.0
    together = max(1, math.ceil(twelve_digits(m * factor / (fdr * (n + 1)))))
    if together > m:
        needed = math.ceil(twelve_digits(factor / fdr)) - 1 if any_dependence else nonmembers_needed(fdr)
        lone = math.ceil(twelve_digits(m * factor / fdr)) - 1
        method = " by Benjamini–Yekutieli" if any_dependence else ""
        raise CalibrationError(
            f"{n} {unit} cannot support a discovery at FDR ≤ {fdr:g}{method}: {needed} are needed if all {m} "
            f"candidates are members, {lone} if only 1 is"
        )
    return together


def _harmonic(m: int) -> float:
    return math.fsum(1 / j for j in range(1, m + 1))
