"""The error rate of a whole gate, on simulated scores: of models that leak nothing, and of models at every limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from llm_mia.decision import labelled_scores
from llm_mia.gate import (
    GateRow,
    Known,
    Limits,
    Measured,
    Obstacle,
    Planned,
    Quantity,
    RowVerdict,
    TprLimit,
    judge,
    plan_limits,
    select_attack,
)
from llm_mia.metrics import auroc
from llm_mia.records import Note
from llm_mia.scores import ScoreTable

SIMULATIONS, ATTACKS, PASSAGES = 60, 20, 120
"""Simulated gates, attacks of each, and members, of which there are as many as non-members."""
MOST_FAILURES = 9
"""More failures than this in 60 gates have a probability below 0.1 % where each fails with 5 % (binomial)."""
AT_CHANCE = Limits(max_gap=0.0, max_auroc=0.5, max_tpr=(TprLimit(0.1, 0.1),), max_epsilon=0.0)
"""What a model that leaks nothing reaches exactly, so that every error counts."""
KNOWN = Known(PASSAGES, PASSAGES, PASSAGES, PASSAGES)
Select = Callable[[ScoreTable], Measured]


def simulated(rng: np.random.Generator, leak: float = 0.0) -> ScoreTable:
    """Scores of attacks that see nothing, but the first, of which members score higher by *leak*; and confidences."""
    labels = np.repeat([1, 0], PASSAGES)
    columns = {f"attack-{number}": rng.normal(size=2 * PASSAGES) for number in range(ATTACKS)}
    columns["attack-0"] += leak * labels
    columns["confidence"] = rng.uniform(size=2 * PASSAGES)
    ids = [f"p{number}" for number in range(2 * PASSAGES)]
    return ScoreTable("simulated", ids, ids, labels.astype(np.int8), columns)


@cache
def plan(limits: Limits, strict: bool) -> tuple[list[Planned], float]:
    return plan_limits(limits, KNOWN, strict=strict, selecting=True)


def judged(
    table: ScoreTable, limits: Limits, select: Select = select_attack, *, strict: bool = False, confidence: float = 0.0
) -> bool:
    """Whether a gate with these scores passes; *confidence* takes the place of what the gate chooses."""
    planned, chosen = plan(limits, strict)
    attacks = {name: scores for name, scores in table.columns.items() if name != "confidence"}
    measured = select(replace(table, columns=attacks))
    rows = [row_of(each, table, measured, confidence or chosen, strict) for each in planned]
    assert any(row.verdict is not RowVerdict.NOT_APPLICABLE for row in rows)
    return all(row.verdict is not RowVerdict.FAILED for row in rows)


def row_of(planned: Planned, table: ScoreTable, measured: Measured, confidence: float, strict: bool) -> GateRow:
    nothing = Note(Obstacle.NOT_SEARCHED, {"why": "simulated"})
    return judge(planned, table, measured, nothing, None, confidence=confidence, strict=strict)


def on_the_same_documents(table: ScoreTable) -> Measured:
    """A fault: the attack that separates all documents best, measured on all documents."""
    aurocs = {name: auroc(scores, table.labels).value for name, scores in table.columns.items()}
    best = max(aurocs, key=aurocs.__getitem__)
    return replace(select_attack(table), scores=labelled_scores(table, best), selecting=None)


def failures(limits: Limits, select: Select = select_attack, confidence: float = 0.0) -> int:
    rng = np.random.default_rng(7)
    return sum(not judged(simulated(rng), limits, select, confidence=confidence) for _ in range(SIMULATIONS))


def test_a_model_that_leaks_nothing_fails_seldom() -> None:
    """At most 5 %, at limits that such a model just keeps."""
    assert failures(AT_CHANCE) <= MOST_FAILURES


def test_choosing_and_measuring_on_the_same_documents_breaks_it() -> None:
    assert failures(AT_CHANCE, on_the_same_documents) > MOST_FAILURES


def test_an_attack_with_equal_scores_does_not_stop_the_gate() -> None:
    table = simulated(np.random.default_rng(1))
    rare = np.zeros(2 * PASSAGES)
    rare[:3] = 1.0  # few members alone: the largest AUROC in many halves, and no threshold
    weak = replace(table, columns={"rare": rare, "attack-1": -table.labels + 0.1 * table.columns["attack-1"]})
    assert select_attack(weak).calibration.attack == "attack-1"


@pytest.mark.slow
def test_the_default_limits_lie_above_chance() -> None:
    assert failures(Limits()) == 0


@pytest.mark.slow
def test_a_strict_gate_passes_seldom_where_a_limit_is_exceeded() -> None:
    """The AUROC of a shift by 0.4 standard deviations is Φ(0.4/√2) = 0.611; all other limits are wide."""
    limits = Limits(max_gap=1.0, max_auroc=0.61, max_tpr=(TprLimit(0.9, 0.1),), max_epsilon=50.0, max_extractable=1.0)
    rng = np.random.default_rng(8)
    tables = [simulated(rng, leak=0.4) for _ in range(SIMULATIONS)]
    first = [replace(each, columns={"attack-0": each.columns["attack-0"]} | confidences(each)) for each in tables]
    passed = sum(judged(each, limits, strict=True) for each in first)
    assert passed <= MOST_FAILURES
    assert sum(judged(each, limits, strict=False) for each in first) > MOST_FAILURES, "by the lower end it passes"


def confidences(table: ScoreTable) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    return {"confidence": table.columns["confidence"]}


def test_a_model_that_leaks_fails() -> None:
    assert not judged(simulated(np.random.default_rng(9), leak=3.0), Limits())
    rows = plan_limits(Limits(), KNOWN, strict=False, selecting=True)[0]
    assert [each.quantity for each in rows if each.obstacle] == [Quantity.TPR]
