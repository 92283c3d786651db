"""Decisions on the same candidates: the record, what each decision is allowed, and how often chance is a finding."""

from __future__ import annotations

import json
import math
import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia import ScoreTable
from llm_mia.calibration import chance_of_flags, flag_rank
from llm_mia.decision import NoteKind, calibrate, flag
from llm_mia.errors import RunDirectoryError, UsageError
from llm_mia.history import FILE, History, Kind, flag_on_record, judge_on_record, level_share
from llm_mia.records import Standing
from llm_mia.report import decisions_summary, note_words
from llm_mia.store import append_line, read_lines

Floats = NDArray[np.float64]
Rng = np.random.Generator
ATTACKS = tuple(f"attack_{i}" for i in range(12))


def table(n: int = 100, m: int = 40, seed: int = 0, start: int = 0, **more: Any) -> ScoreTable:
    """Twelve attacks on known non-members and candidates of the same kind, whose ids begin with number *start*."""
    rng = np.random.default_rng(seed)
    scores = dict(zip(ATTACKS, attacks(rng, n + m), strict=True))
    ids = [*(f"n{i}" for i in range(n)), *(f"c{start + i}" for i in range(m))]
    return ScoreTable.of(scores, [0] * n + [None] * m, ids=ids, **more)


def attacks(rng: Rng, n: int, correlation: float = 0.5) -> Floats:
    """Scores of *n* passages by twelve attacks, (12, n), correlated as attacks on the same passages are."""
    shared = rng.standard_normal(n)
    return math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * rng.standard_normal((len(ATTACKS), n))


def decide(scores: ScoreTable, history: History, attack: str = ATTACKS[0], fpr: float = 0.05, **options: Any) -> Any:
    return flag_on_record(scores, calibrate(scores, attack, fpr=fpr), history, **options)


@pytest.fixture
def history(tmp_path: Path) -> History:
    """The record of a run directory, and of nothing else."""
    (tmp_path / "run").mkdir()
    return History(tmp_path / "run", tmp_path / "shared")


# -- what is on record ------------------------------------------------------------------------------------------------


def test_the_shares_of_all_decisions_are_1_together() -> None:
    assert [level_share(k) for k in (1, 2, 3)] == pytest.approx([0.9, 0.05, 0.1 / 6])
    # The sum telescopes: 0.9 + 0.1 (1 − 1/k).
    assert math.fsum(level_share(k) for k in range(1, 1001)) == pytest.approx(1 - 0.1 / 1000)
    with pytest.raises(UsageError, match="`number` must be at least 1: got 0"):
        level_share(0)


def test_each_different_decision_has_a_smaller_share_and_the_same_decision_keeps_its_own(history: History) -> None:
    scores = table()
    first = decide(scores, history)
    second = decide(scores, history, fpr=0.1)
    third = decide(scores, history, ATTACKS[1])
    again = decide(scores, history)
    flags = [first, second, third, again]
    assert [each.finding.number for each in flags] == [1, 2, 3, 1]
    assert [each.finding.allowed for each in flags] == pytest.approx([0.045, 0.0025, 0.05 * 0.1 / 6, 0.045])
    assert all(each.finding.level == 0.05 for each in flags)
    assert [each.members.confidence for each in flags] == pytest.approx([1 - each.finding.allowed for each in flags])
    notes = [note_words(note) for note in third.notes if note.kind == NoteKind.OTHER_DECISIONS]
    assert notes[0].startswith("this is decision 3 on these candidates (others: attack_0 at FPR ≤ 5 %, ")
    assert "; attack_0 at FPR ≤ 10 %, " in notes[0]
    assert not [note for note in first.notes if note.kind == NoteKind.OTHER_DECISIONS]
    uncounted = flag(scores, calibrate(scores, ATTACKS[0], fpr=0.05)).finding
    assert uncounted is not None
    assert uncounted.allowed == 0.05, "nothing in memory is counted"


def test_three_questions_have_a_level_each(history: History) -> None:
    scores = table()
    assert decide(scores, history).finding.number == 1
    assert decide(scores, history, documents=True).finding.number == 1
    collections = [judge_on_record(scores, [ATTACKS[0]], history, seed=seed) for seed in (0, 1, 0)]
    assert [each.number for each in collections] == [1, 2, 1]
    assert [each.allowed for each in collections] == pytest.approx([0.045, 0.0025, 0.045])
    assert [entry.kind for entry in history.of_run()] == [
        Kind.PASSAGES, Kind.DOCUMENTS, Kind.COLLECTION, Kind.COLLECTION
    ]  # fmt: skip


