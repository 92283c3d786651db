"""Collections: on texts of one author, permutation by document keeps its error rate; a t-test on passages does not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia.documents import (
    CollectionTest,
    collection_test,
    describe_note,
    documents_needed,
    permutation_test,
    smallest_p_value,
    welch_statistic,
)
from llm_mia.errors import LlmMiaError, ScoresError, UsageError

Floats = NDArray[np.float64]
Side = tuple[Floats, list[str]]
NAN = float("nan")
ALIKE = 0.5  # share of the scores' variance that lies between documents


def posts(
    rng: np.random.Generator, documents: int, passages: int, prefix: str, attacks: int = 0, shift: float = 0.0
) -> Side:
    """One author's texts: unit normal scores, half of their variance common to a document."""
    shape = (documents, 1, attacks) if attacks else (documents, 1)
    levels = np.sqrt(ALIKE) * rng.normal(size=shape)
    scores = levels + np.sqrt(1 - ALIKE) * rng.normal(size=(documents, passages, *shape[2:])) + shift
    names = [f"{prefix}{i}" for i in range(documents) for _ in range(passages)]
    return scores.reshape(documents * passages, *shape[2:]), names


def excess(p_values: Callable[[np.random.Generator], float], times: int) -> float:
    """Largest excess of P(p ≤ u) over u in standard errors, u = 0.05, 0.1, 0.2 and 0.5."""
    rng, grid = np.random.default_rng(0), np.array([0.05, 0.1, 0.2, 0.5])
    result = np.array([p_values(rng) for _ in range(times)])
    return float(np.max(((result[:, None] <= grid).mean(axis=0) - grid) / np.sqrt(grid * (1 - grid) / times)))


# --- the error rate ---------------------------------------------------------------------------------------------------


def test_random_halves_of_one_author_are_significant_as_rarely_as_promised() -> None:
    def whole(rng: np.random.Generator) -> float:
        return collection_test(posts(rng, 6, 5, "s"), posts(rng, 6, 5, "c"), permutations=99, seed=1).p_value

    assert excess(whole, 150) < 4


def test_the_check_detects_a_test_on_passages() -> None:
    from scipy import stats

    def t_test(rng: np.random.Generator) -> float:
        return float(stats.ttest_ind(posts(rng, 6, 5, "s")[0], posts(rng, 6, 5, "c")[0], alternative="greater").pvalue)

    def passages_permuted(rng: np.random.Generator) -> float:
        return permutation_test(posts(rng, 6, 5, "s")[0], posts(rng, 6, 5, "c")[0], 99, rng)[1]

    assert excess(t_test, 400) > 4
    assert excess(passages_permuted, 400) > 4


def test_the_largest_of_several_attacks_costs_no_error_rate() -> None:
    def largest(rng: np.random.Generator) -> float:
        return permutation_test(rng.normal(size=(8, 4)), rng.normal(size=(8, 4)), 99, rng)[1]

    def smallest_p_value_of_each(rng: np.random.Generator) -> float:
        sides = rng.normal(size=(8, 4)), rng.normal(size=(8, 4))
        return min(permutation_test(sides[0][:, i], sides[1][:, i], 99, rng)[1] for i in range(4))

    assert excess(largest, 400) < 4
    assert excess(smallest_p_value_of_each, 400) > 4


@pytest.mark.parametrize(
    ("sizes", "passages"), [((6, 6), (4, 4)), ((1, 19), (4, 4)), ((3, 40), (4, 4)), ((4, 3), (1, 1))]
)
def test_permutation_is_exact_whatever_the_numbers(sizes: tuple[int, int], passages: tuple[int, int]) -> None:
    def means(rng: np.random.Generator) -> float:
        first, second = (rng.normal(size=(n, k)).mean(axis=1) for n, k in zip(sizes, passages, strict=True))
        return permutation_test(first, second, 199, rng)[1]

    assert excess(means, 1500) < 4


