"""Learns a stack: how much each column counts, from known members and known non-members of the fit part."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..calibration import split_by_document
from ..errors import CalibrationError
from ..scores import ScoreTable
from ._stack import Column, Floats, Stack, Tree, features

__all__ = ["fit_stack"]

Bools = NDArray[np.bool_]
Fold: TypeAlias = tuple[NDArray[np.intp], NDArray[np.intp]]

FOLDS = 5
MOST = 10_000
"""Passages learned from: more of them don't make a few dozen weights better, only later."""
FEWEST_SCORED = 10
"""Scored passages of each class that a column must have to take part."""
TREES_FROM = 300
"""Documents of each class from which boosted trees are tried."""
STRENGTHS = {"alike": 0.0, "by strength": 1.0, "the strongest alone": math.inf}
"""How columns enter: as they are, in proportion to what each tells by itself, or the one that tells most."""
COSTS = (0.001, 0.01, 0.1, 1.0, 10.0)
"""Inverse weights of the penalty on squared coefficients."""
SHARES = (0.0, 0.5)
"""Of the trees; never theirs alone, as whole ranges of theirs tie, and low rates lie beyond their last step."""
RATE = 0.1
"""What each tree's leaves are multiplied by."""


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What is learned from; every array has shape (passages, …)."""

    features: Floats
    members: Bools
    documents: NDArray[np.intp]
    seed: int

    def part(self, rows: NDArray[np.intp]) -> Lesson:
        """Those *rows* of it."""
        return Lesson(self.features[rows], self.members[rows], self.documents[rows], self.seed)

    def folds(self) -> Iterator[Fold]:
        """Rows to learn from and rows to be asked about, `FOLDS` times: whole documents, each kind dealt out evenly."""
        share = np.bincount(self.documents, self.members) / np.bincount(self.documents)
        shuffled = np.random.default_rng(self.seed).permutation(len(share))
        kind = np.ceil(share) + np.floor(share)  # non-members' documents, of both, members'
        fold = np.empty(len(share), dtype=np.intp)
        fold[shuffled[np.argsort(kind[shuffled], kind="stable")]] = np.arange(len(share)) % FOLDS
        for each in range(FOLDS):
            asked = fold[self.documents] == each
            yield np.flatnonzero(~asked), np.flatnonzero(asked)

    @property
    def balance(self) -> Floats:
        """Weights with which members and non-members count the same in all, 1 on average."""
        share = self.members.mean()
        return np.asarray(np.where(self.members, 0.5 / share, 0.5 / (1 - share)))


def fit_stack(table: ScoreTable, fit: Bools, seed: int) -> Stack:
    """Learns from the labelled passages where *fit*, shape (passages,), is true, and looks at no score of others.

    Every column is put on the scale of the fit part's non-members and squashed (`llm_mia.decision._stack.squashed`).
    A ridge-penalised logistic regression weighs them. Its penalty, whether columns enter in proportion to what they
    tell by themselves (as in the adaptive lasso, Zou 2006) or one of them alone, and whether boosted trees of two
    levels take part, where `TREES_FROM` documents of each class allow, all follow the least log-loss in five folds of
    whole documents. Neither the order of rows or of columns has a part in it; the same *seed* gives the same stack.

    Raises `CalibrationError` where no column tells anything.
    """
    from threadpoolctl import threadpool_limits

    groups = table.groups()
    names = sorted(table.columns)

    def place(row: int) -> tuple[str, str, int, tuple[str, ...]]:
        """Among all rows, whatever their order: two passages of one id are told apart by label and scores."""
        return groups[row], table.ids[row], int(table.labels[row]), tuple(repr(table.columns[n][row]) for n in names)

    rows = np.array(sorted(_most(table, fit, groups, seed), key=place))
    members = table.labels[rows] == 1
    scaled = [_column(name, table.column(name)[rows], members) for name in names]
    columns = [column for column in scaled if column is not None]
    if not columns:
        raise CalibrationError(
            f"{table.name}: no column has different scores for {FEWEST_SCORED} members and {FEWEST_SCORED} non-members"
        )
    given = [table.column(column.name)[rows] for column in columns]
    _, documents = np.unique([groups[row] for row in rows], return_inverse=True)
    lesson = Lesson(np.column_stack(features(columns, given)), members, documents, seed)
    # One thread: matrices this small make threads wait for one another, and their sums come out in one order.
    with threadpool_limits(limits=1):
        return _learned(lesson, columns)


def _learned(lesson: Lesson, columns: Sequence[Column]) -> Stack:
    import sklearn

    folds = list(lesson.folds())
    tried = {how: _out_of_fold(lesson, folds, how) for how in product(STRENGTHS, COSTS)}
    losses = {how: _log_loss(scores, lesson) for how, scores in tried.items()}
    best = min(losses, key=lambda how: losses[how])
    shares, trees = {0.0: losses[best]}, tuple[Tree, ...]()
    if _fewest(lesson) >= TREES_FROM:
        boosted = np.empty(len(lesson.members))
        for learned, asked in folds:
            boosted[asked] = _boosted(lesson.part(learned)).decision_function(lesson.features[asked])
        shares = {share: _log_loss((1 - share) * tried[best] + share * boosted, lesson) for share in SHARES}
    share = min(shares, key=lambda share: shares[share])
    if share > 0:
        trees = tuple(_tree(one) for one in _boosted(lesson).estimators_[:, 0])
    weights, intercept = _regression(lesson, *best)
    here = len(columns)
    return Stack(
        columns=tuple(
            replace(column, weight=float(weights[at]), absent=float(weights[here + at]))
            for at, column in enumerate(columns)
        ),
        intercept=intercept,
        trees=trees,
        share=share,
        learned={
            "members": int(lesson.members.sum()),
            "nonmembers": int((~lesson.members).sum()),
            "documents": len(np.unique(lesson.documents)),
            "seed": lesson.seed,
            "columns_enter": best[0],
            "cost": best[1],
            "log_loss_by_share_of_trees": {str(share): loss for share, loss in shares.items()},
            "scikit_learn": sklearn.__version__,
        },
    )


def _most(table: ScoreTable, fit: Bools, groups: Sequence[str], seed: int) -> list[int]:
    """The fit part, or of a large one as many whole documents as hold about `MOST` passages."""
    rows: list[int] = np.flatnonzero(fit).tolist()
    if len(rows) <= MOST:
        return rows
    kept = split_by_document([groups[row] for row in rows], MOST / len(rows), seed, table.labels[rows].tolist())
    return [row for row, chosen in zip(rows, kept.tolist(), strict=True) if chosen]


def _column(name: str, scores: Floats, members: Bools) -> Column | None:
    """On the scale of the non-members; None where too few passages have a score, or all the same."""
    finite = np.isfinite(scores)
    if min((finite & members).sum(), (finite & ~members).sum()) < FEWEST_SCORED:
        return None
    low, centre, high = np.quantile(scores[finite & ~members], [0.16, 0.5, 0.84]).tolist()
    scale = (high - low) / 2 or float(scores[finite].std())
    return Column(name, centre, scale) if 0 < scale < np.inf else None


def _out_of_fold(lesson: Lesson, folds: Sequence[Fold], how: tuple[str, float]) -> Floats:
    """What regressions that saw no passage of its document say of each passage."""
    scores = np.empty(len(lesson.members))
    for learned, asked in folds:
        weights, intercept = _regression(lesson.part(learned), *how)
        scores[asked] = lesson.features[asked] @ weights + intercept
    return scores


def _regression(lesson: Lesson, enter: str, cost: float) -> tuple[Floats, float]:
    """Coefficients, shape (features,), and intercept."""
    from sklearn.linear_model import LogisticRegression

    units = _strengths(lesson) ** STRENGTHS[enter]
    how: Any = LogisticRegression(C=cost, solver="newton-cholesky", max_iter=1000)
    fitted = how.fit(lesson.features * units, lesson.members, sample_weight=lesson.balance)
    return np.asarray(fitted.coef_[0] * units), float(fitted.intercept_[0])


def _strengths(lesson: Lesson) -> Floats:
    """How far members' and non-members' means lie apart, in standard deviations, over the largest of these; 0..1."""
    ours, others = lesson.features[lesson.members], lesson.features[~lesson.members]
    spread = np.sqrt((ours.var(axis=0) + others.var(axis=0)) / 2)
    apart = np.abs(ours.mean(axis=0) - others.mean(axis=0)) / np.where(spread > 0, spread, np.inf)
    return np.asarray(apart / apart.max()) if apart.max() > 0 else np.ones(len(apart))


def _boosted(lesson: Lesson) -> Any:
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


def _tree(fitted: Any) -> Tree:
    """The complete tree of two levels that says the same: a missing split sends everything to the same value."""
    tree = fitted.tree_

    def split(node: int) -> tuple[int, float, int, int]:
        left = int(tree.children_left[node])
        if left < 0:
            return 0, 0.0, node, node
        return int(tree.feature[node]), float(tree.threshold[node]), left, int(tree.children_right[node])

    root = split(0)
    below = split(root[2]), split(root[3])
    leaves = [RATE * float(tree.value[node, 0, 0]) for one in below for node in one[2:]]
    return Tree(
        features=(root[0], below[0][0], below[1][0]),
        thresholds=(root[1], below[0][1], below[1][1]),
        leaves=(leaves[0], leaves[1], leaves[2], leaves[3]),
    )


def _log_loss(scores: Floats, lesson: Lesson) -> float:
    """Mean −log of the probability given to the truth, members and non-members counting the same; log 2 for nothing."""
    return float(np.average(np.logaddexp(0, np.where(lesson.members, -scores, scores)), weights=lesson.balance))


def _fewest(lesson: Lesson) -> int:
    """Documents of the class that has fewer."""
    return min(len(np.unique(lesson.documents[kind])) for kind in (lesson.members, ~lesson.members))
