"""Tables of other programs: which columns are scores, which cannot be, and which way round a score is."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from llm_mia import ScoreTable, audit, calibrate, evaluate, flag, read_scores, score
from llm_mia.backends import Backend
from llm_mia.decision import NoteKind, evaluation_notes, judge_collection, read_calibration
from llm_mia.errors import CalibrationError, ScoresError
from llm_mia.report import note_words
from llm_mia.scores import ROW_ORDER_LEVEL, row_order

from .conftest import sentences
from .test_cli import Cli, cli
from .test_cli_bad_input import Fails, fails

__all__ = ["cli", "fails"]

Write = Callable[..., Path]
N, MEMBERS, CANDIDATES = 120, 100, 60


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A csv file sorted by label: non-members, members, then candidates, of which 17 % are members."""

    def to_file(name: str = "t.csv", *, change: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame) -> Path:
        rng = np.random.default_rng(4)
        labels = np.repeat([0.0, 1.0, np.nan], [N, MEMBERS, CANDIDATES])
        member = (labels == 1) | (np.isnan(labels) & (rng.random(len(labels)) < 0.17))
        frame = pd.DataFrame(
            {
                "row_number": np.arange(len(labels)),
                "id": [f"p{i}" for i in range(len(labels))],
                "label": pd.array(labels, dtype="Int8"),
                "loss": rng.normal(size=len(labels)) - 1.2 * member,
                "zlib": rng.normal(size=len(labels)) + 1.5 * member,
                "kind": ["news" if i % 2 else "blog" for i in range(len(labels))],
            }
        )
        change(frame).to_csv(tmp_path / name, index=False)
        return tmp_path / name

    return to_file


# -- which columns are scores -----------------------------------------------------------------------------------------


def test_a_row_number_never_decides(cli: Cli, fails: Fails, write: Write, tmp_path: Path) -> None:
    table, rule = write(), tmp_path / "c.json"
    for word in ("auto", "stack", "default"):
        assert fails("calibrate", table, "-a", word, "-o", rule).endswith(
            "t.csv: not a run directory, so only columns that you name are scores: name them with --scores; its "
            "columns of numbers are row_number, loss, zlib"
        )
    refused = (
        "t.csv: column 'row_number' holds a different whole number in each row, as a row number, an id, a time or a "
        "rank does, so it is no score: name a column of scores"
    )
    assert fails("calibrate", table, "-a", "row_number", "-o", rule).endswith(refused)
    typed = ["calibrate", table, "-a", "auto", "-o", rule, "--scores", "zlib", "--scores"]
    assert fails(*typed, "row_number").endswith(refused)
    assert fails("evaluate", table, "-a", "row_number").endswith(refused)
    assert fails("evaluate", table, "-a", "zlib", "--compare", "zlib", "row_number").endswith(refused)
    assert fails("collection", table, "-a", "row_number").endswith(refused)
    assert "name them with --attack; its columns" in fails("evaluate", table)
    assert "name them with --attack; its columns" in fails("collection", table)
    ran = cli(*typed, "loss")
    assert ran.code == 0
    assert " on zlib (60 non-members" in ran.out
    assert "columns used: zlib, loss" in ran.out
    bound = cli("flag", table, "-c", rule, "-o", tmp_path / "f.csv", "--json").json["trained_on_at_least"]
    assert bound["number"] <= 12, "17 % of the 60 candidates are members, and 40 % of these are flagged"
    evaluated = cli("evaluate", table, "-c", rule, "--json").json
    assert list(evaluated["attacks"]) == ["zlib"], "the column that the calibration names"


def shuffled(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sample(frac=1, random_state=3)


COUNTERS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "row numbers of a shuffled table": lambda frame: np.random.default_rng(0).permutation(len(frame)),
    "hashes": lambda frame: np.random.default_rng(0).permutation(10**6)[: len(frame)] * 7919,
    "floats": lambda frame: 0.0 + np.random.default_rng(0).permutation(len(frame)),
    "times": lambda frame: 1.7e9 + 0.25 * np.arange(len(frame)),
    "shards": lambda frame: np.arange(len(frame)) // 30,
    "times with noise": lambda frame: np.arange(len(frame)) + np.random.default_rng(0).normal(size=len(frame)),
    "downwards": lambda frame: -0.5 * np.arange(len(frame)),
    "a copy of the label": lambda frame: frame["label"].fillna(0),
    "the opposite of the label": lambda frame: 1 - frame["label"].fillna(0),
}