@pytest.mark.parametrize(("sizes", "passages"), [((20, 20), (40, 4)), ((10, 60), (4, 40)), ((60, 10), (4, 40))])
def test_studentising_carries_documents_of_unequal_size(sizes: tuple[int, int], passages: tuple[int, int]) -> None:
    def side(rng: np.random.Generator, n: int, k: int) -> Floats:
        return np.asarray(np.sqrt(0.2) * rng.normal(size=n) + np.sqrt(0.8 / k) * rng.normal(size=n))

    def means(rng: np.random.Generator) -> float:
        return permutation_test(side(rng, sizes[0], passages[0]), side(rng, sizes[1], passages[1]), 199, rng)[1]

    def unstudentised(rng: np.random.Generator) -> float:
        first, second = side(rng, sizes[0], passages[0]), side(rng, sizes[1], passages[1])
        values, in_first = np.concatenate([first, second]), np.arange(sum(sizes)) < sizes[0]
        drawn = np.vstack([in_first, rng.permuted(np.tile(in_first, (199, 1)), axis=1)])
        differences = drawn @ values / sizes[0] - ~drawn @ values / sizes[1]
        return float(np.mean(differences >= differences[0]))

    assert excess(means, 1500) < 4.5
    if sizes == (10, 60):
        assert excess(unstudentised, 1500) > 4.5


# --- what it finds ----------------------------------------------------------------------------------------------------


def test_a_collection_trained_on_is_detected() -> None:
    rng = np.random.default_rng(0)
    result = collection_test(posts(rng, 30, 8, "s", shift=1.0), posts(rng, 30, 8, "c"))
    assert result.p_value < 0.001
    assert result.statistic > 4
    assert 0.6 < result.effect.low < result.effect.value < result.effect.high < 0.95
    assert (result.n_documents, result.statistics, result.notes) == ((30, 30), (result.statistic,), ())
    assert result.placebo.p_value > 0.05
    lower = collection_test(posts(rng, 30, 8, "s", shift=-1.0), posts(rng, 30, 8, "c"))
    assert lower.p_value > 0.99  # one-sided: scoring low is no sign of training


def test_several_attacks_are_all_tested_on_all_documents() -> None:
    rng = np.random.default_rng(1)
    scores, names = posts(rng, 40, 6, "s", 3)
    other, others = posts(rng, 40, 6, "c", 3)
    unit = np.array([1.0, 1000.0, 1e-3])
    strong = collection_test(((scores + np.array([0.0, 1.0, 0.0])) * unit, names), (other * unit, others))
    assert strong.statistic == max(strong.statistics) == strong.statistics[1]
    assert (strong.n_documents, strong.p_value) == ((40, 40), 1e-4)
    alike = collection_test(((scores + 0.4) * unit, names), (other * unit, others))
    assert alike.statistic == alike.statistics[3], "weak signs of several attacks add up in their average"
    lower = collection_test(((scores - 1.0) * unit, names), (other * unit, others))
    assert lower.p_value > 0.99, "candidates that score lower by every attack are no sign of training"


def test_effect_covers_the_chance_that_a_candidate_passage_scores_higher() -> None:
    from statistics import NormalDist

    truth = NormalDist().cdf(1 / 2**0.5)  # unit variance on both sides, shifted by 1
    rng, held = np.random.default_rng(0), []
    for _ in range(60):
        effect = collection_test(posts(rng, 20, 3, "s", shift=1.0), posts(rng, 20, 3, "c"), permutations=19).effect
        held.append(effect.low <= truth <= effect.high)
    assert np.mean(held) > 0.93 - 4 * np.sqrt(0.93 * 0.07 / 60)


def test_same_answer_whatever_the_order_of_rows() -> None:
    rng = np.random.default_rng(0)
    candidates, nonmembers = posts(rng, 40, 3, "s", 3), posts(rng, 40, 3, "c", 3)
    turned = rng.permutation(120)
    result = collection_test(candidates, nonmembers, permutations=199)
    again = collection_test((candidates[0][turned], [candidates[1][i] for i in turned]), nonmembers, permutations=199)
    assert again.statistics == pytest.approx(result.statistics)
    assert result == collection_test(candidates, nonmembers, permutations=199)
    assert result.statistics == collection_test(candidates, nonmembers, permutations=199, seed=1).statistics


# --- the placebo ------------------------------------------------------------------------------------------------------


