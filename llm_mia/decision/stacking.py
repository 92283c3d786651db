"""Fits a stack: how much each column counts, from known members and known non-members of the fit part."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..calibration import split_by_document
from ..errors import CalibrationError
from ..records import number_by_name, values_at
from ..scores import ScoreTable
from .stack import Column, Floats, Stack, Training, Tree, features

__all__ = ["Lesson", "StackSettings", "boosted_trees", "complete_tree", "fit_stack"]

Bools = NDArray[np.bool_]
Fold: TypeAlias = tuple[NDArray[np.intp], NDArray[np.intp]]

ALIKE, BY_STRENGTH, STRONGEST = "alike", "by strength", "the strongest alone"
EXPONENTS: Mapping[str, float] = {ALIKE: 0.0, BY_STRENGTH: 1.0, STRONGEST: math.inf}
"""Columns are multiplied by their strength to this power before the regression."""
FEWEST_SCORED = 10
"""Scored passages of each class that a column needs to take part."""
SHARES = (0.0, 0.5)
"""Weights of the trees; never 1, because trees give whole ranges of passages the same score, and low rates lie beyond
their last step."""
RATE = 0.1
"""What the leaves of each tree are multiplied by."""


@dataclass(frozen=True, slots=True)
class StackSettings:
    """The forms that a stack may take, among which the log-loss out of fold chooses."""

    columns_enter: tuple[str, ...] = (ALIKE, BY_STRENGTH, STRONGEST)
    """Unchanged, in proportion to what each separates by itself, or the column that separates best."""
    costs: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 10.0)
    """Inverse weights of the penalty on squared coefficients."""
    folds: int = 5
    most_passages: int = 10_000
    """Passages fitted on at most: more of them improve a few dozen weights no further."""
    trees_from: int = 300
    """Documents of each class from which boosted trees are tried."""


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """The passages that a stack is fitted on; every array has shape (passages, …)."""

    features: Floats
    members: Bools
    documents: NDArray[np.intp]
    seed: int
    settings: StackSettings = field(default_factory=StackSettings)

    def part(self, rows: NDArray[np.intp]) -> Lesson:
        """Those *rows* of it."""
        return replace(self, features=self.features[rows], members=self.members[rows], documents=self.documents[rows])

    def folds(self) -> Iterator[Fold]:
        """Rows to fit on and rows to score, fold by fold: whole documents, those of each class in equal numbers."""
        share = np.bincount(self.documents, self.members) / np.bincount(self.documents)
        shuffled = np.random.default_rng(self.seed).permutation(len(share))
        kind = np.ceil(share) + np.floor(share)  # non-members' documents, of both, members'
        fold = np.empty(len(share), dtype=np.intp)
        fold[shuffled[np.argsort(kind[shuffled], kind="stable")]] = np.arange(len(share)) % self.settings.folds
        for each in range(self.settings.folds):
            left_out = fold[self.documents] == each
            yield np.flatnonzero(~left_out), np.flatnonzero(left_out)

    @property
    def balance(self) -> Floats:
        """Weights, 1 on average, with which all members together count as much as all non-members."""
        share = self.members.mean()
        return np.asarray(np.where(self.members, 0.5 / share, 0.5 / (1 - share)))


def fit_stack(table: ScoreTable, fit: Bools, seed: int, settings: StackSettings | None = None) -> Stack:
    """A stack that is fitted on the labelled passages where *fit*, shape (passages,), is true, and on no others.

    Every column is put on the scale of the fit part's non-members and squashed (`llm_mia.decision.stack.squashed`).
    A ridge-penalised logistic regression weighs the columns. The log-loss in five folds of whole documents chooses the
    penalty, whether columns enter in proportion to what they separate by themselves (as in the adaptive lasso, Zou
    2006) or only the best of them, and whether boosted trees of two levels take part, which are tried from 300
    documents of each class on. The result depends on neither the order of rows nor that of columns; the same *seed*
    gives the same stack.

    Raises:
        CalibrationError: no column has different scores for enough members and non-members.
    """
    from threadpoolctl import threadpool_limits

    settings = settings or StackSettings()
    names, rows = sorted(table.columns), _rows_in_order(table, _sampled(table, fit, seed, settings.most_passages))
    scores, members = {name: table.column(name)[rows] for name in names}, table.labels[rows] == 1
    scaled = [_scaled_column(name, scores[name], members) for name in names]
    columns = [column for column in scaled if column is not None]
    if not columns:
        raise CalibrationError(
            f"{table.name}: no column has different scores for {FEWEST_SCORED} members and {FEWEST_SCORED} "
            "non-members: score by other attacks"
        )
    inputs = np.column_stack(features(columns, [scores[column.name] for column in columns]))
    documents = number_by_name(table.groups().take(rows))[1].astype(np.intp)
    lesson = Lesson(inputs, members, documents, seed, settings)
    # A single thread: matrices this small make threads wait for each other, and sums keep their order.
    with threadpool_limits(limits=1):
        return _fitted(lesson, columns)


def _fitted(lesson: Lesson, columns: Sequence[Column]) -> Stack:
    folds = list(lesson.folds())
    tried = {
        form: _out_of_fold(lesson, folds, form)
        for form in product(lesson.settings.columns_enter, lesson.settings.costs)
    }
    losses = {form: _log_loss(scores, lesson) for form, scores in tried.items()}
    best = min(losses, key=lambda form: losses[form])
    losses_by_share = {0.0: losses[best]}
    if _documents_of_smaller_class(lesson) >= lesson.settings.trees_from:
        losses_by_share = _losses_with_trees(lesson, folds, tried[best])
    share = min(losses_by_share, key=lambda share: losses_by_share[share])
    trees = tuple(complete_tree(tree) for tree in boosted_trees(lesson).estimators_[:, 0]) if share > 0 else ()
    weights, intercept = _regression(lesson, *best)
    n = len(columns)
    return Stack(
        columns=tuple(
            replace(column, weight=float(weights[at]), absent=float(weights[n + at]))
            for at, column in enumerate(columns)
        ),
        intercept=intercept,
        trees=trees,
        share=share,
        training=_training(lesson, best, losses_by_share),
    )


def _losses_with_trees(lesson: Lesson, folds: Sequence[Fold], linear: Floats) -> dict[float, float]:
    """Log-loss out of fold by the weight of boosted trees."""
    boosted = np.empty(len(lesson.members))
    for kept, left_out in folds:
        boosted[left_out] = boosted_trees(lesson.part(kept)).decision_function(lesson.features[left_out])
    return {share: _log_loss((1 - share) * linear + share * boosted, lesson) for share in SHARES}


def _training(lesson: Lesson, form: tuple[str, float], losses_by_share: Mapping[float, float]) -> Training:
    import sklearn

    return Training(
        members=int(lesson.members.sum()),
        nonmembers=int((~lesson.members).sum()),
        documents=len(np.unique(lesson.documents)),
        seed=lesson.seed,
        columns_enter=form[0],
        cost=form[1],
        log_loss_by_share_of_trees={str(share): loss for share, loss in losses_by_share.items()},
        scikit_learn=sklearn.__version__,
    )


def _sampled(table: ScoreTable, fit: Bools, seed: int, most: int) -> NDArray[np.intp]:
    """The rows of the fit part; of a large fit part as many whole documents as hold about *most* passages."""
    rows = np.flatnonzero(fit)
    if len(rows) <= most:
        return rows
    kept = split_by_document(list(table.groups().take(rows)), most / len(rows), seed, table.labels[rows].tolist())
    return rows[kept]


def _rows_in_order(table: ScoreTable, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """The *rows* in an order that does not depend on their order in the table.

    Label and scores order two passages of the same id.
    """
    documents, ids, labels = table.groups().take(rows), values_at(table.ids, rows), table.labels[rows].tolist()
    # Each column is read once: of a large table few columns are in memory at the same time.
    scores = zip(*([repr(score) for score in table.columns[name][rows]] for name in sorted(table.columns)), strict=True)
    places = sorted(zip(documents, ids, labels, scores, range(len(rows)), strict=True))
    return rows[[place[-1] for place in places]]


def _scaled_column(name: str, scores: Floats, members: Bools) -> Column | None:
    """A column on the scale of the non-members; None where too few passages have a score, or all the same."""
    finite = np.isfinite(scores)
    if min((finite & members).sum(), (finite & ~members).sum()) < FEWEST_SCORED:
        return None
    low, centre, high = np.quantile(scores[finite & ~members], [0.16, 0.5, 0.84]).tolist()
    scale = (high - low) / 2 or float(scores[finite].std())
    return Column(name, centre, scale) if 0 < scale < np.inf else None


def _out_of_fold(lesson: Lesson, folds: Sequence[Fold], form: tuple[str, float]) -> Floats:
    """The score of each passage by a regression that was fitted on no passage of its document."""
    scores = np.empty(len(lesson.members))
    for kept, left_out in folds:
        weights, intercept = _regression(lesson.part(kept), *form)
        scores[left_out] = lesson.features[left_out] @ weights + intercept
    return scores


def _regression(lesson: Lesson, enter: str, cost: float) -> tuple[Floats, float]:
    """Coefficients, shape (features,), and intercept."""
    from sklearn.linear_model import LogisticRegression

    units = _strengths(lesson) ** EXPONENTS[enter]
    regression: Any = LogisticRegression(C=cost, solver="newton-cholesky", max_iter=1000)
    fitted = regression.fit(lesson.features * units, lesson.members, sample_weight=lesson.balance)
    return np.asarray(fitted.coef_[0] * units), float(fitted.intercept_[0])


def _strengths(lesson: Lesson) -> Floats:
    """Distance of the classes' means in standard deviations, relative to the largest distance; from 0 to 1."""
    members, others = lesson.features[lesson.members], lesson.features[~lesson.members]
    spread = np.sqrt((members.var(axis=0) + others.var(axis=0)) / 2)
    apart = np.abs(members.mean(axis=0) - others.mean(axis=0)) / np.where(spread > 0, spread, np.inf)
    return np.asarray(apart / apart.max()) if apart.max() > 0 else np.ones(len(apart))