@pytest.mark.parametrize("kind", COUNTERS)
def test_what_cannot_be_a_score_is_refused(kind: str, write: Write) -> None:
    table = read_scores(write(change=lambda frame: frame.assign(index_of=COUNTERS[kind](frame))))
    reasons = {"copy": "it holds the label", "opposite": "it holds the label", "row": "different whole number"}
    reasons |= {"hashes": "different whole number", "floats": "different whole number"}
    reason = next((words for start, words in reasons.items() if start in kind), "follows the order of the rows")
    for run in (
        lambda: calibrate(table, "index_of", fpr=0.05),
        lambda: evaluate(table, ["index_of"]),
        lambda: judge_collection(table, ["index_of"]),
    ):
        with pytest.raises(ScoresError, match=rf"t.csv: column 'index_of' .*{reason}") as refused:
            run()
        assert "\n" not in str(refused.value)


def test_the_row_numbers_of_a_dataframe_are_no_scores_either() -> None:
    rng, labels = np.random.default_rng(0), [0] * 60 + [1] * 60
    frame = pd.DataFrame({"loss": rng.normal(size=120), "index": np.arange(120)})
    with pytest.raises(
        ScoresError, match="scores in memory: column 'index' holds a different whole number in each row"
    ):
        calibrate(ScoreTable.of(frame, labels), "auto", fpr=0.1)
    assert calibrate(ScoreTable.of(frame[["loss"]], labels), "auto", fpr=0.1).attack == "loss"


def test_a_table_that_is_sorted_by_its_score_is_read_after_shuffling(write: Write) -> None:
    in_order = read_scores(write(change=lambda frame: frame.sort_values("zlib")))
    with pytest.raises(ScoresError, match=r"rank correlation 1.00 with the row .* sorted by it, shuffle the rows"):
        calibrate(in_order, "zlib", fpr=0.05)
    table = read_scores(write(change=lambda frame: shuffled(frame.sort_values("zlib"))))
    assert calibrate(table, "zlib", fpr=0.05).notes == ()
    flags = flag(in_order, calibrate(table, "zlib", fpr=0.05))
    kinds = [note.kind for note in flags.notes][:3]
    assert kinds == ["origin_unknown", "not_validated", "score_follows_rows"], "a note, for a flag"


def test_what_a_column_holds_in_place_of_numbers_is_named(write: Write, tmp_path: Path) -> None:
    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(loss=frame["loss"].astype(object).where(frame.index != 4, "1,5"))

    table = read_scores(write(change=spoil))
    with pytest.raises(ScoresError, match=r"column 'loss' holds '1,5' in row 5, which is no number: correct it"):
        calibrate(table, "loss", fpr=0.05)
    with pytest.raises(ScoresError, match=r"column 'loss' holds '1,5' in row 5"):
        read_scores(write(change=spoil), scores=["zlib", "loss"])
    rows = [{"label": i % 2, "loss": str(i / 7), "n_tokens": i, "zlib": i / 3} for i in range(40)]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    strings = read_scores(tmp_path / "s.jsonl")
    with pytest.raises(ScoresError, match=r"column 'loss' holds numbers that are written as text: write them without"):
        strings.column("loss")
    with pytest.raises(ScoresError, match=r"column 'n_tokens' describes the passages, so it is no score"):
        strings.column("n_tokens")


# -- missing scores, names of columns, repeated passages --------------------------------------------------------------


