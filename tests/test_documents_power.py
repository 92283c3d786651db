"""The size of a study from a pilot: variance components by hand, and the promised power by simulation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia.documents import describe_note, permutation_test, power_table
from llm_mia.errors import LlmMiaError, ScoresError, UsageError

Floats = NDArray[np.float64]
Side = tuple[Floats, list[str]]
SIX = [1.0, 2.0, 3.0, 4.0, 5.0, 7.0]


def pilot(
    rng: np.random.Generator, sizes: list[int], between: float, within: float, prefix: str, shift: float = 0.0
) -> Side:
    numbers = np.repeat(np.arange(len(sizes)), sizes)
    scores = between * rng.normal(size=len(sizes))[numbers] + within * rng.normal(size=len(numbers)) + shift
    return np.asarray(scores), [f"{prefix}{i}" for i in numbers]


def realised(documents: int, passages: int, between: float, within: float, shift: float, level: float) -> float:
    """Share of 400 tests with *documents* a side that come out significant."""
    rng = np.random.default_rng(0)
    spread = math.sqrt(between**2 + within**2 / passages)
    p_values = [
        permutation_test(shift + spread * rng.normal(size=documents), spread * rng.normal(size=documents), 499, rng)[1]
        for _ in range(400)
    ]
    return float(np.mean(np.array(p_values) <= level))


def test_by_hand() -> None:
    # Document means 6, 3, 5 and 4, 1, 3: 7/3 each; passages within: 2. A mean of two has 2/2 of that, 4/3 are between.
    candidates, nonmembers = [5.0, 7, 2, 4, 4, 6], [3.0, 5, 0, 2, 2, 4]
    table = power_table((candidates, list("aabbcc")), (nonmembers, list("ddeeff")), passages=[1, 10])
    assert (table.between**2, table.within**2, table.effect.value) == pytest.approx((4 / 3, 2, 2))
    needed = [2 * (1.644854 + 0.841621) ** 2 * (4 / 3 + 2 / k) / 4 + 1.644854**2 / 4 for k in (1, 10)]
    assert [row.documents for row in table.rows] == [math.ceil(each) for each in needed] == [11, 6]
    assert table.documents_at_least == 5


@pytest.mark.parametrize("sizes", [[8] * 300, [1, 2, 3, 30] * 100])
def test_components_of_a_large_pilot_are_the_true_ones(sizes: list[int]) -> None:
    rng = np.random.default_rng(0)
    table = power_table(pilot(rng, sizes, 0.5, 2.0, "s", 1.0), pilot(rng, sizes, 0.5, 2.0, "c"))
    assert table.within == pytest.approx(2.0, rel=0.05)
    assert table.between == pytest.approx(0.5, rel=0.2)
    assert table.effect.low < 1.0 < table.effect.high


@pytest.mark.parametrize(("passages", "level"), [(5, 0.05), (20, 0.05), (20, 0.01)])
def test_the_power_promised_is_reached(passages: int, level: float) -> None:
    rng = np.random.default_rng(1)
    sides = pilot(rng, [8] * 400, 0.6, 1.0, "s", 0.5), pilot(rng, [8] * 400, 0.6, 1.0, "c")
    table = power_table(*sides, level=level, passages=[passages])
    power = realised(table.rows[0].documents, passages, 0.6, 1.0, 0.5, level)
    assert 0.8 - 0.09 < power < 0.8 + 0.09  # four standard errors, and the error of the pilot


def test_the_check_detects_passages_taken_for_independent() -> None:
    # Without a spread between documents the variance of a mean would be 1.36/20, and 7 documents a side enough.
    independent = math.ceil(2 * (1.645 + 0.842) ** 2 * (1.36 / 20) / 0.5**2 + 1.645**2 / 4)
    assert realised(independent, 20, 0.6, 1.0, 0.5, 0.05) < 0.8 - 0.09


def test_passages_cannot_take_the_place_of_documents() -> None:
    rng = np.random.default_rng(0)
    table = power_table(pilot(rng, [6] * 40, 0.7, 0.7, "s", 1.0), pilot(rng, [6] * 40, 0.7, 0.7, "c"))
    documents = [row.documents for row in table.rows]
    assert documents == sorted(documents, reverse=True)
    assert documents[-1] >= table.documents_at_least > 3
    assert [row.passages for row in table.rows] == [1, 2, 5, 10, 20, 50, 100]
    assert all(row.documents_cautious is not None and row.documents_cautious > row.documents for row in table.rows)


def test_an_overwhelming_effect_needs_enough_documents_for_a_permutation() -> None:
    rng = np.random.default_rng(0)
    sides = pilot(rng, [6] * 9, 0.1, 0.1, "s", 50.0), pilot(rng, [6] * 9, 0.1, 0.1, "c")
    assert {row.documents for row in power_table(*sides).rows} == {3}
    assert {row.documents for row in power_table(*sides, level=0.001).rows} == {7}
    assert realised(3, 1, 0.1, 0.1, 50.0, 0.05) == 1


def test_doubts_are_noted() -> None:
    rng = np.random.default_rng(0)
    one_each = power_table((SIX, list("abcdef")), ([0.0, 1.0, 2.0], list("xyz")))
    assert math.isnan(one_each.within)
    assert [row.passages for row in one_each.rows] == [1]
    assert "the effect of more passages per document cannot be estimated" in describe_note(one_each.notes[0])
    sides = pilot(rng, [4] * 4, 1.0, 1.0, "s", 0.5), pilot(rng, [4] * 4, 1.0, 1.0, "c")
    sides[0][0][0] = np.nan
    weak = power_table(*sides)
    assert weak.effect.low < 0
    assert all(row.documents_cautious is None for row in weak.rows)
    assert "no number of documents is surely enough" in describe_note(weak.notes[0])
    assert describe_note(weak.notes[1]) == "passages without a score, left out of the number of documents needed: 1"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: power_table((SIX, ["a"] * 6), (SIX, list("uvwxyz"))),
            ScoresError,
            "at least 2 documents with scores are needed on each side: there are 1 candidate documents",
        ),
        (
            lambda: power_table((SIX, list("abcdef")), (SIX, list("uvwxya"))),
            ScoresError,
            "a document is both among the candidates and among the non-members",
        ),
        (
            lambda: power_table((SIX, list("abcdef")), (SIX, list("uvwxyz"))),
            ScoresError,
            "score no higher than documents of non-members",
        ),
        (
            lambda: power_table(([1.0] * 4, list("aabb")), ([0.0] * 4, list("ccdd"))),
            ScoresError,
            "so their spread is not known",
        ),
        (lambda: power_table(([], []), (SIX, list("uvwxyz"))), ScoresError, "there are no candidate passages"),
        (
            lambda: power_table(([1.0, -np.inf], ["a", "b"]), (SIX, list("uvwxyz"))),
            ScoresError,
            "infinite, at position 1",
        ),
        (
            lambda: power_table((np.ones((2, 2)), ["a", "b"]), (SIX, list("uvwxyz"))),
            UsageError,
            "each passage must have 1 score",
        ),
        (
            lambda: power_table((SIX, list("abcdef")), (SIX, list("uvwxyz")), level=1.0),
            UsageError,
            "`level` must lie between 0 and 1",
        ),
        (
            lambda: power_table((SIX, list("abcdef")), (SIX, list("uvwxyz")), power=0.01),
            UsageError,
            "`power` must be above `level`, 0.05: got 0.01",
        ),
        (
            lambda: power_table((SIX, list("abcdef")), (SIX, list("uvwxyz")), passages=[0]),
            UsageError,
            "`passages` must hold numbers",
        ),
    ],
)
def test_refusals_are_one_line(call: Callable[[], object], error: type[LlmMiaError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
