"""Checks by other models: if a model that cannot know two sets separates them, that difference is not membership."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..records import Note
from ._scores import Column, in_check_name, missing_scores_check, separation_checks
from ._sets import ROLES, Contrast, PassageSets
from ._verdicts import Check, Verdict
from ._wording import all_ids

__all__ = ["LIKELIHOOD", "OtherColumns", "is_reference", "known_text_checks", "other_checks", "was_compared"]

Floats = NDArray[np.float64]
OtherColumns = Mapping[str, Mapping[str, Column]]
"""Columns of scores, by role and attack."""

LIKELIHOOD = "loss"
"""The attack whose scores are the mean log-likelihood of each passage."""
_OUTLYING = 5.0  # robust standard deviations above the expectation from the compressed size
_MOST_OUTLYING = 0.01
_FEWEST = 30


def is_reference(role: str) -> bool:
    """Whether a role is that of a reference model, and not of the stand-in, which takes part in no score."""
    return role.startswith("reference")


def other_checks(
    others: OtherColumns, contrast: Contrast, sets: PassageSets, level: float, rng: np.random.Generator
) -> list[Check]:
    """The AUROC of each attack with each other model in the place of the target, between the sets of *contrast*.

    A model that cannot know the passages separates them only by what is not membership: by difficulty, style, damage.
    If the two sets do not differ, all checks are ``sound`` with probability at least 1 − *level*, exactly: the attacks
    of a model share a test, the models share the level. Passages that a model has not scored are left out.
    """
    first, second = (ROLES[sets.roles[contrast.rows[contrast.labels == label][0]]] for label in (True, False))
    checks = []
    for role, columns in others.items():
        named = {_check_name(role, first, attack): column for attack, column in columns.items()}
        checks += _checks_of_model(named, (first, second), contrast, level / len(others), rng)
    return checks


def was_compared(checks: Sequence[Check], others: OtherColumns, first: str) -> bool:
    """Whether another model compared the set *first* with the non-members."""
    names = {_check_name(role, first, attack) for role, columns in others.items() for attack in columns}
    return any(check.name in names and check.verdict is not Verdict.SKIPPED for check in checks)


def _check_name(role: str, first: str, attack: str) -> str:
    """The name of the check by the model of *role* and *attack*, of the set *first* against the non-members."""
    return f"{role}_{first}_{in_check_name(attack)}_auroc"


def known_text_checks(others: OtherColumns, sets: PassageSets) -> list[Check]:
    """Of each reference model: missing scores, and passages whose likelihood is far above that of similar passages."""
    checks = []
    for role, columns in others.items():
        if is_reference(role) and LIKELIHOOD in columns:
            checks.append(missing_scores_check(f"scores_{role}", columns[LIKELIHOOD], sets))
            checks.append(_known_text_check(f"{role}_known_text", columns[LIKELIHOOD].values, sets))
    return checks


def _checks_of_model(
    columns: Mapping[str, Column], names: tuple[str, str], contrast: Contrast, level: float, rng: np.random.Generator
) -> list[Check]:
    wanted = tuple(map(ROLES.index, names))
    given = {name: column for name, column in columns.items() if set(wanted) <= set(column.roles)}
    scored = np.ones(len(contrast.rows), dtype=bool)
    for column in given.values():
        values = column.values[contrast.rows]
        # A column without any score cannot be compared, and must not leave out the passages of the others.
        scored &= ~np.isnan(values) | np.isnan(values).all()
    left_out = int((~scored).sum())
    notes = (Note("left_out", {"count": left_out, "total": len(scored)}),) if left_out else ()
    kept = contrast.only(scored)
    whole = {name: column for name, column in given.items() if not np.isnan(column.values[kept.rows]).any()}
    checks = {check.name: check for check in separation_checks(whole, kept, level, rng, notes)}
    for name, column in columns.items():
        missing = [ROLES[role] for role in wanted if role not in column.roles]
        why = Note("not_given", {"sets": missing}) if missing else Note("no_scores", {})
        checks.setdefault(name, Check(name, None, Verdict.SKIPPED, notes=(why,)))
    return [checks[name] for name in columns]


def _known_text_check(name: str, scores: Floats, sets: PassageSets) -> Check:
    """The share of passages whose log-likelihood is far above a line through their compressed sizes."""
    rows = np.flatnonzero(np.isfinite(scores))
    if len(rows) < _FEWEST:
        few = Note("few_scores", {"scores": len(rows), "needed": _FEWEST})
        return Check(name, None, Verdict.SKIPPED, notes=(few,))
    residuals = _robust_residuals(scores[rows], [sets.texts[row] for row in rows])
    outlying = rows[residuals > _OUTLYING]
    share = len(outlying) / len(rows)
    verdict = Verdict.DOUBTFUL if share > _MOST_OUTLYING else Verdict.SOUND
    notes = (Note("passages", all_ids(sets.ids(outlying))),) if len(outlying) else ()
    return Check(name, share, verdict, notes=notes)


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