@pytest.mark.parametrize("cell", ["None", "", "NaN", "null", "<NA>", "n/a"])
def test_a_cell_without_a_score_is_a_missing_score(cell: str, cli: Cli, write: Write, tmp_path: Path) -> None:
    path = write()
    lines = path.read_text().splitlines()
    cells = lines[3].split(",")
    lines[3] = ",".join([*cells[:4], cell, *cells[5:]])
    path.write_text("\n".join(lines) + "\n")
    table = read_scores(path)
    assert np.isnan(table.column("zlib")).nonzero()[0].tolist() == [2]
    calibration = calibrate(table, "zlib", fpr=0.05)
    assert (calibration.n, calibration.notes[-1].kind) == (N - 1, NoteKind.NONMEMBERS_UNSCORED)
    assert calibration.notes[-1].figures == {"count": 1, "foreign": True}
    assert evaluate(table, ["zlib"])[0].unscored_ids == ("p2",)
    ran = cli("calibrate", path, "-a", "zlib", "-o", tmp_path / "c.json")
    assert "note: 1 non-member has no score" in ran.err


@pytest.mark.parametrize("label", ["Label", "LABEL", "member", "Member", "is_member", "Is-Member", "membership"])
def test_names_of_columns_are_known_as_in_passages(label: str, write: Write) -> None:
    names = {"id": "ID", "label": label, "zlib": "Loss"}
    table = read_scores(write(change=lambda frame: frame.rename(columns=names)), scores=["Loss"])
    assert (table.ids[3], len(table.rows(0)), len(table.rows(1))) == ("p3", N, MEMBERS)
    assert calibrate(table, "Loss", fpr=0.05).n == N


