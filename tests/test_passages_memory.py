"""Passages of data in memory: every kind gives the same passages, and refuses what a file would refuse."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from llm_mia import score
from llm_mia.backends.fake import FakeBackend
from llm_mia.errors import PassageError, UsageError
from llm_mia.passages import Passages, check_inputs, read_passages
from llm_mia.records import Passage

ROWS: list[dict[str, Any]] = [
    {"id": "a", "text": " A river\r\n", "label": 1, "book": "one", "other": 1.5},
    {"id": "b", "text": "naïve 🙂", "label": 0, "book": "one", "other": 2.5},
    {"id": "c", "text": "third", "label": None, "book": "two", "other": None},
]
PASSAGES = [
    Passage("a", " A river\r\n", "one", 1, "row 1"),
    Passage("b", "naïve 🙂", "one", 0, "row 2"),
    Passage("c", "third", "two", None, "row 3"),
]


class ArrowStream:
    """What another library, such as polars, offers: a stream of Arrow columns and nothing else."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


def streamed_dataset(rows: list[dict[str, Any]]) -> Any:
    return datasets.Dataset.from_list(rows).to_iterable_dataset()


KINDS: dict[str, Callable[[list[dict[str, Any]]], object]] = {
    "dictionaries": lambda rows: rows,
    "generator": lambda rows: (dict(row) for row in rows),
    "pandas": pd.DataFrame,
    "pandas with a named index": lambda rows: pd.DataFrame(rows).set_index("other"),
    "arrow table": pa.Table.from_pylist,
    "arrow batch": lambda rows: pa.Table.from_pylist(rows).to_batches()[0],
    "arrow reader": lambda rows: pa.Table.from_pylist(rows).to_reader(),
    "arrow stream": lambda rows: ArrowStream(pa.Table.from_pylist(rows)),
    "dataset": datasets.Dataset.from_list,
    "dataset in torch format": lambda rows: datasets.Dataset.from_list(rows).with_format("numpy"),
    "streamed dataset": streamed_dataset,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_passages_again_and_again(kind: str) -> None:
    passages = Passages.of(KINDS[kind](ROWS))
    carried = [] if kind == "pandas with a named index" else [row["other"] for row in ROWS]
    assert [passage.columns["other"] for passage in passages if passage.columns] == carried
    assert [replace(passage, columns={}) for passage in passages] == PASSAGES
    assert passages.sha256() == Passages.of(ROWS).sha256()
    changed = [*ROWS[:2], {**ROWS[2], "text": "third!"}]
    assert passages.sha256() != Passages.of(KINDS[kind](changed)).sha256()


STRINGS: dict[str, Callable[[list[str]], object]] = {
    "list": list,
    "tuple": tuple,
    "generator": iter,
    "numpy": np.array,
    "pandas series": pd.Series,
    "arrow array": pa.array,
    "arrow column": lambda texts: pa.chunked_array([texts[:1], texts[1:]]),
}


@pytest.mark.parametrize("kind", STRINGS)
def test_strings_are_passages_whose_ids_follow_from_them(kind: str, tmp_path: Path) -> None:
    passages = Passages.of(STRINGS[kind]([" one", "two", "two"]), label=1, name="mine")
    assert [(p.text, p.label, p.where) for p in passages] == [
        (" one", 1, "mine row 1"),
        ("two", 1, "mine row 2"),
        ("two", 1, "mine row 3"),
    ]
    path = tmp_path / "p.jsonl"
    path.write_text('{"text": " one"}\n{"text": "two"}\n{"text": "two"}\n')
    assert [p.id for p in passages] == [p.id for p in read_passages(path)], "as a file of the same texts has them"


def test_passage_records_are_taken_as_they_are() -> None:
    assert list(Passages.of(PASSAGES)) == PASSAGES


def test_columns_may_be_named() -> None:
    frame = pd.DataFrame({"who": [7, 8], "body": ["x", "y"], "truth": [True, False], "label": ["p", "q"]})
    passages = Passages.of(frame, text_column="body", id_column="who", label_column="truth", document_column="label")
    assert [(p.id, p.text, p.label, p.document) for p in passages] == [("7", "x", 1, "p"), ("8", "y", 0, "q")]
    unlabelled = Passages.of(frame, text_column="body", label_column="")
    assert [p.label for p in unlabelled] == [None, None]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_what_libraries_mark_as_missing_is_missing(missing: object) -> None:
    frame = pd.DataFrame({"text": ["x", "y"], "label": pd.Series([1, missing], dtype=object)})
    assert [p.label for p in Passages.of(frame)] == [1, None]
    assert [p.label for p in Passages.of([{"text": "x", "label": np.int64(0)}, {"text": "y", "label": missing}])] == [
        0,
        None,
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "passages in memory: no passage in it"),
        (pd.DataFrame({"text": []}), "passages in memory: no passage in it"),
        (["a", " \n"], r"^row 2: the text in column 'text' is only white space"),
        (["a", 3], r"^row 2: column 'text' holds a number, not text"),
        (["a", None], r"^row 2: column 'text' holds null"),
        ([{"text": "a"}, {"txt": "b"}], r"^row 2: no text column .*did you mean"),
        ([{"text": "a", "label": "yes"}], r"^row 1: column 'label' holds 'yes'; a label is 1 or true"),
        ([{"text": "a", "id": "x"}, {"text": "b", "id": "x"}], r"^row 2: the id 'x' occurs twice, first at row 1"),
        (["a", "\ud800"], r"^row 2: column 'text' holds a lone surrogate"),
        (pd.DataFrame({"text": ["a", 3]}, dtype=object), r"^row 2: column 'text' holds a number"),
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "two columns are named 'text': rename one of them"),
        (pd.DataFrame([["a", "b"]]), r"no text column .*the columns are '0', '1'"),
        (pa.table({"text": ["a", None]}), r"^row 2: column 'text' holds null"),
        (pa.table({"text": pa.array([b"a", b"\xff"]).view(pa.string())}), r"^row 2: not UTF-8: byte 1"),
        (datasets.Dataset.from_list([{"text": "a"}, {"text": ""}]), r"^row 2: the text in column 'text' is empty"),
    ],
)
def test_what_cannot_be_a_passage_is_refused_with_its_row(data: object, message: str) -> None:
    with pytest.raises(PassageError, match=message) as refused:
        check_inputs([Passages.of(data)])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("known.jsonl", "`read_passages` reads a file; a single text is given as"),
        (Path("known.jsonl"), "`read_passages` reads a file"),
        (b"text", "`read_passages` reads a file"),
        ({"train": ["a"]}, "a mapping of train: give one of its values"),
        (datasets.DatasetDict(train=datasets.Dataset.from_list(ROWS)), "a mapping of train: give one of its values"),
        (7, "of the type int: give a list of strings"),
        (None, "of the type NoneType: give a list of strings"),
    ],
)
def test_what_holds_no_passages_is_refused_at_once(data: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Passages.of(data)


def test_labels_of_the_whole_are_held_against_those_of_the_rows() -> None:
    with pytest.raises(PassageError, match="row 2: its label is 0 but the whole input was given as members"):
        list(Passages.of([{"text": "a", "label": 1}, {"text": "b", "label": 0}], label=1))
    with pytest.raises(UsageError, match="`label` is 1, 0 or None, not 2"):
        Passages.of(["a"], label=2)


def test_rows_of_several_sources_are_told_apart_by_their_names() -> None:
    members, others = Passages.of(["x", "same"], label=1, name="mine"), Passages.of(["same"], label=0, name="theirs")
    with pytest.raises(PassageError, match="mine row 2 and theirs row 1: 1 text occurs both among members and among"):
        check_inputs([members, others])


def test_a_streamed_dataset_is_read_once() -> None:
    opened = []

    def rows() -> Iterator[dict[str, str]]:
        opened.append(1)
        yield from ({"text": f"text {i}"} for i in range(3))

    passages = Passages.of(datasets.IterableDataset.from_generator(rows))
    assert [p.text for p in passages] == [p.text for p in passages] == ["text 0", "text 1", "text 2"]
    assert passages.check().sources[0].passages == 3
    assert len(opened) == 1


def test_the_first_whole_reading_is_also_the_check() -> None:
    passages = Passages.of(["a", "b", "a"], label=0)
    assert repr(passages) == "<Passages 'passages in memory'>"
    (counts,) = passages.check().sources
    assert (counts.passages, counts.documents, counts.nonmembers, counts.bytes) == (3, 3, 3, 3)
    assert passages.check().repeated.tolist() == [0, 2]
    assert repr(passages) == "<Passages 'passages in memory': 3 passages (3 non-members)>"
    assert passages._repr_html_() == "<p><b>passages in memory</b>: 3 passages (3 non-members)</p>"


def test_no_library_is_imported_that_is_not_used() -> None:
    script = (
        "import sys; from llm_mia.passages import Passages\n"
        "list(Passages.of(['a', 'b'])); list(Passages.of([{'text': 'c'}]))\n"
        "print(*sorted({'pandas', 'pyarrow', 'datasets', 'polars', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_functions_take_data_as_they_are(tmp_path: Path) -> None:
    texts = ["a stone bridge", "the river bends"]
    (tmp_path / "p.jsonl").write_text("".join(f'{{"text": "{text}"}}\n' for text in texts))
    given: list[Any] = [texts, pd.DataFrame({"text": texts}), tmp_path / "p.jsonl", [Passages.of([t]) for t in texts]]
    tables = [score(data, FakeBackend(0), attacks=["loss"], out=tmp_path / f"run{at}") for at, data in enumerate(given)]
    assert len({tuple(table.column("loss").tolist()) for table in tables}) == 1
    assert len({tuple(table.ids) for table in tables}) == 1
