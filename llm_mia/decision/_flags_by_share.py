"""How many flags to expect if a share of the candidates was trained on: what this audit could have shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..records import Interval
from ._flags import Flags
from ._rules import ErrorRate, Unit

__all__ = ["FlagsByShare", "flags_by_share"]

Floats = NDArray[np.float64]
POINTS = 21


@dataclass(frozen=True, slots=True, eq=False)
class FlagsByShare:
    """The expected number of flags, by the share of the candidates that was trained on; arrays of shape (shares,)."""

    shares: Floats
    """From 0 to 1."""
    expected: Floats
    low: Floats
    """The expected number at the lower end of the interval of the power: no range of the numbers that may be seen."""
    high: Floats
    """Likewise, at the upper end."""
    by_chance: float
    """At most so many where no candidate was trained on, by the rule; `expected` may begin below it."""
    candidates: int
    """As many as the finding compares; without a finding those that have a score."""
    flagged: int
    """Flags among them: by the threshold of the finding, which an exchange of documents sets again among the passages
    that it compares."""
    least: int | None
    """The fewest flags that chance alone does not explain (`Finding.least`)."""
    crossing: Interval | None
    """The share at which so many are expected, by the power and the ends of its interval; its upper end is infinite
    where the lower end of the power gives so many at no share. None without `least`, or where no share gives so
    many."""


def flags_by_share(flags: Flags, power: Interval) -> FlagsByShare:
    """The flags to expect if a share of the candidates was trained on, and the least share that would show.

    If candidates that were trained on are flagged as often as the known members (*power*), and the others as often as
    the threshold flags new non-members, then of m candidates m·(share·power + (1 − share)·rate) are flagged on average.
    The rate is the largest p-value of a score above the threshold: with a confidence it is far below the promised rate,
    which would count flags that do not come. At the crossing the average is the fewest that chance alone does not
    explain: with a larger share so many come more often than not, with a smaller less often. A finding needs the
    comparisons with other models too, so its share may be larger. The curve is silent on texts that the model remembers
    less well than the known members.

    Args:
        flags: the decision, at a false positive rate.
        power: the share of known members that is flagged.

    Raises:
        UsageError: a false discovery rate is held, which fixes no rate of flags; or no candidate has a score.
    """
    if flags.rule.rate is not ErrorRate.FALSE_POSITIVES:
        raise UsageError("a false discovery rate is held, so no rate of flags is fixed")
    finding, rate = flags.finding, _rate(flags)
    m = len(flags.rows) - flags.rows_by_column.unscored if finding is None else finding.candidates
    if not m:
        raise UsageError("no candidate has a score")
    shares = np.linspace(0, 1, POINTS)
    expected, low, high = (m * (shares * each + (1 - shares) * rate) for each in (power.value, power.low, power.high))
    least = None if finding is None else finding.least
    return FlagsByShare(
        shares=shares,
        expected=expected,
        low=low,
        high=high,
        by_chance=m * flags.rule.level,
        candidates=m,
        flagged=flags.flagged if finding is None else finding.flagged,
        least=least,
        crossing=None if least is None else _crossing(least / m, power, rate),
    )


def _rate(flags: Flags) -> float:
    """The probability with which a candidate that was not trained on is flagged, as far as the scores show it.

    It is k / (n + 1) where the threshold is the k-th highest of n scores without ties. Of categories it is the mean by
    their candidates. Documents have no threshold of their own, so for them it is the rate of the rule.
    """
    calibration = flags.calibration
    if flags.unit is Unit.DOCUMENTS:
        return flags.rule.level
    if not calibration.categories:
        above = np.nextafter([calibration.threshold], np.inf)
        return min(flags.rule.level, float(calibration.p_values(above)[0]))
    names = list(flags.categories)
    above = np.nextafter([flags.categories[name].threshold for name in names], np.inf)
    rates = np.array([calibration.categories[name].p_values(above[[at]])[0] for at, name in enumerate(names)])
    return min(
        flags.rule.level, float(np.average(rates, weights=[flags.categories[name].candidates for name in names]))
    )


def _crossing(wanted: float, power: Interval, rate: float) -> Interval | None:
    """The share at which the rate of flags is *wanted*, at the power and at both ends of its interval."""

    def share_at(of_members: float) -> float:
        if wanted <= rate:
            return 0.0
        share = (wanted - rate) / (of_members - rate) if of_members > rate else np.inf
        return float(share) if share <= 1 else np.inf

    value = share_at(power.value)
    if not np.isfinite(value):
        return None
    return Interval(value, share_at(power.high), share_at(power.low), power.confidence)
