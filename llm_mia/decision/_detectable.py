"""How many of the candidates would have to be members for a decision to be a finding."""

from __future__ import annotations

from ..calibration import detectable_members, flag_rank
from ._finding_record import FindingTest
from ._flags import Flags
from ._rules import ErrorRate

__all__ = ["DETECTED", "members_detected"]

DETECTED = 0.8
"""How often a finding is to come."""


def members_detected(flags: Flags, power: float) -> int | None:
    """The least number of members among the candidates with which these would be a finding, `DETECTED` of the time.

    It holds if each member is flagged with probability *power* (`llm_mia.calibration.detectable_members`), and counts
    chance alone: a comparison with other models asks for more. None where not even all candidates would be enough, and
    where it cannot be computed: without a finding's test, where passages share documents, where a false discovery rate
    is held, and with categories.
    """
    finding, calibration = flags.finding, flags.calibration
    if finding is None or finding.test is not FindingTest.COUNT or calibration.categories:
        return None
    if flags.rule.rate is not ErrorRate.FALSE_POSITIVES:
        return None
    rank = flag_rank(finding.nonmembers, calibration.fpr, calibration.confidence)
    return detectable_members(finding.candidates, rank, finding.nonmembers, power, finding.allowed, chance=DETECTED)
