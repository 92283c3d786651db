"""Copies of a text in a table have equal scores and count once; scores that are rounded are not taken for copies."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia import Flags, ScoreTable
from llm_mia.decision import NoteKind, calibrate, equal_rows, flag, flag_documents, judge_collection
from llm_mia.records import RunRecord

Floats = NDArray[np.float64]


def table_of(known: Floats, candidates: Floats, *, named: bool = False) -> ScoreTable:
    """The table of these scores; *named*: each row names a document, so that equal scores count as they are."""
    scores = np.concatenate([known, candidates])
    documents = [f"d{row}" for row in range(len(scores))] if named else None
    return ScoreTable.of(scores, [0] * len(known) + [-1] * len(candidates), documents=documents)


def decided(table: ScoreTable, decide: Callable[..., Flags] = flag) -> Flags:
    return decide(table, calibrate(table, "score", fpr=0.05))


def positive(copies_known: int, copies: int, *, named: bool, draws: int) -> float:
    """The share of draws that end in a finding or a bound above 0, where nobody was trained on."""
    rng, results = np.random.default_rng(8), []
    for _ in range(draws):
        known = np.repeat(rng.normal(size=300 // copies_known), copies_known)
        candidates = np.repeat(rng.normal(size=500 // copies), copies)
        flags = decided(table_of(known, candidates, named=named))
        found = flags.finding is not None and flags.finding.significant
        results.append(found or (flags.members is not None and flags.members.members > 0))
    return float(np.mean(results))


@pytest.mark.parametrize(("copies_known", "copies"), [(1, 10), (10, 5)])
def test_copies_give_a_finding_no_more_often_than_texts_that_occur_once(copies_known: int, copies: int) -> None:
    # With probability 0.999 at most 7 of 40 draws are a finding at 5 % (binomial).
    assert positive(copies_known, copies, named=False, draws=40) <= 7 / 40
    assert positive(copies_known, copies, named=True, draws=120) > 0.1, "the planted fault: each row counts"


def test_copies_are_pointed_out_and_share_a_document() -> None:
    rng = np.random.default_rng(2)
    known, candidates = rng.normal(size=60), np.repeat(rng.normal(size=10), 4)
    flags = decided(table_of(known, candidates))
    figures = {"attack": "score", "role": "candidate", "rows": 40, "documents": 10}
    assert [note.figures for note in flags.notes if note.kind == NoteKind.SCORES_EQUAL] == [figures]
    assert {row.document for row in flags.rows[:4]} == {"61 (equal scores of candidates)"}
    assert len(decided(table_of(known, candidates), flag_documents).rows) == 10
    assert judge_collection(table_of(known, candidates)).test.n_documents == (10, 60)
    assert judge_collection(table_of(known, candidates, named=True)).test.n_documents == (40, 60)
    again = calibrate(table_of(np.repeat(known, 2), candidates), "score", fpr=0.05)
    assert (again.n, again.n_documents) == (120, 60)
    assert [note.figures["role"] for note in again.notes if note.kind == NoteKind.SCORES_EQUAL] == ["non-member"]
    for other in (table_of(known, candidates, named=True), replace(table_of(known, candidates), record=RunRecord())):
        assert NoteKind.SCORES_EQUAL not in [
            note.kind for note in flag(other, calibrate(other, "score", fpr=0.05)).notes
        ]


DRAW: dict[str, Callable[[np.random.Generator], Any]] = {
    "counts": lambda rng: rng.poisson(3, 400),
    "two values": lambda rng: rng.random(400) < 0.8,
    "one decimal": lambda rng: np.round(rng.normal(size=400), 1),
    "three decimals": lambda rng: np.round(rng.normal(size=1000), 3),
    "four decimals": lambda rng: np.round(rng.normal(size=3000), 4),
    "a floor": lambda rng: np.maximum(rng.normal(size=400), 0.0),
    "float32": lambda rng: rng.normal(size=3000).astype(np.float32),
    "a pair": lambda rng: [*rng.normal(size=400), 0.1234, 0.1234],
}


@pytest.mark.parametrize("what", DRAW)
def test_scores_that_are_equal_by_chance_are_not_taken_for_copies(what: str) -> None:
    rng = np.random.default_rng(3)
    taken = [bool(equal_rows(np.asarray(DRAW[what](rng), dtype=np.float64))) for _ in range(20)]
    assert sum(taken) <= 1


def test_scores_of_three_significant_digits_are_not_taken_for_copies() -> None:
    """Joined, they thin out the more frequent scores of the larger side: a finding in 10 % of draws."""
    rng, taken = np.random.default_rng(3), 0
    for _ in range(20):
        known, candidates = (np.array([float(f"{x:.3g}") for x in np.exp(3 * rng.normal(size=n))]) for n in (300, 1000))
        assert equal_rows(candidates), "the planted fault: without the other role nothing shows that they are rounded"
        flags = decided(table_of(known, candidates))
        taken += NoteKind.SCORES_EQUAL in [note.kind for note in flags.notes]
    assert taken <= 1


@pytest.mark.parametrize("decimals", [2, 4, 15])
def test_copies_are_recognised_in_rounded_scores_too(decimals: int) -> None:
    scores = np.random.default_rng(4).permutation(np.repeat(np.random.default_rng(5).normal(size=50), 10))
    groups = equal_rows(np.round(scores, decimals))
    assert sum(map(len, groups)) == 500
    assert all(len({round(scores[row], decimals) for row in group.tolist()}) == 1 for group in groups)


@pytest.mark.parametrize("texts", [1, 2])
def test_candidates_that_are_copies_of_a_text_or_two_count_so(texts: int) -> None:
    """The steps of scores cannot be seen in a single value: those of all rows show that equal candidates are copies."""
    known = np.random.default_rng(0).standard_normal(100)
    candidates = np.repeat([2.5, 2.75][:texts], 50 // texts)
    table = ScoreTable.of(np.concatenate([known, candidates]), [0] * 100 + [None] * 50)
    flags = flag(table, calibrate(table, "score", fpr=0.05))
    assert flags.flagged == 50
    assert flags.finding is not None
    # At most so improbable is that these texts score higher than all others, where labels are exchangeable.
    assert flags.finding.p_value >= 1 / math.comb(100 + texts, texts)
    assert flags.finding.candidates == texts
    assert NoteKind.SCORES_EQUAL in [note.kind for note in flags.notes]
