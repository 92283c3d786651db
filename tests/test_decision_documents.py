"""Decisions on documents and on collections, choices on a part kept apart, categories, counts: from tables."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia import ScoreTable
from llm_mia.calibration import confident_threshold, fpr_threshold, member_count_bound
from llm_mia.decision import (
    ErrorRate,
    NoteKind,
    QValueMethod,
    Reason,
    Rule,
    Selection,
    Shortage,
    ShortageKind,
    Unit,
    Wanted,
    calibrate,
    calibration_part,
    compare,
    evaluate,
    flag,
    flag_documents,
    judge_collection,
    rates_at,
)
from llm_mia.errors import CalibrationError, ScoresError, UsageError
from llm_mia.records import RunRecord, Standing

Floats = NDArray[np.float64]
REPEATS = 200


def table(labels: Any, documents: Any = None, record: Any = None, **columns: Any) -> ScoreTable:
    marks = np.asarray(labels, dtype=np.int8)
    ids = [f"p{i}" for i in range(len(marks))]
    scores = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    return ScoreTable("t.csv", ids, ids if documents is None else documents, marks, scores, record)


def books(rng: np.random.Generator, *, known: int = 60, shifts: Any = (0.0,) * 20, passages: int = 4) -> ScoreTable:
    """Documents whose passages go up and down together; candidate documents lie *shifts* above."""
    passage_scores = rng.normal(size=known + len(shifts))
    passage_scores[known:] += shifts
    scores = np.repeat(passage_scores, passages) + 0.3 * rng.normal(size=len(passage_scores) * passages)
    documents = [f"d{i}" for i in range(len(passage_scores)) for _ in range(passages)]
    return table(np.repeat([0, -1], [known * passages, len(shifts) * passages]), documents, loss=scores)


def within(share: float, rate: float, repeats: int) -> bool:
    """Not above *rate* by more than chance explains (four standard errors)."""
    return share <= rate + 4 * math.sqrt(rate * (1 - rate) / repeats)


# -- documents --------------------------------------------------------------------------------------------------------


def test_documents_are_flagged_at_the_rate_and_passages_taken_for_documents_are_not() -> None:
    rng, rates, passage_rates = np.random.default_rng(0), [], []
    for _ in range(REPEATS):
        score_table = books(rng, known=39)
        calibration = calibrate(score_table, "loss", fpr=0.05)
        flags = flag_documents(score_table, calibration)
        rates.append(flags.flagged / len(flags.rows))
        # The fault: a document is flagged where any of its passages is above the threshold of independent passages.
        known, candidates = (score_table.column("loss")[score_table.rows(label)] for label in (0, None))
        passage_rates.append((candidates.reshape(-1, 4).max(axis=1) > fpr_threshold(known, 0.05)).mean())
    error = float(np.std(rates) / math.sqrt(REPEATS))
    assert abs(np.mean(rates) - 0.05) <= 4 * error
    assert np.mean(passage_rates) > 0.05 + 4 * error


def test_document_flags_by_hand() -> None:
    score_table = books(np.random.default_rng(1), shifts=[9.0, 9.0, 0.0])
    flags = flag_documents(score_table, calibrate(score_table, "loss", fpr=0.05))
    assert (flags.unit, flags.rule, flags.n) == (Unit.DOCUMENTS, Rule(ErrorRate.FALSE_POSITIVES, 0.05), 60)
    assert [(row.id, row.flagged) for row in flags.rows] == [("d60", True), ("d61", True), ("d62", False)]
    assert flags.rows[0].p_value == pytest.approx(1 / 61)
    assert flags.rows[0].score == pytest.approx(score_table.column("loss")[240:244].mean())
    assert (flags.rows[0].reason, flags.rows[0].limit) == (Reason.P_VALUE, 0.05)
    assert flags.members is not None
    assert (flags.members.candidates, flags.members.level) == (3, 0.05)
    strict = flag_documents(score_table, calibrate(score_table, "loss", fpr=0.05, confidence=0.9))
    assert [row.flagged for row in strict.rows] == [True, True, False]
    assert strict.rule == Rule(ErrorRate.FALSE_POSITIVES, 0.05, 0.9)
    both = flag_documents(score_table, calibrate(score_table, "loss", fpr=0.05), fdr=0.1)
    assert (both.rule, both.q_values, both.flagged) == (
        Rule(ErrorRate.FALSE_DISCOVERIES, 0.1),
        QValueMethod.BENJAMINI_HOCHBERG,
        2,
    )


@pytest.mark.parametrize("confidence", [None, 0.8, 0.95])
def test_documents_of_one_size_are_flagged_where_their_means_exceed_the_threshold_on_means(
    confidence: float | None,
) -> None:
    score_table = books(np.random.default_rng(11), known=120, shifts=[1.0] * 60)
    flags = flag_documents(score_table, calibrate(score_table, "loss", fpr=0.05, confidence=confidence))
    means = score_table.column("loss").reshape(-1, 4).mean(axis=1)
    known = means[:120]
    threshold = fpr_threshold(known, 0.05) if confidence is None else confident_threshold(known, 0.05, confidence)
    assert [row.flagged for row in flags.rows] == (means[120:] > threshold).tolist()
    assert 0 < flags.flagged < 60


def test_documents_of_several_sizes_use_the_rule_for_any_dependence_with_a_note() -> None:
    score_table = books(np.random.default_rng(2), shifts=[9.0] * 8 + [0.0] * 4)
    short = score_table.only(~np.isin(np.arange(len(score_table)), [240, 241, 242]))  # d60 keeps one passage
    flags = flag_documents(short, calibrate(short, "loss", fpr=0.05), fdr=0.2)
    assert flags.q_values is QValueMethod.BENJAMINI_YEKUTIELI
    assert flags.members is not None
    assert flags.members.candidates == 11
    assert {"documents": 11, "passages": 4} in [note.figures for note in flags.notes]


@pytest.mark.parametrize(
    ("change", "fpr", "message"),
    [
        ({"known": 15}, 0.05, "15 documents of non-members, with 60 passages, cannot certify FPR ≤ 0.05: .*least 19"),
        ({"known": 60}, 0.01, "60 documents of non-members, with 240 passages, cannot certify FPR ≤ 0.01: .* 99"),
    ],
)
def test_too_few_documents_are_refused_with_the_number_that_would_do(
    change: dict[str, Any], fpr: float, message: str
) -> None:
    score_table = books(np.random.default_rng(3), **change)
    with pytest.raises(CalibrationError, match=message):
        calibrate(score_table, "loss", fpr=fpr)


def test_documents_that_do_not_go_together_are_refused() -> None:
    score_table = books(np.random.default_rng(4))
    calibration = calibrate(score_table, "loss", fpr=0.05)
    mixed = replace(score_table, documents=["d0" if name == "d70" else name for name in score_table.documents])
    with pytest.raises(ScoresError, match=r"a document is both among the candidates and in the calibration set.*'d0'"):
        flag_documents(mixed, calibrate(mixed, "loss", fpr=0.05))
    fewer = score_table.only(np.arange(len(score_table)) > 7)
    with pytest.raises(CalibrationError, match="its known non-members are not those that set the threshold"):
        flag_documents(fewer, calibration)
    infinite = replace(
        score_table, columns={"loss": np.where(np.arange(len(score_table)) == 240, np.inf, score_table.column("loss"))}
    )
    with pytest.raises(ScoresError, match=r"infinite scores \('p240'\)"):
        flag_documents(infinite, calibration)
    with pytest.raises(ScoresError, match="every row has a label"):
        flag_documents(score_table.only(score_table.labels == 0), calibration)


# -- how many members at least ----------------------------------------------------------------------------------------


def test_the_count_bound_holds_where_it_is_given_and_is_withheld_where_it_would_not() -> None:
    rng, above, grouped, given = np.random.default_rng(5), 0, 0, []
    for _ in range(REPEATS):
        truth = 10
        scores = np.concatenate([rng.normal(size=200), rng.normal(2.5, 1, truth), rng.normal(size=90)])
        score_table = table([0] * 200 + [-1] * 100, loss=scores)
        flags = flag(score_table, calibrate(score_table, "loss", fpr=0.05))
        assert flags.members is not None
        above += flags.members.members > truth
        given.append(flags.members.members)
        # The fault: nothing but non-members, the passages of ten documents taken for independent ones.
        shared = books(rng, known=50, shifts=[0.0] * 10, passages=10)
        kept = flag(shared, calibrate(shared, "loss", fpr=0.05))
        assert kept.members is None
        known, candidates = (shared.column("loss")[shared.rows(label)] for label in (0, None))
        grouped += member_count_bound(candidates, known, level=0.05).members > 0
    assert within(above / REPEATS, 0.05, REPEATS)
    assert np.mean(given) > 1
    assert not within(grouped / REPEATS, 0.05, REPEATS), "the same check on passages that share documents"
    assert NoteKind.MEMBERS_UNBOUNDED_DOCUMENTS in [note.kind for note in kept.notes]


def test_the_count_bound_by_hand() -> None:
    score_table = table([0] * 99 + [-1] * 4, loss=[*range(99), 200, 201, 202, math.nan])
    flags = flag(score_table, calibrate(score_table, "loss", fpr=0.05))
    assert flags.members is not None
    assert flags.share is not None
    assert (flags.members.candidates, flags.members.level, flags.members.confidence) == (4, 0.05, 0.95)
    assert flags.members.members == round(flags.share.low * 4), "a candidate without a score counts as the lowest"
    assert flags.flagged == 3
    labelled = flag(score_table, calibrate(score_table, "loss", fpr=0.05), labelled=True)
    assert labelled.members is None
    nobody = flag(table([0] * 99 + [-1], loss=[*range(99), math.nan]), calibrate(score_table, "loss", fpr=0.05))
    assert nobody.members is None


# -- a part kept apart ------------------------------------------------------------------------------------------------


def test_the_rate_holds_after_a_choice_on_the_fit_part_and_not_after_a_choice_on_everything() -> None:
    rng, honest, faulty = np.random.default_rng(6), [], []
    for _ in range(REPEATS):
        columns = {f"a{i}": rng.normal(size=58 + 20) for i in range(30)}
        score_table = table([0] * 38 + [1] * 20 + [-1] * 20, **columns)
        honest.append(flag(score_table, calibrate(score_table, "auto", fpr=0.05)).flagged / 20)
        # The fault: the attack with the lowest threshold-setters is chosen, and they set the threshold.
        best = min(columns, key=lambda name: np.sort(columns[name][:38])[-1])
        faulty.append(flag(score_table, calibrate(score_table, best, fpr=0.05)).flagged / 20)
    errors = [float(np.std(shares) / math.sqrt(REPEATS)) for shares in (honest, faulty)]
    assert np.mean(honest) <= 0.05 + 4 * errors[0]
    assert np.mean(faulty) > 0.05 + 4 * errors[1]


def test_the_split_is_in_the_artefact_and_can_be_drawn_again() -> None:
    rng = np.random.default_rng(7)
    labels = [0] * 60 + [1] * 40 + [-1] * 5
    score_table = table(labels, good=rng.normal(size=105) + 3 * (np.array(labels) == 1), bad=rng.normal(size=105))
    calibration = calibrate(score_table, "auto", fpr=0.05)
    assert (calibration.attack, calibration.selection.wanted) == ("good", Wanted.AUTO)
    assert max(calibration.selection.aurocs, key=calibration.selection.aurocs.__getitem__) == "good"
    assert calibration.split is not None
    rest = calibration_part(score_table, calibration)
    assert (len(rest.rows(0)), len(rest.rows(1)), len(rest.rows(None))) == (30, 20, 5)
    assert np.array_equal(np.sort(rest.column("good")[rest.rows(0)]), calibration.scores)
    renamed = replace(score_table, ids=[f"q{i}" for i in range(105)])
    with pytest.raises(CalibrationError, match="not the known set that was split"):
        calibration_part(renamed, calibration)
    with pytest.raises(CalibrationError, match=r"no attack can be selected .*10 of each are needed.*: name an attack"):
        calibrate(score_table.only(np.arange(105) % 5 == 0), "auto", fpr=0.05)
    small = calibrate(
        replace(score_table, record=RunRecord(), columns={"min_k": score_table.column("bad")}), "auto", fpr=0.02
    )
    assert (small.attack, small.split, small.n) == ("min_k", None, 60)
    shortage = Shortage(ShortageKind.CALIBRATION_PART, Unit.DOCUMENTS, 0, 30, needed=49, more_nonmembers=38)
    assert small.selection == Selection(Wanted.AUTO, shortage=shortage)
    assert str(shortage) == (
        "only 30 documents of non-members would be left to set the threshold, and 49 are needed: add 38 documents of "
        "non-members to the known set"
    )
    with pytest.raises(CalibrationError, match=r"no members are known, .* give `members`.*: name an attack"):
        calibrate(score_table.only(score_table.labels < 1), "auto", fpr=0.05)


# -- categories -------------------------------------------------------------------------------------------------------


def test_each_category_has_its_threshold() -> None:
    kinds = ["short"] * 19 + ["long"] * 19 + ["short", "long"]
    score_table = replace(
        table([0] * 38 + [-1] * 2, loss=[*range(19), *range(100, 119), 50, 50]), by="kind", categories=kinds
    )
    calibration = calibrate(score_table, "loss", fpr=0.05)
    assert (calibration.by, calibration.thresholds) == ("kind", {"long": 118.0, "short": 18.0})
    flags = flag(score_table, calibration)
    assert [row.flagged for row in flags.rows] == [True, False]
    assert (flags.rows[0].reason, flags.rows[0].limit) == (Reason.SCORE, 18)
    assert (flags.q_values, flags.members) == (QValueMethod.BENJAMINI_YEKUTIELI, None)
    assert NoteKind.MEMBERS_UNBOUNDED_CATEGORIES in [note.kind for note in flags.notes]
    with pytest.raises(CalibrationError, match=r"the calibration was computed by 'kind', but t\.csv was read without"):
        flag(replace(score_table, by="", categories=()), calibration)
    with pytest.raises(CalibrationError, match=r"at least 99 non-members: add non-members$"):
        calibrate(score_table, "loss", fpr=0.01)
    new = replace(score_table, categories=[*kinds[:-1], "huge"])
    with pytest.raises(CalibrationError, match="no known non-member is of the category 'huge'"):
        flag(new, calibration)
    with pytest.raises(CalibrationError, match=r"cannot support a discovery at FDR ≤ 0.05 by Benjamini–Yekutieli: 29"):
        flag(score_table, calibration, fdr=0.05)


# -- evaluation -------------------------------------------------------------------------------------------------------


def test_two_attacks_are_compared_on_the_same_passages() -> None:
    rng = np.random.default_rng(8)
    labels = np.repeat([1, 0], [60, 60])
    score_table = table(labels, good=rng.normal(size=120) + 2 * labels, noise=rng.normal(size=120))
    comparison = compare(score_table, "good", "noise")
    assert comparison.paired.difference.low > 0
    assert comparison.paired.p_value < 0.001
    assert comparison.n == 120
    assert compare(score_table, "noise", "good").paired.difference.value == pytest.approx(
        -comparison.paired.difference.value
    )
    wider = [
        evaluate(replace(score_table, documents=names), ["good"])[0].auroc
        for names in (score_table.documents, ["a", "b"] * 60)
    ]
    assert wider[1].high - wider[1].low > wider[0].high - wider[0].low, "intervals go by document"


def test_rates_at_a_threshold_from_other_passages_and_from_the_same() -> None:
    rng = np.random.default_rng(9)
    here, there = (
        table([0] * 1000 + [1] * 100, loss=np.concatenate([rng.normal(size=1000), rng.normal(2, 1, 100)]))
        for _ in range(2)
    )
    calibration = calibrate(here, "loss", fpr=0.05)
    not_randomised = rates_at(there, calibration)
    assert not_randomised.epsilon is None, "the two sets may differ in more than membership"
    assert NoteKind.EPSILON_NOT_RANDOMISED in [note.kind for note in not_randomised.notes]
    fresh = rates_at(there, calibration, randomised=True)
    assert fresh.fpr is not None
    assert fresh.fpr.low < 0.05 < fresh.fpr.high
    assert 0.4 < fresh.tpr.value < 0.9
    assert fresh.epsilon is not None
    odds = [rate.value / (1 - rate.value) for rate in (fresh.tpr, fresh.fpr)]
    assert 1 < fresh.epsilon < math.log(odds[0] / odds[1])
    rates_of_these = rates_at(here, calibration, randomised=True)
    assert (rates_of_these.fpr, rates_of_these.epsilon) == (None, None)
    assert NoteKind.THRESHOLD_SET_HERE in [note.kind for note in rates_of_these.notes]
    shared = rates_at(replace(there, documents=[f"d{i // 2}" for i in range(1100)]), calibration, randomised=True)
    assert shared.epsilon is None
    assert shared.fpr is not None


# -- collections ------------------------------------------------------------------------------------------------------


def test_a_collection_trained_on_is_significant_and_another_is_not() -> None:
    collection = judge_collection(books(np.random.default_rng(10), shifts=[1.5] * 20))
    assert collection.significant
    assert collection.attacks == ("loss",)
    assert collection.test.n_documents == (20, 60)
    assert collection.power is None
    none = judge_collection(books(np.random.default_rng(13), shifts=[0.25] * 8))
    assert not none.significant
    assert none.power is not None or NoteKind.POWER_UNKNOWN in [note.kind for note in none.notes]


def test_collections_that_cannot_be_tested_are_refused() -> None:
    score_table = books(np.random.default_rng(12))
    with pytest.raises(ScoresError, match=r"no candidates \(rows without a label\)"):
        judge_collection(score_table.only(score_table.labels == 0))
    with pytest.raises(ScoresError, match=r"no known non-members \(0\)"):
        judge_collection(score_table.only(score_table.labels < 0))
    two = replace(score_table, columns={"a": score_table.column("loss"), "b": score_table.column("loss") ** 2})
    with pytest.raises(UsageError, match=r"name those to test as `attacks` \(a, b\)"):
        judge_collection(two)
    joined = judge_collection(two, ["a", "b"])
    assert joined.test.n_documents == (20, 60), "no document is held out"
    infinite = replace(
        score_table, columns={"loss": np.where(np.arange(len(score_table)) == 3, np.inf, score_table.column("loss"))}
    )
    with pytest.raises(ScoresError, match=r"infinite scores \('p3'\)"):
        judge_collection(infinite)
    assert judge_collection(replace(score_table, standing=Standing.VOID)).withheld
    assert not judge_collection(replace(score_table, standing=Standing.VOID), accept_void=True).withheld
