"""Columns of the input that go with the passages into the results, and classes that a library has numbered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_mia import Passages, ScoreTable, read_passages, read_scores, score
from llm_mia.backends import Backend
from llm_mia.decision import Flag, calibrate, flag_documents
from llm_mia.errors import PassageError, ScoresError
from llm_mia.scores import DECISION_COLUMNS
from llm_mia.scoring import score_to_disk

ROWS: list[dict[str, Any]] = [
    {"id": "a", "text": "a river", "label": 0, "source": "news", "year": 1999, "share": 0.5, "old": True},
    {"id": "b", "text": "a bridge", "label": 0, "source": None, "year": 2001, "share": 2, "old": False},
    {"id": "c", "text": "a book", "label": None, "source": "blog", "year": None, "share": None, "old": None},
]
CARRIED = {name: [row[name] for row in ROWS] for name in ("source", "year", "share", "old")}
NAMES = ("member", "nonmember")


def dataset(names: tuple[str, ...] = NAMES, codes: tuple[int, ...] = (0, 1, -1)) -> datasets.Dataset:
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(names))})
    columns = {"text": [f"text {code}" for code in codes], "label": list(codes)}
    return datasets.Dataset.from_dict(columns, features=features)


def test_columns_of_the_input_come_back_with_the_scores(
    fake: Backend, write_jsonl: Callable[..., str], tmp_path: Path
) -> None:
    score(read_passages(write_jsonl("p.jsonl", ROWS)), fake, attacks=["loss"], out=tmp_path / "run")
    table = read_scores(tmp_path / "run", by="source")
    assert (dict(table.carried), list(table.columns)) == (CARRIED, ["loss"])
    assert list(table.categories) == ["news", "unknown", "blog"]
    types = {field.name: str(field.type) for field in pq.read_schema(tmp_path / "run/scores.parquet")}
    assert {name: types[name] for name in CARRIED} == {
        "source": "string", "year": "int64", "share": "double", "old": "bool"
    }  # fmt: skip
    again = score(read_passages(write_jsonl("p.jsonl", ROWS)), fake, attacks=["zlib"], out=tmp_path / "run")
    assert (dict(again.carried), list(again.columns)) == (CARRIED, ["loss", "zlib"]), "as a column is added"


@pytest.mark.parametrize("kind", ["csv", "parquet", "frame", "dataset", "dictionaries"])
def test_every_kind_of_input_carries_its_columns(kind: str, fake: Backend, tmp_path: Path) -> None:
    frame, path = pd.DataFrame(ROWS[:2]), tmp_path / f"p.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        frame.to_parquet(path, index=False)
    of = {"frame": frame, "dataset": datasets.Dataset.from_pandas(frame), "dictionaries": ROWS[:2]}
    passages = Passages.of(of[kind]) if kind in of else read_passages(path)
    table = score(passages, fake, attacks=["loss"], out=tmp_path / "run")
    expected = {name: values[:2] for name, values in CARRIED.items()}
    if kind == "csv":  # a csv file holds strings alone
        expected = {"source": ["news", ""], "year": ["1999", "2001"], "share": ["0.5", "2.0"], "old": ["True", "False"]}
    assert dict(table.carried) == expected


def test_what_is_no_property_of_a_passage_is_not_carried(fake: Backend, tmp_path: Path) -> None:
    rows = [{"text": "a river", "loss": 3.0, "flagged": "no", "content": "x", "notes": "y" * 201, "vector": [1.0]}]
    done = score_to_disk(Passages.of(rows), fake, attacks=["loss"], out=tmp_path / "run")
    assert dict(read_scores(done.path).carried) == {}
    assert done.notes == (
        "not carried from the input into the results: 'loss', 'flagged', because the results have columns of the same "
        "names; rename them to keep them",
        "not carried from the input into the results: 'notes', because a value is longer than 200 characters and may "
        "be a text",
    )
    mixed = [{"text": "a", "kind": 1}, {"text": "b", "kind": "x"}, {"text": "c", "kind": True}]
    table = score(Passages.of(mixed), fake, attacks=["loss"], out=tmp_path / "mixed")
    assert dict(table.carried) == {"kind": ["1", "x", "true"]}
    assert {field.name for field in fields(Flag)} - {"columns"} | {"known_set", "text"} == DECISION_COLUMNS


def test_a_part_of_a_table_keeps_its_carried_columns() -> None:
    table = ScoreTable.of([1.0, 2.0, 3.0], [0, 0, None])
    kept = table.only(table.labels == 0)
    assert dict(kept.carried) == {}


def test_a_document_has_the_columns_that_its_passages_share() -> None:
    rng = np.random.default_rng(0)
    documents = [f"d{i // 2}" for i in range(44)]
    table = replace(
        ScoreTable.of(rng.normal(size=44), [*[0] * 40, *[None] * 4], documents=documents),
        carried={"source": [*["web"] * 40, "news", "news", "news", None], "page": list(range(44))},
    )
    flags = flag_documents(table, calibrate(table, "score", fpr=0.05))
    assert [dict(row.columns) for row in flags.rows] == [
        {"source": "news", "page": None},
        {"source": None, "page": None},
    ]
    assert flags.to_csv().splitlines()[0].endswith(",known_set,source,page")
    assert [line.split(",")[-2:] for line in flags.to_csv().splitlines()[1:]] == [
        ["news", ""],
        ["", ""],
    ]


# -- classes that datasets has numbered -------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("member", "nonmember"), ("non-member", "member"), ("1", "0")])
@pytest.mark.parametrize("kind", ["dataset", "streamed", "parquet", "arrow"])
def test_the_names_of_classes_say_which_code_means_member(kind: str, names: tuple[str, ...], tmp_path: Path) -> None:
    whole = dataset(names)
    if kind == "parquet":
        whole.to_parquet(tmp_path / "p.parquet")
        passages = read_passages(tmp_path / "p.parquet")
    else:
        of = {"dataset": whole, "streamed": whole.to_iterable_dataset(), "arrow": whole.data.table}
        passages = Passages.of(of[kind])
    member = 1 if names[0] == "non-member" else 0
    assert [passage.label for passage in passages] == [1 - member, member, None]


def test_classes_that_are_no_labels_are_refused(tmp_path: Path) -> None:
    topics = dataset(("neg", "pos"))
    with pytest.raises(
        PassageError, match=r"\(row 1\): column 'label' holds 'neg', .* a label is 1 or true \(member\)"
    ):
        list(Passages.of(topics))
    assert [p.label for p in Passages.of(topics, label_column="")] == [None] * 3
    carried = [p.columns for p in Passages.of(topics.rename_column("label", "topic"), label_column="")]
    assert carried == [{"topic": "neg"}, {"topic": "pos"}, {"topic": None}]
    with_scores = topics.add_column("loss", [1.0, 2.0, 3.0])
    with_scores.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ScoresError, match=r"t.parquet row 1: label 'neg' is neither 1, true nor member"):
        read_scores(tmp_path / "t.parquet", scores=["loss"])


def test_classes_in_a_table_of_scores(tmp_path: Path) -> None:
    whole = dataset().add_column("loss", [1.0, 2.0, 3.0])
    whole.to_parquet(tmp_path / "t.parquet")
    table = read_scores(tmp_path / "t.parquet", scores=["loss"])
    assert table.labels.tolist() == [1, 0, -1]
    plain = pa.table({"label": [0, 1, None], "loss": [1.0, 2.0, 3.0]})
    pq.write_table(plain, tmp_path / "p.parquet")
    assert read_scores(tmp_path / "p.parquet", scores=["loss"]).labels.tolist() == [0, 1, -1], "codes without names"
