"""Checks of the reference model: what it separates is not membership, and what it has memorised hides membership."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..records import Interval, Note
from ._judging import REFERENCE as LEVEL
from ._scores import REFERENCE, Column, missing_as_lowest, separation_check
from ._sets import MEMBER, NON_MEMBER, ROLES, Contrast, PassageSets
from ._verdicts import Check, Verdict
from ._wording import all_ids

__all__ = ["reference_checks"]

Floats = NDArray[np.float64]

_OUTLYING = 5.0  # robust standard deviations above the expectation from the compressed size
_MOST_OUTLYING = 0.01
_FEWEST = 30


def reference_checks(
    columns: dict[str, Column], contrast: Contrast, sets: PassageSets, rng: np.random.Generator
) -> list[Check]:
    """The reference model in place of the target: it does not know the members, so what it separates is not membership.

    Where it separates them, its AUROC is a floor, and a check for each attack has the AUROC above this floor. The last
    check is the share of passages whose likelihood is far above the expectation from their compressed size.
    """
    if REFERENCE not in columns:
        return []
    as_target = separation_check("reference_as_target", columns[REFERENCE], contrast, sets, LEVEL, rng)
    checks = [as_target]
    if as_target.verdict in (Verdict.DOUBTFUL, Verdict.VOID) and isinstance(as_target.figure, Interval):
        floor = as_target.figure.value
        checks += [_above_floor(name, columns[name], contrast, floor) for name in columns if name != REFERENCE]
    return [*checks, _memorised_check(columns[REFERENCE].values, sets)]


def _above_floor(attack: str, column: Column, contrast: Contrast, floor: float) -> Check:
    name = f"{attack.replace(' ', '_')}_above_reference"
    missing = [ROLES[role] for role in (MEMBER, NON_MEMBER) if role not in column.roles]
    if missing:
        return Check(name, None, Verdict.SKIPPED, None, (Note("not_given", {"sets": missing}),))
    values = missing_as_lowest(column.values[contrast.rows])
    auroc = metrics.auroc(values, contrast.labels.astype(int), documents=contrast.names).value
    note = Note("above_floor", {"auroc": auroc, "floor": floor})
    return Check(name, auroc - floor, Verdict.DOUBTFUL, None, (note,))


def _memorised_check(scores: Floats, sets: PassageSets) -> Check:
    """The share of passages whose reference log-likelihood is far above a line through their compressed sizes."""
    name = "reference_known_text"
    rows = np.flatnonzero(np.isfinite(scores))
    if len(rows) < _FEWEST:
        few = Note("few_scores", {"scores": len(rows), "needed": _FEWEST})
        return Check(name, None, Verdict.SKIPPED, None, (few,))
    residuals = _robust_residuals(scores[rows], [sets.texts[row] for row in rows])
    outlying = rows[residuals > _OUTLYING]
    share = len(outlying) / len(rows)
    verdict = Verdict.DOUBTFUL if share > _MOST_OUTLYING else Verdict.SOUND
    notes = (Note("passages", all_ids(sets.ids(outlying))),) if len(outlying) else ()
    return Check(name, share, verdict, None, notes)


def _robust_residuals(scores: Floats, texts: Sequence[str]) -> Floats:
    """Residuals of *scores* from a fit on sizes, in robust standard deviations; 0 where there is no spread."""
    sizes = np.array([(len(text.encode()), len(zlib.compress(text.encode()))) for text in texts], dtype=np.float64)
    sizes[:, 0] = np.maximum(1, sizes[:, 0])
    # The header of zlib matters in short texts: hence 1 over the length as a feature besides the compression rate.
    features = np.stack([np.ones(len(scores)), sizes[:, 1] / sizes[:, 0], 1 / sizes[:, 0]], axis=1)
    kept = np.ones(len(scores), dtype=bool)
    for _ in range(5):  # least squares, repeated without outliers
        line = np.linalg.lstsq(features[kept], scores[kept], rcond=None)[0]
        residuals = scores - features @ line
        spread = 1.4826 * float(np.median(np.abs(residuals - np.median(residuals))))
        if spread <= 1e-9 * max(1.0, float(np.abs(scores).max())):
            return np.zeros(len(scores))
        kept = np.abs(residuals) <= 3 * spread
    return np.asarray((residuals - np.median(residuals)) / spread)
