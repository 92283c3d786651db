"""The reference model put to the test: what it separates is no membership, what it knows by heart hides it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..records import Interval
from ._judging import REFERENCE as LEVEL, Rule
from ._material import MEMBER, NON_MEMBER, Contrast, Material, listed
from ._scores import REFERENCE, Column, given_check, ordered
from ._verdicts import Check, Verdict

__all__ = ["reference_checks"]

Floats = NDArray[np.float64]

_OUTLYING = 5.0  # robust standard deviations above what the compressed size lets expect
_MOST_OUTLYING = 0.01
_FEWEST = 30

_WHY = "What a reference model trained on neither class separates is difficulty, or else it was trained on one."
_MEND = "Take members and non-members of equal difficulty, or a reference model that was trained on neither."
_WHY_FLOOR = "What the reference model separates as well is no sign of training on the members."
_WHY_HEART = "A passage that the reference model knows by heart hides membership: the target can hardly know it better."
_MEND_HEART = "Take a reference model trained before, or without, the passages named, or leave these out."


def reference_checks(
    table: dict[str, Column], contrast: Contrast, material: Material, rng: np.random.Generator
) -> list[Check]:
    """The reference model used as the target: it can't know the members, so whatever it separates isn't membership.

    Where it separates them its AUROC is a floor, and what each attack has above it is given beside it. Then the share
    of passages that it knows far better than their compressed size lets expect.
    """
    if REFERENCE not in table:
        return []
    rule = Rule(LEVEL, _WHY, _MEND)
    check = given_check("reference_as_target", table[REFERENCE], contrast, material, rule, rng)
    found = [check]
    if check.verdict in ("doubtful", "void") and isinstance(check.figure, Interval):
        floor = check.figure.value
        found += [_above(name, table[name], contrast, floor) for name in table if name != REFERENCE]
    return [*found, _known_too_well(table[REFERENCE].values, material)]


def _above(name: str, column: Column, contrast: Contrast, floor: float) -> Check:
    named = f"{name.replace(' ', '_')}_above_reference"
    if not {MEMBER, NON_MEMBER} <= set(column.roles):
        return Check(named, None, "skipped", _WHY_FLOOR, _MEND, None, "not given for both members and non-members")
    values = ordered(column.values[contrast.rows])
    own = metrics.auroc(values, contrast.labels.astype(int), documents=contrast.names).value
    seen = f"AUROC {own:.3f} less the reference's {floor:.3f}"
    return Check(named, own - floor, "doubtful", _WHY_FLOOR, _MEND, None, seen)


def _known_too_well(column: Floats, material: Material) -> Check:
    """Share of passages whose reference log-likelihood lies far above a line through the bits that zlib takes."""
    name = "reference_known_text"
    rows = np.flatnonzero(np.isfinite(column))
    if len(rows) < _FEWEST:
        return Check(
            name, None, "skipped", _WHY_HEART, _MEND_HEART, None, f"{len(rows)} finite scores: {_FEWEST} are needed"
        )
    beyond = _beyond(column[rows], [material.texts[row] for row in rows])
    hit = rows[beyond > _OUTLYING]
    share = len(hit) / len(rows)
    verdict: Verdict = "doubtful" if share > _MOST_OUTLYING else "sound"
    return Check(name, share, verdict, _WHY_HEART, _MEND_HEART, None, listed(material.ids(hit)))


def _beyond(scores: Floats, texts: Sequence[str]) -> Floats:
    """Residuals from the expectation, in robust standard deviations; 0 where there is no spread."""
    sizes = np.array([(len(text.encode()), len(zlib.compress(text.encode()))) for text in texts], dtype=np.float64)
    sizes[:, 0] = np.maximum(1, sizes[:, 0])
    # The header of zlib weighs on short texts: hence one over the length beside the rate.
    features = np.stack([np.ones(len(scores)), sizes[:, 1] / sizes[:, 0], 1 / sizes[:, 0]], axis=1)
    kept = np.ones(len(scores), dtype=bool)
    for _ in range(5):  # least squares, again without what lies far out
        line = np.linalg.lstsq(features[kept], scores[kept], rcond=None)[0]
        away = scores - features @ line
        spread = 1.4826 * float(np.median(np.abs(away - np.median(away))))
        if spread <= 1e-9 * max(1.0, float(np.abs(scores).max())):
            return np.zeros(len(scores))
        kept = np.abs(away) <= 3 * spread
    return np.asarray((away - np.median(away)) / spread)
