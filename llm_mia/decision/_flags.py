"""What a decision is, and what flags by passage and by document have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..calibration import (
    CountBound,
    Method,
    benjamini_hochberg,
    benjamini_yekutieli,
    fdr_floor,
    flag_rank,
    member_count_bound,
    member_share,
)
from ..records import Interval, Note, Standing
from ._calibration import Calibration
from ._finding_record import Finding
from ._flag_rows import Flag, FlagRows, Reason
from ._notes import NoteKind
from ._rules import ErrorRate, QValueMethod, Rule, Unit

__all__ = [
    "NOT_VALIDATED",
    "CategoryFlags",
    "Flag",
    "Flags",
    "Reason",
    "bounds_of",
    "joint_standing",
    "limit_discoveries",
    "limited",
    "q_values_of",
]


NOT_VALIDATED = "not_validated"
"""What ``flags.csv`` and ``--json`` hold in place of a standing where nothing was checked."""


@dataclass(frozen=True, slots=True)
class CategoryFlags:
    """The decisions on the candidates of a category."""

    candidates: int
    flagged: int
    n: int
    """Known non-members that set its threshold."""
    threshold: float
    members: CountBound | None = None
    """At least so many of its candidates are members, with a confidence that holds for each category by itself; None
    where that has no bound."""


@dataclass(frozen=True, slots=True, repr=False)
class Flags:
    """The decisions on all candidates, and what they rest on."""

    rows: Sequence[Flag]
    calibration: Calibration
    rule: Rule
    """Which error rate is held."""
    notes: Sequence[Note]
    unit: Unit = Unit.PASSAGES
    """What a row is."""
    q_values: QValueMethod = QValueMethod.BENJAMINI_HOCHBERG
    n: int = 0
    """Known non-members compared with: passages or documents."""
    members: CountBound | None = None
    """At least so many candidates are members; None where that has no bound, and a note says why."""
    share: Interval | None = None
    """Their share among the candidates that `members` counts; only its lower end carries a guarantee."""
    standing: Standing | None = None
    """Of the known set; a void known set withholds every finding."""
    finding: Finding | None = None
    """Whether so many flags are improbable where no candidate was trained on; None where a note says why."""

    categories: Mapping[str, CategoryFlags] = field(default_factory=dict)
    """By name of the calibration's category; empty where there are none."""

    def __repr__(self) -> str:
        rule = f"{self.rule.rate} {self.rule.level:g}"
        return f"<Flags: {self.flagged:,} of {len(self.rows):,} {self.unit} by {self.calibration.attack}, {rule}>"

    @property
    def flagged(self) -> int:
        """How many candidates are flagged."""
        return int(self.rows_by_column.flagged.sum())

    @property
    def rows_by_column(self) -> FlagRows:
        """The decisions, of which no row is an object until it is wanted."""
        return FlagRows.of(self.rows)

    @property
    def by_chance(self) -> float | None:
        """At most so many flags are expected if no candidate is a member; None where an FDR is held.

        Where passages share documents, the rate holds on average over documents, and where large documents score
        higher, more passages are flagged. So the share of known non-members above the threshold counts there if it is
        above the rate: an estimate, and not a bound.
        """
        if self.rule.rate is not ErrorRate.FALSE_POSITIVES:
            return None
        level = self.rule.level
        if self.unit is Unit.PASSAGES and self.calibration.documents:
            level = max(level, self.calibration.share_above)
        return level * len(self.rows)

    @property
    def withheld(self) -> bool:
        """Whether the flags are stored but support no finding, because the known set is void or untestable."""
        return self.standing is not None and self.standing.withholds

    @property
    def significant(self) -> bool:
        """Whether there is a finding, and it is not withheld."""
        return self.finding is not None and self.finding.significant and not self.withheld

    def csv_blocks(self, beginnings: Iterable[str] | Mapping[str, str] | None = None) -> Iterator[str]:
        """The text of ``flags.csv`` in pieces; each row repeats the standing of the known set.

        So a copied row has it. *beginnings* are those of the texts, by id or in the order of the rows: they fill the
        column ``text``. The columns that the input gave come last.
        """
        rows = self.rows_by_column
        if isinstance(beginnings, Mapping):
            by_id = beginnings
            beginnings = None if by_id.keys().isdisjoint(rows.ids) else (by_id.get(name, "") for name in rows.ids)
        return rows.csv_blocks(str(self.standing or NOT_VALIDATED), beginnings)

    def to_csv(self, beginnings: Iterable[str] | Mapping[str, str] | None = None) -> str:
        """The text of ``flags.csv`` as a whole, see `csv_blocks`."""
        return "".join(self.csv_blocks(beginnings))


