"""Non-members of a table that have no score count in the finding, as if they had the highest scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from llm_mia import Flags, ScoreTable
from llm_mia.backends.fake import FakeBackend
from llm_mia.decision import NoteKind, Reason, calibrate, flag, flag_documents
from llm_mia.records import BlockSize, LeftOut, PassRecord, RunRecord, WindowRule
from llm_mia.report.words import note_words

Decide = Callable[..., Flags]


def audited(rng: np.random.Generator, missing: int, *, effect: float = 0.0, highest: bool = True) -> ScoreTable:
    """A hundred non-members, of which the *highest* scores (or others) are *missing*, and 140 candidates."""
    known, candidates = rng.normal(size=100), rng.normal(size=140)
    candidates[:60] += effect
    order = np.argsort(-known) if highest else rng.permutation(100)
    known[order[:missing]] = np.nan
    return ScoreTable.of(np.concatenate([known, candidates]), [0] * 100 + [-1] * 140)


def decided(table: ScoreTable, decide: Decide = flag) -> Flags:
    return decide(table, calibrate(table, "score", fpr=0.05))


def significant(missing: int, *, run: bool = False) -> float:
    """The share of findings where nobody was trained on; in a *run* non-members without a score are left out."""
    rng, results = np.random.default_rng(3), []
    for _ in range(100):
        table = audited(rng, missing)
        results.append(decided(replace(table, record=RunRecord()) if run else table).significant)
    return float(np.mean(results))


def test_a_finding_does_not_come_from_the_scores_that_are_missing() -> None:
    # With probability 0.999 at most 13 of 100 draws are a finding at 5 % (binomial).
    assert significant(5) <= 0.13
    assert significant(5, run=True) > 0.25, "the planted fault: they are left out, though their scores are the highest"


@pytest.mark.parametrize("decide", [flag, flag_documents])
def test_the_flags_stay_and_the_note_gives_both_p_values(decide: Decide) -> None:
    table = audited(np.random.default_rng(1), 5, effect=2.0)
    flags, without = (decided(each, decide) for each in (table, replace(table, record=RunRecord())))
    assert [row.flagged for row in flags.rows] == [row.flagged for row in without.rows]
    assert flags.finding is not None
    assert without.finding is not None
    assert without.finding.p_value < flags.finding.p_value < 1e-3, "a strong effect remains a finding"
    assert flags.finding.flagged == without.finding.flagged
    (note,) = (note for note in flags.notes if note.kind == NoteKind.UNSCORED_HIGHEST)
    counts = {"nonmembers": 5, "of_nonmembers": 100, "candidates": 0, "of_candidates": 140, "unit": flags.unit.value}
    assert note.figures == {**counts, "without": without.finding.p_value, "with": flags.finding.p_value}
    assert flags.members is not None
    assert without.members is not None
    assert 0 < flags.members.members < without.members.members


def test_nothing_changes_where_all_have_scores_or_the_table_holds_other_nonmembers() -> None:
    rng = np.random.default_rng(2)
    whole = audited(rng, 0, effect=2.0)
    assert NoteKind.UNSCORED_HIGHEST not in [note.kind for note in decided(whole).notes]
    calibration = calibrate(audited(rng, 5, highest=False), "score", fpr=0.05)
    flags = flag(whole.only(whole.labels < 0), calibration)
    kinds = [note.kind for note in flags.notes]
    assert NoteKind.UNSCORED_HIGHEST not in kinds
    assert NoteKind.NONMEMBERS_UNSCORED in kinds, "the calibration counts those that it left out"


def left_out(table: ScoreTable, rows: list[int]) -> ScoreTable:
    """The *table* as that of a run, whose processes ended each time that they computed the passages of these *rows*."""
    window = WindowRule(8, 4)
    made_by = PassRecord(
        FakeBackend().info,
        window,
        BlockSize(1, 1),
        left_out=tuple(LeftOut(row, table.ids[row], f"row {row + 1}") for row in rows),
    )
    return replace(table, record=RunRecord({"target": made_by}))


@pytest.mark.parametrize("decide", [flag, flag_documents])
def test_passages_that_a_run_left_out_count_as_those_of_another_program(decide: Decide) -> None:
    table = audited(np.random.default_rng(1), 5, effect=2.0)
    column = table.columns["score"].copy()
    column[[120, 239]] = np.nan
    table = replace(table, columns={"score": column})
    missing = np.flatnonzero(np.isnan(column)).tolist()
    run = decided(left_out(table, missing), decide)
    foreign = decided(table, decide)
    assert run.finding is not None
    assert foreign.finding is not None
    assert (run.finding.p_value, run.members) == (foreign.finding.p_value, foreign.members)
    assert (
        [n for n in run.notes if n.kind == NoteKind.UNSCORED_HIGHEST]
        == [n for n in foreign.notes if n.kind == NoteKind.UNSCORED_HIGHEST]
        != []
    )
    # Those that are too short do not.
    known = [row for row in missing if row < 100]
    short = decided(left_out(table, [239]), decide)
    assert short.finding is not None
    assert short.finding.p_value < run.finding.p_value
    assert len(known) == 5


def test_the_reasons_tell_passages_that_were_left_out_from_short_ones() -> None:
    table = audited(np.random.default_rng(1), 3)
    column = table.columns["score"].copy()
    column[[120, 239]] = np.nan
    table = left_out(replace(table, columns={"score": column}), [239, int(np.flatnonzero(np.isnan(column))[0])])
    flags = decided(table)
    reasons = [row.reason for row in flags.rows]
    assert (reasons[20], reasons[139]) == (Reason.TOO_SHORT, Reason.LEFT_OUT)
    (note,) = (each for each in flags.calibration.notes if each.kind == NoteKind.NONMEMBERS_UNSCORED)
    assert note.figures == {"count": 3, "foreign": False, "left_out": 1}
    assert "2 too short to have a scored token, 1 because each process" in note_words(note)


def test_with_categories_each_keeps_its_threshold() -> None:
    table = audited(np.random.default_rng(4), 6, effect=2.5)
    kinds = ["even" if row % 2 else "odd" for row in range(240)]
    table = replace(table, by="kind", categories=kinds)
    flags, without = (decided(each) for each in (table, replace(table, record=RunRecord())))
    assert {name: each.threshold for name, each in flags.categories.items()} == {
        name: each.threshold for name, each in without.categories.items()
    }
    assert flags.finding is not None
    assert without.finding is not None
    assert without.finding.p_value < flags.finding.p_value < 0.05


def test_a_finding_does_not_come_from_candidates_without_a_score() -> None:
    """Left out, as in a run, candidates below the median give a finding in 30 % of draws."""
    rng, results = np.random.default_rng(5), {True: 0, False: 0}
    for _ in range(60):
        scores = rng.normal(size=240)
        scores[100:][scores[100:] < np.median(scores[100:])] = np.nan
        table = ScoreTable.of(scores, [0] * 100 + [-1] * 140)
        for run in results:
            results[run] += decided(replace(table, record=RunRecord()) if run else table).significant
    # With probability 0.999 at most 9 of 60 draws are a finding at 5 % (binomial).
    assert results[False] <= 9
    assert results[True] > 9, "the planted fault: they are left out, though their scores are the lowest"
