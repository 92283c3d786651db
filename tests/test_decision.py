"""From a table to flags: the error rates that are promised, held by simulation, and every way to ask for too much."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from llm_mia import LlmMiaError, ScoreTable
from llm_mia.decision import (
    ErrorRate,
    NoteKind,
    Reason,
    Rule,
    calibrate,
    calibration_to_json,
    confidence_gap,
    evaluate,
    flag,
    read_calibration,
)
from llm_mia.errors import CalibrationError, ScoresError, UsageError
from llm_mia.records import AttackRecord, BlockSize, ModelRecord, PassRecord, RunRecord, Standing, WindowRule

Floats = NDArray[np.float64]
steady = settings(derandomize=True, deadline=None)
MODEL = ModelRecord("m", None, "w1", "c1", "float32", "t1", 64)
PASS = PassRecord(MODEL, WindowRule(64, 16), BlockSize(8, 1024))
ATTACKS = tuple(AttackRecord(name, 1) for name in ("loss", "confidence"))
OURS = RunRecord({"target": PASS, "reference": PASS}, ATTACKS)


def table(scores: Any, labels: Any, *, name: str = "loss", record: RunRecord | None = OURS, **more: Any) -> ScoreTable:
    values = np.asarray(scores, dtype=np.float64)
    ids = [f"p{i}" for i in range(len(values))]
    columns, codes = {name: values, **more}, np.asarray(labels, dtype=np.int8)
    return ScoreTable("t.csv", ids, ids, codes, columns, record, standing=Standing.SOUND)


def known_and_candidates(nonmembers: Any, candidates: Any) -> ScoreTable:
    return table([*nonmembers, *candidates], [0] * len(nonmembers) + [-1] * len(candidates))


# -- the promise ------------------------------------------------------------------------------------------------------


def realised(fpr: float, draw: Callable[[], ScoreTable], repeats: int = 400) -> Floats:
    """The share flagged among candidates none of which is a member, in each of many audits."""
    shares = []
    for _ in range(repeats):
        score_table = draw()
        flags = flag(score_table, calibrate(score_table, "loss", fpr=fpr))
        shares.append(flags.flagged / len(flags.rows))
    return np.array(shares)


def excess(shares: Floats, rate: float) -> float:
    """How many standard errors the mean lies above *rate*."""
    return float((shares.mean() - rate) / (shares.std(ddof=1) / math.sqrt(len(shares))))


@pytest.mark.parametrize(("n", "fpr"), [(99, 0.05), (57, 0.1), (200, 0.01)])
def test_false_positives_are_as_promised(n: int, fpr: float) -> None:
    rng = np.random.default_rng(n)
    shares = realised(fpr, lambda: known_and_candidates(rng.normal(size=n), rng.normal(size=100)))
    exact = math.floor(fpr * (n + 1) + 1e-9) / (n + 1)
    assert excess(shares, fpr) <= 4
    assert abs(excess(shares, exact)) <= 4, "without ties the rate is exact"


@pytest.mark.parametrize(("n", "fpr"), [(99, 0.05), (57, 0.1)])
def test_false_positives_are_as_promised_with_ties(n: int, fpr: float) -> None:
    rng = np.random.default_rng(n)
    shares = realised(fpr, lambda: known_and_candidates(rng.poisson(2, n), rng.poisson(2, 100)))
    assert excess(shares, fpr) <= 4
    assert shares.mean() > 0, "conservative, not dead"


@pytest.mark.parametrize(("shift", "broken"), [(-0.5, "above"), (+1.0, "below")], ids=["easier", "members"])
def test_the_check_notices_a_calibration_on_the_wrong_passages(shift: float, broken: str) -> None:
    """On passages that score lower (another source) the rate is exceeded; on members nothing is ever flagged."""
    rng = np.random.default_rng(5)
    shares = realised(0.05, lambda: known_and_candidates(rng.normal(shift, 1, 99), rng.normal(size=100)), repeats=100)
    assert (excess(shares, 0.05) > 4) if broken == "above" else (excess(shares, 0.05) < -4)


def false_discoveries(calibration_shift: float) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(6)
    fdp, power = [], []
    for _ in range(150):
        candidates = rng.normal(size=100) + np.repeat([3.0, 0.0], [30, 70])
        score_table = known_and_candidates(rng.normal(calibration_shift, 1, 400), candidates)
        chosen = np.array(
            [row.flagged for row in flag(score_table, calibrate(score_table, "loss", fpr=0.05), fdr=0.1).rows]
        )
        fdp.append(chosen[30:].sum() / max(1, chosen.sum()))
        power.append(chosen[:30].mean())
    return np.array(fdp), np.array(power)


def test_false_discoveries_are_as_promised() -> None:
    fdp, power = false_discoveries(0.0)
    assert excess(fdp, 0.1) <= 4
    assert power.mean() > 0.5
    assert excess(false_discoveries(-0.7)[0], 0.1) > 4, "and the check notices a calibration on easier passages"


# -- one decision -----------------------------------------------------------------------------------------------------

grid = st.integers(0, 12).map(float)


@steady
@given(
    st.lists(grid, min_size=19, max_size=60).filter(lambda values: len(set(values)) > 1),
    st.lists(grid, min_size=1, max_size=20),
    st.sampled_from([0.05, 0.1, 0.25]),
)
def test_flagged_exactly_where_the_p_value_is_at_most_the_rate(known: Any, candidates: Any, fpr: float) -> None:
    score_table = known_and_candidates(known, candidates)
    flags = flag(score_table, calibrate(score_table, "loss", fpr=fpr))
    assert [row.flagged for row in flags.rows] == [row.p_value is not None and row.p_value <= fpr for row in flags.rows]
    for row, score in zip(flags.rows, candidates, strict=True):
        assert row.p_value == (1 + sum(value >= score for value in known)) / (len(known) + 1)
        assert row.flagged == bool(row.reason)


def test_by_hand() -> None:
    score_table = known_and_candidates(range(19), [18.5, 17.5, 3])
    flags = flag(score_table, calibrate(score_table, "loss", fpr=0.1))
    assert [(row.id, row.p_value, row.flagged) for row in flags.rows] == [
        ("p19", 0.05, True),
        ("p20", 0.1, True),
        ("p21", 0.85, False),
    ]
    assert (flags.rows[0].reason, flags.rows[0].limit) == (Reason.SCORE, 17)
    assert (flags.rule, flags.flagged) == (Rule(ErrorRate.FALSE_POSITIVES, 0.1), 2)
    assert flags.by_chance == pytest.approx(0.3)
    assert not flags.notes
    strict = flag(score_table, calibrate(score_table, "loss", fpr=0.1), fdr=0.1)
    assert [row.q_value for row in strict.rows] == pytest.approx([0.15, 0.15, 0.85])
    assert (strict.rule, strict.flagged, strict.by_chance) == (Rule(ErrorRate.FALSE_DISCOVERIES, 0.1), 0, None)
    figures = {"n": 19, "unit": "passages", "least": 2}
    assert [(note.kind, note.figures) for note in strict.notes] == [(NoteKind.DISCOVERIES_LIMITED, figures)]
    assert flag(score_table, calibrate(score_table, "loss", fpr=0.1), fdr=0.15).rows[1].reason is Reason.Q_VALUE


def test_candidates_without_a_score_keep_a_row_with_the_reason() -> None:
    score_table = known_and_candidates(range(19), [math.nan, 99.0, math.inf, -math.inf])
    flags = flag(score_table, calibrate(score_table, "loss", fpr=0.05))
    nan = flags.rows[0]
    assert (nan.score, nan.p_value, nan.q_value, nan.flagged) == (None, None, None, False)
    assert nan.reason is Reason.TOO_SHORT
    assert [row.flagged for row in flags.rows] == [False, True, False, False]
    assert [row.reason for row in flags.rows[2:]] == [Reason.INFINITE_SCORE] * 2
    assert [(row.score, row.p_value) for row in flags.rows[2:]] == [(math.inf, None), (-math.inf, None)]
    assert (flags.notes[0].kind, flags.notes[0].figures["ids"]) == (NoteKind.SCORES_INFINITE, ["p21", "p22"])
    assert (flags.notes[1].kind, flags.notes[1].figures) == (NoteKind.SCORES_MISSING, {"count": 1, "ids": ["p19"]})
    foreign = replace(score_table, record=None)
    assert flag(foreign, calibrate(foreign, "loss", fpr=0.05)).rows[0].reason is Reason.NO_SCORE


def test_flags_csv_holds_the_decisions() -> None:
    score_table = known_and_candidates(range(19), [0.1 + 0.2, math.nan, 99])
    ids = [*score_table.ids[:19], 'comma, "quote"\nand line', "naïve", "=1+1"]
    flags = flag(replace(score_table, ids=ids), calibrate(score_table, "loss", fpr=0.05))
    rows = list(csv.DictReader(io.StringIO(flags.to_csv(), newline="")))
    assert list(rows[0])[:5] == ["id", "document", "attack", "score", "p_value"]
    assert list(rows[0])[5:] == ["q_value", "flagged", "reason", "limit", "known_set"]
    assert [row["id"] for row in rows] == ids[19:]
    assert [row["flagged"] for row in rows] == ["false", "false", "true"]
    assert float(rows[0]["score"]) == 0.1 + 0.2
    assert (rows[1]["score"], rows[1]["p_value"], rows[1]["q_value"]) == ("", "", "")
    assert [float(row["p_value"]) for row in (rows[0], rows[2])] == [flags.rows[0].p_value, 0.05]


def test_labelled_rows_are_candidates_only_where_asked() -> None:
    score_table = table([*range(19), 30.0, 31.0], [0] * 19 + [1, -1])
    calibration = calibrate(score_table, "loss", fpr=0.05)
    assert [row.id for row in flag(score_table, calibration).rows] == ["p20"]
    assert [row.id for row in flag(score_table, calibration, labelled=True).rows if row.flagged] == ["p19", "p20"]
    all_known = table(range(20), [0] * 20)
    with pytest.raises(ScoresError, match=r"t.csv: every row has a label, .*`labelled`"):
        flag(all_known, calibrate(all_known, "loss", fpr=0.05))


def test_calibration_takes_scored_non_members_alone_and_records_where_they_are_from(tmp_path: Path) -> None:
    score_table = table([*range(19), math.nan, 500.0, 600.0], [0] * 20 + [1, -1])
    score_table = replace(score_table, documents=["book"] * 10 + [f"d{i}" for i in range(12)])
    calibration = calibrate(score_table, "loss", fpr=0.1)
    assert (calibration.n, calibration.n_documents, calibration.threshold) == (19, 10, 18.0)
    assert calibration.documents == (0,) * 10 + tuple(range(1, 10))
    assert calibration.origin is not None
    assert calibration.origin.passes == {"target": PASS}, "the passes of this attack alone"
    assert calibration.origin.attacks == (AttackRecord("loss", 1),)
    (tmp_path / "c.json").write_text(calibration_to_json(calibration))
    assert read_calibration(tmp_path / "c.json") == calibration


@pytest.mark.parametrize(
    ("scores", "labels", "fpr", "error", "message"),
    [
        ([1.0, 2.0], [1, -1], 0.5, ScoresError, "t.csv: no row has the label 0"),
        ([1.0, 2.0], [-1, -1], 0.5, ScoresError, "t.csv: no row has a label.*`label_column`"),
        (
            range(18),
            [0] * 18,
            0.05,
            CalibrationError,
            "18 non-members cannot certify FPR ≤ 0.05: at least 19 are needed",
        ),
        ([*range(18), math.nan], [0] * 19, 0.05, CalibrationError, "18 non-members cannot"),
        ([*range(18), math.inf], [0] * 19, 0.05, ScoresError, "1 of 19 scores of known non-members are infinite"),
        (
            [7.0] * 19,
            [0] * 19,
            0.05,
            CalibrationError,
            "all 19 scores of known non-members equal 7, so loss cannot distinguish",
        ),
        (range(19), [0] * 19, 1.5, UsageError, "`fpr` must lie between 0 and 1"),
    ],
)
def test_what_cannot_be_certified_is_refused(
    scores: Any, labels: Any, fpr: float, error: type[LlmMiaError], message: str
) -> None:
    with pytest.raises(error, match=message):
        calibrate(table(scores, labels), "loss", fpr=fpr)


def test_calibrating_on_a_column_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(ScoresError, match="no column 'los'; it has loss; did you mean 'loss'"):
        calibrate(table(range(19), [0] * 19), "los", fpr=0.05)


def test_too_few_non_members_for_any_discovery_are_refused_with_the_number_that_would_do() -> None:
    score_table = known_and_candidates(range(19), range(100))
    with pytest.raises(CalibrationError, match="99 are needed if all 100 candidates are members, 9999 if only 1 is"):
        flag(score_table, calibrate(score_table, "loss", fpr=0.05), fdr=0.01)


# -- whose scores -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"model": replace(MODEL, weights_sha256="w2")}, "target model weights_sha256 w1 there, w2 here"),
        ({"window": WindowRule(32, 16)}, "target window tokens 64 there, 32 here"),
    ],
)
def test_scores_of_another_model_or_rule_are_refused_saying_what_differs(
    change: dict[str, Any], difference: str
) -> None:
    score_table = known_and_candidates(range(19), [5.0])
    calibration = calibrate(score_table, "loss", fpr=0.05)
    other = replace(score_table, record=RunRecord({"target": replace(PASS, **change), "reference": PASS}, ATTACKS))
    with pytest.raises(CalibrationError, match=rf"t.csv: its scores were not computed like .* \({difference}\)"):
        flag(other, calibration)
    renamed = replace(
        score_table, record=RunRecord({"target": replace(PASS, model=replace(MODEL, id="elsewhere"))}, ATTACKS)
    )
    assert not flag(renamed, calibration).notes, "the same weights by another name are the same model"


@pytest.mark.parametrize(
    ("attack", "shared", "difference"),
    [
        (AttackRecord("loss", 2), {}, "attack loss formula 1 there, 2 here"),
        (AttackRecord("loss", 1, {"k": 0.1}), {}, "attack loss setting k None there, 0.1 here"),
        (AttackRecord("loss", 1, {"block": 3.0}), {}, "attack loss setting block None there, 3.0 here"),
    ],
)
def test_scores_by_another_formula_under_the_same_name_are_refused(
    attack: AttackRecord, shared: dict[str, Any], difference: str
) -> None:
    score_table = known_and_candidates(range(19), [5.0])
    calibration = calibrate(score_table, "loss", fpr=0.05)
    other = replace(score_table, record=RunRecord({"target": PASS}, (attack,), shared))
    with pytest.raises(CalibrationError, match=difference):
        flag(other, calibration)


def test_an_attack_that_is_not_registered_here_is_compared_by_its_record() -> None:
    def scored_by(revision: int) -> ScoreTable:
        record = RunRecord({"target": PASS}, (AttackRecord("of a notebook", revision, {}, ("target",)),))
        return replace(table(range(20), [0] * 19 + [-1], name="of a notebook"), record=record)

    calibration = calibrate(scored_by(1), "of a notebook", fpr=0.05)
    assert not flag(scored_by(1), calibration).notes
    with pytest.raises(CalibrationError, match="attack of a notebook formula 1 there, 2 here"):
        flag(scored_by(2), calibration)


def test_a_table_without_a_record_is_accepted_with_a_note() -> None:
    score_table = known_and_candidates(range(19), [5.0])
    foreign = replace(score_table, record=None)
    for scored, calibrated in ((foreign, score_table), (score_table, foreign), (foreign, foreign)):
        (note,) = flag(scored, calibrate(calibrated, "loss", fpr=0.05)).notes
        assert note.kind == NoteKind.ORIGIN_UNKNOWN
    theirs = table(range(20), [0] * 19 + [-1], name="my column")
    assert flag(theirs, calibrate(theirs, "my column", fpr=0.05)).notes[0].kind == NoteKind.ORIGIN_UNKNOWN


# -- how well -------------------------------------------------------------------------------------------------------


def test_evaluation_by_hand() -> None:
    score_table = table([4, 3, 1, 2, 0, math.nan, 9], [1, 1, 1, 0, 0, 1, -1], other=np.arange(7.0))
    first, second = evaluate(score_table)
    assert (first.attack, first.n_members, first.n_nonmembers, first.unscored) == ("loss", 3, 2, 1)
    assert first.auroc.value == pytest.approx(5 / 6)
    assert first.auroc.low < first.auroc.value < first.auroc.high
    assert list(first.tpr_at_fpr) == [0.1, 0.05, 0.01, 0.001]
    assert first.tpr_at_fpr[0.1].value == pytest.approx(2 / 3), "the candidate, at 9, has no part in it"
    assert first.fpr_at_95_tpr.value == 0.5
    assert second.unscored == 0
    assert [each.attack for each in evaluate(score_table, ["other"])] == ["other"]
    with pytest.raises(ScoresError, match="no column 'othr'; it has loss, other; did you mean 'other'"):
        evaluate(score_table, ["othr"])


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([1.0, 2.0], [1, -1], r"no row has the label of non-members \(0\)"),
        ([1.0, 2.0], [0, -1], r"no row has the label of members \(1\)"),
        ([1.0, 2.0], [-1, -1], r"members \(1\) or non-members \(0\): both are needed"),
        ([1.0, math.nan], [1, 0], "t.csv: loss has no score for any known member, or for any known non-member"),
    ],
)
def test_evaluation_needs_both_classes(scores: Any, labels: Any, message: str) -> None:
    with pytest.raises(ScoresError, match=message):
        evaluate(table(scores, labels))


def test_the_confidence_gap_needs_the_attack_confidence() -> None:
    ours = table([0.9, 0.7, math.nan, 0.5], [1, 0, 1, -1], name="confidence")
    gap = confidence_gap(ours)
    assert gap is not None
    assert gap.gap.value == pytest.approx(0.2)
    assert not gap.exposed, "a passage on each side shows nothing of the spread"
    assert confidence_gap(replace(ours, record=None)) is None
    assert confidence_gap(table([1.0, 2.0], [1, 0])) is None


def test_a_calibration_and_its_flags_are_shown_in_one_line() -> None:
    score_table = known_and_candidates(range(20), [25.0])
    calibration = calibrate(score_table, "loss", fpr=0.05)
    assert repr(calibration) == ("<Calibration of loss: threshold 19, fpr 0.05, 20 non-members of 20 documents>")
    assert repr(flag(score_table, calibration)) == "<Flags: 1 of 1 passages by loss, fpr 0.05>"