def test_a_row_for_each_model_is_refused(write: Write) -> None:
    def twice(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([frame.assign(model="a"), frame.assign(model="b")])

    with pytest.raises(
        ScoresError,
        match=r"t.csv: non-member 'p0' occurs in row 1 and again in row 281 \(column 'id'\): keep a single row for",
    ):
        read_scores(write(change=twice))
    both = read_scores(write(change=lambda frame: frame.assign(id=[f"p{i % N}" for i in range(len(frame))])))
    assert len(both) == N + MEMBERS + CANDIDATES, "members and non-members may be numbered alike"


# -- categories -------------------------------------------------------------------------------------------------------


def with_sources(frame: pd.DataFrame) -> pd.DataFrame:
    sizes = [("news", 120), ("blog", 80), ("it", 30), ("de", 20), ("fr", 20), ("es", 10)]
    sources = [name for name, size in sizes for _ in range(size)]
    return frame.assign(source=np.random.default_rng(5).permutation(sources))


def test_small_categories_are_all_named_with_the_options_that_help(
    cli: Cli, fails: Fails, write: Write, tmp_path: Path
) -> None:
    table, rule, flags = write(change=with_sources), tmp_path / "c.json", tmp_path / "f.csv"
    counts = pd.read_csv(table).query("label == 0")["source"].value_counts()
    typed = ["calibrate", table, "-a", "zlib", "--by", "source", "-o", rule]
    message = fails(*typed)
    for name in ("it", "de", "fr", "es"):
        assert f"{counts[name]} of category '{name}' ({19 - counts[name]} more needed)" in message
    problem, advice = message.split(", or join categories: ")
    assert "news" not in problem
    assert advice == "--pool de --pool es --pool fr --pool it"
    ran = cli(*typed, *advice.split())
    assert ran.code == 0, "the advice helps"
    assert re.fullmatch(r"note: not validated: [^\n]+\n", ran.err)
    assert f"\n  news: threshold {calibrated(rule, 'news'):.6g} ({counts['news']} non-members)\n" in ran.out
    ran = cli("flag", "--details", table, "-c", rule, "-o", flags)
    rows = list(csv.DictReader(io.StringIO(flags.read_text())))
    flagged = [row for row in rows if row["flagged"] == "true"]
    for name in ("news", "blog"):
        here = [row for row in rows if row["source"] == name]
        count = sum(row["source"] == name for row in flagged)
        line = f"\n  {name}: {count} of {len(here)} flagged, threshold {calibrated(rule, name):.6g} ({counts[name]} "
        assert line in ran.out
    pooled = counts[["it", "de", "fr", "es"]].sum()
    line = rf"\n  other: \d+ of \d+ flagged, threshold \S+ \({pooled} non-members\)\n"
    assert re.search(line, ran.out)
    by_source = cli("flag", "--details", table, "-c", rule, "-o", flags, "--json").json["categories"]
    assert sum(category["candidates"] for category in by_source.values()) == CANDIDATES
    assert by_source["news"]["trained_on_at_least"] is None, "there is no finding"


def calibrated(rule: Path, category: str) -> float:
    return float(read_calibration(rule).categories[category].threshold)


def test_categories_of_candidates_without_nonmembers_are_named_before_the_threshold_is_set(write: Write) -> None:
    def foreign(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(source=np.where(frame["label"].isna() & (frame.index % 2 == 0), "sv", "en"))

    table = read_scores(write(change=foreign), by="source")
    with pytest.raises(
        CalibrationError, match=r"^0 of category 'sv' \(19 .*or leave out the candidates of 'sv', for which no"
    ):
        calibrate(table, "zlib", fpr=0.05)
    pooled = calibrate(table, "zlib", fpr=0.05, pool=["sv", "en"])
    assert (pooled.categories["other"].n, pooled.notes) == (N, ())
    misspelt = calibrate(table, "zlib", fpr=0.05, pool=["sv", "en", "se"]).notes
    assert [note_words(note) for note in misspelt] == [
        "no row is of the category 'se', which is to be joined with others; the categories are 'en', 'sv'"
    ]


# -- reversed signs --------------------------------------------------------------------------------------------------


def test_a_score_that_is_turned_round_is_pointed_out_and_never_turned(cli: Cli, write: Write, tmp_path: Path) -> None:
    table, rule, flags = write(change=shuffled), tmp_path / "c.json", tmp_path / "f.csv"
    expected = "note: members have lower scores than non-members by loss (AUROC 0.1"
    advice = "if a lower value means member, name the column '-loss'; otherwise check the labels"
    ran = cli("calibrate", table, "-a", "loss", "-o", rule)
    assert ran.err.startswith(expected)
    assert advice in ran.err
    assert " on loss (120 non-members" in ran.out
    for typed in (["flag", table, "-c", rule, "-o", flags], ["evaluate", table, "-a", "loss"]):
        assert expected in cli(*typed).err, "wherever it is used"
    ran = cli("calibrate", table, "-a", "-loss", "-o", rule)
    assert ran.code == 0
    assert re.fullmatch(r"note: not validated: [^\n]+\n", ran.err)
    assert " on -loss (120 non-members" in ran.out
    assert cli("flag", table, "-c", rule, "-o", flags).code == 0
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(flags.read_text()))}
    frame = pd.read_csv(table).set_index("id")
    assert all(float(row["score"]) == -frame.loc[name, "loss"] for name, row in rows.items())
    assert (rows["p250"]["attack"], rows["p250"]["kind"]) == ("-loss", "blog")
    turned, plain = (evaluate(read_scores(table), [name])[0].auroc for name in ("-loss", "loss"))
    assert turned.value == pytest.approx(1 - plain.value, abs=1e-12)
    ran = cli("calibrate", table, "-a", "auto", "--scores", "loss", "--scores", "zlib", "-o", rule)
    assert ran.err.startswith(expected), "of the columns that were not selected too"
    ran = cli("evaluate", table, "-a", "-loss", "--compare", "-loss", "zlib")
    assert "AUROC of -loss minus AUROC of zlib: " in ran.out
    stacked = calibrate(read_scores(table, scores=["-loss", "zlib"]), "stack", fpr=0.05)
    assert stacked.stack is not None
    assert [column.name for column in stacked.stack.columns] == ["-loss", "zlib"]
    assert len(flag(read_scores(table), stacked).rows) == CANDIDATES


def test_of_arrays_a_turned_score_is_noted_too() -> None:
    rng = np.random.default_rng(1)
    labels = [0] * 60 + [1] * 60
    table = ScoreTable.of(rng.normal(size=120) - np.array(labels), labels)
    (note,) = calibrate(table, "score", fpr=0.05).notes
    assert (note.kind, note.figures["foreign"]) == (NoteKind.SCORE_REVERSED, True)
    assert note.figures["high"] < 0.5
    kinds = [note.kind for note in evaluation_notes(table, evaluate(table))]
    assert kinds == [NoteKind.NOT_VALIDATED, NoteKind.SCORE_REVERSED]
    few = ScoreTable.of([1.0, 2, 3, 4, 0, -1], [0, 0, 0, 0, 1, 1])
    assert calibrate(few, "score", fpr=0.25).notes == (), "two members show no direction"


