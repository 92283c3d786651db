"""One score learned from all columns: what it promises by simulation, what it learns, and all that must not move it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia import ScoreTable, calibrate, evaluate, flag
from llm_mia.calibration import fpr_threshold
from llm_mia.decision import (
    Calibration,
    Column,
    NoteKind,
    Reason,
    Stack,
    StackSettings,
    Training,
    Tree,
    add_decider_column,
    compare,
    evaluation_part,
    fit_stack,
)
from llm_mia.decision.stack import squashed
from llm_mia.decision.stacking import Lesson, boosted_trees, complete_tree
from llm_mia.errors import CalibrationError
from llm_mia.store import from_json, to_json

Floats = NDArray[np.float64]


def table(labels: Any, scores: Any, documents: Any = None, **more: Any) -> ScoreTable:
    """Columns a0, a1, … of the matrix *scores*."""
    marks, values = np.asarray(labels, dtype=np.int8), np.asarray(scores, dtype=np.float64)
    ids = [f"p{i}" for i in range(len(marks))]
    columns = {f"a{at}": values[:, at].copy() for at in range(values.shape[1])}
    return ScoreTable("t.csv", ids, ids if documents is None else documents, marks, columns, **more)


def known(rng: np.random.Generator, n: int, effects: Any, candidates: int = 0) -> ScoreTable:
    """*n* members, *n* non-members and candidates that aren't members; members lie *effects* above in each column."""
    labels = np.repeat([1, 0, -1], [n, n, candidates])
    return table(labels, rng.normal(size=(len(labels), len(effects))) + np.outer(labels == 1, effects))


def stack_of(calibration: Calibration) -> Stack:
    assert calibration.stack is not None
    return calibration.stack


def training_of(calibration: Calibration) -> Training:
    training = stack_of(calibration).training
    assert training is not None
    return training


# -- the promise ------------------------------------------------------------------------------------------------------


def test_the_rate_holds_and_does_not_where_the_calibration_set_was_learned_from() -> None:
    plain = StackSettings(columns_enter=("alike",), costs=(0.1,))
    rng, honest, faulty = np.random.default_rng(0), [], []
    for _ in range(40):
        score_table = known(rng, 118, [0.3] * 4 + [0.0] * 21, candidates=300)
        honest.append(flag(score_table, calibrate(score_table, "stack", fpr=0.05, stack_settings=plain)).flagged / 300)
        # The fault: learned from all that is known, whose non-members then set the threshold.
        scores = fit_stack(score_table, score_table.labels >= 0, 0, plain).scores(score_table)
        faulty.append((scores[score_table.rows(None)] > fpr_threshold(scores[score_table.rows(0)], 0.05)).mean())
    errors = [float(np.std(shares) / math.sqrt(40)) for shares in (honest, faulty)]
    assert abs(np.mean(honest) - 3 / 60) <= 4 * errors[0], "59 calibrate: exactly 5 % without ties"
    assert np.mean(faulty) > 0.05 + 4 * errors[1]


def test_noise_looks_like_evidence_on_the_fit_part() -> None:
    score_table = known(np.random.default_rng(1), 100, [0.0] * 30)
    calibration = calibrate(score_table, "stack", fpr=0.05)
    honest, faulty = (
        evaluate(each, ["stack"])[0].auroc
        for each in (evaluation_part(score_table, calibration), add_decider_column(score_table, calibration))
    )
    assert honest.low < 0.5 < honest.high
    assert faulty.low > 0.5
    assert honest.value + 0.1 < faulty.value
    assert len(evaluation_part(score_table, calibration).rows(0)) == calibration.n == 50


# -- what it learns ---------------------------------------------------------------------------------------------------


def test_it_beats_the_best_column_where_evidence_is_spread_over_several() -> None:
    rng = np.random.default_rng(2)
    effects = [0.5] * 6 + [0.0] * 14
    score_table, new = known(rng, 240, effects), known(rng, 1500, effects)
    scored = add_decider_column(new, calibrate(score_table, "stack", fpr=0.05))
    differences = [compare(scored, "stack", name).paired.difference for name in new.columns]
    assert min(difference.low for difference in differences) > 0.08