def test_a_void_known_set_that_is_replaced_uses_nothing_up(history: History) -> None:
    scores = table()
    assert decide(replace(scores, standing=Standing.VOID), history).withheld
    assert decide(scores, history).finding.number == 1, "the same attack and rate, with a known set that is not void"
    assert decide(scores, history, fpr=0.1).finding.number == 2, "another rate may follow from what was withheld"
    assert len(read_lines(history.run / FILE)) == 3  # type: ignore[operator]


def test_withheld_decisions_count_for_a_decision_that_is_accepted(history: History) -> None:
    """Otherwise the best of twelve attacks is selected by flags that are withheld: a finding in 29 % of draws."""
    void = replace(table(), standing=Standing.VOID)
    tried = [decide(void, history, attack) for attack in ATTACKS[:3]]
    assert all(each.withheld for each in tried)
    accepted = decide(void, history, ATTACKS[1], accept_void=True).finding
    assert accepted.number == 4
    assert decide(void, history, ATTACKS[1], accept_void=True).finding.number == 4, "the same decision again"
    assert [entry.could_find for entry in History(history.run, history.run).entries()] == [False] * 3 + [True] * 2


@pytest.mark.parametrize("change", ["ids", "known set", "scale"])
def test_candidates_of_a_table_are_known_by_their_scores(change: str, history: History) -> None:
    """Otherwise new ids, or one non-member fewer, give each of twelve attacks the level of a first decision."""
    scores = table()
    assert decide(scores, history).finding.number == 1
    if change == "ids":
        other = replace(
            scores, ids=[f"new-{name}" for name in scores.ids], documents=[str(i) for i in range(len(scores))]
        )
    elif change == "scale":
        columns = {name: (1 + 1e-9) * column for name, column in scores.columns.items()}
        other = replace(scores, columns=columns, ids=[f"new-{name}" for name in scores.ids])
    else:
        other = scores.only(np.arange(len(scores)) > 0)
    assert decide(other, history, ATTACKS[1]).finding.number == 2
    assert decide(table(seed=9, start=500), history).finding.number == 1, "other candidates"


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"m": 60}, 2),  # candidates are added
        ({"m": 20}, 2),  # or left out
        ({"start": 38}, 1),  # 2 of 40 are the same: fewer than a tenth
        ({"start": 30}, 2),
        ({"start": 1000}, 1),
    ],
)
def test_candidates_that_grew_or_shrank_are_the_same(change: dict[str, int], number: int, tmp_path: Path) -> None:
    scores = table()
    known = scores.columns[ATTACKS[0]][:100]
    other = table(seed=1, **change)
    columns = {name: np.concatenate([known, column[100:]]) for name, column in other.columns.items()}
    decide(scores, History(None, tmp_path))
    assert decide(replace(other, columns=columns), History(None, tmp_path)).finding.number == number


def test_large_candidates_that_grew_are_recognised_by_their_sketch(tmp_path: Path) -> None:
    """256 hashes of 3,000 ids show an overlap, estimated to within some percent."""
    small, large, other = table(m=1_000), table(m=3_000), table(m=3_000, start=5_000, seed=1)
    numbers = []
    for scores in (small, large, other):
        columns = {name: np.concatenate([small.columns[name][:100], c[100:]]) for name, c in scores.columns.items()}
        numbers.append(decide(replace(scores, columns=columns), History(None, tmp_path)).finding.number)
    assert numbers == [1, 2, 1]


def test_a_new_run_directory_does_not_forget_and_holds_no_id(tmp_path: Path) -> None:
    scores = table()
    decide(scores, History(tmp_path / "first", tmp_path / "shared"))
    assert decide(scores, History(tmp_path / "second", tmp_path / "shared"), ATTACKS[3]).finding.number == 2
    line = read_lines(tmp_path / "shared" / FILE)[0]
    assert "c7" not in json.loads(line).values()
    assert all(name not in line for name in (f'"{scores.ids[0]}"', f'"{scores.ids[100]}"'))
    entries = History(tmp_path / "second", tmp_path / "shared").of_run()
    assert [entry.attack for entry in entries] == [ATTACKS[0], ATTACKS[3]], "the decision of the other directory, too"
    assert [each["number"] for each in decisions_summary(entries)["decisions"]] == [1, 2]


