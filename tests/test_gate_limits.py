"""The limits of a gate: what is refused, what a file may say, and how many documents each limit needs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_mia.errors import CalibrationError, UsageError
from llm_mia.gate import (
    DEFAULTS,
    Known,
    Limits,
    Obstacle,
    Quantity,
    TprLimit,
    confidence_of,
    plan_limits,
    read_limits,
    shown_epsilon,
)
from llm_mia.metrics import auroc, epsilon_of_one_run, tpr_at_fpr

MANY = Known(10_000, 10_000, 10_000, 10_000)


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        ({"max_tpr": (TprLimit(0.005, 0.01),)}, "below the false positive rate of 0.01 itself"),
        ({"max_tpr": (TprLimit(0.02, 0.01), TprLimit(0.03, 0.01))}, "given as 0.02@0.01 and as 0.03@0.01"),
        ({"max_tpr": (TprLimit(0.02, 0.01), TprLimit(0.02, 0.01))}, "at the same false positive rate"),
        ({"max_tpr": (TprLimit(0.02, 0.0),)}, "between 0 and 1, both excluded"),
        ({"max_auroc": 0.45}, "at least 0.5 and at most 1"),
        ({"max_gap": math.nan}, "`max_gap` is nan"),
        ({"max_epsilon": -1.0}, "at least 0"),
        ({"max_extractable": 2.0}, "at most 1"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        Limits(**limits)


@pytest.mark.parametrize("text", ["0.02", "0.02@", "@0.01", "2 %@1 %", "0.02@0.01@0.1"])
def test_a_rate_has_one_form(text: str) -> None:
    with pytest.raises(UsageError, match=r"as in 0\.02@0\.01"):
        TprLimit.of(text)


def test_limits_that_are_given_take_the_place_of_others() -> None:
    both = Limits(max_auroc=0.7).or_else(Limits(max_auroc=0.8, max_gap=0.3))
    assert both == Limits(max_auroc=0.7, max_gap=0.3)
    assert both.given == ("max_gap", "max_auroc")
    assert both.or_else(DEFAULTS).max_tpr == DEFAULTS.max_tpr


def test_a_file_of_limits(tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    file.write_text('max_auroc = 0.65\nmax_gap = 0\nmax_tpr = ["0.02@0.01", "0.1@0.05"]\n')
    assert read_limits(file) == Limits(max_auroc=0.65, max_gap=0.0, max_tpr=(TprLimit(0.02, 0.01), TprLimit(0.1, 0.05)))
    file.write_text('max_tpr = "0.02@0.01"\n')
    assert read_limits(file).max_tpr == (TprLimit(0.02, 0.01),)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("max_aurok = 0.6", "did you mean 'max_auroc'"),
        ("colour = 1", "the limits are max_gap, max_auroc"),
        ("max_gap = true", "`max_gap` is True: give a number"),
        ('max_gap = "0.1"', "give a number"),
        ("max_tpr = 0.02", "in quotation marks"),
        ("max_tpr = []", "in quotation marks"),
        ("[limits]\nmax_auroc = 0.6", "without sections"),
        ("max_auroc = 0.4", "guessing"),
        ("max_auroc = ", "is no TOML"),
        (f"max_epsilon = 1{'0' * 400}", "`max_epsilon` is too large a number"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_its_name(tmp_path: Path, text: str, what: str) -> None:
    file = tmp_path / "gate.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=f"gate.toml.*{what}"):
        read_limits(file)
    with pytest.raises(UsageError, match="cannot be read"):
        read_limits(tmp_path / "none.toml")


def test_the_error_is_divided_among_the_limits_that_are_measured() -> None:
    planned, confidence = plan_limits(Limits(), MANY, strict=False, selecting=True)
    measured = [each for each in planned if each.quantity is not Quantity.EPSILON_DOCUMENTED]
    assert len(measured) == 4
    assert confidence == pytest.approx(1 - 2 * 0.05 / 4)
    assert not any(each.quantity is Quantity.EPSILON_SHOWN for each in planned), "only where an ε is given"
    planned, confidence = plan_limits(Limits(max_epsilon=1.0), MANY, strict=False, selecting=True)
    assert any(each.quantity is Quantity.EPSILON_SHOWN for each in planned)
    assert confidence == pytest.approx(1 - 2 * 0.05 / 5)
    assert confidence_of(planned, strict=True) == pytest.approx(0.9)


def test_what_a_rate_needs_is_enough_and_less_is_not() -> None:
    limits = Limits(max_tpr=(TprLimit(0.02, 0.01),))
    with pytest.raises(CalibrationError, match=r"`max_tpr` 0\.02@0\.01 needs at least 874 documents of non-members"):
        plan_limits(limits, Known(500, 500, 500, 500), strict=False, selecting=True)
    _, confidence = plan_limits(limits, Known(874, 874, 874, 874), strict=False, selecting=True)
    for nonmembers, decides in ((437, True), (436, False)):
        labels = np.repeat([1, 0], [437, nonmembers])
        assert (tpr_at_fpr(labels, labels, 0.01, confidence=confidence).low > 0.02) is decides, "a perfect attack"


def test_a_rate_that_nothing_exceeds_is_measured_only_where_the_documents_bound_it() -> None:
    """Of 75 non-members 1 % is less than one passage, so a single non-member at the top makes the rate 0."""
    scores = np.r_[np.full(75, 2.0), np.zeros(74), 3.0]
    assert tpr_at_fpr(scores, np.repeat([1, 0], 75), 0.01).value == 0.0
    anything = Limits(max_tpr=(TprLimit(1.0, 0.01),))
    for strict in (False, True):
        limits = anything.or_else(Limits(max_extractable=1.0, max_auroc=1.0))
        planned, _ = plan_limits(limits, Known(150, 150, 150, 150), strict=strict, selecting=True)
        rate = next(each for each in planned if each.quantity is Quantity.TPR)
        assert rate.obstacle is not None
        assert rate.obstacle.kind == Obstacle.TOO_FEW
    planned, _ = plan_limits(anything, MANY, strict=False, selecting=True)
    assert not any(each.obstacle for each in planned)


def test_a_strict_limit_needs_enough_for_a_model_that_leaks_nothing() -> None:
    few = Known(100, 100, 100, 100)
    with pytest.raises(CalibrationError) as refused:
        plan_limits(Limits(max_auroc=0.55, max_extractable=0.001), few, strict=True, selecting=True)
    for name in ("`max_auroc` 0.55", "`max_tpr` 0.02@0.01", "`max_extractable` 0.001 needs at least 2,995 documents"):
        assert name in str(refused.value)
    with pytest.raises(CalibrationError) as refused:
        plan_limits(Limits(max_auroc=0.55), Known(100, 100, 100, 100), strict=True, selecting=False)
    needed = int(str(refused.value).split("needs at least ")[1].split(" ")[0].replace(",", ""))
    for n, decides in ((needed, True), (needed - 1, False)):
        assert (auroc(np.zeros(2 * n), np.repeat([1, 0], n), confidence=0.9).high <= 0.55) is decides


def test_a_documented_epsilon_needs_no_attack() -> None:
    few, limits = Known(60, 60, 60, 60), Limits(max_epsilon=3.0)
    with pytest.raises(CalibrationError, match="`max_epsilon` 3 needs at least 132 documents of members and 132"):
        plan_limits(limits, few, strict=False, selecting=True)
    planned, _ = plan_limits(limits, few, strict=False, selecting=True, documented=True)
    shown = next(each for each in planned if each.quantity is Quantity.EPSILON_SHOWN)
    assert shown.obstacle is not None
    assert shown.obstacle.kind == Obstacle.TOO_FEW


def test_a_limit_that_no_number_of_documents_decides_is_refused() -> None:
    with pytest.raises(UsageError, match=r"`max_auroc` 0\.5 cannot be decided by 32,768 documents"):
        plan_limits(Limits(max_auroc=0.5), MANY, strict=True, selecting=True)


def test_a_default_limit_that_too_few_documents_cannot_decide_is_not_applicable() -> None:
    planned, _ = plan_limits(Limits(), Known(60, 60, 60, 60), strict=False, selecting=True)
    obstacles = {each.quantity: each.obstacle.kind for each in planned if each.obstacle}
    assert obstacles == {Quantity.TPR: Obstacle.TOO_FEW}
    grouped, _ = plan_limits(Limits(max_epsilon=1.0), Known(60, 60, 30, 30), strict=False, selecting=True)
    shown = next(each for each in grouped if each.quantity is Quantity.EPSILON_SHOWN)
    assert shown.obstacle is not None
    assert shown.obstacle.kind == Obstacle.DOCUMENTS_SHARED


def test_the_shown_epsilon_is_that_of_an_accountant() -> None:
    """Randomised response tells of each text whether it was trained on, and is private where a text is added."""
    epsilon, n, runs, confidence = 1.0, 400, 100, 0.95
    rng = np.random.default_rng(0)
    truth = np.repeat([True, False], n)
    counts = []
    for _ in range(runs):
        reported = truth ^ (rng.random(2 * n) < 1 / (1 + math.exp(epsilon)))
        counts.append((int((reported & truth).sum()), n, int((reported & ~truth).sum()), n))
    wrong = sum(shown_epsilon(*each, confidence) > epsilon for each in counts)
    assert wrong <= 11  # binomial, 100 runs with an error of 5 % each: more than 11 have a probability of 0.4 %
    replaced = sum(epsilon_of_one_run(*each, confidence) > epsilon for each in counts)
    assert replaced > 90, "the bound for replacements is another ε"