def test_an_audit_points_out_members_that_score_below_nonmembers(fake: Backend, tmp_path: Path) -> None:
    texts = [f"{text} {i}" for i, text in enumerate(sentences(180, seed=4))]
    scored = score(texts, fake, attacks=["loss"], out=tmp_path / "first").column("loss")
    order = np.argsort(scored)[np.random.default_rng(0).permutation(180)]
    middle = float(np.median(scored))
    low, high = ([texts[i] for i in order if bool(scored[i] > middle) is above] for above in (False, True))
    result = audit(
        high[:30], nonmembers=high[30:], members=low[:60], target=fake, attacks=["loss"], accept_void=True,
        out=tmp_path / "run",
    )  # fmt: skip
    (note,) = [note for note in result.notes if note.kind == NoteKind.SCORE_REVERSED]
    assert (note.figures["auroc"], note.figures["foreign"]) == (0.0, False)
    assert note_words(note).endswith(
        "check that members and non-members, or target and reference model, are not exchanged"
    )


# -- do scores follow the rows? ---------------------------------------------------------------------------------------

DRAWS: dict[str, Callable[[np.random.Generator], Any]] = {
    "normal": lambda rng: rng.normal(size=150),
    "heavy tails": lambda rng: rng.standard_cauchy(150),
    "two values": lambda rng: rng.integers(0, 2, 150),
    "few and many": lambda rng: (rng.random(150) < 0.1) * rng.random(150),
}


@pytest.mark.parametrize("kind", DRAWS)
def test_scores_in_any_order_seem_to_follow_it_at_most_once_in_a_thousand(kind: str) -> None:
    rng, documents = np.random.default_rng(8), [str(i) for i in range(150)]
    labels = np.repeat([0, 1, -1], 50)
    trials = 2_000
    alarms = sum(row_order(DRAWS[kind](rng) + labels, labels, documents) is not None for _ in range(trials))
    # With a rate of exactly the level, more than 8 of 2,000 come with probability 0.0002.
    assert alarms <= 8
    assert trials * ROW_ORDER_LEVEL == 2.0


def test_documents_are_what_follows_the_order() -> None:
    rng = np.random.default_rng(2)
    # Passages of a document lie together and score alike: in 30 documents of 20 there is no order to follow.
    documents = np.repeat(np.arange(30), 20)
    labels = np.zeros(600, dtype=int)
    alarms = 0
    for _ in range(400):
        scores = rng.normal(size=30)[documents] + 0.1 * rng.normal(size=600)
        alarms += row_order(scores, labels, [str(d) for d in documents]) is not None
    assert alarms <= 4  # more come with probability 0.0001, if the rate is the level
    drifting = np.linspace(0, 3, 30)[documents] + 0.1 * rng.normal(size=600)
    order = row_order(drifting, labels, [str(d) for d in documents])
    assert order is not None
    assert (order.label, order.documents) == (0, 30)
    assert order.correlation > 0.9
    assert row_order(drifting, labels, [str(d % 10) for d in documents]) is None, "10 documents show no order"


def test_a_score_that_follows_the_rows_is_noted_in_any_table() -> None:
    rng = np.random.default_rng(3)
    drift = np.concatenate([np.linspace(0, 3, 60), rng.normal(size=60)]) + 0.3 * rng.normal(size=120)
    table = ScoreTable.of(drift, [0] * 60 + [1] * 60)
    notes = [note for note in calibrate(table, "score", fpr=0.05).notes if note.kind == NoteKind.SCORE_FOLLOWS_ROWS]
    assert [(note.figures["among"], note.figures["documents"]) for note in notes] == [("non-members", 60)]
    assert notes[0].figures["correlation"] > 0.9
