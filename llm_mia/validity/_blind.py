"""Blind baselines: classifiers that never see the model, and how well they separate two sets of passages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..metrics import roc_points
from ..records import Note
from ._judging import auroc_check, few_arrangements, few_documents, permutations_for, rate_check
from ._sets import Contrast
from ._verdicts import Check, Verdict
from .counts import COUNTS, counts
from .folds import folds_by_document, most_folds
from .ngrams import tf_idf
from .permutation import LabelExchange, exchange_labels, fitted_test, placements, rate_test
from .rarity import RARITY, rarity

__all__ = [
    "CLASSIFIERS",
    "FEATURES",
    "BlindScores",
    "FitClassifiers",
    "TextFeatures",
    "blind_checks",
    "fit_classifiers",
    "rate_checks",
    "text_features",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

CLASSIFIERS = ("words", "counts")
FEATURES = (*COUNTS, *RARITY)
"""Names of the columns of `TextFeatures.counts`."""
_TPR_AT = (0.01, 0.05)
_HARDLY_DETECTABLE = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class TextFeatures:
    """Features of passages, computed without labels."""

    words: Any
    """Sparse, shape (rows, terms)."""
    counts: Floats
    """Shape (rows, `FEATURES`)."""
    row_of: Ints
    """The row of each passage, −1 for passages that are left out."""

    def of(self, rows: Ints, *names: str) -> Floats:
        """The counts *names* of the passages *rows*, shape (rows, names)."""
        return self.counts[self.row_of[rows]][:, [FEATURES.index(name) for name in names]]


def text_features(texts: list[str], documents: Ints, rows: Ints) -> TextFeatures:
    """Features of the passages *rows*; *documents* are the numbers of the documents of all passages."""
    row_of = np.full(len(texts), -1, dtype=np.intp)
    row_of[rows] = np.arange(len(rows))
    chosen = [texts[row] for row in rows]
    return TextFeatures(tf_idf(chosen), np.hstack([counts(chosen), rarity(chosen, documents[rows])]), row_of)


@dataclass(frozen=True, slots=True, eq=False)
class BlindScores:
    """Scores of the blind classifiers on two sets of passages, out of fold."""

    contrast: Contrast
    scores: Floats
    """Shape (n, `CLASSIFIERS`)."""
    labels: LabelExchange

    def placements(self, classifier: int) -> Floats:
        """The scores of a classifier, made comparable between folds."""
        return placements(self.scores[:, classifier], self.labels.labels, self.labels.folds)


def fit_classifiers(contrast: Contrast, features: TextFeatures, rng: np.random.Generator) -> BlindScores:
    """The scores of both classifiers, fitted without each fold of documents in turn; folds as many as possible."""
    n_folds = most_folds(contrast.labels, contrast.documents)
    folds = folds_by_document(contrast.labels, contrast.documents, n_folds, rng)
    labels = exchange_labels(contrast.labels, contrast.documents, folds)
    return BlindScores(contrast, _out_of_fold_scores(features, contrast, folds), labels)


FitClassifiers: TypeAlias = Callable[[Contrast, TextFeatures, np.random.Generator], BlindScores]
"""`fit_classifiers`, or a function that returns the same and remembers it."""


def blind_checks(
    family: str, blind: BlindScores, level: float, rng: np.random.Generator, *, few: Verdict, keep_roc: bool = False
) -> list[Check]:
    """The AUROC of both classifiers; the verdict is *few* where no AUROC could be significant.

    With *keep_roc* each check holds the points of its ROC.

    Where labels are independent of the texts, all are ``sound`` with a probability of about 1 − 2 · level
    (`fitted_test`), unless an AUROC of `_HARDLY_DETECTABLE` would not be significant.
    """
    results = fitted_test(blind.scores, blind.labels, level=level, permutations=permutations_for(level), rng=rng)
    checks = []
    for classifier, (name, result) in enumerate(zip(CLASSIFIERS, results, strict=True)):
        notes = (Note(f"{name}_classifier", {"critical": result.critical}),)
        scores = blind.placements(classifier)
        check = auroc_check(f"{family}_{name}_auroc", scores, blind.contrast, result, level, notes=notes)
        if keep_roc:
            check = replace(check, roc=roc_points(scores, blind.contrast.labels))
        if few_arrangements(blind.labels, level):
            check = replace(check, verdict=few, detectable=None, notes=(few_documents(blind.contrast, level),))
        elif few is not Verdict.SKIPPED and check.verdict is Verdict.SOUND and result.critical >= _HARDLY_DETECTABLE:
            hardly = Note("hardly_detectable", {"least": _HARDLY_DETECTABLE})
            check = replace(check, verdict=Verdict.DOUBTFUL, notes=(*notes, hardly))
        checks.append(check)
    return checks


def rate_checks(family: str, blind: BlindScores, level: float, rng: np.random.Generator) -> list[Check]:
    """The TPR of both classifiers at 1 and 5 % FPR.

    Where labels are independent of the texts, all are ``sound`` with a probability above 1 − 4 · level: a significant
    rate must also be large.
    """
    checks = []
    for classifier, name in enumerate(CLASSIFIERS):
        for fpr in _TPR_AT:
            scores, permutations = blind.scores[:, classifier], permutations_for(level)
            p_value = rate_test(scores, blind.labels, fpr, permutations=permutations, rng=rng)
            check_name = f"{family}_{name}_tpr_at_fpr_{fpr:g}"
            checks.append(rate_check(check_name, blind.placements(classifier), blind.contrast, fpr, p_value, level))
    return checks


def _out_of_fold_scores(features: TextFeatures, contrast: Contrast, folds: Ints) -> Floats:
    """Scores by classifiers that were fitted without the passage and its document; shape (n, `CLASSIFIERS`)."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    rows = features.row_of[contrast.rows]
    scores = np.empty((len(rows), len(CLASSIFIERS)))
    # Threads of trees this small mostly wait for each other: 80 s instead of 4 where other work shares the two cores.
    with threadpool_limits(limits=1):
        for fold in np.unique(folds):
            out = folds == fold
            fit_rows, test_rows, fit_labels = rows[~out], rows[out], contrast.labels[~out]
            linear = LogisticRegression(C=10.0, max_iter=1000).fit(features.words[fit_rows], fit_labels)
            scores[out, 0] = linear.decision_function(features.words[test_rows])
            trees = HistGradientBoostingClassifier(
                max_iter=50, max_depth=3, min_samples_leaf=5, early_stopping=False, random_state=0
            )
            trees.fit(features.counts[fit_rows], fit_labels)
            scores[out, 1] = trees.decision_function(features.counts[test_rows])
    return scores
