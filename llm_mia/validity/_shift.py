"""Checks of whether the candidates could have been drawn as non-members."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..records import Note
from ._blind import FitClassifiers, TextFeatures, blind_checks
from ._judging import SHIFT, permutations_for
from ._scores import REFERENCE, Column, separation_check
from ._sets import Contrast, PassageSets
from ._verdicts import Check, Verdict
from .counts import COUNTS
from .folds import most_folds
from .permutation import exchange_labels, kolmogorov_smirnov

__all__ = ["shift_checks"]

Floats = NDArray[np.float64]

_VOID_DISTANCE = 0.3


def shift_checks(
    contrast: Contrast,
    features: TextFeatures,
    columns: dict[str, Column],
    sets: PassageSets,
    rng: np.random.Generator,
    fit: FitClassifiers,
) -> list[Check]:
    """Candidates against non-members: texts, lengths, and the reference model's scores.

    If candidates come from the source of the non-members, all are ``sound`` with a probability of at least about 0.99.
    Candidates may include members, so scores of the target may differ; texts and scores of the reference must not.
    """
    with_reference = REFERENCE in columns
    level = SHIFT / (4 if with_reference else 3)
    if most_folds(contrast.labels, contrast.documents) < 2:
        checks = [Check("shift_words_auroc", None, Verdict.DOUBTFUL, None, (Note("single_document", {}),))]
    else:
        checks = blind_checks("shift", fit(contrast, features, rng), level, rng)
    lengths = features.counts[features.row_of[contrast.rows], COUNTS.index("bytes")]
    checks.append(_length_check(lengths, contrast, level, rng))
    if with_reference:
        checks.append(separation_check("shift_reference_auroc", columns[REFERENCE], contrast, sets, level, rng))
    return checks


def _length_check(lengths: Floats, contrast: Contrast, level: float, rng: np.random.Generator) -> Check:
    labels = exchange_labels(contrast.labels, contrast.documents)
    distance, p_value = kolmogorov_smirnov(lengths, labels, permutations_for(level), rng)
    verdict = Verdict.VOID if distance >= _VOID_DISTANCE else Verdict.DOUBTFUL
    if p_value > level:
        verdict = Verdict.SOUND
    return Check("shift_bytes", distance, verdict, p_value, (Note("length_distance", {}),))