def joint_standing(*standings: Standing | None, accept_void: bool) -> Standing | None:
    """The standing of a decision, from that of its calibration and, last, that of its table.

    A standing that withholds holds wherever the known set goes. Any other holds only for the candidates that it was
    compared with: those of its table. So a table that was not checked is not validated, whatever its calibration is.

    >>> str(joint_standing(Standing.SOUND, Standing.VOID, accept_void=True))
    'accepted'
    >>> str(joint_standing(Standing.SOUND, None, accept_void=False))
    'None'
    """
    known = [standing for standing in standings if standing is not None]
    faulty = next((standing for standing in known if standing.withholds or standing is Standing.ACCEPTED), None)
    if faulty is not None:
        return Standing.ACCEPTED if accept_void else faulty
    return standings[-1]


def q_values_of(p_values: NDArray[np.float64], *, any_dependence: bool) -> tuple[NDArray[np.float64], QValueMethod]:
    """q-values, and how they were computed: by Benjamini and Yekutieli where p-values may depend in any way."""
    if any_dependence:
        return benjamini_yekutieli(p_values), QValueMethod.BENJAMINI_YEKUTIELI
    return benjamini_hochberg(p_values), QValueMethod.BENJAMINI_HOCHBERG


def bounds_of(
    scores: ArrayLike,
    known: ArrayLike,
    p_values: NDArray[np.float64],
    calibration: Calibration,
    rule: Rule,
    risk: float,
) -> tuple[CountBound, Interval]:
    """At least so many of the candidates are members with confidence 1 − *risk*, and their share.

    The local test is that of the finding: the count of flags, or Simes' test where an FDR is held. So the bound is
    above 0 exactly where the finding is significant at *risk*. Of a single candidate it is the p-value, which Simes'
    test is, where the count alone could never be significant.
    """
    n, level = np.size(known), calibration.fpr
    if calibration.confidence is not None:
        level = flag_rank(n, calibration.fpr, calibration.confidence) / (n + 1)
    by_count = rule.rate is ErrorRate.FALSE_POSITIVES and (len(p_values) > 1 or level <= risk)
    method: Method = "count" if by_count else "simes"
    members = member_count_bound(scores, known, 1 - risk, method=method, level=level)
    share = member_share(p_values, members.n, confidence=1 - risk, level=level)
    low = members.members / members.candidates
    return members, Interval(max(share.value, low), low, 1.0, 1 - risk)


def limited(
    members: CountBound | None, share: Interval | None, finding: Finding | None
) -> tuple[CountBound | None, Interval | None]:
    """The bound on the number of members, 0 where there is no finding.

    The bound takes chance alone into account, so another model may explain all flags although it is above 0.
    """
    if members is None or share is None or finding is None or finding.significant:
        return members, share
    none = replace(members, members=0, steps=np.full_like(members.steps, members.candidates + 1))
    return none, replace(share, low=0.0)


def limit_discoveries(
    n: int, p_values: NDArray[np.float64], fdr: float, method: QValueMethod, unit: Unit
) -> list[Note]:
    """A note where a small number of discoveries is impossible with *n* non-members, or documents, compared with.

    Raises:
        CalibrationError: no discovery at all is possible.
    """
    m = max(1, int(np.isfinite(p_values).sum()))
    kind = "non-members" if unit is Unit.PASSAGES else "documents of non-members"
    least = fdr_floor(n, m, fdr, any_dependence=method is QValueMethod.BENJAMINI_YEKUTIELI, unit=kind)
    figures = {"n": n, "unit": unit.value, "least": least}
    return [Note(NoteKind.DISCOVERIES_LIMITED, figures)] if least > 1 else []