def test_placebo_is_significant_as_rarely_as_promised() -> None:
    def random_halves(rng: np.random.Generator) -> float:
        return collection_test(posts(rng, 3, 2, "s"), posts(rng, 10, 3, "c"), permutations=99).placebo.p_value

    def in_order(rng: np.random.Generator) -> float:
        return collection_test(posts(rng, 3, 2, "s"), posts(rng, 10, 3, "c"), permutations=99).placebo.in_order_p_value

    assert excess(random_halves, 100) < 4
    assert excess(in_order, 100) < 4


@pytest.mark.parametrize("slope", [3.0, -3.0])
def test_nonmembers_that_drift_along_their_order_are_noted(slope: float) -> None:
    rng = np.random.default_rng(0)
    scores, names = posts(rng, 30, 5, "c")
    drifting = scores + slope * np.repeat(np.linspace(0, 1, 30), 5)
    result = collection_test(posts(rng, 30, 5, "s"), (drifting, names), permutations=999)
    assert result.placebo.in_order_p_value < 0.01
    assert any("change along the order of the input" in describe_note(note) for note in result.notes)


def test_a_placebo_significant_by_chance_is_noted() -> None:
    rng = np.random.default_rng(0)
    candidates, nonmembers = posts(rng, 8, 3, "s"), posts(rng, 8, 3, "c")
    result = [collection_test(candidates, nonmembers, permutations=99, seed=seed) for seed in range(60)]
    unlucky = [each for each in result if each.placebo.p_value <= 0.05]
    assert 0 < len(unlucky) < 12
    assert any("two random halves of the non-members differ" in describe_note(note) for note in unlucky[0].notes)


# --- few documents ----------------------------------------------------------------------------------------------------


def test_p_value_of_few_documents_counts_every_way_to_divide_them() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=3) + 1, rng.normal(size=4)
    values = np.concatenate([first, second])
    statistics = []
    for picked in combinations(range(7), 3):
        ours, theirs = values[list(picked)], np.delete(values, picked)
        statistics.append((ours.mean() - theirs.mean()) / np.sqrt(ours.var(ddof=1) / 3 + theirs.var(ddof=1) / 4))
    statistic, p_value = permutation_test(first, second, 9999, rng)
    assert statistic == pytest.approx(statistics[0])
    assert p_value == pytest.approx(np.mean(np.array(statistics) >= statistics[0] - 1e-9))
    drawn = permutation_test(first, second, 33, np.random.default_rng(0))[1]  # too few, by 1, to use all 35
    assert drawn * 34 == pytest.approx(round(drawn * 34))


def test_too_few_documents_get_the_number_needed() -> None:
    rng = np.random.default_rng(0)
    result = collection_test(posts(rng, 2, 50, "s", shift=9.0), posts(rng, 2, 50, "c"))
    assert result.smallest_p == result.p_value == 1 / 6
    assert [*map(describe_note, result.notes)] == [
        "documents tested: 2 of candidates and 2 of non-members; the smallest possible p-value is 0.167, "
        "and p ≤ 0.05 needs 3 documents of each",
    ]
    several = collection_test(posts(rng, 4, 9, "s", 2), posts(rng, 4, 9, "c", 2), level=0.01)
    assert several.n_documents == (4, 4)
    assert several.notes[0].figures["needed"] == 5
    assert [smallest_p_value((n, n), 10**6) <= level for n, level in ((3, 0.05), (2, 0.05), (5, 0.01), (4, 0.01))] == [
        True,
        False,
        True,
        False,
    ]
    assert documents_needed(0.05) == 3


def test_a_single_document_against_many() -> None:
    rng = np.random.default_rng(0)
    result = collection_test(posts(rng, 1, 50, "s", shift=9.0), posts(rng, 24, 5, "c"))
    assert result.p_value == pytest.approx(1 / 25)
    assert (result.effect.low, result.effect.high) == (0, 1)  # no evidence about other documents
    alone = collection_test(posts(rng, 30, 5, "s", shift=9.0), posts(rng, 1, 5, "c"))
    assert np.isnan(alone.placebo.p_value)
    assert np.isnan(alone.placebo.in_order_p_value)


