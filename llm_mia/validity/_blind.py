"""Blind baselines: classifiers that never see the model, and what they make of two sets of passages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._counts import counts
from ._folds import by_document, most_folds
from ._judging import Rule, auroc_check, rate_check, times
from ._material import Contrast
from ._ngrams import tf_idf
from ._permutation import Exchange, exchange, fitted_test, placements, rate_test
from ._verdicts import Check, Verdict

__all__ = ["CLASSIFIERS", "Fit", "Tables", "Told", "blind_checks", "rate_checks", "tables", "told"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

CLASSIFIERS = ("words", "counts")
_TPR_AT = (0.01, 0.05)
_BARELY_SEES = 0.8
_WHY_SIGHT = (
    "A difference of the texts below this AUROC is not to be told from chance in so few, so it may well be there."
)
_MEND_SIGHT = "Add documents to both classes, first to the one that has fewer."
_WHAT = {
    "words": "words and characters (logistic regression)",
    "counts": "counts such as lengths and years (boosted shallow trees)",
}


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Features of the passages, made without labels."""

    words: Any
    """Sparse, (rows, terms)."""
    counts: Floats
    """(rows, columns of `counts`)."""
    place: Ints
    """The row of each passage, −1 for those left out."""


def tables(texts: list[str], rows: Ints) -> Tables:
    """Features of the passages *rows*."""
    place = np.full(len(texts), -1, dtype=np.intp)
    place[rows] = np.arange(len(rows))
    chosen = [texts[row] for row in rows]
    return Tables(tf_idf(chosen), counts(chosen), place)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What the blind classifiers say of two sets of passages, out of fold."""

    contrast: Contrast
    scores: Floats
    """Shape (n, `CLASSIFIERS`)."""
    labels: Exchange

    def placed(self, at: int) -> Floats:
        """The scores of one classifier, made comparable between folds."""
        return placements(self.scores[:, at], self.labels.labels, self.labels.folds)


def told(contrast: Contrast, features: Tables, rng: np.random.Generator) -> Told:
    """Both classifiers, fitted without each fold of documents in turn; as many folds as the documents allow."""
    folds = by_document(contrast.labels, contrast.documents, most_folds(contrast.labels, contrast.documents), rng)
    labels = exchange(contrast.labels, contrast.documents, folds)
    return Told(contrast, _out_of_fold(features, contrast, folds), labels)


Fit: TypeAlias = Callable[[Contrast, Tables, np.random.Generator], Told]
"""`told`, or what gives the same and remembers it."""


def blind_checks(family: str, found: Told, rule: Rule, rng: np.random.Generator, *, sight: bool = False) -> list[Check]:
    """AUROC of both classifiers; with *sight* also the least AUROC that would have been significant for both.

    Where labels say nothing of the text all are ``sound`` with probability 1 − 2 · level, about (`fitted_test`).
    """
    tests = fitted_test(found.scores, found.labels, level=rule.level, times=times(rule.level), rng=rng)
    checks = []
    for at, name in enumerate(CLASSIFIERS):
        seen = f"by {_WHAT[name]}; significant from {tests[at].critical:.3f}"
        named, placed = f"{family}_{name}_auroc", found.placed(at)
        checks.append(auroc_check(named, placed, found.contrast, found.labels, tests[at], rule, found=seen))
    if sight:
        least = max(tested.critical for tested in tests)
        verdict: Verdict = "doubtful" if least >= _BARELY_SEES else "sound"
        checks.append(Check(f"{family}_detectable_auroc", least, verdict, _WHY_SIGHT, _MEND_SIGHT))
    return checks


def rate_checks(family: str, found: Told, rule: Rule, rng: np.random.Generator) -> list[Check]:
    """TPR of both classifiers at 1 and 5 % FPR.

    Where labels say nothing of the text all are ``sound`` with probability above 1 − 4 · level: what is significant
    must also be large.
    """
    checks = []
    for at, name in enumerate(CLASSIFIERS):
        for fpr in _TPR_AT:
            p_value = rate_test(found.scores[:, at], found.labels, fpr, times=times(rule.level), rng=rng)
            named = f"{family}_{name}_tpr_at_fpr_{fpr:g}"
            checks.append(rate_check(named, found.placed(at), found.contrast, fpr, p_value, rule))
    return checks


def _out_of_fold(features: Tables, contrast: Contrast, folds: Ints) -> Floats:
    """What classifiers that saw neither a passage nor its document say of it; shape (n, `CLASSIFIERS`)."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    place = features.place[contrast.rows]
    scores = np.empty((len(place), len(CLASSIFIERS)))
    # Threads of trees this small mostly wait for one another: beside other work on two cores 80 s instead of 4.
    with threadpool_limits(limits=1):
        for fold in np.unique(folds):
            out = folds == fold
            learned, asked, taught = place[~out], place[out], contrast.labels[~out]
            linear = LogisticRegression(C=10.0, max_iter=1000).fit(features.words[learned], taught)
            scores[out, 0] = linear.decision_function(features.words[asked])
            trees = HistGradientBoostingClassifier(
                max_iter=50, max_depth=3, min_samples_leaf=5, early_stopping=False, random_state=0
            )
            scores[out, 1] = trees.fit(features.counts[learned], taught).decision_function(features.counts[asked])
    return scores
