"""Stacks in tables, in artefacts and at the command line: what must not move them, and what is refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from llm_mia import ScoreTable, calibrate, evaluate, flag
from llm_mia.decision import (
    NoteKind,
    ShortageKind,
    StackSettings,
    Tree,
    Wanted,
    add_decider_column,
    calibration_from_json,
    calibration_part,
    calibration_to_json,
    evaluation_part,
    fit_stack,
    flag_documents,
    rates_at,
    read_calibration,
)
from llm_mia.errors import CalibrationError, ScoresError
from llm_mia.records import AttackRecord, BlockSize, ModelRecord, PassRecord, RunRecord, WindowRule

from .test_cli import Cli, cli
from .test_cli_bad_input import Fails, fails
from .test_stacking import known, stack_of, table, training_of

__all__ = ["cli", "fails"]

MODEL = ModelRecord("m", None, "w1", "c1", "float32", "t1", 64)
PASS = PassRecord(MODEL, WindowRule(64, 16), BlockSize(8, 1024))

# -- what it takes ----------------------------------------------------------------------------------------------------


class Counted(Mapping[str, NDArray[np.float64]]):
    """Columns that count how often each is read, as a large file is."""

    def __init__(self, columns: Mapping[str, NDArray[np.float64]]) -> None:
        self.columns, self.reads = columns, Counter[str]()

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        self.reads[name] += 1
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)


def test_each_column_is_read_a_few_times_however_many_passages_it_is_fitted_on() -> None:
    score_table = known(np.random.default_rng(2), 400, [0.5, 0.2])
    counted = Counted(score_table.columns)
    fit_stack(replace(score_table, columns=counted), score_table.labels >= 0, 0)
    assert set(counted.reads) == {"a0", "a1"}
    assert max(counted.reads.values()) <= 4


# -- what must not move it --------------------------------------------------------------------------------------------


def test_same_seed_same_bytes_whatever_the_order_and_whatever_the_rest_scores() -> None:
    rng = np.random.default_rng(9)
    score_table = known(rng, 120, [0.5, 0.2, 0.0], candidates=10)
    calibration = calibrate(score_table, "stack", fpr=0.05)
    assert calibration_to_json(calibrate(score_table, "stack", fpr=0.05)) == calibration_to_json(calibration)
    order = rng.permutation(len(score_table)).tolist()
    turned = ScoreTable(
        score_table.name,
        [score_table.ids[row] for row in order],
        [score_table.documents[row] for row in order],
        score_table.labels[order],
        {name: score_table.columns[name][order] for name in sorted(score_table.columns, reverse=True)},
    )
    assert calibration_to_json(calibrate(turned, "stack", fpr=0.05)) == calibration_to_json(calibration)
    fit = np.isin(score_table.ids, calibration_part(score_table, calibration).ids, invert=True)
    other = replace(
        score_table,
        columns={
            name: np.where(fit, column, rng.normal(size=len(score_table)))
            for name, column in score_table.columns.items()
        },
    )
    moved = calibrate(other, "stack", fpr=0.05)
    assert moved.stack == calibration.stack, "learned from the fit part alone"
    assert moved.scores != calibration.scores
    assert calibrate(score_table, "stack", fpr=0.05, seed=1).stack != calibration.stack
    assert calibration_from_json(calibration_to_json(calibration)) == calibration


def test_a_passage_has_the_same_score_in_every_table() -> None:
    score_table = known(np.random.default_rng(10), 320, [0.5] * 9)
    stack = fit_stack(score_table, np.ones(len(score_table), dtype=bool), 0)
    together = replace(stack, trees=(Tree((0, 1, 2), (0.0, 0.1, 0.2), (0.1, 0.2, 0.3, 0.7)),), share=0.5).scores(
        score_table
    )
    for rows in ([5], [5, 6, 7], list(range(5, 300))):
        kept = np.isin(np.arange(len(score_table)), rows)
        alone = replace(stack, trees=(Tree((0, 1, 2), (0.0, 0.1, 0.2), (0.1, 0.2, 0.3, 0.7)),), share=0.5)
        assert np.array_equal(alone.scores(score_table.only(kept)), together[kept]), "to the last bit"


def test_a_document_is_never_learned_from_and_calibrated_on() -> None:
    rng = np.random.default_rng(11)
    labels = np.repeat(np.repeat([1, 0, -1], [60, 60, 20]), 3)
    documents = [f"d{i // 3}" for i in range(len(labels))]
    document_values = np.repeat(rng.normal(size=(140, 2)), 3, axis=0)
    score_table = table(
        labels,
        document_values + 0.3 * rng.normal(size=document_values.shape) + np.outer(labels == 1, [1, 1]),
        documents,
    )
    calibration = calibrate(score_table, "stack", fpr=0.05)
    assert (training_of(calibration).documents, calibration.n, calibration.n_documents) == (60, 90, 30)
    inside = {*score_table.documents} - {*calibration_part(score_table, calibration).documents}
    assert len(inside) == 60
    flags = flag_documents(score_table, calibration)
    assert (flags.n, len(flags.rows)) == (30, 20)
    assert flags.rows[0].score == pytest.approx(
        add_decider_column(score_table, calibration).column("stack")[-60:-57].mean()
    )


def test_of_many_passages_whole_documents_are_learned_from() -> None:
    score_table = known(np.random.default_rng(12), 100, [1.0])
    stack = fit_stack(
        score_table, np.ones(len(score_table), dtype=bool), 0, StackSettings(costs=(0.1,), most_passages=60)
    )
    assert stack.training is not None
    assert (stack.training.members, stack.training.nonmembers) == (30, 30)


# -- artefacts --------------------------------------------------------------------------------------------------------


def test_other_passages_are_scored_by_the_record_and_an_edited_one_is_refused() -> None:
    rng = np.random.default_rng(13)
    score_table, other = known(rng, 120, [0.8, 0.4], candidates=20), known(rng, 400, [0.8, 0.4], candidates=20)
    calibration = calibrate(score_table, "stack", fpr=0.05)
    assert len(flag(other.only(other.labels < 0), calibration).rows) == 20, "no known set is needed"
    fresh = rates_at(other, calibration)
    assert fresh.fpr is not None
    assert fresh.fpr.low < fresh.fpr.value < 0.15, "60 calibrate: 5 % ± 3 %"
    assert fresh.tpr.value > 0.1
    rates_of_these = rates_at(score_table, calibration)
    assert rates_of_these.fpr is None, "its non-members set the threshold"
    first, second = stack_of(calibration).columns
    stack = replace(stack_of(calibration), columns=(replace(first, weight=1.5 * first.weight), second))
    edited = calibration_from_json(calibration_to_json(replace(calibration, stack=stack)))
    changed = replace(score_table, columns={**score_table.columns, "a1": score_table.column("a1") * 1.01})
    for scored, by in ((score_table, edited), (changed, calibration)):
        with pytest.raises(CalibrationError, match=r"t\.csv: the stack gives its known non-members other scores than"):
            flag(scored, by)
    with pytest.raises(
        CalibrationError, match=r"lacks 1 of the 2 columns that the stack was fitted on \(a1\): score by"
    ):
        flag(replace(score_table, columns={"a0": score_table.column("a0")}), calibration)
    with pytest.raises(
        ScoresError, match="has a column 'stack', which is the name of a stack's scores: rename this column"
    ):
        calibrate(
            replace(score_table, columns={**score_table.columns, "stack": score_table.column("a0")}), "stack", fpr=0.05
        )
    with pytest.raises(
        CalibrationError,
        match="its column 'stack' does not hold the scores of the calibration's stack: rename the column",
    ):
        flag(replace(score_table, columns={**score_table.columns, "stack": score_table.column("a0")}), calibration)
    assert add_decider_column(add_decider_column(score_table, calibration), calibration).columns.keys() == {
        "a0",
        "a1",
        "stack",
    }


def test_scores_of_another_model_are_refused_by_the_passes_behind_all_columns() -> None:
    rng = np.random.default_rng(14)
    labels = np.repeat([1, 0, -1], [60, 60, 5])
    passes = {"target": PASS, "lowered": PASS}
    attacks = tuple(AttackRecord(name, 1) for name in ("loss", "min_k:k=0.1", "lowercase"))
    values = rng.normal(size=(len(labels), 3)) + (labels == 1)[:, None]
    score_table = replace(table(labels, values, record=RunRecord(passes, attacks)), columns={})
    score_table = replace(score_table, columns=dict(zip(("loss", "min_k:k=0.1", "lowercase"), values.T, strict=True)))
    calibration = calibrate(score_table, "stack", fpr=0.05)
    assert calibration.origin is not None
    assert [attack.name for attack in calibration.origin.attacks] == ["loss", "lowercase", "min_k:k=0.1"]
    assert NoteKind.ORIGIN_UNKNOWN not in [note.kind for note in flag(score_table, calibration).notes]
    other = replace(PASS, model=replace(MODEL, weights_sha256="w2"))
    with pytest.raises(CalibrationError, match="lowered model weights_sha256 w1 there, w2 here"):
        flag(replace(score_table, record=RunRecord({**passes, "lowered": other}, attacks)), calibration)


# -- how much it takes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "nonmembers", "fpr", "says"),
    [
        (
            12,
            100,
            0.05,
            "6 documents of members and 50 of non-members, and 20 of each are needed: add 28 documents of members to",
        ),
        (38, 30, 0.05, "add 2 documents of members and 10 documents of non-members to the known set"),
        (
            60,
            60,
            0.02,
            "only 30 documents of non-members would be left to set the threshold, and 49 are needed: add 38 ",
        ),
        (1, 60, 0.05, "no stack can be fitted: the members come from 1 document"),
        (0, 60, 0.05, "no stack can be fitted: no members are known, .* give `members`"),
    ],
)
def test_too_few_are_refused_with_the_number_that_is_missing(
    members: int, nonmembers: int, fpr: float, says: str
) -> None:
    rng = np.random.default_rng(15)
    score_table = table(np.repeat([1, 0], [members, nonmembers]), rng.normal(size=(members + nonmembers, 2)))
    with pytest.raises(CalibrationError, match=rf"t\.csv: no stack can be fitted: .*{says}|{says}"):
        calibrate(score_table, "stack", fpr=fpr)


@pytest.mark.parametrize(
    ("n", "passages", "fpr", "why"),
    [
        (200, 1, 0.05, None),
        (198, 1, 0.05, (ShortageKind.FIT_PART, 99, 99, 100)),
        (100, 3, 0.05, (ShortageKind.FIT_PART, 50, 50, 100)),
        (200, 1, 0.009, (ShortageKind.CALIBRATION_PART, 0, 100, 111)),
    ],
)
def test_the_default_is_the_stack_of_a_set_that_is_large_by_its_documents(
    n: int, passages: int, fpr: float, why: tuple[ShortageKind, int, int, int] | None
) -> None:
    rng = np.random.default_rng(16)
    labels = np.repeat([1, 0], n * passages)
    score_table = table(labels, rng.normal(size=(len(labels), 2)), [f"d{i // passages}" for i in range(len(labels))])
    score_table = replace(
        score_table,
        record=RunRecord({"target": PASS}),
        columns={"loss": score_table.column("a0"), "min_k": score_table.column("a1")},
    )
    quick = StackSettings(costs=(0.1,))
    calibration = calibrate(score_table, "default", fpr=fpr, stack_settings=quick)
    assert calibration.attack == ("min_k" if why else "stack")
    assert (calibration.split is None, bool(calibration.stack)) == (bool(why), not why)
    if why:
        assert (calibration.selection.wanted, calibration.n) == (Wanted.DEFAULT, n * passages), "nothing is kept apart"
        shortage = calibration.selection.shortage
        assert shortage is not None
        assert (shortage.kind, shortage.members, shortage.nonmembers, shortage.needed) == why
        assert f"{max(why[1:3])} of non-members" in str(shortage) or "22 documents of non-members" in str(shortage)
    alone = calibrate(score_table.only(score_table.labels == 0), "default", fpr=fpr)
    assert alone.selection.shortage is not None
    assert (alone.attack, alone.selection.shortage.kind) == ("min_k", ShortageKind.NO_MEMBERS)


# -- typed by a user --------------------------------------------------------------------------------------------------


def test_the_fit_part_is_recognised_in_other_tables() -> None:
    """Scores of noise, the same members with new non-members: no result may look significant."""
    values = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        members = rng.normal(size=(200, 40))

        def with_nonmembers(count: int, name: str, members: Any = members, rng: Any = rng) -> ScoreTable:
            ids = [*(f"m{i}" for i in range(200)), *(f"{name}{i}" for i in range(count))]
            labels = np.array([1] * 200 + [0] * count, dtype=np.int8)
            given = np.vstack([members, rng.normal(size=(count, 40))])
            return ScoreTable(name, ids, ids, labels, {f"a{at}": given[:, at] for at in range(40)})

        calibration = calibrate(with_nonmembers(200, "n"), "stack", fpr=0.05)
        fresh = with_nonmembers(400, "x")
        judged = evaluation_part(fresh, calibration)
        assert (len(judged.rows(1)), len(judged.rows(0))) == (100, 400)
        rates = rates_at(fresh, calibration)
        assert [note.figures for note in rates.notes if note.kind == NoteKind.FITTED_LEFT_OUT] == [{"count": 100}]
        assert rates.fpr is not None
        leaky = evaluate(add_decider_column(fresh, calibration), ["stack"])[0].auroc.value
        values.append((evaluate(judged, ["stack"])[0].auroc.value, leaky))
    honest, with_fit_part = np.mean(values, axis=0)
    assert honest == pytest.approx(0.5, abs=3 * 0.033 / np.sqrt(12))
    assert with_fit_part > 0.53, "with what it was fitted on the same figure would show something"


def test_a_part_of_the_calibration_set_gives_no_rate() -> None:
    rng = np.random.default_rng(3)
    whole = known(rng, 200, [0.5], candidates=0)
    calibration = calibrate(whole, next(iter(whole.columns)), fpr=0.05)
    kept = np.ones(len(whole), dtype=bool)
    kept[whole.rows(0)[20:]] = False
    rates = rates_at(whole.only(kept), calibration)
    assert (rates.fpr, rates.epsilon) == (None, None)
    assert NoteKind.THRESHOLD_SET_HERE in [note.kind for note in rates.notes]


THEIRS = [word for name in ("loss", "ratio", "noise") for word in ("--scores", f"their {name}")]


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    """Somebody's table, with documents of three passages."""
    rng = np.random.default_rng(17)
    labels = np.repeat([1, 0, -1], [180, 240, 60])
    values = rng.normal(size=(480, 3)) + np.outer((labels == 1) | ((labels < 0) & (np.arange(480) % 6 < 3)), [2, 2, 0])
    path = tmp_path / "theirs.parquet"
    columns = {f"their {name}": values[:, at] for at, name in enumerate(("loss", "ratio", "noise"))}
    names = {"id": [f"p{i}" for i in range(480)], "document": [f"d{i // 3}" for i in range(480)]}
    marks = [None if label < 0 else int(label) for label in labels]
    pq.write_table(pa.table({**names, "label": marks, **columns}), path)
    return path


