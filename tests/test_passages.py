"""What may be read: every format keeps every text exactly, and a document is cut without losing a character."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from llm_mia.errors import PassageError
from llm_mia.passages import Passages, read_passages
from llm_mia.records import Passage

TRICKY = [
    " leading and trailing \t",
    "two\nlines",
    "two\r\nlines\r",
    'a "quoted", comma; tab\t',
    "😀 👩‍👩‍👧‍👦 é",
    "שלום עולם ‏",
    "读书破万卷。下笔如有神。",
    "\ufeffnot at the start of the file",
    "line\u2028separator\x0bfeed\x1c",
    "null",
]


def write_jsonl(path: Path, texts: list[str]) -> None:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def write_json(path: Path, texts: list[str]) -> None:
    path.write_text(json.dumps([{"text": text} for text in texts], ensure_ascii=False, indent=1), "utf-8", newline="")


def write_csv(path: Path, texts: list[str], delimiter: str = ",") -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerows([("n", "text"), *enumerate(texts)])


def write_tsv(path: Path, texts: list[str]) -> None:
    write_csv(path, texts, "\t")


def write_parquet(path: Path, texts: list[str]) -> None:
    pq.write_table(pa.table({"text": texts}), path)


WRITERS: dict[str, Callable[[Path, list[str]], None]] = {
    "jsonl": write_jsonl,
    "json": write_json,
    "csv": write_csv,
    "tsv": write_tsv,
    "parquet": write_parquet,
}


def texts_of(path: Path, **options: Any) -> list[str]:
    return [passage.text for passage in read_passages(path, **options)]


def only(path: Path, **options: Any) -> Passage:
    (passage,) = read_passages(path, **options)
    return passage


@pytest.mark.parametrize("suffix", WRITERS)
def test_tables_keep_tricky_and_very_long_texts(tmp_path: Path, suffix: str) -> None:
    texts = [*TRICKY, "word, " * 350_000]  # 2.1 million characters
    WRITERS[suffix](tmp_path / f"a.{suffix}", texts)
    assert texts_of(tmp_path / f"a.{suffix}") == texts


@pytest.mark.parametrize("suffix", WRITERS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        # NUL is refused raw, hence in csv; the rest of Unicode must pass.
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(lambda s: not s.isspace()),
        min_size=1,
        max_size=5,
    )
)
def test_tables_keep_any_text(suffix: str, texts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a.{suffix}")
        WRITERS[suffix](path, texts)
        assert texts_of(path) == texts


def test_reads_again_from_the_start_and_counts_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "one"}\r\n\r\n   \n{"text": "two"}')
    passages = read_passages(path)
    assert [p.where for p in passages] == [f"{path} line 1", f"{path} line 4"]
    assert passages.blank_lines == 2
    assert [p.text for p in passages] == ["one", "two"]
    assert passages.blank_lines == 2


def test_csv_line_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbf\r\nid,text\r\n\r\n1,"a\r\nb\n"\r\n  \r\n2,c\r\n')
    passages = read_passages(path)
    assert [(p.id, p.text, p.where) for p in passages] == [
        ("1", "a\r\nb\n", f"{path} line 4"),
        ("2", "c", f"{path} line 8"),
    ]
    assert passages.blank_lines == 3


def test_json_list_has_line_numbers_and_json_may_hold_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('\n[\n {"text": "a"},\n\n {"text":\n "b"} , {"text": "c"}\n]\n')
    assert [(p.text, p.where[len(str(path)) :]) for p in read_passages(path)] == [
        ("a", " line 3"),
        ("b", " line 5"),
        ("c", " line 6"),
    ]
    path.write_text('{"text": "a"}\n{"text": "b"}\n')
    assert texts_of(path) == ["a", "b"]


def test_an_escaped_nul_is_a_character(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a\\u0000b"}')
    assert only(path).text == "a\0b"


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "tsv"])
def test_gzipped_tables(tmp_path: Path, suffix: str) -> None:
    WRITERS[suffix](tmp_path / "plain", TRICKY)
    path = tmp_path / f"a.{suffix}.gz"
    path.write_bytes(gzip.compress((tmp_path / "plain").read_bytes()))
    assert texts_of(path) == TRICKY


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"text": "t", "id": 7, "label": 1, "document": "d"}, ("t", "7", "d", 1)),
        ({"input": "t", "member": False, "book": "b"}, ("t", None, "b", 0)),
        ({"passage": "t", "doc_id": 3, "label": None}, ("t", None, "3", None)),
        ({"Content": "t", "ID": "x", "Title": "T"}, ("t", "x", "T", None)),
        ({"snippet": "t", "id": "", "document": None}, ("t", None, None, None)),
        ({"content": "c", "text": "t", "title": "x", "book": "b"}, ("t", None, "b", None)),
    ],
)
def test_columns_are_found_by_themselves(tmp_path: Path, row: dict[str, object], expected: tuple[object, ...]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row))
    passage = only(path)
    derived = hashlib.sha256(b"t").hexdigest()[:16]
    text, id_, document, label = expected
    assert passage.text == text
    assert passage.id == (id_ or derived)
    assert passage.document == (document or passage.id)
    assert passage.label == label


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_columns_are_named_or_switched_off(tmp_path: Path, suffix: str) -> None:
    row = {"body": "t", "uid": 5, "truth": True, "work": "w", "label": 3, "text": 1}
    path = tmp_path / f"a.{suffix}"
    if suffix == "jsonl":
        path.write_text(json.dumps(row))
    else:
        pq.write_table(pa.Table.from_pylist([row]), path)
    named = {"text_column": "body", "id_column": "uid", "document_column": "work"}
    passage = only(path, label_column="truth", **named)
    assert (passage.text, passage.id, passage.label, passage.document) == ("t", "5", 1, "w")
    assert only(path, label_column="", **named).label is None


def test_objects_of_one_file_may_differ_in_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n{"label": 1, "text": "b"}\n{"text": "c", "id": "x"}\n')
    assert [(p.label, p.id == "x") for p in read_passages(path)] == [(None, False), (1, False), (None, True)]


@pytest.mark.parametrize(
    ("value", "label"),
    [("1", 1), ("0", 0), ("1.0", 1), ("0.0", 0), ("True", 1), ("FALSE", 0), ("", None), (" 1 ", 1)],
)
def test_labels_of_a_csv(tmp_path: Path, value: str, label: int | None) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"text,label\nt,{value}\n")
    assert only(path).label == label


@pytest.mark.parametrize(("value", "label"), [(1, 1), (0.0, 0), (True, 1), (None, None), ("false", 0)])
def test_labels_of_json(tmp_path: Path, value: object, label: int | None) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "t", "label": value}))
    assert only(path).label == label
    assert only(path, label=label).label == label


def test_derived_ids_are_content_and_never_twice(tmp_path: Path) -> None:
    base = hashlib.sha256(b"same").hexdigest()[:16]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [{"text": "same"}] * 3 + [{"text": "other"}]))
    assert [p.id for p in read_passages(path)][:3] == [base, f"{base}-2", f"{base}-3"]
    # A given id that looks like a derived id makes the derived id take the next number.
    rows: list[dict[str, str | None]] = [
        {"text": "x", "id": f"{base}-2"},
        *({"text": "same", "id": None} for _ in "ab"),
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [p.id for p in read_passages(path)] == [f"{base}-2", base, f"{base}-3"]


def test_every_id_is_remembered_as_their_number_grows() -> None:
    rows = [{"text": "t", "id": str(n)} for n in range(20_000)]
    assert len({p.id for p in Passages.of(rows)}) == 20_000
    for repeated in ("0", "511", "512", "19999"):
        with pytest.raises(PassageError, match=f"the id '{repeated}' occurs twice"):
            list(Passages.of([*rows, {"text": "t", "id": repeated}]))


def test_two_ids_with_one_digest_are_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashlib, "blake2b", lambda *_, digest_size: SimpleNamespace(digest=lambda: bytes(digest_size)))
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "t", "id": "a"}\n{"text": "t", "id": "b"}\n')
    assert [p.id for p in read_passages(path)] == ["a", "b"]


def test_a_folder_is_read_in_order_without_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "b/z.txt").write_text("Deep.")
    (tmp_path / "a.md").write_bytes(b"\xef\xbb\xbfFirst.\r\n")
    for ignored in [".hidden.txt", ".git/x.txt", "picture.png"]:
        (tmp_path / ignored).write_text("no")
    passages = read_passages(tmp_path)
    read = [(p.text, p.document) for p in passages]
    assert read == [("First.\r\n", "a.md"), ("Deep.", "b/z.txt")]
    assert [p.id for p in passages] == ["a.md#1", "b/z.txt#1"]


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "folder/a.txt"
    path.parent.mkdir()
    path.write_text("One.")
    assert read_passages(path).sha256() == hashlib.sha256(b"One.").hexdigest()
    before = read_passages(path.parent).sha256()
    assert before == read_passages(path.parent).sha256() != read_passages(path).sha256()
    path.rename(path.with_name("b.txt"))
    assert read_passages(path.parent).sha256() != before


@pytest.mark.parametrize(
    ("content", "ids"), [(b'\n {"text": "t", "id": 9}\n', ["9"]), (b"One. Two.", ["stdin#1"]), (b"[1]", ["stdin#1"])]
)
def test_stdin_is_read_twice_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, ids: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    passages = read_passages("-")
    assert passages.name == "stdin"
    assert [p.id for p in passages] == [p.id for p in passages] == ids
    assert next(iter(passages)).where.startswith("stdin line ")
    assert passages.sha256() == hashlib.sha256(content).hexdigest()
    assert not list(tmp_path.iterdir()), "not even while it lasts, so nothing stays whatever happens"
    reader: Any = passages.reader
    descriptor = reader.files[0].path
    assert descriptor.exists()
    del passages, reader
    assert not descriptor.exists()


def test_txt_is_one_document_with_places(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(b"\xef\xbb\xbfFirst sentence.\r\n\r\nSecond sentence.\r\nThird sentence.\r\n")
    passages = list(read_passages(path, passage_tokens=5, label=0))
    assert "".join(p.text for p in passages).encode() == path.read_bytes()[3:]
    assert [(p.id, p.where, p.document, p.label) for p in passages] == [
        (f"book.txt#{n}", f"{path} line {line}", "book.txt", 0) for n, line in [(1, 1), (2, 3), (3, 4)]
    ]
    path.with_suffix(".txt.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert texts_of(path.with_suffix(".txt.gz"), passage_tokens=5) == [p.text for p in passages]