@pytest.mark.parametrize("columns", [5, 40])
def test_it_is_no_worse_than_a_column_that_has_it_all(columns: int) -> None:
    rng = np.random.default_rng(columns)
    effects = [1.2] + [0.0] * (columns - 1)
    score_table, new = known(rng, 200, effects), known(rng, 1500, effects)
    calibration = calibrate(score_table, "stack", fpr=0.05)
    assert training_of(calibration).columns_enter != "alike"
    here = compare(evaluation_part(score_table, calibration), "stack", "a0").paired.difference
    there = compare(add_decider_column(new, calibration), "stack", "a0").paired.difference
    assert here.high > 0
    assert there.value > -0.01


def test_it_takes_the_difference_of_two_columns_that_separate_little_alone() -> None:
    rng = np.random.default_rng(3)

    def draw(n: int) -> ScoreTable:
        labels = np.repeat([1, 0], n)
        hard, noise = 3 * rng.normal(size=(2 * n, 1)), rng.normal(size=(2 * n, 2))
        return table(labels, hard + 0.5 * noise + np.outer(labels == 1, [0.8, 0.0]))

    stack = stack_of(calibrate(draw(300), "stack", fpr=0.05))
    assert stack.columns[0].weight > 0 > stack.columns[1].weight, "as a reference model's likelihood counts against"
    new = draw(1000)
    scored = replace(new, columns={**new.columns, "stack": stack.scores(new)})
    assert compare(scored, "stack", "a0").paired.difference.low > 0.1


def test_trees_take_part_where_evidence_is_no_sum_and_documents_are_many() -> None:
    rng = np.random.default_rng(4)

    def draw(n: int) -> ScoreTable:
        labels = np.repeat([1, 0], n)
        return table(labels, rng.normal(size=(2 * n, 4)) * np.where(labels == 1, 2.0, 1.0)[:, None])  # both tails

    many, new = draw(640), draw(1000)
    stack = stack_of(calibrate(many, "stack", fpr=0.05))
    assert stack.share > 0
    assert len(stack.trees) == 100
    scored = replace(new, columns={**new.columns, "stack": stack.scores(new)})
    assert compare(scored, "stack", "a0").paired.difference.low > 0.2
    few = stack_of(calibrate(draw(300), "stack", fpr=0.05))
    assert (few.share, few.trees) == (0.0, ())


def test_trees_score_as_the_library_that_fitted_them() -> None:
    rng = np.random.default_rng(5)
    members = np.arange(400) < 150
    features = rng.normal(size=(400, 6)) + members[:, None]
    fitted = boosted_trees(Lesson(features, members, np.arange(400), 0))
    trees = [complete_tree(tree) for tree in fitted.estimators_[:, 0]]
    new = rng.normal(size=(500, 6))
    ours = np.sum([tree.values(list(new.astype(np.float32).T)) for tree in trees], axis=0)
    assert ours == pytest.approx(fitted.decision_function(new), abs=1e-12)


def test_the_regression_equals_the_textbook_formula() -> None:
    """Stationary: the gradient of ½‖w‖² + C Σ balance · log-loss is zero at what is recorded."""
    score_table = known(np.random.default_rng(6), 150, [0.5, 0.0, 0.2])
    fit = np.arange(300) % 2 == 0
    stack = fit_stack(score_table, fit, 0, StackSettings(columns_enter=("by strength",)))
    assert stack.training is not None
    z = np.column_stack([squashed((score_table.columns[c.name][fit] - c.centre) / c.scale) for c in stack.columns])
    y = (score_table.labels[fit] == 1).astype(float)
    weights = np.array([c.weight for c in stack.columns])
    apart = np.abs(z[y == 1].mean(0) - z[y == 0].mean(0)) / np.sqrt((z[y == 1].var(0) + z[y == 0].var(0)) / 2)
    units = apart / apart.max()
    wrong = 1 / (1 + np.exp(-(z @ weights + stack.intercept))) - y
    gradient = weights / units + stack.training.cost * units * (z.T @ wrong)
    assert gradient == pytest.approx(np.zeros(3), abs=1e-4)
    nonmembers = score_table.columns["a0"][fit & (score_table.labels == 0)]
    assert stack.columns[0].centre == np.median(nonmembers)
    assert stack.columns[0].scale == pytest.approx(np.subtract(*np.quantile(nonmembers, [0.84, 0.16])) / 2)