def test_calibrate_flag_and_evaluate_by_the_stack(cli: Cli, fails: Fails, scores: Path, tmp_path: Path) -> None:
    rule, flags = tmp_path / "c.json", tmp_path / "f.csv"
    ran = cli("calibrate", scores, "-a", "stack", "--fit-share", "0.4", "--seed", "2", "-o", rule, *THEIRS)
    assert ran.code == 0
    assert re.fullmatch(r"note: not validated: [^\n]+\n", ran.err)
    assert " on stack (144 non-members, FPR ≤ 5 %)" in ran.out
    assert (
        "stack of 3 columns fitted on 168 known passages of 56 documents; other non-members set the threshold"
        in ran.out
    )
    assert "columns used: their loss, their noise, their ratio" in ran.out
    written = read_calibration(rule)
    training = training_of(written)
    assert (training.seed, training.members, training.nonmembers) == (2, 72, 96)
    assert [column.name for column in stack_of(written).columns] == ["their loss", "their noise", "their ratio"]
    summary = cli(
        "calibrate", scores, "-a", "stack", "--fit-share", "0.4", "--seed", "2", "-o", rule, *THEIRS, "--json"
    ).json
    assert summary["stack_columns"] == ["their loss", "their noise", "their ratio"]
    assert "stack" not in summary, "the model lies in the artefact, not in every summary"
    ran = cli("flag", scores, "-c", rule, "-o", flags, "--details")
    assert ran.code == 0
    shown = " ".join(ran.out.split())
    assert "of 60 candidates flagged by stack at FPR ≤ 5 %: consistent with training on them" in shown
    assert flags.read_text().splitlines()[1].split(",")[2] == "stack"
    ran = cli("flag", scores, "-c", rule, "-o", flags, "--documents", "--details")
    assert "of 20 candidate documents flagged by stack" in " ".join(ran.out.split())
    ran = cli("evaluate", scores, "-c", rule, "--compare", "stack", "their loss")
    assert ran.code == 0
    assert "108 known members from 144 known non-members" in ran.out, "less what it was fitted on"
    assert "AUROC of stack minus AUROC of their loss: +" in ran.out
    assert "At the threshold of the calibration for stack: TPR" in ran.out
    assert "no column 'stack'; it has their loss, their ratio, their noise" in fails("evaluate", scores, "-a", "stack")
    few = pq.read_table(scores).slice(120)
    pq.write_table(few, tmp_path / "few.parquet")
    message = fails("calibrate", tmp_path / "few.parquet", "-a", "stack", "-o", rule, *THEIRS)
    assert message.endswith("20 of each are needed: add 20 documents of members to the known set")