def test_another_known_set_with_the_same_row_numbers_is_another_question(tmp_path: Path) -> None:
    decide(table(), History(None, tmp_path))
    assert decide(table(seed=1), History(None, tmp_path)).finding.number == 1


# -- the file ---------------------------------------------------------------------------------------------------------


def test_a_line_that_a_stop_has_cut_is_named_and_damages_no_other(history: History) -> None:
    scores, file = table(), history.run / FILE  # type: ignore[operator]
    decide(scores, history)
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:100])
    cut = History(history.run, history.run)
    flags = decide(scores, cut, fpr=0.1)
    assert flags.finding.number == 2
    (note,) = [note_words(note) for note in flags.notes if note.kind == NoteKind.RECORD_INCOMPLETE]
    assert f"{file} line 2 " in note
    assert note.endswith("if it is not, delete the line")
    assert file.read_bytes().startswith(whole), "no line is changed"
    assert [entry.number for entry in cut.entries()] == [1, 2]


def test_a_shared_record_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    flags = decide(table(), History(tmp_path / "run", tmp_path / "file" / "folder"))
    notes = [note_words(note) for note in flags.notes if note.kind == NoteKind.RECORD_INCOMPLETE]
    assert notes
    assert "cannot be written" in notes[0]
    with pytest.raises(RunDirectoryError, match="cannot be read"):
        decide(table(), History(tmp_path / "file", tmp_path / "shared"))


def append_many(path: Path, name: str) -> None:
    for number in range(50):
        append_line(path, f"{name}{number}" * 500)


def test_processes_that_append_at_the_same_time_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    processes = [multiprocessing.get_context("fork").Process(target=append_many, args=(path, name)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(read_lines(path)) == sorted(f"{name}{number}" * 500 for name in "ab" for number in range(50))


# -- nobody trained on: a finding in at most 5 % -----------------------------------------------------------------------


@cache
def chance(flags: int, m: int, n: int, fpr: float = 0.05) -> float:
    """The p-value of a finding with so many flags."""
    return chance_of_flags([(flags, m, flag_rank(n, fpr), n)])


def p_value(known: Floats, candidates: Floats) -> float:
    """The p-value of the finding on *candidates*, where each passage is a document by itself."""
    flags = int(np.sum(candidates > np.sort(known)[-flag_rank(len(known), 0.05)]))
    return chance(flags, len(candidates), len(known))


def p_values_of_attacks(rng: Rng, n: int = 100, m: int = 100) -> Iterator[float]:
    """The p-value of the finding of each attack in turn, where no candidate was trained on."""
    return (p_value(scores[:n], scores[n:]) for scores in attacks(rng, n + m))


def p_values_of_growing(rng: Rng, n: int = 100, m: int = 20, looks: int = 10) -> Iterator[float]:
    """The p-value at each of ten looks at candidates that grow by *m* each time."""
    scores = rng.standard_normal(n + looks * m)
    return (p_value(scores[:n], scores[n : n + look * m]) for look in range(1, looks + 1))


def share_with_a_finding(
    p_values: Callable[[Rng], Iterator[float]], repeats: int, share: Callable[[int], float]
) -> float:
    """How often somebody who stops at the first finding has a finding; decision k needs p ≤ 0.05 · share(k)."""
    streams = (p_values(np.random.default_rng(seed)) for seed in range(repeats))
    return float(np.mean([any(p <= 0.05 * share(k) for k, p in enumerate(ps, start=1)) for ps in streams]))


@pytest.mark.parametrize(
    ("p_values", "repeats"),
    [(p_values_of_attacks, 2_000), (p_values_of_growing, 2_000)],
    ids=["best of twelve attacks", "ten looks at growing candidates"],
)
def test_whoever_decides_until_there_is_a_finding_has_it_in_at_most_5_percent(
    p_values: Callable[[Rng], Iterator[float]], repeats: int
) -> None:
    scores = table(m=100)
    hand = p_value(scores.columns[ATTACKS[0]][:100], scores.columns[ATTACKS[0]][100:])
    finding = flag(scores, calibrate(scores, ATTACKS[0], fpr=0.05)).finding
    assert finding is not None
    assert hand == pytest.approx(finding.p_value), "the simulation computes what `flag` gives"
    rate = share_with_a_finding(p_values, repeats, level_share)
    limit = 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)  # three Monte-Carlo standard errors at the level
    assert rate <= limit
    assert share_with_a_finding(p_values, repeats, lambda _: 1.0) > limit, (
        "the fault: each decision has the whole level"
    )
