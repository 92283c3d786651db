"""Fit part and calibration part: whole documents, whatever the order of the rows, with both labels in both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from llm_mia.calibration import Split, split_by_document
from llm_mia.decision import calibrate
from llm_mia.errors import CalibrationError, LlmMiaError, UsageError
from llm_mia.scores import ScoreTable

steady = settings(derandomize=True, deadline=None)
rows = st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from([0, 1, None])), min_size=1, max_size=40)


@steady
@given(rows=rows, seed=st.integers(0, 50), fit_share=st.sampled_from([0.1, 0.3, 0.5, 0.9]), data=st.data())
def test_whole_documents_whatever_the_order(rows: Any, seed: int, fit_share: float, data: st.DataObject) -> None:
    documents = [document for document, _ in rows]
    if len(set(documents)) < 2:
        with pytest.raises(CalibrationError, match="there is only 1 document"):
            split_by_document(documents, fit_share, seed)
        return
    fit = split_by_document(documents, fit_share, seed)
    inside = {document for document, mark in zip(documents, fit, strict=True) if mark}
    assert [document in inside for document in documents] == fit.tolist()
    assert abs(len(inside) - fit_share * len(set(documents))) <= 1
    assert 0 < len(inside) < len(set(documents))
    order = data.draw(st.permutations(range(len(rows))))
    again = split_by_document([documents[i] for i in order] + [documents[order[0]]], fit_share, seed)
    assert again[:-1].tolist() == fit[order].tolist(), "nor does it matter how many passages a document has"


@steady
@given(rows=rows, seed=st.integers(0, 50), fit_share=st.sampled_from([0.1, 0.5, 0.9]))
def test_both_parts_have_members_and_non_members_wherever_that_can_be(rows: Any, seed: int, fit_share: float) -> None:
    documents, labels = zip(*rows, strict=True)
    of = {label: {document for document, mark in rows if mark == label} for label in (0, 1)}
    if min(map(len, of.values())) < 2:
        with pytest.raises(CalibrationError, match=r"members come from [01] doc|there is only 1 doc"):
            split_by_document(documents, fit_share, seed, labels)
        return
    fit = split_by_document(documents, fit_share, seed, labels)
    for part in (fit, ~fit):
        labels_of_part = {label for label, mark in zip(labels, part, strict=True) if mark}
        assert {0, 1} <= labels_of_part
    assert not {*np.array(documents)[fit]} & {*np.array(documents)[~fit]}


def test_strata_are_drawn_from_separately() -> None:
    documents = [f"d{i}" for i in range(100)]
    labels = [1] * 10 + [0] * 80 + [None] * 10
    fit = split_by_document(documents, 0.3, 4, labels)
    assert [int(fit[part].sum()) for part in (slice(10), slice(10, 90), slice(90, 100))] == [3, 24, 3]


def test_the_seed_decides() -> None:
    documents = [f"d{i}" for i in range(40)]
    assert len({split_by_document(documents, seed=seed).tobytes() for seed in range(20)}) == 20
    drawn = np.mean([split_by_document(documents, 0.25, seed) for seed in range(400)], axis=0)
    assert np.abs(drawn - 0.25).max() < 4.5 * np.sqrt(0.25 * 0.75 / 400), "no document is favoured"


def test_the_record_of_a_split_can_be_checked() -> None:
    ids, documents = ["p1", "p2", "p3", "p4"], ["a", "a", "b", "c"]
    fit = np.array([True, True, False, True])
    split = Split.of(ids, documents, fit, fit_share=0.7, seed=5)
    assert (split.fit_passages, split.fit_documents) == (3, 2)
    assert (split.calibration_passages, split.calibration_documents) == (1, 1)
    turned = Split.of(ids[::-1], documents[::-1], fit[::-1], fit_share=0.7, seed=5)
    assert turned == split
    other = Split.of(["p1", "p2", "p3", "p5"], documents, fit, fit_share=0.7, seed=5)
    assert (other.fit_sha256 == split.fit_sha256, other.calibration_sha256 == split.calibration_sha256) == (False, True)
    # printf '[["b", "p3"]]' | sha256sum
    assert split.calibration_sha256 == "9ee21fffd531a2330ee6b54bc9c205e1767bf8468c69946c80b1811fe334facd"


def test_thresholds_chosen_on_what_they_are_reported_on_realise_more_than_asked_and_by_this_split_they_do_not() -> None:
    """Of 40 attacks that know nothing the one with the lowest threshold, at FPR 5 %."""
    rng = np.random.default_rng(0)
    documents = [f"d{i // 2}" for i in range(120)]
    realised: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(400):
        scores = rng.random((40, 120))
        fit = split_by_document(documents, 0.5, seed)
        for apart in (True, False):
            chosen_on, calibrated_on = (fit, ~fit) if apart else (~fit, ~fit)
            best = np.argmin(np.sort(scores[:, chosen_on], axis=1)[:, -3])
            known = scores[best, calibrated_on]
            calibration = calibrate(ScoreTable.of(known, [0] * len(known)), "score", fpr=0.05)
            realised[apart].append(1 - calibration.threshold)
    assert np.mean(realised[True]) < 0.05 + 4 * np.std(realised[True]) / 20
    assert np.mean(realised[False]) > 0.05 + 4 * np.std(realised[False]) / 20


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: split_by_document(["a", "a"]),
            CalibrationError,
            "there is only 1 document: fit part and calibration part need at least 1 each",
        ),
        (lambda: split_by_document([]), CalibrationError, "there are no documents"),
        (lambda: split_by_document(["a", "b"], 0.0), UsageError, "`fit_share` must lie between 0 and 1"),
        (lambda: split_by_document(["a", "b"], 0.5, 0, [1]), UsageError, "2 documents but 1 labels"),
        (
            lambda: Split.of("ab", "xy", [True], fit_share=0.5, seed=0),
            UsageError,
            "`ids` has length 2, `documents` 2 and `fit` 1",
        ),
        (
            lambda: Split.of("ab", "xx", [True, False], fit_share=0.5, seed=0),
            UsageError,
            "document 'x' is in both parts",
        ),
    ],
)
def test_refusals_are_one_line(call: Callable[[], object], error: type[LlmMiaError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