def test_all_scores_equal() -> None:
    # Sizes differ so that means of 0.1 differ in their last digit.
    candidates = [0.1] * 21, [f"s{i % 5}" for i in range(21)]
    nonmembers = [0.1] * 64, [f"c{i % 9}" for i in range(64)]
    result = collection_test(candidates, nonmembers, permutations=99)
    assert (result.statistic, result.p_value) == (0, 1)
    several = collection_test(
        (np.full((21, 2), 0.1), candidates[1]), (np.full((64, 2), 0.1), nonmembers[1]), permutations=99
    )
    assert (several.statistic, several.p_value, several.statistics) == (0, 1, (0, 0, 0))


def test_complete_separation_without_spread_is_finite() -> None:
    assert np.isfinite(welch_statistic(np.array([1.0, 1.0, 0.0, 0.0]), np.array([[True, True, False, False]]))).all()
    result = collection_test(([1.0] * 5, list("abcde")), ([0.0] * 5, list("fghij")))
    assert result.p_value == 1 / 252


# --- what is left out or refused --------------------------------------------------------------------------------------


def test_missing_scores_are_counted() -> None:
    rng = np.random.default_rng(0)
    scores, names = posts(rng, 6, 2, "s")
    scores[[0, 1, 4]] = NAN
    result = collection_test((scores, names), posts(rng, 6, 2, "c"), permutations=99)
    assert result.n_documents == (5, 6)
    unscored = "candidate passages without a score: 3 of 12; they are left out, and with them whole documents: 1"
    assert describe_note(result.notes[0]) == unscored
    assert isinstance(result, CollectionTest)


def test_documents_of_unequal_length_are_noted() -> None:
    rng = np.random.default_rng(0)
    result = collection_test(posts(rng, 6, 10, "s"), posts(rng, 6, 3, "c"), permutations=99)
    assert describe_note(result.notes[0]).startswith(
        "candidate documents have 10 passages, and documents of non-members 3 (medians); they are not exchangeable"
    )
    assert not collection_test(posts(rng, 6, 6, "s"), posts(rng, 6, 3, "c"), permutations=99, seed=1).notes


FOUR = [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: collection_test(([], []), (FOUR, list("abcd"))), ScoresError, "there are no candidate passages"),
        (lambda: collection_test((FOUR, list("abcd")), ([], [])), ScoresError, "there are no non-member passages"),
        (
            lambda: collection_test((FOUR, list("abc")), (FOUR, list("efgh"))),
            UsageError,
            "4 candidate scores but 3 documents",
        ),
        (
            lambda: collection_test((FOUR, list("abcd")), (FOUR, list("dcef"))),
            ScoresError,
            "2 documents are both among the candidates and among the non-members",
        ),
        (
            lambda: collection_test(([1.0, np.inf], ["a", "b"]), (FOUR, list("efgh"))),
            ScoresError,
            "1 candidate scores are infinite, at",
        ),
        (
            lambda: collection_test((FOUR, list("abcd")), ([NAN], ["e"])),
            ScoresError,
            "no non-member passage has a score",
        ),
        (
            lambda: collection_test((np.ones((4, 2)), list("abcd")), (np.ones((4, 3)), list("efgh"))),
            UsageError,
            "candidate passages have 2 scores each but passages of non-members 3",
        ),
        (
            lambda: collection_test((FOUR, list("abcd")), (FOUR, list("efgh")), level=0.0),
            UsageError,
            "`level` must lie between",
        ),
        (
            lambda: collection_test((FOUR, list("abcd")), (FOUR, list("efgh")), permutations=18),
            UsageError,
            "18 `permutations` cannot give p ≤ 0.05: at least 19 are needed",
        ),
    ],
)
def test_refusals_are_one_line(call: Callable[[], object], error: type[LlmMiaError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_late_decision_on_the_same_candidates_can_still_be_a_finding() -> None:
    """The eighth has to reach p ≤ 0.00009, which 9,999 permutations cannot."""
    documents = np.repeat(np.arange(40), 3).astype(str).tolist()
    higher, lower = np.random.default_rng(0).normal(2.0, 1.0, 60), np.random.default_rng(1).normal(0.0, 1.0, 60)
    assert collection_test((higher, documents[:60]), (lower, documents[60:]), level=8.9e-5).p_value <= 8.9e-5