def boosted_trees(lesson: Lesson) -> Any:
    """Boosted trees of two levels, fitted by scikit-learn on the lesson."""
    from sklearn.ensemble import GradientBoostingClassifier

    trees = GradientBoostingClassifier(
        n_estimators=100,
        learning_rate=RATE,
        max_depth=2,
        subsample=0.5,
        max_features="sqrt",
        min_samples_leaf=10,
        random_state=lesson.seed,
    )
    return trees.fit(lesson.features, lesson.members, sample_weight=lesson.balance)


def complete_tree(fitted: Any) -> Tree:
    """The complete tree of two levels with the values of *fitted*: a missing split leads to the same value twice."""
    tree = fitted.tree_

    def split(node: int) -> tuple[int, float, int, int]:
        left = int(tree.children_left[node])
        if left < 0:
            return 0, 0.0, node, node
        return int(tree.feature[node]), float(tree.threshold[node]), left, int(tree.children_right[node])

    root = split(0)
    below = split(root[2]), split(root[3])
    leaves = [RATE * float(tree.value[node, 0, 0]) for split_below in below for node in split_below[2:]]
    return Tree(
        features=(root[0], below[0][0], below[1][0]),
        thresholds=(root[1], below[0][1], below[1][1]),
        leaves=(leaves[0], leaves[1], leaves[2], leaves[3]),
    )


def _log_loss(scores: Floats, lesson: Lesson) -> float:
    """Mean −log of the probability given to the true label, both classes weighted the same; log 2 without evidence."""
    return float(np.average(np.logaddexp(0, np.where(lesson.members, -scores, scores)), weights=lesson.balance))


def _documents_of_smaller_class(lesson: Lesson) -> int:
    """The number of documents of the class that has fewer."""
    return min(len(np.unique(lesson.documents[kind])) for kind in (lesson.members, ~lesson.members))