# -- one score --------------------------------------------------------------------------------------------------------


def test_a_score_by_hand() -> None:
    columns = (
        Column("a0", centre=1, scale=2, weight=3, absent=0.5),
        Column("a1", centre=0, scale=1, weight=-1, absent=2),
    )
    linear = Stack(columns, intercept=0.25, trees=(), share=0)
    # (7 − 1) / 2 = 3 is squashed to 3 / √(1 + 9/16) = 2.4; an infinite score to 4; what is missing to 0.
    rows = [[7, 0], [1, 3], [1, math.inf], [math.nan, 3], [7, math.nan], [math.nan, math.nan]]
    score_table = table([-1] * 6, rows)
    expected = [0.25 + 7.2, 0.25 - 2.4, 0.25 - 4, 0.25 + 0.5 - 2.4, 0.25 + 7.2 + 2, math.nan]
    assert linear.scores(score_table) == pytest.approx(expected, nan_ok=True)
    assert linear.incomplete(score_table).tolist() == [False, False, False, True, True, False]
    # The root asks a0, the left one a1, the right one whether a1 is missing.
    tree = Tree((0, 1, 3), (1.0, 2.0, 0.5), (-4.0, -2.0, 2.0, 4.0))
    boosted = replace(linear, trees=(tree, tree), share=1).scores(score_table)
    assert boosted == pytest.approx([2 * 2, 2 * -2, 2 * -2, 2 * -2, 2 * 4, math.nan], nan_ok=True)
    assert replace(linear, trees=(tree,), share=0.5).scores(score_table)[0] == pytest.approx((7.45 + 2) / 2)
    assert from_json(Stack, to_json(replace(linear, trees=(tree,)))) == replace(linear, trees=(tree,))


def test_missing_and_infinite_scores_are_taken_in_and_passages_without_any_are_not_scored() -> None:
    rng = np.random.default_rng(7)
    score_table = known(rng, 120, [0.8, 0.8, 0.0], candidates=4)
    lost = np.arange(len(score_table)) % 7 == 0
    score_table.columns["a0"][lost & (score_table.labels != 0)] = math.nan  # that it is missing tells of membership
    score_table.columns["a1"][[3, 130]] = math.inf, -math.inf
    for column in score_table.columns.values():
        column[-1] = math.nan
    score_table.columns["a1"][-2], score_table.columns["a0"][-3:-1] = math.nan, 0.0
    calibration = calibrate(score_table, "stack", fpr=0.05)
    stack = stack_of(calibration)
    assert stack.columns[0].absent > 0
    assert stack.columns[2].absent == 0
    flags = flag(score_table, calibration)
    assert (flags.rows[-1].score, flags.rows[-1].reason) == (None, Reason.NO_SCORE)
    (incomplete,) = [note for note in flags.notes if note.kind == NoteKind.STACK_COLUMNS_MISSING]
    assert incomplete.figures == {"count": 1, "ids": ["p242"]}
    assert np.isfinite(add_decider_column(score_table, calibration).column("stack")[:-1]).all()


def test_columns_without_information_are_left_out() -> None:
    rng = np.random.default_rng(8)
    score_table = known(rng, 100, [1.0] * 5)
    score_table.columns["a1"][:] = 3.0
    score_table.columns["a2"][:] = math.nan
    score_table.columns["a3"][:] = np.where(
        score_table.labels == 1, rng.integers(0, 3, len(score_table)), 0
    )  # no spread of non-members
    score_table.columns["a4"][:] = np.where(score_table.labels == 1, 1e300, -1e300) * np.exp(
        rng.normal(size=len(score_table))
    )
    stack = stack_of(calibrate(score_table, "stack", fpr=0.05))
    assert [column.name for column in stack.columns] == ["a0", "a3", "a4"]
    assert all(column.weight > 0 for column in stack.columns)
    flat = replace(score_table, columns={"a1": score_table.column("a1"), "a2": score_table.column("a2")})
    with pytest.raises(CalibrationError, match="no column has different scores for 10 members and 10 non-members"):
        calibrate(flat, "stack", fpr=0.05)
