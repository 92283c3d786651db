"""Tables that are read in pieces give what tables in memory give."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from llm_mia.decision import (
    Flag,
    FlagRows,
    Reason,
    _flag_files,
    calibrate,
    calibration_to_json,
    flag,
    flag_documents,
    judge_collection,
    read_flag_rows,
    write_flag_rows,
)
from llm_mia.errors import ScoresError
from llm_mia.records import Plain, SharedNames, number_by_name, number_names
from llm_mia.scores import ScoreTable, _columns, read_scores

PASSAGES = 480
Answer = Callable[[ScoreTable], str]


def write_table(path: Path, *, spread: bool, both_sides: bool = False) -> Path:
    """Scores with ties and gaps, unsorted labels, and ids that members and candidates share.

    *spread*: passages of a document lie anywhere in the file; *both_sides*: documents hold candidates and non-members.
    """
    rng, n = np.random.default_rng(0), PASSAGES
    labels = rng.choice([0, 1, -1], n, p=[0.4, 0.1, 0.5])
    numbers = rng.integers(0, 120, n) if spread else np.arange(n) // 4
    ids, counts = [], {0: 0, 1: 0, -1: 0}
    for label in labels.tolist():
        counts[label] += 1
        ids.append(f"p{counts[label]}")
    names = [f"{'' if both_sides else label}d{at}" for label, at in zip(labels.tolist(), numbers.tolist(), strict=True)]
    # Documents that are not named; and a document whose name is the id of passages.
    documents = [None if at % 7 == 0 else name for at, name in enumerate(names)]
    documents[5] = ids[7] if both_sides else documents[5]
    scores = np.round(rng.normal(size=n) + (labels == 1), 2) + rng.normal(size=n) * 1e-3 * (np.arange(n) % 3 > 0)
    missing = rng.random(n) < 0.03
    columns = {
        "id": pa.array(ids),
        "document": pa.array(documents, pa.string()),
        "label": pa.array(np.maximum(labels, 0), mask=labels < 0),
        "loss": pa.array(scores, mask=missing),
        "loss@reference": pa.array(np.where(labels == 1, scores - 1, scores) + rng.normal(size=n) / 10),
        "source": pa.array([None if at % 3 == 0 else f"s{at % 2}" for at in range(n)]),
    }
    parquet.write_table(pa.table(columns), path, row_group_size=97)
    return path


def passages(table: ScoreTable) -> str:
    """The calibration, and ``flags.csv``."""
    rule = calibrate(table, "loss", fpr=0.05)
    flags = flag(table, rule)
    return calibration_to_json(rule) + flags.to_csv() + repr((flags.finding, flags.notes, flags.members))


def documents(table: ScoreTable) -> str:
    """The flags of documents."""
    flags = flag_documents(table, calibrate(table, "loss", fpr=0.05))
    return flags.to_csv() + repr((flags.finding, flags.notes, flags.members))


def collection(table: ScoreTable) -> str:
    """The decision on all candidates."""
    return repr(judge_collection(table, ["loss"]))


@pytest.mark.parametrize(
    ("answer", "spread", "both_sides"),
    [
        pytest.param(passages, True, False, id="passages of spread documents"),
        pytest.param(passages, False, True, id="passages of documents on both sides"),
        pytest.param(documents, True, False, id="documents that are spread"),
        pytest.param(collection, False, False, id="collection"),
    ],
)
def test_pieces_give_what_memory_gives(
    answer: Answer, spread: bool, both_sides: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_table(tmp_path / "scores.parquet", spread=spread, both_sides=both_sides)
    read = read_scores(path)
    # Lists and arrays, as a caller has them: no value is read from a file.
    in_memory = ScoreTable(
        name=read.name,
        ids=list(read.ids),
        documents=list(read.documents),
        labels=read.labels,
        columns=dict(read.columns),
        others={role: dict(columns) for role, columns in read.others.items()},
        foreign=True,
        named=False,
        no_scores=read.no_scores,
        carried={name: list(values) for name, values in read.carried.items()},
    )
    monkeypatch.setattr(_columns, "IN_MEMORY", 0)
    monkeypatch.setattr(_columns, "BLOCK", 50)
    monkeypatch.setattr(_columns, "HELD", 0)
    in_pieces = read_scores(path)
    assert len(in_pieces) == PASSAGES
    assert list(in_pieces.groups()) == list(in_memory.groups())
    assert answer(in_pieces) == answer(in_memory)


@pytest.mark.parametrize("in_memory", [1 << 26, 0])
@pytest.mark.parametrize("column", ["id", "document", "label", "source"])
def test_strings_that_are_not_utf_8_are_refused(
    column: str, in_memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = parquet.read_table(write_table(tmp_path / "scores.parquet", spread=True))
    values = pa.array([b"\xff" if at == 300 else b"1" for at in range(PASSAGES)])
    strings = pa.Array.from_buffers(pa.string(), len(values), values.buffers())
    at = table.column_names.index(column)
    parquet.write_table(table.set_column(at, column, strings), tmp_path / "scores.parquet", row_group_size=97)
    monkeypatch.setattr(_columns, "IN_MEMORY", in_memory)
    with pytest.raises(ScoresError, match=f"column '{column}' is not UTF-8 text"):
        read_scores(tmp_path / "scores.parquet", by="source")


def test_repeated_id_is_refused_across_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"p{at}" for at in range(300)]
    ids[250] = "p7"
    path = tmp_path / "scores.parquet"
    parquet.write_table(pa.table({"id": ids, "loss": np.arange(300) / 7}), path, row_group_size=64)
    monkeypatch.setattr(_columns, "IN_MEMORY", 0)
    with pytest.raises(ScoresError, match="'p7' occurs in row 8 and again in row 251"):
        read_scores(path)


def test_wrong_label_is_named_by_its_row_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = ["1", "0", ""] * 50
    labels[130] = "perhaps"
    path = tmp_path / "scores.parquet"
    parquet.write_table(pa.table({"label": labels, "loss": np.arange(150) / 7}), path, row_group_size=64)
    monkeypatch.setattr(_columns, "IN_MEMORY", 0)
    with pytest.raises(ScoresError, match="row 131: label 'perhaps'"):
        read_scores(path)


def test_part_of_a_large_table_has_the_rows_that_were_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_table(tmp_path / "scores.parquet", spread=True)
    whole = read_scores(path)
    kept = np.random.default_rng(1).random(PASSAGES) < 0.5
    monkeypatch.setattr(_columns, "IN_MEMORY", 0)
    monkeypatch.setattr(_columns, "BLOCK", 50)
    part = read_scores(path).only(kept)
    rows = np.flatnonzero(kept).tolist()
    assert list(part.ids) == [whole.ids[row] for row in rows]
    assert part.ids[-3:] == [whole.ids[row] for row in rows[-3:]]
    assert list(part.documents) == [whole.documents[row] for row in rows]
    assert list(part.carried["source"]) == [whole.carried["source"][row] for row in rows]
    more = part.with_scores("new", np.arange(len(rows)) / 7).with_scores("loss", -part.columns["loss"])
    assert list(more.columns) == ["loss", "new"]
    np.testing.assert_array_equal(part.columns["loss"], whole.columns["loss"][kept])
    np.testing.assert_array_equal(part.others["reference"]["loss"], whole.others["reference"]["loss"][kept])
    np.testing.assert_array_equal(more.columns["loss"], -whole.columns["loss"][kept])
    np.testing.assert_array_equal(more.columns["new"], np.arange(len(rows)) / 7)


def test_shared_names_are_numbered_as_lists_are() -> None:
    names = ["b", "a", "c", "b", "a"]
    shared = SharedNames(["c", "unused", "a", "b"], np.array([3, 2, 0, 3, 2], dtype=np.int32))
    assert shared == names
    for number in (number_names, number_by_name):
        (of_shared, codes), (of_list, expected) = number(shared), number(names)
        assert (list(of_shared), codes.tolist()) == (list(of_list), expected.tolist())


def test_decisions_are_read_back_from_their_file_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: dict[str, list[Plain]] = {
        "words": ["a", None, "b"],
        "counts": [1, None, 3],
        "shares": [0.5, 1.5, None],
        "marks": [True, None, False],
    }
    rows = [
        Flag(
            id=f"p{at}",
            document=f"d{at // 2}" if at % 3 else f"p{at}",
            attack="loss",
            score=(None, 0.1 * at, math.inf)[at % 3],
            p_value=None if at % 3 != 1 else 1 / (1 + at),
            q_value=None if at % 3 != 1 else 2 / (2 + at),
            flagged=at % 6 == 1,
            reason=(Reason.TOO_SHORT, Reason.SCORE if at % 6 == 1 else None, Reason.INFINITE_SCORE)[at % 3],
            limit=1.0 + at % 2,
            columns={name: values[at % 3] for name, values in kinds.items()},
        )
        for at in range(100)
    ]
    monkeypatch.setattr(_columns, "IN_MEMORY", 0)
    monkeypatch.setattr(_columns, "HELD", 0)
    monkeypatch.setattr(_flag_files, "BLOCK", 7)
    write_flag_rows(tmp_path / "flags.parquet", FlagRows.of(rows))
    read = read_flag_rows(tmp_path / "flags.parquet", "loss")
    assert list(read) == rows
    assert read.at(np.array([5, 3, 99])) == [rows[5], rows[3], rows[99]]
    assert read[-2:] == rows[-2:]
    assert [type(value) for value in read[0].columns.values()] == [str, int, float, bool]
    best = sorted(
        range(100), key=lambda at: (not rows[at].flagged, -(rows[at].score or -9) if at % 3 == 1 else math.inf)
    )
    assert read.most_member_like(20).tolist() == sorted(best[:20])
