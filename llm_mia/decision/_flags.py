"""What a decision is, and what flags by passage and by document have in common."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..calibration import CountBound, benjamini_hochberg, benjamini_yekutieli, fdr_floor
from ..errors import CalibrationError
from ..records import Interval, Standing
from ._calibration import Calibration

__all__ = [
    "ACCEPTED",
    "VOID",
    "Flag",
    "Flags",
    "Unit",
    "discoveries",
    "false_discovery_rule",
    "standing_words",
    "verdict",
]

Unit: TypeAlias = Literal["passages", "documents"]

VOID = "void"
ACCEPTED = "void, accepted by the user"
HOCHBERG, YEKUTIELI = "Benjamini–Hochberg", "Benjamini–Yekutieli"


@dataclass(frozen=True, slots=True)
class Flag:
    """The decision on one passage (or document), a row of ``flags.csv``."""

    id: str
    document: str
    attack: str
    score: float | None
    """None where it has none; of a document the mean of its passages."""
    p_value: float | None
    q_value: float | None
    flagged: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Flags:
    """The decisions on all candidates, and what they rest on."""

    rows: Sequence[Flag]
    calibration: Calibration
    rule: str
    """What was controlled: ``FPR ≤ 5 %`` or ``FDR ≤ 10 %``."""
    notes: Sequence[str]
    unit: Unit = "passages"
    """What a row is."""
    q_values: str = HOCHBERG
    """How the q-values were made."""
    n: int = 0
    """Known non-members compared with: passages or documents."""
    members: CountBound | None = None
    """At least so many candidates are members; None where that can't be told, and a note says why."""
    share: Interval | None = None
    """Their share among the candidates that `members` speaks of; only its lower end carries a guarantee."""
    validity: str = ""
    """What was said of the known set; ``void`` withholds every finding."""

    @property
    def flagged(self) -> int:
        """How many candidates are flagged."""
        return sum(row.flagged for row in self.rows)

    @property
    def by_chance(self) -> float | None:
        """At most this many flags are expected were no candidate a member; None where an FDR was controlled."""
        return self.calibration.fpr * len(self.rows) if self.rule.startswith("FPR") else None

    @property
    def withheld(self) -> bool:
        """Whether the flags are kept but mean nothing: the known set is void."""
        return self.validity == VOID

    def to_csv(self) -> str:
        """The text of ``flags.csv``."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Flag.__slots__)
        for row in self.rows:
            writer.writerow(_cell(getattr(row, name)) for name in Flag.__slots__)
        return text.getvalue()


def standing_words(standing: Standing | None) -> str:
    """A standing as artefacts have it; empty where nothing was checked."""
    return "" if standing is None else ACCEPTED if standing is Standing.ACCEPTED else standing.value


def verdict(*said: str, accept_void: bool) -> str:
    """What holds where several were said of one known set: the first that is void, or else the first.

    >>> verdict("", "void", accept_void=True), verdict("doubtful", "", accept_void=False)
    ('void, accepted by the user', 'doubtful')
    """
    void = next((one for one in said if one.startswith(VOID)), "")
    if void:
        return ACCEPTED if accept_void else void
    return next((one for one in said if one), "")


def false_discovery_rule(p_values: NDArray[np.float64], *, any_dependence: bool) -> tuple[NDArray[np.float64], str]:
    """q-values, and how they were made: by Benjamini and Yekutieli where p-values needn't be positively dependent."""
    if any_dependence:
        return benjamini_yekutieli(p_values), YEKUTIELI
    return benjamini_hochberg(p_values), HOCHBERG


def discoveries(n: int, p_values: NDArray[np.float64], fdr: float, how: str, of: str = "non-members") -> list[str]:
    """A note where few discoveries are out of reach; `CalibrationError` where all are."""
    m = max(1, int(np.isfinite(p_values).sum()))
    if how == HOCHBERG:
        least = fdr_floor(n, m, fdr)
    else:
        price = math.fsum(1 / j for j in range(1, m + 1))
        least = max(1, math.ceil(m * price / (fdr * (n + 1)) - 1e-9))
        if least > m:
            raise CalibrationError(
                f"{n} {of} cannot support a discovery at FDR ≤ {fdr:g} by {how}: {math.ceil(price / fdr - 1e-9) - 1} "
                f"are needed if all {m} candidates were members"
            )
    return [f"{n} {of} can't support fewer than {least} discoveries at this FDR"] if least > 1 else []


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else value
