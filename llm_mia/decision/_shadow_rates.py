"""How often each shadow model is flagged in the target's place, and whether the target is flagged more often."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..records import Interval
from ..scores import ScoreTable
from ._calibrating import calibration_part
from ._calibration import Calibration
from ._finding_record import ShadowRate, ShadowSpread
from ._thresholds import CalibrationScores, basis_of, set_thresholds

__all__ = ["further_model", "shadow_rates", "shadow_spread", "spread_of_models"]

FEWEST = 2
"""Models whose spread can be computed."""


def shadow_rates(table: ScoreTable, calibration: Calibration) -> tuple[ShadowRate, ...]:
    """The flags of each shadow in the target's place; the threshold is set without the rows of this shadow.

    A row without a score is not flagged. The part of the rows that fitted a stack is left out. Empty where no row of
    *table* is scored under a shadow.

    Args:
        table: with the column that *calibration* decides by.
        calibration: the rate and what decides.
    """
    if not table.places:
        return ()
    part = calibration_part(table, calibration)
    places, groups = np.array(part.places), np.array(part.groups(), dtype=object)
    scores, rates = part.column(calibration.attack), list[ShadowRate]()
    basis = replace(basis_of(calibration), notes=())
    for role in sorted({*part.places} - {""}):
        others = np.flatnonzero((places != role) & (places != "") & (part.labels == 0) & np.isfinite(scores))
        known = CalibrationScores.of(scores[others], groups[others].tolist())
        above = scores > set_thresholds(basis, known).threshold
        of_role = [(places == role) & (part.labels == label) for label in (0, 1)]
        counts = [int(count) for which in of_role for count in (which.sum(), (which & above).sum())]
        if counts[0]:
            rates.append(ShadowRate(role, *counts))
    return tuple(rates)


def shadow_spread(table: ScoreTable, calibration: Calibration) -> ShadowSpread | None:
    """The candidates' flags compared with those of the shadows in the target's place; None without such rows.

    What counts is the threshold of the false positive rate, whatever error rate decides.
    """
    rates = shadow_rates(table, calibration)
    if len(rates) < FEWEST:
        return None
    scores = table.column(calibration.attack)[table.rows(None)]
    finite = scores[np.isfinite(scores)]
    flagged, candidates = int((finite > calibration.threshold).sum()), len(finite)
    return ShadowSpread(spread_of_models(flagged, candidates, rates), flagged, candidates, rates)


def spread_of_models(flagged: int, candidates: int, rates: Sequence[ShadowRate]) -> float:
    """P(a further model has as many flags or more), if the target is exchangeable with the shadows and no member.

    The target is a single model, and models differ in how many of their non-members are flagged; passages that are
    compared under a single model share this difference. So K shadows are a sample of K models, and the target is a
    further model. Of each model, z is the normal quantile of the share of its non-members that is flagged,
    z = Φ⁻¹((flags + ½) / (n + 1)):

        t = (z_target − mean z) / (s · √(1 + 1/K)), with Student's distribution of K − 1 degrees of freedom

    This is exact where a model shifts all its scores by a normal amount, scores are normal, and each model has many
    passages. s² is never less than the variance of z that counts alone have, so shadows of which none is flagged give
    no infinite t. In simulations of 4 and 8 shadows, where models differ by up to half the spread of passages, a true
    null hypothesis was rejected at 0.05 with a probability of 0.05 at most, and without this test of up to 0.29. Where
    models differ as much as passages and the rate is 1 %, most shadows have no flag, their spread is not seen, and the
    probability was up to 0.09.

    >>> alike = [ShadowRate(f"shadow-{j:02}", 100, flags, 0, 0) for j, flags in enumerate((4, 6, 5, 5))]
    >>> round(spread_of_models(10, 200, alike), 2), round(spread_of_models(80, 200, alike), 4)
    (0.53, 0.0049)
    """
    from scipy.special import ndtr, ndtri, stdtr

    k = len(rates)
    flags, sizes = (np.array([getattr(each, name) for each in rates]) for name in ("flagged_nonmembers", "nonmembers"))
    z, of_target = ndtri((flags + 0.5) / (sizes + 1)), float(ndtri((flagged + 0.5) / (candidates + 1)))
    share, density = float(ndtr(z.mean())), math.exp(-(float(z.mean()) ** 2) / 2) / math.sqrt(2 * math.pi)
    variance = max(float(z.var(ddof=1)), share * (1 - share) / (float(sizes.mean()) * density**2))
    return float(stdtr(k - 1, -(of_target - float(z.mean())) / math.sqrt(variance * (1 + 1 / k))))


def further_model(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """The mean of a share over models, with the interval in which the share of a further model lies.

    The interval is Student's for a further value, mean ± t · s · √(1 + 1/K), cut to 0 … 1: exact for normal values. An
    interval of the mean would not serve: shadows that set each other's threshold have nearly the nominal rate on
    average, whatever the target does.

    >>> of_model = further_model([0.04, 0.06, 0.05, 0.05])
    >>> round(of_model.value, 3), round(of_model.low, 3), round(of_model.high, 3)
    (0.05, 0.021, 0.079)
    """
    from scipy.special import stdtrit

    array = np.asarray(values, dtype=np.float64)
    mean, k = float(array.mean()), len(array)
    if k < FEWEST:
        return Interval(mean, 0.0, 1.0, confidence)
    half = float(stdtrit(k - 1, (1 + confidence) / 2) * array.std(ddof=1)) * math.sqrt(1 + 1 / k)
    return Interval(mean, max(0.0, mean - half), min(1.0, mean + half), confidence)
