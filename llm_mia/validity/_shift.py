"""Whether the candidates look as if they could have stood among the non-members."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._blind import Fit, Tables, blind_checks, told
from ._counts import COUNTS
from ._folds import most_folds
from ._judging import SHIFT, Rule, times
from ._material import Contrast, Material
from ._permutation import Exchange, exchange
from ._scores import REFERENCE, Column, given_check
from ._verdicts import Check, Verdict

__all__ = ["kolmogorov_smirnov", "shift_checks"]

Floats = NDArray[np.float64]

_WHY = (
    "An error rate holds for candidates that could have stood among the non-members, not where they can be told apart."
)
_MEND = (
    "Take non-members of the candidates' own source, period, style and length, or decide on fewer, similar candidates."
)
_FAR = 0.3


def shift_checks(
    contrast: Contrast,
    features: Tables,
    given: dict[str, Column],
    material: Material,
    rng: np.random.Generator,
    fit: Fit = told,
) -> list[Check]:
    """Candidates from the non-members' source: all ``sound`` with probability at least 0.99, about.

    Candidates may hold members, so scores of the target may differ rightly; texts and the reference model's scores may
    not.
    """
    with_reference = REFERENCE in given
    rule = Rule(SHIFT / (4 if with_reference else 3), _WHY, _MEND)
    if most_folds(contrast.labels, contrast.documents) < 2:
        seen = "all candidates come from one document: its topic can't be told from a shift"
        found = [Check("shift_words_auroc", None, "doubtful", _WHY, _MEND, None, seen)]
    else:
        found = blind_checks("shift", fit(contrast, features, rng), rule, rng)
    lengths = features.counts[features.place[contrast.rows], COUNTS.index("bytes")]
    found.append(_lengths(lengths, contrast, rule, rng))
    if with_reference:
        found.append(given_check("shift_reference_auroc", given[REFERENCE], contrast, material, rule, rng))
    return found


def _lengths(lengths: Floats, contrast: Contrast, rule: Rule, rng: np.random.Generator) -> Check:
    labels = exchange(contrast.labels, contrast.documents)
    distance, p_value = kolmogorov_smirnov(lengths, labels, times(rule.level), rng)
    verdict: Verdict = "sound" if p_value > rule.level else "void" if distance >= _FAR else "doubtful"
    seen = "largest distance between the distributions of the lengths in bytes (Kolmogorov–Smirnov)"
    return Check("shift_bytes", distance, verdict, rule.why, rule.mend, p_value, seen)


def kolmogorov_smirnov(values: Floats, labels: Exchange, times: int, rng: np.random.Generator) -> tuple[float, float]:
    """Under labels exchangeable over documents P(p ≤ u) ≤ u exactly: largest distance of two distributions, and its p.

    *values* has shape (n,); p = (1 + #)/(times + 1) over *times* arrangements of the labels.

    >>> labels = exchange(np.array([1, 1, 0, 0], bool), np.arange(4))
    >>> kolmogorov_smirnov(np.array([1.0, 3.0, 2.0, 4.0]), labels, 9, np.random.default_rng(0))[0]
    0.5
    """
    order = np.argsort(values, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(values[order]) > 0, True))

    def distances(members: NDArray[np.float32]) -> Floats:
        ones = np.cumsum(members[:, order], axis=1, dtype=np.float64)[:, ends]
        total = ones[:, -1:]
        rest = (1 + ends) - ones
        return np.asarray(np.abs(ones / total - rest / (len(values) - total)).max(axis=1))

    seen = float(distances(labels.labels[None, :].astype(np.float32))[0])
    drawn = np.concatenate([distances(block) for block in labels.draws(times, rng)])
    return seen, float((1 + (drawn >= seen - 1e-12).sum()) / (times + 1))
