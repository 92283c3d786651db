"""The split of a pool among shadow models: each document in exactly half of them, uniformly, and balanced."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binom, chi2

from llm_mia.errors import PassageError, UsageError
from llm_mia.passages import Passages, joined_documents
from llm_mia.records import Passage
from llm_mia.shadow import draw_halves, plan_shadows

SETS = [frozenset(each) for each in combinations(range(4), 2)]


def shadows_of(row: np.ndarray) -> frozenset[int]:
    return frozenset(np.flatnonzero(row).tolist())


@pytest.mark.parametrize("sizes", [[1] * 10, [1] * 11, [5, 1, 1, 2, 3, 1, 1], [9, 1, 1, 1]])
@pytest.mark.parametrize("shadows", [4, 6, 8])
def test_each_document_is_in_half_of_the_shadows_and_each_shadow_has_half_of_the_documents(
    sizes: list[int], shadows: int
) -> None:
    for seed in range(20):
        inside = draw_halves(sizes, shadows, seed)
        assert (inside.sum(axis=1) == shadows // 2).all()
        documents = np.array(sizes) @ inside
        assert np.abs(documents - sum(sizes) / 2).max() <= max(sizes) / 2
    assert (draw_halves(sizes, shadows, 3) == draw_halves(sizes, shadows, 3)).all()
    assert (draw_halves(sizes, shadows, 3) != draw_halves(sizes, shadows, 4)).any()


@pytest.mark.parametrize("sizes", [[1] * 6, [3, 1, 1, 2, 1]])
def test_the_set_of_shadows_of_a_document_is_uniform(sizes: list[int]) -> None:
    seeds = 3_000
    drawn = [draw_halves(sizes, 4, seed) for seed in range(seeds)]
    # All documents together fail by chance with probability 1e-6.
    limit = chi2.isf(1e-6 / len(sizes), len(SETS) - 1)
    for group in range(len(sizes)):
        counts = Counter(shadows_of(inside[group]) for inside in drawn)
        expected = seeds / len(SETS)
        assert sum((counts[each] - expected) ** 2 / expected for each in SETS) < limit
    assert {shadows_of(inside[0]) for inside in drawn} == {*SETS}


def test_two_documents_of_equal_size_are_opposite_as_often_as_they_are_a_pair_or_happen_to_be() -> None:
    seeds = 3_000
    drawn = (draw_halves([1] * 6, 4, seed) for seed in range(seeds))
    opposite = sum(bool((inside[0] != inside[1]).all()) for inside in drawn)
    # A pair with probability 1/5; else opposite by chance, 1 set of 6. Outside this range with probability 2e-6.
    low, high = binom.ppf([1e-6, 1 - 1e-6], seeds, 1 / 5 + 4 / 5 / 6)
    assert low <= opposite <= high


@pytest.mark.parametrize("shadows", [0, 2, 5, -4])
def test_an_odd_or_small_number_of_shadows_is_refused(shadows: int) -> None:
    with pytest.raises(UsageError, match=f"`shadows` is {shadows}: it must be even, and at least 4"):
        draw_halves([1] * 6, shadows, 0)


def pool(*documents: str) -> Passages:
    rows = [{"text": f"text {text}", "document": at} for at, texts in enumerate(documents) for text in texts]
    return Passages.of(rows, name="pool")


def test_documents_that_share_a_text_go_together() -> None:
    rows = ["ab", "xc", "xb", "yd", "zd", "ye"]  # text and document
    assert joined_documents([Passage(row, row[0], row[1]) for row in rows]) == list("bbbddd")
    plan = plan_shadows(pool("ab", "bc", "d", "ce", "f", "g", "h"), "a model")
    assert plan.inside["0"] == plan.inside["1"] == plan.inside["3"]
    assert plan.joined == 2
    assert len(plan.inside) == 7
    assert plan.roles == tuple(f"shadow-{at:02d}" for at in range(8))


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        (["abcdef"], "pool: holds 1 document: shadow models need at least 4"),
        (["a", "b", "c"], "pool: holds 3 documents: shadow models need at least 4"),
        (["ab", "ac", "ad", "ae"], "holds 4 documents, which are 1 when those that share a text count once"),
    ],
)
def test_documents_that_cannot_be_halved_are_refused(documents: list[str], message: str) -> None:
    with pytest.raises(PassageError, match=message):
        plan_shadows(pool(*documents), "a model")


def test_two_sources_with_the_same_id_are_refused() -> None:
    sources = [Passages.of([{"id": "x", "text": text}], name=text) for text in ("first", "second")]
    with pytest.raises(PassageError, match="second row 1: the id 'x' occurs twice, first at first row 1"):
        plan_shadows(sources, "a model")
