"""Where passages share documents, documents decide: each rule is simulated, and rejects the pooled rule it replaces."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from scipy.special import ndtr

from llm_mia import ScoreTable
from llm_mia.calibration import (
    benjamini_yekutieli,
    confident_document_threshold,
    confident_threshold,
    conformal_p_values,
    fpr_threshold,
    hierarchical_p_values,
    hierarchical_rank,
    hierarchical_threshold,
    nonmembers_needed,
)
from llm_mia.decision import NoteKind, QValueMethod, calibrate, flag
from llm_mia.errors import CalibrationError, UsageError
from llm_mia.metrics import clopper_pearson, flagged_share
from llm_mia.report.words import guarantee_words, held_words

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Threshold = Callable[[Floats, Ints, float], float]
steady = settings(derandomize=True, deadline=None)
REPEATS = 400
documents_of = st.lists(st.tuples(st.integers(-4, 4).map(float), st.integers(0, 25)), min_size=1, max_size=60)


def excess(figures: Floats, bound: float) -> float:
    """Standard errors by which the mean of independent *figures* exceeds *bound*."""
    return float((figures.mean() - bound) / max(figures.std(ddof=1) / np.sqrt(len(figures)), 1e-12))


def pooled(scores: Floats, documents: Ints, fpr: float) -> float:
    """The fault: the threshold of independent passages."""
    return fpr_threshold(scores, fpr)


# -- by hand and by definition -----------------------------------------------------------------------------------------


@steady
@given(known=documents_of, scores=st.lists(st.integers(-5, 5).map(float), max_size=8))
def test_p_values_by_definition(known: list[tuple[float, int]], scores: list[float]) -> None:
    passages: dict[int, list[float]] = {}
    for value, document in known:
        passages.setdefault(document, []).append(value)
    shares = [
        sum(Fraction(sum(value >= score for value in values), len(values)) for values in passages.values())
        for score in scores
    ]
    expected = [float((1 + share) / (len(passages) + 1)) for share in shares]
    values, documents = [value for value, _ in known], [str(document) for _, document in known]
    # Sums of shares are rounded to nine digits, so that equal sums compare equal.
    assert hierarchical_p_values(scores, values, documents).tolist() == pytest.approx(expected, abs=1e-9)


@steady
@given(known=st.lists(st.floats(-1e6, 1e6), min_size=19, max_size=60), scores=st.lists(st.floats(-1e6, 1e6)))
def test_documents_of_a_single_passage_are_passages(known: list[float], scores: list[float]) -> None:
    documents = np.arange(len(known))
    same = hierarchical_p_values(scores, known, documents)
    assert same.tobytes() == conformal_p_values(scores, known).tobytes(), "bit for bit"
    assert hierarchical_threshold(known, documents, 0.05) == fpr_threshold(known, 0.05)
    highest = [*known, *np.resize(known, 59)]
    assert confident_document_threshold(highest, range(len(highest)), 0.05) == confident_threshold(highest, 0.05)


@steady
@given(known=documents_of, fpr=st.sampled_from([0.1, 0.2, 1 / 3, 0.5, 0.9]))
def test_above_the_threshold_exactly_where_the_p_value_is_small(known: list[tuple[float, int]], fpr: float) -> None:
    values, documents = np.array([value for value, _ in known]), np.array([document for _, document in known])
    count = len(np.unique(documents))
    if count < nonmembers_needed(fpr):
        with pytest.raises(CalibrationError, match=f"at least {nonmembers_needed(fpr)} documents are needed"):
            hierarchical_threshold(values, documents, fpr)
        return
    grid = np.arange(-5, 5, 0.5)
    flagged = grid > hierarchical_threshold(values, documents, fpr)
    assert flagged.tolist() == (hierarchical_p_values(grid, values, documents) <= fpr).tolist()


@pytest.mark.parametrize(("size", "documents", "fpr"), [(1, 99, 0.05), (2, 19, 0.05), (7, 60, 0.05), (20, 99, 0.29)])
def test_the_threshold_of_equally_large_documents_is_a_rank(size: int, documents: int, fpr: float) -> None:
    scores = np.random.default_rng(0).permutation(size * documents).astype(np.float64)
    threshold = hierarchical_threshold(scores, np.repeat(np.arange(documents), size), fpr)
    assert threshold == len(scores) - hierarchical_rank(len(scores), documents, fpr)


def test_no_p_value_for_nan_and_unequal_lengths_are_refused() -> None:
    p_values = hierarchical_p_values([np.nan, np.inf, -np.inf], [1.0, 2.0, 3.0], ["a", "a", "b"])
    assert np.isnan(p_values[0])
    assert p_values[1:].tolist() == [1 / 3, 1.0]
    with pytest.raises(UsageError, match="3 calibration scores but 2 documents"):
        hierarchical_p_values([1.0], [1.0, 2.0, 3.0], ["a", "b"])
    with pytest.raises(CalibrationError, match="there are no calibration scores"):
        hierarchical_p_values([1.0], [], [])


# -- the rate, by simulation -------------------------------------------------------------------------------------------


def draw(rng: np.random.Generator, documents: int, correlation: float, kind: str) -> tuple[Floats, Ints]:
    """Scores of variance 1 and their documents; *kind* says how sizes are drawn."""
    sizes = rng.integers(1, 21, documents)
    if kind == "small score higher":
        sizes = np.where(rng.random(documents) < 0.5, 1, 20)
    number = np.repeat(np.arange(documents), sizes)
    level = math.sqrt(correlation) * rng.normal(size=documents)
    if kind == "small score higher":
        level += sizes == 1
    return level[number] + math.sqrt(1 - correlation) * rng.normal(size=len(number)), number


def rate_excess(threshold: Threshold, documents: int, correlation: float, kind: str = "any size") -> float:
    """Standard errors by which a passage of a new document is above the threshold more often than in 5 %.

    The rate of each calibration is known exactly; each new document counts once.
    """
    rng = np.random.default_rng(documents)
    at = np.array([threshold(*draw(rng, documents, correlation, kind), 0.05) for _ in range(REPEATS)])
    rates = ndtr(-at) if kind == "any size" else (ndtr(-at) + ndtr(1 - at)) / 2
    return excess(rates, 0.05)


@pytest.mark.parametrize("correlation", [0.4, 0.9])
@pytest.mark.parametrize("documents", [20, 40, 100])
def test_a_passage_of_a_new_document_is_flagged_at_most_at_the_rate(documents: int, correlation: float) -> None:
    assert rate_excess(hierarchical_threshold, documents, correlation) < 4


def test_the_rate_holds_where_small_documents_score_higher() -> None:
    assert rate_excess(hierarchical_threshold, 40, 0.4, "small score higher") < 4


@pytest.mark.parametrize(("documents", "correlation", "kind"), [(20, 0.9, "any size"), (40, 0.4, "small score higher")])
def test_the_check_detects_the_threshold_of_independent_passages(documents: int, correlation: float, kind: str) -> None:
    assert rate_excess(pooled, documents, correlation, kind) > 4


@pytest.mark.parametrize("correlation", [0.4, 0.9])
def test_a_random_passage_of_a_document_that_set_the_threshold_is_flagged_at_most_at_the_rate(
    correlation: float,
) -> None:
    """As in an audit of random passages of the same documents."""
    rng, rates, faulty = np.random.default_rng(0), np.zeros(REPEATS), np.zeros(REPEATS)
    for i in range(REPEATS):
        scores, number = draw(rng, 40, correlation, "any size")
        known = rng.random(len(scores)) < 0.5
        threshold = hierarchical_threshold(scores[known], number[known], 0.05)
        rates[i] = (scores[~known] > threshold).mean()
        faulty[i] = (scores[~known] + 0.5 > threshold).mean()  # the fault: the known passages are of another part
    assert excess(rates, 0.05) < 4
    assert rates.mean() > 0.01, "conservative, not dead"
    assert excess(faulty, 0.05) > 4


@pytest.mark.parametrize("correlation", [0.4, 0.999])
def test_with_confidence_at_most_5_percent_of_calibrations_exceed_the_rate(correlation: float) -> None:
    rng, over, faulty = np.random.default_rng(1), np.zeros(REPEATS), np.zeros(REPEATS)
    for i in range(REPEATS):
        scores, number = draw(rng, 100, correlation, "any size")
        over[i] = ndtr(-confident_document_threshold(scores, number, 0.05)) > 0.05
        faulty[i] = ndtr(-confident_threshold(scores, 0.05)) > 0.05
    limit = 0.05 + 4 * math.sqrt(0.05 * 0.95 / REPEATS)
    assert over.mean() <= limit
    assert faulty.mean() > limit, "the fault: the confidence of independent passages"


# -- in a decision -----------------------------------------------------------------------------------------------------


def books(rng: np.random.Generator, known: int, candidates: int, passages: int = 6) -> ScoreTable:
    """Documents of known non-members and of candidates, none trained on; correlation 0.8."""
    number = np.repeat(np.arange(known + candidates), passages)
    scores = math.sqrt(0.8) * rng.normal(size=known + candidates)[number] + math.sqrt(0.2) * rng.normal(
        size=len(number)
    )
    labels = [0 if i < known else None for i in number.tolist()]
    return ScoreTable.of(scores, labels, documents=[f"d{i}" for i in number], name="t.csv")


def test_discoveries_among_passages_that_share_documents_hold_the_rate() -> None:
    rng, false, faulty = np.random.default_rng(0), np.zeros(REPEATS), np.zeros(REPEATS)
    for i in range(REPEATS):
        table = books(rng, 40, 2)
        known, candidates = (table.column("score")[table.rows(label)] for label in (0, None))
        p_values = calibrate(table, "score", fpr=0.2).p_values(candidates)
        false[i] = (benjamini_yekutieli(p_values) <= 0.2).any()
        faulty[i] = (conformal_p_values(candidates, known) <= 0.2).any()
    limit = 0.2 + 4 * math.sqrt(0.2 * 0.8 / REPEATS)
    assert false.mean() <= limit
    assert faulty.mean() > limit, "the fault: passages are taken for independent, and each decides by itself"
    flags = flag(table, calibrate(table, "score", fpr=0.2), fdr=0.2)
    assert flags.q_values is QValueMethod.BENJAMINI_YEKUTIELI
    assert NoteKind.DISCOVERIES_ANY_DEPENDENCE in [note.kind for note in flags.notes]


def test_a_rate_that_the_documents_cannot_certify_is_refused_with_both_numbers() -> None:
    table = books(np.random.default_rng(0), 2, 2, passages=100)
    message = (
        "2 documents of non-members, with 200 passages, cannot certify FPR ≤ 0.005: at least 199 documents are need"
    )
    with pytest.raises(CalibrationError, match=message):
        calibrate(table, "score", fpr=0.005)
    some = books(np.random.default_rng(0), 20, 2)
    with pytest.raises(CalibrationError, match=r"FPR ≤ 0\.05 at 95 % confidence: at least 59 documents are needed"):
        calibrate(some, "score", fpr=0.05, confidence=0.95)
    with pytest.raises(
        CalibrationError, match=r"20 documents of non-members cannot support a discovery at FDR ≤ 0\.05 by"
    ):
        flag(some, calibrate(some, "score", fpr=0.05), fdr=0.05)


def test_nineteen_documents_flag_what_is_above_every_passage_of_all_of_them() -> None:
    table = books(np.random.default_rng(0), 19, 4)
    calibration = calibrate(table, "score", fpr=0.05)
    assert calibration.threshold == calibration.scores[-1]
    flags = flag(table, calibration)
    assert [row.flagged for row in flags.rows] == [row.p_value == 1 / 20 for row in flags.rows]


def test_no_sentence_takes_passages_of_a_document_for_independent() -> None:
    rng = np.random.default_rng(0)
    for confidence in (None, 0.95):
        shared, alone = books(rng, 60, 4), books(rng, 60, 4, passages=1)
        by_document = flag(shared, calibrate(shared, "score", fpr=0.05, confidence=confidence))
        assert "passages are independent" not in held_words(by_document)
        assert "document" in held_words(by_document)
        assert "document" in guarantee_words(by_document.calibration.guarantee)
        each = flag(alone, calibrate(alone, "score", fpr=0.05, confidence=confidence))
        assert held_words(each).endswith("if the known non-members are independent)" if confidence is None else "t")


def test_a_table_with_other_documents_than_the_calibration_is_not_the_table_that_was_calibrated() -> None:
    table = books(np.random.default_rng(0), 60, 4)
    calibration = calibrate(
        ScoreTable.of(table.column("score"), table.labels.tolist(), name="t.csv"), "score", fpr=0.05
    )
    flags = flag(table, calibration)
    assert flags.finding is None
    assert NoteKind.FINDING_IMPOSSIBLE in [note.kind for note in flags.notes]


def test_the_interval_of_a_share_goes_by_document() -> None:
    flagged = [True] * 30 + [False] * 10
    alone = flagged_share(flagged, [f"d{i}" for i in range(40)])
    assert alone == clopper_pearson(30, 40)
    shared = flagged_share(flagged, [f"d{i // 5}" for i in range(40)])
    assert shared.value == 0.75
    assert shared.low < alone.low
    assert shared.high > alone.high
    with pytest.raises(UsageError, match="the document of each passage"):
        flagged_share(flagged, ["a"])
