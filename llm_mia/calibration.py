"""From scores to decisions: p-values, thresholds and false discovery rates that known non-members pay for.

Everything here is pure numpy on arrays of scores, needs no model, and rests on one assumption: a candidate that is
*not* a member is exchangeable with the calibration set (same source, same time, same length, other luck). Where that
fails no function below holds; `llm_mia.validity` is the room that asks.

Higher scores mean more member-like, and a score is flagged when it is strictly above the threshold.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import CalibrationError
from .records import SCHEMA_VERSION

__all__ = [
    "MARGINAL",
    "Calibration",
    "benjamini_hochberg",
    "calibrate",
    "conformal_p_values",
    "fdr_floor",
    "fpr_bound",
    "fpr_threshold",
    "nonmembers_needed",
]

Floats = NDArray[np.float64]

MARGINAL = (
    "marginal: a new non-member, exchangeable with the calibration set, is flagged with probability at most fpr, "
    "on average over calibration sets like this one"
)
"""The guarantee of `fpr_threshold`, as `calibration.json` states it."""


def conformal_p_values(scores: ArrayLike, calibration: ArrayLike) -> Floats:
    """Marginally super-uniform for a non-member exchangeable with the n calibrated on: P(p ≤ u) ≤ u for every u.

    p = (1 + #{calibration ≥ score}) / (n + 1), ties counted against the candidate. The probability is over candidate
    and calibration set together, so p-values of many candidates share one set and are positively dependent.

    *scores* has shape (m,), *calibration* shape (n,) in any order; returns shape (m,), each a multiple of 1/(n + 1).
    A NaN score gets a NaN p-value; +inf and -inf are ordered like any score, and the caller reports them.

    Raises `CalibrationError` where *calibration* is empty or holds NaN or infinite scores.
    Vovk, Gammerman and Shafer 2005; Bates et al. 2023, arXiv:2104.08279.

    >>> conformal_p_values([0.5, 2.0, 9.0], [1.0, 2.0, 3.0, 4.0]).tolist()
    [1.0, 0.8, 0.2]
    """
    known = _sorted_finite(calibration)
    candidates = np.asarray(scores, dtype=np.float64)
    at_least = len(known) - np.searchsorted(known, candidates, side="left")
    p_values = (1 + at_least) / (len(known) + 1)
    return np.where(np.isnan(candidates), np.nan, p_values)


def fpr_threshold(calibration: ArrayLike, fpr: float) -> float:
    """A new non-member exchangeable with the n calibrated on scores above this with probability at most *fpr*.

    The guarantee is marginal: it averages over calibration sets. One unlucky set can run above *fpr*, by about
    √(fpr/n). The threshold is the k-th largest calibration score with k = ⌊fpr·(n + 1)⌋, so that
    ``score > threshold`` exactly where ``conformal_p_values(score) <= fpr``, ties included.

    Raises `CalibrationError` where n cannot certify *fpr*, naming the n that would.
    Vovk, Gammerman and Shafer 2005.

    >>> fpr_threshold(range(1, 100), 0.05)  # 99 non-members; the 5th largest
    95.0
    >>> fpr_threshold(range(10), 0.05)
    Traceback (most recent call last):
    llm_mia.errors.CalibrationError: 10 non-members cannot certify FPR ≤ 0.05: at least 19 are needed
    """
    known = _sorted_finite(calibration)
    n = len(known)
    needed = nonmembers_needed(fpr)
    if n < needed:
        raise CalibrationError(f"{n} non-members cannot certify FPR ≤ {fpr:g}: at least {needed} are needed")
    # ⌊fpr·(n + 1)⌋ asked of the quotient that a p-value is: 0.29 · 100 is 28.999999999999996, but 29 / 100 is 0.29.
    k = math.floor(fpr * (n + 1))
    if (k + 1) / (n + 1) <= fpr:
        k += 1
    elif k / (n + 1) > fpr:
        k -= 1
    return float(known[n - k])


def nonmembers_needed(fpr: float) -> int:
    """With fewer non-members than this no p-value reaches *fpr*, so none can be flagged: ⌈1/fpr⌉ − 1.

    Raises `CalibrationError` where *fpr* lies outside (0, 1).

    >>> [nonmembers_needed(fpr) for fpr in (0.05, 0.01, 0.001)]
    [19, 99, 999]
    """
    _check_rate("FPR", fpr)
    n = math.ceil(1 / Fraction(fpr)) - 1
    return n - 1 if 1 / n <= fpr else n  # 1/3 as a double lies below a third, yet the p-value 1/3 equals it


def fpr_bound(n: int, fpr: float, confidence: float = 0.95) -> float:
    """With *confidence* over the draw of n independent non-members, their `fpr_threshold` realises this rate at most.

    The marginal guarantee is an average over calibration sets; a single one can be unlucky. The rate that the k-th
    largest of n scores realises follows Beta(k, n + 1 - k), k = ⌊fpr (n + 1)⌋, exactly where scores are continuous,
    and lies below that where they tie.

    Raises `CalibrationError` where n can't certify *fpr*. Vovk 2012, "Conditional validity of inductive conformal
    predictors", proposition 2a.

    >>> round(fpr_bound(99, 0.05), 3), round(fpr_bound(999, 0.05), 3)
    (0.09, 0.062)
    """
    from scipy.special import betaincinv

    if n < nonmembers_needed(fpr):
        raise CalibrationError(
            f"{n} non-members cannot certify FPR ≤ {fpr:g}: at least {nonmembers_needed(fpr)} are needed"
        )
    k = math.floor(_twelve_digits(fpr * (n + 1)))
    return float(betaincinv(k, n + 1 - k, confidence))


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Taking every q-value ≤ q keeps the expected share of non-members among those taken at q·(their share) or less.

    Holds for p-values that are independent or positively dependent (PRDS); conformal p-values that share one
    calibration set are PRDS (Bates et al. 2023, arXiv:2104.08279, Theorem 2). Over dependent candidates, such as
    passages of one document, it isn't proven.

    *p_values* has shape (m,); returns the adjusted ones in the same order: q ≤ fdr exactly where the step-up
    procedure at level fdr rejects. NaN stays NaN and doesn't count towards m.

    Raises `CalibrationError` where a p-value lies outside [0, 1]. Benjamini and Hochberg 1995.

    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.5]).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    given = np.asarray(p_values, dtype=np.float64)
    q_values = np.full(given.shape, np.nan)
    known = np.flatnonzero(~np.isnan(given))
    outside = int(np.sum((given[known] < 0) | (given[known] > 1)))
    if outside:
        raise CalibrationError(f"{outside} p-values lie outside 0..1")
    order = known[np.argsort(given[known], kind="stable")]
    m = len(order)
    stepped = given[order] * m / np.arange(1, m + 1)
    # 0.05 · 3 / 3 is 0.05000000000000001: unrounded, three candidates above all of 19 non-members would be lost.
    rounded = np.array([_twelve_digits(q) for q in stepped])
    q_values[order] = np.minimum.accumulate(rounded[::-1])[::-1]
    return q_values


def fdr_floor(n: int, m: int, fdr: float) -> int:
    """Fewer than this many of *m* candidates are never discovered by `benjamini_hochberg` with *n* non-members.

    The least p-value is 1/(n + 1), so k candidates are discovered together only where k·fdr/m ≥ 1/(n + 1).
    1 means that a lone member can be found, which takes n ≥ m/fdr − 1.

    Raises `CalibrationError` where even all *m* together could not, naming the n that would do.

    >>> fdr_floor(n=1999, m=100, fdr=0.05), fdr_floor(n=199, m=100, fdr=0.05)
    (1, 10)
    >>> fdr_floor(n=10, m=100, fdr=0.05)
    Traceback (most recent call last):
    llm_mia.errors.CalibrationError: 10 non-members cannot support a discovery at FDR ≤ 0.05: 19 are needed if all \
100 candidates were members, 1999 for a lone one
    """
    _check_rate("FDR", fdr)
    if n < 1 or m < 1:
        raise CalibrationError(f"an FDR needs non-members and candidates: there are {n} and {m}")
    together = max(1, math.ceil(_twelve_digits(m / (fdr * (n + 1)))))
    if together > m:
        lone = math.ceil(_twelve_digits(m / fdr)) - 1
        raise CalibrationError(
            f"{n} non-members cannot support a discovery at FDR ≤ {fdr:g}: {nonmembers_needed(fdr)} are needed "
            f"if all {m} candidates were members, {lone} for a lone one"
        )
    return together


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold and all it takes to check and re-apply it; made by `calibrate`, kept as ``calibration.json``."""

    attack: str
    """As the user named it, hyper-parameters included: ``min_k:k=0.1``."""
    fpr: float
    """The false positive rate asked for."""
    threshold: float
    """Scores strictly above it are flagged."""
    guarantee: str
    """What holds, in one sentence."""
    n: int
    """Known non-members calibrated on."""
    n_documents: int
    """Documents that these come from."""
    scores: tuple[float, ...]
    """Their scores, ascending."""
    calibrated_on: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: models, tokenizer and window rule behind the scores; empty for a foreign table."""
    schema_version: int = SCHEMA_VERSION
    """Version of the artefact."""

    def to_json(self) -> str:
        """The artefact's text; floats are written so that they are read back exactly."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Read what `to_json` wrote; refuse, in one line, whatever its own scores don't bear out.

        Raises `CalibrationError`: not JSON, another schema version, keys missing or unknown, figures that were edited.
        """
        document = _parsed(text, {each.name for each in fields(cls)})
        try:
            rebuilt = calibrate(
                np.asarray(document["scores"], dtype=np.float64),
                attack=str(document["attack"]),
                fpr=float(document["fpr"]),
                n_documents=int(document["n_documents"]),
                calibrated_on=dict(document["calibrated_on"]),
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise CalibrationError(f"not a calibration: {error}") from error
        for name, value in asdict(rebuilt).items():
            found = document[name]
            if (tuple(found) if name == "scores" else found) != value:
                what = (
                    "the scores are not ascending" if name == "scores" else f"{name} should be {value!r}, not {found!r}"
                )
                raise CalibrationError(f"the calibration was edited ({what}): calibrate again")
        return rebuilt


def calibrate(
    scores: ArrayLike,
    *,
    attack: str,
    fpr: float,
    n_documents: int,
    calibrated_on: Mapping[str, Any] | None = None,
) -> Calibration:
    """A new non-member exchangeable with the n scores is flagged with probability at most *fpr* (`fpr_threshold`).

    *scores* has shape (n,): known non-members that nothing else was chosen on. With several passages a document it
    is the documents that must be exchangeable, and n passages carry less than n independent ones would.

    Raises `CalibrationError` where there are no scores, NaN or infinite ones, all are equal, or n can't certify *fpr*.

    >>> calibration = calibrate([3.0, 1.0, 2.0], attack="loss", fpr=0.25, n_documents=3)
    >>> calibration.threshold, Calibration.from_json(calibration.to_json()) == calibration
    (3.0, True)
    """
    known = _sorted_finite(scores)
    n = len(known)
    threshold = fpr_threshold(known, fpr)
    if n > 1 and known[0] == known[-1]:
        raise CalibrationError(
            f"all {n} calibration scores equal {known[0]:g}: {attack} says nothing about these passages"
        )
    if not 1 <= n_documents <= n:
        raise CalibrationError(f"{n} calibration scores cannot come from {n_documents} documents")
    return Calibration(
        attack=attack,
        fpr=fpr,
        threshold=threshold,
        guarantee=MARGINAL,
        n=n,
        n_documents=n_documents,
        scores=tuple(known.tolist()),
        calibrated_on=dict(calibrated_on or {}),
    )


def _parsed(text: str, names: set[str]) -> dict[str, Any]:
    """The artefact as a dictionary of exactly these *names*, of this schema version."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CalibrationError(f"not a calibration: {error}") from error
    if not isinstance(document, dict):
        raise CalibrationError("not a calibration: no JSON object")
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise CalibrationError(f"calibration of schema version {version}, this is {SCHEMA_VERSION}: calibrate again")
    for problem, keys in (("lacks", names - document.keys()), ("has unknown", document.keys() - names)):
        if keys:
            raise CalibrationError(f"the calibration {problem} {', '.join(map(repr, sorted(keys)))}: calibrate again")
    return document


def _sorted_finite(calibration: ArrayLike) -> Floats:
    """Calibration scores ascending, shape (n,), n ≥ 1; `CalibrationError` otherwise."""
    known = np.asarray(calibration, dtype=np.float64)
    if known.ndim != 1:
        raise CalibrationError(f"calibration scores must be one list, not an array of shape {known.shape}")
    if len(known) == 0:
        raise CalibrationError("there are no calibration scores: known non-members are needed")
    bad = len(known) - int(np.isfinite(known).sum())
    if bad:
        raise CalibrationError(f"{bad} of {len(known)} calibration scores are NaN or infinite")
    return np.sort(known)


def _check_rate(name: str, rate: float) -> None:
    if not 0 < rate < 1:
        raise CalibrationError(f"{name} must lie between 0 and 1, both excluded: got {rate:g}")


def _twelve_digits(x: float) -> float:
    """*x* to twelve significant digits, so that equal ratios compare equal."""
    return float(f"{x:.12g}")
