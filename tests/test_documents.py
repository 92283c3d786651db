"""Documents from passages: the evidence by hand, and p-values that hold by document where those by passage do not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia.calibration import conformal_p_values
from llm_mia.documents import (
    Average,
    DocumentPValues,
    Sizes,
    describe_note,
    document_p_values,
    document_scores,
)
from llm_mia.errors import LlmMiaError, ScoresError, UsageError
from llm_mia.records import Note, SharedNames

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Side = tuple[Floats, list[str]]
NAN = float("nan")


def side(rng: np.random.Generator, sizes: Ints | list[int], alike: float, prefix: str, shift: float = 0.0) -> Side:
    """Unit normal passage scores in documents of these *sizes*, the share *alike* of their variance between these."""
    numbers = np.repeat(np.arange(len(sizes)), sizes)
    scores = np.sqrt(alike) * rng.normal(size=len(sizes))[numbers] + np.sqrt(1 - alike) * rng.normal(size=len(numbers))
    return np.asarray(scores + shift), [f"{prefix}{number}" for number in numbers]


# --- scores -----------------------------------------------------------------------------------------------------------


def test_scores_by_hand() -> None:
    result = document_scores([1.0, 10.0, NAN, 3.0, NAN, 20.0], ["b", "a", "b", "b", "c", "a"])
    assert result.names == ("b", "a", "c")
    np.testing.assert_equal(result.values, [2.0, 15.0, NAN])
    assert (result.n_passages.tolist(), result.n_unscored.tolist()) == ([2, 2, 0], [1, 0, 1])


@pytest.mark.parametrize(("n", "cut"), [(1, 0), (4, 0), (5, 1), (9, 1), (10, 2), (15, 3)])
def test_trimmed_mean_leaves_out_a_fifth_at_either_end(n: int, cut: int) -> None:
    scores = np.random.default_rng(n).normal(size=2 * n)
    result = document_scores(scores, ["a"] * n + ["b"] * n, "trimmed")
    for value, of_document in zip(result.values, (scores[:n], scores[n:]), strict=True):
        assert value == pytest.approx(np.sort(of_document)[cut : n - cut].mean())


def test_a_few_odd_passages_move_the_mean_only() -> None:
    scores = [*np.linspace(0, 1, 9), 1000.0]
    assert document_scores(scores, ["a"] * 10).values[0] > 100
    assert document_scores(scores, ["a"] * 10, "trimmed").values[0] < 1


def test_order_of_passages_changes_no_digit() -> None:
    rng = np.random.default_rng(0)
    scores, names = rng.normal(size=500), np.array([f"d{i % 7}" for i in range(500)])
    turned = rng.permutation(500)
    first, second = document_scores(scores, names.tolist()), document_scores(scores[turned], names[turned].tolist())
    assert dict(zip(first.names, first.values, strict=True)) == dict(zip(second.names, second.values, strict=True))


# --- p-values ---------------------------------------------------------------------------------------------------------


def test_p_values_by_hand() -> None:
    # Means 2, 4, 6 and 8 of the calibration documents; 7 is above three of them, 4 above the first and tied with one.
    known = [1.0, 3.0, 4.0, 4.0, 5.0, 7.0, 8.0, 8.0], list("aabbccdd")
    result = document_p_values([7.0, 7.0, 5.0, 3.0, 9.0, 9.0], list("xxyyzz"), *known)
    assert result.p_values.tolist() == [2 / 5, 4 / 5, 1 / 5]
    assert result.values.tolist() == [7.0, 4.0, 9.0]
    assert result.n_calibration.tolist() == [4, 4, 4]


Check = Callable[[np.random.Generator, Side, Side], Floats]


def excess(
    p_values: Check, known: Callable[[], list[int]], candidates: list[int], alike: float, times: int = 250
) -> float:
    """Largest excess of P(p ≤ u) over u in standard errors, over *times* calibrations; each candidate a non-member."""
    rng, grid = np.random.default_rng(0), np.array([0.05, 0.1, 0.2, 0.3, 0.5])
    shares = []
    for _ in range(times):
        calibration = side(rng, known(), alike, "k")
        result = p_values(rng, side(rng, candidates, alike, "c"), calibration)
        shares.append((result[:, None] <= grid).mean(axis=0))
    # Candidates share a calibration set, so a calibration counts once.
    rows = np.array(shares)
    return float(np.max((rows.mean(axis=0) - grid) / np.maximum(rows.std(axis=0, ddof=1) / np.sqrt(times), 1e-9)))


def by_document(rng: np.random.Generator, candidates: Side, known: Side, **more: str) -> Floats:
    return document_p_values(*candidates, *known, **more).p_values  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["mean", "trimmed"])
def test_millions_of_passages_are_summed_in_parts_as_they_are_together(how: Average) -> None:
    rng = np.random.default_rng(4)
    documents = np.repeat(np.arange(140_000, dtype=np.int32), rng.integers(1, 20, 140_000))
    documents[-300_000:] = documents[-300_000]  # a document that no part of the usual size holds
    scores, order = np.round(rng.normal(size=len(documents)), 3), rng.permutation(len(documents))
    names = [str(number) for number in range(140_000)]
    in_parts = document_scores(scores, SharedNames(names, documents), how)
    together = document_scores(scores[order], SharedNames(names, documents[order]), how)
    expected = dict(zip(together.names, together.values.tolist(), strict=True))
    assert [expected[name] for name in in_parts.names] == in_parts.values.tolist()


@pytest.mark.parametrize("how", ["mean", "trimmed"])
@pytest.mark.parametrize("alike", [0.0, 0.5, 0.95])
def test_super_uniform_however_alike_passages_are(how: str, alike: float) -> None:
    assert excess(partial(by_document, average=how), lambda: [8] * 24, [8] * 12, alike) < 4


def test_the_check_detects_documents_calibrated_on_passages() -> None:
    def pseudo_documents(rng: np.random.Generator, candidates: Side, known: Side) -> Floats:
        # The fault: passages taken as exchangeable, so that groups of eight from anywhere stand in for documents.
        return by_document(rng, candidates, (known[0], rng.permutation(known[1]).tolist()))

    def best_passage(rng: np.random.Generator, candidates: Side, known: Side) -> Floats:
        return np.asarray(conformal_p_values(candidates[0], known[0]).reshape(12, 8).min(axis=1))

    def sum_against_passages(rng: np.random.Generator, candidates: Side, known: Side) -> Floats:
        return conformal_p_values(document_scores(*candidates).values * np.sqrt(8), known[0])

    for fault in (pseudo_documents, best_passage, sum_against_passages):
        assert excess(fault, lambda: [8] * 24, [8] * 12, 0.5) > 4


def test_matched_sizes_hold_for_short_documents_among_long_ones() -> None:
    long_ones, short = (lambda: [30] * 24), [2] * 12
    assert excess(by_document, long_ones, short, 0.1) < 4
    assert excess(partial(by_document, sizes="unmatched"), long_ones, short, 0.1) > 4


def test_matching_gives_nothing_away() -> None:
    # Two-sided: with 24 calibration documents P(p ≤ 5/25) is 0.2 exactly, for the draws that these names and seed fix.
    rng, times = np.random.default_rng(0), 400
    draws = ((side(rng, [2] * 12, 0.1, "c"), side(rng, [30] * 24, 0.1, "k")) for _ in range(times))
    shares = np.array([np.mean(by_document(rng, *each) <= 0.2) for each in draws])
    assert abs(shares.mean() - 0.2) < 4 * shares.std() / np.sqrt(times)


def test_matched_sizes_hold_for_mixed_sizes() -> None:
    rng = np.random.default_rng(5)
    assert excess(by_document, lambda: rng.integers(1, 30, 24).tolist(), [1, 1, 3, 3, 10, 10, 40, 40], 0.2) < 4


def test_unmatched_sizes_hold_over_all_sizes_together() -> None:
    rng = np.random.default_rng(5)
    unmatched = partial(by_document, sizes="unmatched")

    def single_candidate(rng_: np.random.Generator, candidates: Side, known: Side) -> Floats:
        return unmatched(rng_, side(rng_, rng.integers(1, 30, 12), 0.2, "c"), known)

    assert excess(single_candidate, lambda: rng.integers(1, 30, 24).tolist(), [1], 0.2) < 4


def test_members_are_detected() -> None:
    rng = np.random.default_rng(0)
    result = document_p_values(*side(rng, [20] * 50, 0.1, "c", shift=1.0), *side(rng, [20] * 200, 0.1, "k"))
    by_passage = conformal_p_values(rng.normal(size=1000) + 1, rng.normal(size=1000))
    assert np.mean(result.p_values <= 0.05) > 0.6
    assert np.mean(by_passage <= 0.05) < 0.35


def test_a_long_document_is_cut_and_a_short_one_uses_all() -> None:
    sizes = [1, *[6] * 9]
    known = side(np.random.default_rng(0), sizes, 0.5, "k")
    result = document_p_values(*side(np.random.default_rng(1), [3, 50], 0.5, "c"), *known)
    assert (result.n_passages.tolist(), result.n_used.tolist()) == ([3, 50], [3, 6])
    assert result.n_calibration.tolist() == [9, 9]  # the document of one passage is set aside
    assert "documents of up to 50 passages are compared by 6 of their passages, drawn at random" in map(
        describe_note, result.notes
    )
    whole = document_p_values(*side(np.random.default_rng(1), [3, 50], 0.5, "c"), *known, keep=1)
    assert (whole.n_used.tolist(), whole.n_calibration.tolist()) == ([1, 1], [10, 10])


def test_draws_depend_on_no_other_document() -> None:
    rng = np.random.default_rng(0)
    candidates, known = side(rng, [9] * 6, 0.2, "c"), side(rng, [4] * 30, 0.2, "k")
    result = document_p_values(*candidates, *known)
    turned = np.arange(54).reshape(6, 9).T.ravel()  # the documents' passages by turns
    again = document_p_values(candidates[0][turned], [candidates[1][i] for i in turned], *known)
    assert dict(zip(result.names, result.values, strict=True)) == dict(zip(again.names, again.values, strict=True))
    alone = document_p_values(candidates[0][:9], candidates[1][:9], *known)
    assert alone.values[0] == result.values[0]
    assert document_p_values(*candidates, *known, seed=1).values[0] != result.values[0]


def test_all_scores_equal_flag_nothing() -> None:
    result = document_p_values([0.1] * 7, list("aaabbcc"), [0.1] * 60, [f"k{i % 23}" for i in range(60)])
    assert result.p_values.tolist() == [1, 1, 1]


def test_missing_scores_are_counted() -> None:
    scores = [NAN, NAN, 1.0, NAN]
    result = document_p_values(scores, list("aabb"), [0.0, NAN, NAN, 2.0], ["k", "l", "m", "n"])
    np.testing.assert_equal(result.p_values, [NAN, 2 / 3])
    np.testing.assert_equal(result.values, [NAN, 1.0])
    assert result.n_calibration.tolist() == [2, 2]
    assert [*map(describe_note, result.notes)] == [
        "candidate documents without a passage that has a score: 1; they get no p-value",
        "calibration documents without a passage that has a score: 2; they are not used for calibration",
        "calibration documents: 2; the smallest possible p-value is 0.333, and FPR ≤ 0.05 needs 19 documents",
    ]


def test_a_single_calibration_document_gives_no_small_p_value() -> None:
    result = document_p_values([5.0, 0.0], ["a", "b"], [1.0, 1.0, 1.0], ["k"] * 3)
    assert result.p_values.tolist() == [0.5, 1.0]
    few = Note("few_calibration_documents", {"documents": 1, "smallest_p": 0.5, "fpr": 0.05, "needed": 19})
    assert few in result.notes


def test_unmatched_sizes_are_noted() -> None:
    result = document_p_values([5.0], ["a"], [1.0, 1.0, 2.0], ["k", "k", "l"], sizes="unmatched")
    assert any("differ in size" in describe_note(note) for note in result.notes)
    assert isinstance(result, DocumentPValues)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: document_scores([], []), ScoresError, "there are no passages"),
        (lambda: document_scores([1.0, 2.0], ["a"]), UsageError, "2 scores but 1 documents"),
        (
            lambda: document_scores([1.0, np.inf, -np.inf], list("aab")),
            ScoresError,
            "2 scores are infinite, at positions 1, 2",
        ),
        (
            lambda: document_scores([1.0], ["a"], cast(Average, "median")),
            UsageError,
            "must be 'mean' or 'trimmed': got 'median'",
        ),
        (lambda: document_scores([[1.0, 2.0]], ["a"]), UsageError, "each passage must have 1 score, not 2"),
        (lambda: document_scores([[[1.0]]], ["a"]), UsageError, "not the shape"),
        (lambda: document_p_values([], [], [1.0], ["k"]), ScoresError, "there are no candidate passages"),
        (lambda: document_p_values([1.0], ["a"], [], []), ScoresError, "there are no calibration passages"),
        (lambda: document_p_values([1.0], ["a"], [NAN], ["k"]), ScoresError, "no calibration passage has a score"),
        (
            lambda: document_p_values([1.0], ["a"], [np.inf], ["k"]),
            ScoresError,
            "1 calibration scores are infinite, at position 0",
        ),
        (
            lambda: document_p_values([1.0], ["a"], [1.0, 2.0], ["k", "a"]),
            ScoresError,
            "a document is both among the candidates and",
        ),
        (
            lambda: document_p_values([1.0], ["a"], [1.0], ["k"], sizes=cast(Sizes, "bands")),
            UsageError,
            "must be 'matched' or 'unmatched': got 'bands'",
        ),
        (lambda: document_p_values([1.0], ["a"], [1.0], ["k"], keep=0), UsageError, "`keep` must lie between 0 and 1"),
    ],
)
def test_refusals_are_one_line(call: Callable[[], object], error: type[LlmMiaError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
