"""Checks of whether the candidates could have been drawn as non-members."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..records import Note
from ._blind import FitClassifiers, TextFeatures, blind_checks
from ._judging import Levels, permutations_for
from ._leaks import LEAKS, leak_checks
from ._sets import Contrast
from ._verdicts import Check, Verdict
from .folds import most_folds
from .permutation import exchange_labels, kolmogorov_smirnov

__all__ = ["shift_checks"]

Floats = NDArray[np.float64]

_VOID_DISTANCE = 0.3


def shift_checks(
    contrast: Contrast, features: TextFeatures, levels: Levels, rng: np.random.Generator, fit: FitClassifiers
) -> list[Check]:
    """The texts of candidates against those of non-members: classifiers, lengths, single properties.

    Few documents of candidates are doubtful and not untestable: of the candidates there may be no more.
    """
    level = levels.classifier
    if most_folds(contrast.labels, contrast.documents) < 2:
        checks = [Check("shift_words_auroc", None, Verdict.DOUBTFUL, notes=(Note("single_document", {}),))]
    else:
        checks = blind_checks("shift", fit(contrast, features, rng), level, rng, few=Verdict.DOUBTFUL)
    checks.append(_length_check(features.of(contrast.rows, "bytes")[:, 0], contrast, levels.lengths, rng))
    others = [leak for leak in LEAKS if leak != "bytes"]
    return [*checks, *leak_checks("shift", contrast, features, levels.single, rng, others)]


def _length_check(lengths: Floats, contrast: Contrast, level: float, rng: np.random.Generator) -> Check:
    labels = exchange_labels(contrast.labels, contrast.documents)
    distance, p_value = kolmogorov_smirnov(lengths, labels, permutations_for(level), rng)
    verdict = Verdict.VOID if distance >= _VOID_DISTANCE else Verdict.DOUBTFUL
    if p_value > level:
        verdict = Verdict.SOUND
    return Check("shift_bytes", distance, verdict, p_value, (Note("length_distance", {}),))
