"""Tables of scores, ours and anybody's: what is read, what is refused, and that nothing is guessed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from llm_mia import ScoreTable, calibrate, flag, read_passages, read_scores, score
from llm_mia.backends import Backend
from llm_mia.errors import RunDirectoryError, ScoresError, UsageError
from llm_mia.records import SCHEMA_VERSION, RunRecord, WindowRule
from llm_mia.store import to_json

Write = Callable[[str, "str | bytes"], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to_file


ROWS: list[dict[str, Any]] = [
    {"id": "a", "book": "x", "label": 1, "loss": -1.5, "min_k:k=0.1": -3},
    {"id": "b", "book": "x", "label": 0, "loss": None, "min_k:k=0.1": -4},
    {"id": "c", "book": "y", "label": None, "loss": -2.5, "min_k:k=0.1": -5},
]


def as_csv(rows: list[dict[str, Any]]) -> str:
    lines = [list(rows[0]), *(row.values() for row in rows)]
    return "".join(",".join("" if v is None else str(v) for v in line) + "\n" for line in lines)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "ndjson", "parquet"])
def test_the_same_table_in_every_format(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"scores.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        path.write_text(as_csv(ROWS) if kind == "csv" else "".join(json.dumps(row) + "\n" for row in ROWS))
    table = read_scores(path)
    assert list(table.ids) == ["a", "b", "c"]
    assert list(table.documents) == ["x", "x", "y"]
    assert table.labels.tolist() == [1, 0, -1]
    assert list(table.columns) == ["loss", "min_k:k=0.1"]
    np.testing.assert_array_equal(table.column("loss"), [-1.5, np.nan, -2.5])
    assert table.unscored == 1
    assert table.record is None
    assert [table.rows(label).tolist() for label in (1, 0, None)] == [[0], [1], [2]]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["0", "1", ""], [0, 1, -1]),
        (["0.0", "1.0", ""], [0, 1, -1]),
        (["true", "FALSE", ""], [1, 0, -1]),
        (["True", "0", "null"], [1, 0, -1]),
        (["", "", ""], [-1, -1, -1]),
    ],
)
def test_labels_in_csv(cells: list[str], expected: list[int], write: Write) -> None:
    rows = "".join(f"{i},{cell},{i}\n" for i, cell in enumerate(cells))
    assert read_scores(write("t.csv", "id,member,loss\n" + rows)).labels.tolist() == expected


@pytest.mark.parametrize(
    ("cells", "expected"),
    [([1, 0, None], [1, 0, -1]), ([True, False, None], [1, 0, -1]), (["1", " False ", "0"], [1, 0, 0])],
)
def test_labels_in_jsonl(cells: list[object], expected: list[int], write: Write) -> None:
    rows = "".join(json.dumps({"label": cell, "loss": 1.0}) + "\n" for cell in cells)
    table = read_scores(write("t.jsonl", rows))
    assert table.labels.tolist() == expected
    assert list(table.ids) == list(table.documents) == ["1", "2", "3"], "named by row number"


@pytest.mark.parametrize("junk", ["yes", "known", 2, -1, 0.5, [1], {"a": 1}])
def test_labels_that_are_none_are_refused_with_their_row(junk: object, write: Write) -> None:
    rows = [{"label": None, "loss": 1.0}, {"label": junk, "loss": 2.0}]
    path = write("t.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(
        ScoresError, match=r"t.jsonl row 2: label .* is neither 1, true nor member, and neither 0, false nor non-mem"
    ):
        read_scores(path)


def test_not_a_number_is_read_as_no_score_and_infinity_as_itself(write: Write) -> None:
    table = read_scores(write("t.csv", "id,loss\na,nan\nb,inf\nc,-inf\nd,\ne,1e-3\n"))
    np.testing.assert_array_equal(table.column("loss"), [np.nan, np.inf, -np.inf, np.nan, 1e-3])
    assert table.unscored == 2


def test_columns_may_be_named(write: Write) -> None:
    path = write("t.csv", "who,label,truth,part,loss\na,7,1,p,0.5\nb,8,0,p,0.7\n")
    table = read_scores(path, id_column="who", label_column="truth", document_column="part")
    assert list(table.ids) == ["a", "b"]
    assert table.labels.tolist() == [1, 0]
    assert list(table.documents) == ["p", "p"]
    assert list(table.columns) == ["label", "loss"], "what was not named is a column of numbers like any other"


def test_integers_beyond_a_double_are_rounded_like_any_number(write: Write) -> None:
    assert read_scores(write("t.csv", f"id,hits\na,{2**60 + 1}\n")).column("hits")[0] == 2.0**60


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "", "cannot be read: Empty CSV"),
        ("t.jsonl", "", "cannot be read: Empty JSON"),
        ("t.csv", "id,loss\n", "holds no rows"),
        ("t.csv", "id,label\na,1\n", "no column of scores \\(numbers\\) among id, label"),
        ("t.csv", "id,loss\na,high\n", "no column of scores \\(numbers\\) among id, loss"),
        ("t.csv", "id,loss\na,1,2\n", "cannot be read: .*Expected 2 columns, got 3"),
        ("t.csv", "id,loss,loss\na,1,2\n", "several columns are named 'loss'"),
        ("t.csv", "id,loss\né,1\n".encode("latin1"), "column 'id' is not UTF-8"),
        ("t.csv", "é,loss\nx,1\n".encode("latin1"), "cannot be read: 'utf-8' codec"),
        ("t.jsonl", '{"id": 1,\n', "cannot be read: JSON parse error"),
        ("t.jsonl", '{"loss": 1}\n{"loss": "x"}\n', "cannot be read: .* changed from number to string in row 1"),
        ("t.parquet", b"PAR1 no", "cannot be read"),
        ("t.xlsx", b"", "must be a run directory or a .csv, .tsv, .jsonl, .ndjson, .parquet file"),
    ],
)
def test_what_is_no_table_of_scores_is_refused_in_one_line(
    name: str, content: str | bytes, message: str, write: Write
) -> None:
    path = write(name, content)
    with pytest.raises(ScoresError, match=message) as refused:
        read_scores(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_columns_that_are_not_there_are_named_with_the_nearest(write: Write) -> None:
    path = write("t.csv", "id,label,loss\na,1,2\n")
    with pytest.raises(ScoresError, match=r"no column 'lable'; it has id, label, loss; did you mean 'label'\?"):
        read_scores(path, label_column="lable")
    with pytest.raises(ScoresError, match=r"no column 'los'; it has loss; did you mean 'loss'\?"):
        read_scores(path).column("los")
    with pytest.raises(ScoresError, match=r"no column 'quantum'; it has loss$"):
        read_scores(path).column("quantum")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(ScoresError, match=r"t.csv: no such file$"):
        read_scores(tmp_path / "t.csv")
    with pytest.raises(RunDirectoryError, match=r"holds no run\.json, so it is not a run directory"):
        read_scores(tmp_path)
    (tmp_path / "run.json").write_text(to_json(RunRecord()))
    with pytest.raises(ScoresError, match="the run is not finished"):
        read_scores(tmp_path)


def test_a_run_directory_says_what_made_it_and_counts_no_facts_as_attacks(
    fake: Backend, write_jsonl: Callable[..., str], tmp_path: Path
) -> None:
    rows = [{"id": "a", "text": "a river", "label": 1}, {"id": "b", "text": "x"}]
    scored = score(
        read_passages(write_jsonl("p.jsonl", rows)), fake, attacks=["loss", "min_k:k=0.1"], out=tmp_path / "r"
    )
    table = read_scores(tmp_path / "r")
    for each in (scored, table):
        assert list(each.columns) == ["loss", "min_k:k=0.1"], "neither perplexities nor counts"
        assert each.labels.tolist() == [1, -1]
        assert each.unscored == 1, "one byte without BOS has no scored token"
        assert each.record is not None
        assert each.record.passes["target"].model.weights_sha256 == "seed 0"
        assert each.record.passes["target"].window == WindowRule(1024, 256)
    assert read_scores(tmp_path / "r" / "scores.parquet").record is None


def test_categories_are_read_by_a_column_or_by_bands_of_length(write: Write) -> None:
    path = write("t.csv", "id,year,kind,n_bytes,loss\na,1999,05,64,1\nb,2001,,127,2\nc,2001,x,128,3\n")
    assert read_scores(path).categories == ()
    by_year, by_kind, by_length = (read_scores(path, by=by) for by in ("year", "kind", "length"))
    assert (by_year.by, list(by_year.categories)) == ("year", ["1999", "2001", "2001"])
    assert list(by_year.columns) == ["loss"], "what sorts passages is no attack"
    assert list(by_kind.categories) == ["05", "unknown", "x"]
    assert list(by_length.categories) == ["64-127 bytes", "64-127 bytes", "128-255 bytes"]
    assert list(by_kind.only(np.array([True, False, True])).categories) == ["05", "x"]
    with pytest.raises(ScoresError, match=r"no column 'yera'; .* did you mean 'year'"):
        read_scores(path, by="yera")
    with pytest.raises(ScoresError, match="no column of numbers 'n_bytes' or 'length', so lengths are not known"):
        read_scores(write("u.csv", "id,loss\na,1\n"), by="length")


def test_passages_that_name_no_document_share_none_across_labels() -> None:
    scores = {"x": np.arange(5.0)}
    labels = np.array([0, 1, 0, 0, -1], dtype=np.int8)
    table = ScoreTable("t", ["1", "1", "2", "3", "2"], ["1", "1", "book", "book", "2"], labels, scores)
    assert table.groups() == ("1 (non-member)", "1 (member)", "book", "book", "2")
    kept = table.only(labels == 0)
    assert (list(kept.ids), list(kept.documents)) == (["1", "2", "3"], ["1", "book", "book"])
    assert kept.column("x").tolist() == [0.0, 2.0, 3.0]
    assert kept.groups() == ("1", "book", "book")


def test_a_table_without_scores_of_one_attack_counts_them() -> None:
    columns = {"x": np.array([1.0, np.nan]), "y": np.array([np.nan, np.nan])}
    assert ScoreTable("t", ["a", "b"], ["a", "b"], np.zeros(2, np.int8), columns).unscored == 2


def test_a_run_directory_of_another_schema_is_refused(
    fake: Backend, write_jsonl: Callable[..., str], tmp_path: Path
) -> None:
    score(read_passages(write_jsonl("p.jsonl", [{"text": "a river"}])), fake, attacks=["loss"], out=tmp_path / "r")
    record = tmp_path / "r" / "run.json"
    record.write_text(record.read_text().replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 99'))
    with pytest.raises(RunDirectoryError, match="schema version 99") as refused:
        read_scores(tmp_path / "r")
    assert "\n" not in str(refused.value)


# -- tables from arrays -----------------------------------------------------------------------------------------------


def test_arrays_make_a_table_that_can_be_calibrated_and_flagged() -> None:
    scores: dict[str, Any] = {"mine": np.arange(42.0), "theirs": [0.5] * 42}
    table = ScoreTable.of(scores, [0] * 40 + [None, np.nan], documents=[f"d{i // 2}" for i in range(42)])
    assert list(table.columns) == ["mine", "theirs"]
    assert (table.ids[0], table.documents[41], table.labels.tolist()[39:]) == ("1", "d20", [0, -1, -1])
    assert (table.record, table.others, table.standing) == (None, {}, None)
    flags = flag(table, calibrate(table, "mine", fpr=0.05))
    assert [row.flagged for row in flags.rows] == [True, True]


@pytest.mark.parametrize(
    "labels",
    [[1, 0, None], np.array([1, 0, -1]), np.array([1.0, 0.0, np.nan]), ["true", "0", ""], pd.Series([1, 0, None])],
)
def test_labels_in_memory(labels: Any) -> None:
    assert ScoreTable.of([1.0, 2.0, 3.0], labels).labels.tolist() == [1, 0, -1]


def test_by_default_all_are_candidates_named_by_their_row() -> None:
    table = ScoreTable.of(pd.Series([1, 2], index=["x", "y"]))
    assert (list(table.ids), list(table.documents), table.labels.tolist()) == (["1", "2"], ["1", "2"], [-1, -1])
    assert table.column("score").tolist() == [1.0, 2.0]


def test_the_columns_of_a_dataframe_are_scores() -> None:
    frame = pd.DataFrame({"mine": [0.5, 1.5], "theirs": [2, 3]})
    table = ScoreTable.of(frame, [0, None])
    assert {name: column.tolist() for name, column in table.columns.items()} == {"mine": [0.5, 1.5], "theirs": [2, 3]}
    with pytest.raises(UsageError, match=r"`scores\['name'\]` holds something that is not a number"):
        ScoreTable.of(pd.DataFrame({"name": ["a"], "mine": [1.0]}))


def test_categories_in_memory() -> None:
    table = ScoreTable.of([1.0, 2.0], [0, 0], categories=["en", "de"], by="language")
    assert (table.by, list(table.categories)) == ("language", ["en", "de"])
    assert table.to_arrow().column("language").to_pylist() == ["en", "de"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"scores": []}, UsageError, "`scores` is empty"),
        ({"scores": {}}, UsageError, "`scores` is empty"),
        ({"scores": ["a"]}, UsageError, r"`scores\['score'\]` holds something that is not a number"),
        ({"scores": [[1.0, 2.0]]}, UsageError, "has 2 dimensions, not 1"),
        ({"scores": {"a": [1.0], "b": [1.0, 2.0]}}, UsageError, r"1 scores, but `scores\['b'\]` has 2"),
        ({"scores": [1.0], "labels": [1, 0]}, UsageError, "1 scores, but `labels` has 2"),
        ({"scores": [1.0], "ids": []}, UsageError, "1 scores, but `ids` has 0"),
        ({"scores": [1.0], "documents": ["a", "b"]}, UsageError, "1 scores, but `documents` has 2"),
        ({"scores": {"label": [1.0]}}, UsageError, "`scores` has a column 'label', which is no attack"),
        ({"scores": {"a": [1.0]}, "categories": ["x"], "by": "a"}, UsageError, "`scores` has a column 'a'"),
        ({"scores": [1j, 2.0]}, UsageError, "holds complex numbers"),
        ({"scores": [1.0], "labels": iter([1])}, UsageError, "`labels` is of the type list_iterator: give a list"),
        ({"scores": [1.0], "ids": "a"}, UsageError, "`ids` is of the type str: give a list"),
        ({"scores": [1.0, 2.0], "labels": [0, 7]}, ScoresError, "mine row 2: label 7 is neither 1, true nor member"),
    ],
)
def test_arrays_that_make_no_table_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as refused:
        ScoreTable.of(**arguments, name="mine")
    assert "\n" not in str(refused.value)


def test_what_other_libraries_mark_as_missing_is_missing() -> None:
    pd = pytest.importorskip("pandas")
    table = ScoreTable.of([3.0, 1.0, 2.0], [0, None, 1], documents=["a", None, ""])
    assert table.documents == ["a", "2", "3"], "passages without a document share none"
    frame = table.to_pandas()
    again = ScoreTable.of(frame["score"], frame["label"], ids=frame["id"])
    assert again.labels.tolist() == table.labels.tolist() == [0, -1, 1]
    assert ScoreTable.of([1.0], [pd.NA]).labels.tolist() == [-1]
    masked = np.ma.array([1.0, 2.0], mask=[False, True])
    assert np.isnan(ScoreTable.of(masked).column("score")).tolist() == [False, True]


def test_a_table_goes_to_other_libraries_with_its_scores_exact(tmp_path: Path) -> None:
    table = ScoreTable.of({"loss": [0.1 + 0.2, np.nan, -1e300]}, [1, 0, None], ids=["é", "b", "c"])
    frame = table.to_pandas()
    assert list(frame.columns) == ["id", "document", "label", "loss"]
    assert frame["label"].isna().tolist() == [False, False, True]
    assert (str(frame["label"].dtype), frame["label"].tolist()[:2]) == ("Int8", [1, 0])
    np.testing.assert_array_equal(frame["loss"], table.column("loss"))
    streamed = pa.table(table)
    assert streamed.schema == table.to_arrow().schema
    assert repr(streamed.to_pydict()) == repr(table.to_arrow().to_pydict()), "repr, for NaN is not equal to itself"
    pa.parquet.write_table(table.to_arrow(), tmp_path / "t.parquet")
    again = read_scores(tmp_path / "t.parquet")
    assert (list(again.ids), again.labels.tolist()) == (list(table.ids), table.labels.tolist())
    np.testing.assert_array_equal(again.column("loss"), table.column("loss"))


def test_a_table_shows_itself_in_a_line_and_in_a_notebook_without_running_what_it_holds() -> None:
    many = {f"<script>{i}</script>": np.arange(100.0) for i in range(10)}
    table = ScoreTable.of(many, [1] * 30 + [0] * 69 + [None], ids=["<b>x</b>"] * 100, name="<i>t</i>")
    assert repr(table).startswith("<ScoreTable '<i>t</i>': 100 passages (30 members, 69 non-members, 1 candidate); ")
    html = table._repr_html_()
    assert "100 passages (30 members, 69 non-members, 1 candidate)" in html
    assert "95 more rows and 2 more attacks" in html
    for tag in ("<script>", "<b>x", "<i>"):
        assert tag not in html
    assert "&lt;script&gt;" in html
