"""Two runs on the same passages: against definitions, by simulation, and with faults that the tests notice."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from llm_mia.errors import LlmMiaError
from llm_mia.metrics import compare_flags, compare_means, compare_tpr, tpr_at_fpr

Floats = NDArray[np.float64]


def most(nominal: float, times: int) -> float:
    """The largest share of *times* draws that a rate of *nominal* explains: 4 standard errors above it."""
    return nominal + 4 * float(np.sqrt(nominal * (1 - nominal) / times))


# --- flags ------------------------------------------------------------------------------------------------------------


def test_flags_of_single_passages_are_tested_as_mcnemar_does() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        first, second = rng.random((2, 60)) < rng.random((2, 1))
        paired = compare_flags(first, second)
        discordant = paired.only_first + paired.only_second
        exact = binomtest(paired.only_first, discordant).pvalue if discordant else 1.0
        assert paired.p_value == pytest.approx(exact, abs=1e-12)
        assert paired.both + discordant + paired.neither == 60


def test_flags_of_documents_are_tested_over_all_changes_of_sign() -> None:
    rng = np.random.default_rng(1)
    documents = [f"d{at}" for at in rng.integers(9, size=40)]
    first, second = rng.random((2, 40)) < np.array([[0.2], [0.5]])
    sums = [
        int(second[[at for at, name in enumerate(documents) if name == document]].sum())
        - int(first[[at for at, name in enumerate(documents) if name == document]].sum())
        for document in sorted(set(documents))
    ]
    changes = product((1, -1), repeat=len(sums))
    totals = [abs(sum(size * sign for size, sign in zip(sums, signs, strict=True))) for signs in changes]
    expected = np.mean([total >= abs(sum(sums)) for total in totals])
    assert compare_flags(first, second, documents).p_value == pytest.approx(float(expected), abs=1e-12)


def test_equal_runs_differ_seldom_though_passages_of_a_document_agree() -> None:
    """Both runs flag by a score that the passages of a document share; a test by passages would be wrong."""
    rng, times, documents = np.random.default_rng(2), 400, np.repeat(np.arange(30), 6)
    p_values, by_passage = [], []
    for _ in range(times):
        of_document = rng.normal(size=(2, 30, 1)) + 0.3 * rng.normal(size=(2, 30, 6))
        first, second = (of_document > 0.5).reshape(2, -1)
        p_values.append(compare_flags(first, second, documents.astype(str).tolist()).p_value)
        by_passage.append(compare_flags(first, second).p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= most(0.05, times)
    assert np.mean(np.array(by_passage) <= 0.05) > 2 * most(0.05, times), "the fault that documents avoid"


def test_a_run_that_flags_more_is_noticed_and_many_flags_are_quick() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.random((2, 100_000)) < np.array([[0.05], [0.06]])
    assert compare_flags(first, second, [f"d{at // 5}" for at in range(100_000)]).p_value < 1e-6
    assert compare_flags([], []).p_value == 1.0


# --- means ------------------------------------------------------------------------------------------------------------


def means_of(rng: np.random.Generator, shift: float) -> tuple[Floats, Floats, list[str]]:
    """Values of passages in 25 documents of unlike sizes whose differences correlate within a document."""
    sizes = 1 + np.arange(25) % 7
    documents = np.repeat(np.arange(25), sizes)
    first = rng.normal(size=len(documents))
    gaps = shift + rng.normal(size=25)[documents] + 0.5 * rng.normal(size=len(documents))
    return first, first + gaps, documents.astype(str).tolist()


@pytest.mark.parametrize("sizes", [(100, 1, 1, 1, 1), (10, 10, 1, 1, 1, 1, 1, 1)])
def test_a_document_with_most_passages_shows_no_difference_by_itself(sizes: tuple[int, ...]) -> None:
    """Sums over documents, each against the common mean, rejected in 9 of 10 cases: the mean is that of the largest."""
    rng, times, documents = np.random.default_rng(8), 400, np.repeat(np.arange(len(sizes)), sizes)
    rejected = 0
    for _ in range(times):
        gaps = rng.normal(size=len(sizes))[documents] + 0.3 * rng.normal(size=len(documents))
        rejected += compare_means(np.zeros(len(gaps)), gaps, documents.astype(str).tolist()).p_value <= 0.05
    assert rejected / times <= most(0.05, times)


def test_intervals_of_a_difference_of_means_hold_it() -> None:
    rng, times = np.random.default_rng(4), 1000
    missed, missed_by_passage, rejected = 0, 0, 0
    for _ in range(times):
        first, second, documents = means_of(rng, 0.3)
        interval = compare_means(first, second, documents).difference
        missed += not interval.low <= 0.3 <= interval.high
        alone = compare_means(first, second).difference
        missed_by_passage += not alone.low <= 0.3 <= alone.high
        paired = compare_means(first, second + 0.0, documents)
        rejected += (paired.p_value <= 0.05) != (not paired.difference.low <= 0 <= paired.difference.high)
    assert missed / times <= most(0.05, times)
    assert missed_by_passage / times > 0.2, "the fault that documents avoid"
    assert rejected == 0, "the p-value and the interval agree"


def test_what_does_not_vary_is_not_bounded() -> None:
    assert compare_means([1.0, 2.0], [1.5, 2.5]).p_value == 1.0
    assert compare_means([1.0, 2.0], [1.5, 2.0], ["a", "a"]).difference.high == np.inf
    with pytest.raises(LlmMiaError, match="finite values in both runs"):
        compare_means([np.nan], [0.0])


# --- TPR --------------------------------------------------------------------------------------------------------------


def scores_of(rng: np.random.Generator, m: int, n: int, strength: float) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Scores of two models, whose noise correlates by 0.5; members of the first lie higher by *strength*."""
    labels, noise = np.repeat([1, 0], [m, n]), rng.normal(size=(2, m + n))
    second = 0.5 * noise[0] + np.sqrt(0.75) * noise[1]
    return noise[0] + strength * labels, second + labels, labels


def test_intervals_of_a_difference_of_tprs_hold_it() -> None:
    rng, times = np.random.default_rng(5), 200
    truth = float(norm.sf(norm.isf(0.1) - 2) - norm.sf(norm.isf(0.1) - 1))
    missed = 0
    for _ in range(times):
        interval = compare_tpr(*scores_of(rng, 60, 120, 2.0), 0.1).difference
        assert interval.low <= interval.value <= interval.high
        missed += not interval.low <= truth <= interval.high
    assert missed / times <= most(0.05, times)


def test_a_difference_of_tprs_is_that_of_the_tprs_and_is_noticed() -> None:
    first, second, labels = scores_of(np.random.default_rng(6), 100, 200, 3.0)
    paired = compare_tpr(first, second, labels, 0.05)
    apart = [tpr_at_fpr(scores, labels, 0.05).value for scores in (first, second)]
    assert paired.difference.value == pytest.approx(apart[0] - apart[1])
    assert paired.p_value < 0.01
    documents = [f"{label} {at // 4}" for at, label in enumerate(labels)]
    grouped = compare_tpr(first, second, labels, 0.05, documents).difference
    assert grouped.low <= paired.difference.low
    assert compare_tpr(first, first, labels, 0.05).p_value == 1.0
