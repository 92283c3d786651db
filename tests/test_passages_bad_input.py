"""Input that is refused: in a line with its place, and without a word of the text."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_mia.errors import PassageError, UsageError
from llm_mia.passages import check_inputs, read_passages

SECRET = "the secret words of a passage, which no message may repeat"
GOOD = f'{{"text": "{SECRET}"}}\n'


def refusal(source: Path | str, **options: Any) -> str:
    """The message for a refused source: on one line, without any passage."""
    with pytest.raises(PassageError) as caught:
        check_inputs([read_passages(source, **options)])
    message = str(caught.value)
    assert "\n" not in message
    assert SECRET[:12] not in message
    return message.replace(f"{Path(source).parent}/", "")


def row(**values: object) -> str:
    return json.dumps(values)


JSONL = {
    "malformed": (GOOD + f'{{"text": "{SECRET}",,}}', r"^a\.jsonl line 2: malformed JSON at column \d+ "),
    "cut off": (GOOD + f'{{"text": "{SECRET}', r"line 2: malformed JSON at column 10 \(Unterminated"),
    "raw line end in a string": (
        '{"text": "a\nb"}',
        r"2 rows cannot be passages: 1 \(line 1\): malformed JSON at column 12 \(Invalid control character\)",
    ),
    "two on a line": (GOOD.strip() * 2, r"line 1: malformed JSON at column \d+ \(Extra data\)"),
    "too deep": ("[" * 100_000, r"line 1: JSON nested too deeply"),
    "too many digits": ('{"text": "t", "id": ' + "9" * 5000 + "}", r"line 1: JSON with a number of too many digits"),
    "a list": (GOOD + '\n["text"]', r"line 3: not a JSON object but a list"),
    "a string": ('"text"', r"line 1: not a JSON object but a string"),
    "a number": ("1", r"line 1: not a JSON object but a number"),
    "null": ("null", r"line 1: not a JSON object but a null"),
    "an empty object": ("{}", r"line 1: no text column .*; there are no columns"),
    "no text column": (row(txet=SECRET, n=1), r"the columns are 'txet', 'n'; did you mean `text_column` 'txet'\?$"),
    "nothing near": (row(q=SECRET), r"the columns are 'q'; name a column with `text_column`$"),
    "only later": (GOOD + row(body=SECRET), r"line 2: no text column \(text, input, passage, content, snippet\)"),
    "many columns": (row(**{f"q{n}": 1 for n in range(20)}), r"'q11' and 8 more"),
    "text as a key": (row(**{SECRET: 1}), r"the columns are <58 characters>"),
    "text null": (GOOD + row(text=None), r"line 2: column 'text' holds null, not text"),
    "text a number": (row(text=7), r"line 1: column 'text' holds a number, not text"),
    "text NaN": ('{"text": NaN}', r"line 1: column 'text' holds a number, not text"),
    "text a boolean": (row(text=True), r"line 1: column 'text' holds true or false, not text"),
    "text a list": (row(text=[SECRET]), r"line 1: column 'text' holds a list, not text"),
    "text empty": (row(text=""), r"line 1: the text in column 'text' is empty"),
    "text blank": (row(text=" \t\u3000\r\n"), r"line 1: the text in column 'text' is only white space"),
    "lone surrogate": (GOOD + row(text=f"ab\udc80 {SECRET}"), r"line 2: .* lone surrogate \(\\udc80, character 3\)"),
    "lone surrogate in an id": (row(text=SECRET, id="\ud800"), r"line 1: column 'id' holds a lone surrogate"),
    "id a list": (row(text=SECRET, id=[1]), r"line 1: column 'id' holds a list"),
    "document an object": (row(text=SECRET, book={}), r"line 1: column 'book' holds an object"),
    "id twice": (
        "\n".join([row(text="a", id="x"), row(text=SECRET, id=5), "", row(text="c", id="5")]),
        r"^a\.jsonl line 4: the id '5' occurs twice, first at \S*a\.jsonl line 2: ids must differ$",
    ),
    "label 2": (row(text=SECRET, label=2), r"line 1: column 'label' holds 2; a label is 1 or true"),
    "label a word": (
        row(text=SECRET, member="yes"),
        r"line 1: column 'member' holds 'yes'; .*read no labels with `label_column` ''",
    ),
    "label a list": (row(text=SECRET, label=[1]), r"line 1: column 'label' holds a list"),
    "label the text": (row(text=SECRET, label=SECRET), r"line 1: column 'label' holds <58 characters>"),
}


@pytest.mark.parametrize(("content", "expected"), JSONL.values(), ids=JSONL)
def test_jsonl(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    assert re.search(expected, refusal(path))


JSON = {
    "trailing comma": ('[{"text": "a"},\n]', r"line 2: malformed JSON at column 1 "),
    "no comma": ('[{"text": "a"}\n {"text": "b"}]', r"line 2: malformed JSON at column 2 \(Expecting ','"),
    "cut off": ('[\n{"text": "a"},\n{"text": "b', r"line 3: malformed JSON at column 10 "),
    "not closed": ('[{"text": "a"}', r"line 1: malformed JSON at column 15 "),
    "after the end": ('[{"text": "a"}]\n\n{}', r"line 3: malformed JSON at column 1 \(Extra data\)"),
    "an item that is no object": ('[{"text": "a"},\n "b"]', r"line 2: not a JSON object but a string"),
    "an empty list": ("[ ]", r"^a\.json: no passage in it"),
    "too deep": ('[{"text": "a"},\n' + "[" * 100_000, r"line 2: JSON nested too deeply"),
}


@pytest.mark.parametrize(("content", "expected"), JSON.values(), ids=JSON)
def test_json(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    assert re.search(expected, refusal(path))


CSV = {
    "too few fields": (
        f'id,text,n\n1,"a\nb",2\n\n2,{SECRET}'.replace(", ", " "),
        r"line 5: 2 fields, but the header has 3",
    ),
    "too many fields": ("text,n\na,b,c", r"line 2: 3 fields, but the header has 2"),
    "an unclosed quote": (f'text\na\n"{SECRET}\nb\n', r"line 3: a quote that opens in this row is never closed"),
    "a quote inside quotes": (f'text\n"a"{SECRET}"\n', r"line 2: malformed CSV .*: double the quotes"),
    "a column twice": ("text,id,text\na,b,c", r"line 1: two columns are named 'text'"),
    "no text column": (
        "\nid,txt\n1,a",
        r"line 2: no text column .* are 'id', 'txt'; did you mean `text_column` 'txt'\?",
    ),
    "no header": (f'"{SECRET}"\n"a"\n', r"line 1: no text column .* the columns are <58 characters>"),
    "an empty text": ('id,text\n1,""\n', r"line 2: the text in column 'text' is empty"),
    "an empty text in an only column": ('text\na\n""\n', r"line 3: the text in column 'text' is empty"),
    "a bare carriage return": ("text\ra\r", r"line 1: a carriage return alone, outside quotes"),
    "a header alone": ("text\n\n", r"^a\.csv: no passage in it"),
    "blank lines alone": (" \n\n", r"^a\.csv: no passage in it"),
}


@pytest.mark.parametrize(("content", "expected"), CSV.values(), ids=CSV)
def test_csv(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content, newline="")
    assert re.search(expected, refusal(path))


def test_an_unclosed_quote_does_not_read_the_whole_file(tmp_path: Path) -> None:
    # The limit is 2²⁶ characters, 67 MB: the file has a little more, in long lines so that reading takes a second.
    with (tmp_path / "a.csv").open("w") as file:
        file.write(f'text\n"{SECRET}\n')
        file.writelines(["x" * 1_000_000 + "\n"] * 70)
    message = refusal(tmp_path / "a.csv")
    assert re.search(r"line 2: a field of more than 67,108,864 characters: close the quote", message)


BYTES = {
    "latin-1": ("a.jsonl", GOOD.encode() + b'{"text": "caf\xe9"}', r"^a\.jsonl line 2: not UTF-8: 0xe9 at byte 14 of"),
    "latin-1 after a BOM": ("a.csv", b"\xef\xbb\xbf\xe9", r"^a\.csv line 1: not UTF-8: 0xe9 at byte 4 of the line"),
    "latin-1 in txt": ("a.txt", b"one\r\ntwo caf\xe9", r"^a\.txt line 2: not UTF-8: 0xe9 at byte 8"),
    "an encoded surrogate": ("a.txt", b"\xed\xa0\x80", r"^a\.txt line 1: not UTF-8: 0xed at byte 1"),
    "UTF-16": ("a.jsonl", GOOD.encode("utf-16"), r"^a\.jsonl line 1: starts with a UTF-16 byte order mark"),
    "UTF-16 without a mark": ("a.csv", "text\na".encode("utf-16-be"), r"^a\.csv line 1: a NUL byte \(byte 1 of"),
    "NUL": (
        "a.jsonl",
        GOOD.encode() + b'{"text": "a\0"}',
        r"line 2: a NUL byte \(byte 12 of the line\): binary or UTF-16",
    ),
    "NUL in txt": ("a.txt", b"a\n\0", r"^a\.txt line 2: a NUL byte"),
    "empty": ("a.jsonl", b"", r"^a\.jsonl: the file is empty"),
    "empty txt": ("a.txt", b"", r"^a\.txt: the file is empty"),
    "empty parquet": ("a.parquet", b"", r"^a\.parquet: the file is empty"),
    "blank txt": ("a.md", b"\xef\xbb\xbf \r\n", r"^a\.md: no text in it"),
    "blank lines": ("a.jsonl", b"\n \r\n", r"^a\.jsonl: no passage in it"),
    "not parquet": ("a.parquet", b"PAR1 nonsense PAR1", r"^a\.parquet: not a readable Parquet file \(.+\): write"),
    **{
        f"a placeholder of Git LFS as {suffix}": (
            f"a.{suffix}",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
            rf"^a\.{suffix}: a placeholder of Git LFS in place of the file: run",
        )
        for suffix in ("txt", "jsonl", "parquet", "csv.gz")
    },
    "not gzip": ("a.jsonl.gz", GOOD.encode(), r"^a\.jsonl\.gz: a broken or truncated gzip file"),
    "truncated gzip": ("a.txt.gz", gzip.compress(b"text" * 99)[:-9], r"^a\.txt\.gz: a broken or truncated gzip file"),
    "damaged gzip": ("a.csv.gz", gzip.compress(b"text\n", 0)[:10] + b"\xff" * 20, r"^a\.csv\.gz: a broken or trunc"),
    "gzipped nothing": ("a.jsonl.gz", gzip.compress(b""), r"^a\.jsonl\.gz: no passage in it"),
    "unknown suffix": (
        "a.foo",
        b"x",
        r"^a\.foo: the suffix '\.foo' is not supported; supported are \.jsonl .* \.md \(all",
    ),
    "a text of another format": ("a.pdf", b"x", r"^a\.pdf: the suffix '\.pdf' is not supported: convert it to txt"),
    "an archive": ("a.zip", b"PK", r"^a\.zip: the suffix '\.zip' is not supported: unpack it, and read the folder"),
    "a sheet": ("a.xlsx", b"PK", r"^a\.xlsx: the suffix '\.xlsx' is not supported: save the sheet as csv"),
    "no suffix": ("words", b"x", r"^words: a file without suffix is not supported"),
    "gzipped parquet": ("a.parquet.gz", b"x", r"^a\.parquet\.gz: the suffix '\.gz' is not supported"),
}


@pytest.mark.parametrize(("name", "content", "expected"), BYTES.values(), ids=BYTES)
def test_bytes(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert re.search(expected, refusal(tmp_path / name))


def utf8_array(*values: bytes) -> pa.Array[Any]:
    return pa.array(values, pa.binary()).view(pa.string())


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"text": ["a", None]}, r"^a\.parquet row 2: column 'text' holds null"),
        ({"text": [1, 2]}, r"2 rows cannot be passages \(rows 1, 2\): column 'text' holds a number"),
        ({"text": [b"a"]}, r"row 1: column 'text' holds bytes"),
        ({"text": ["a"] * 600 + [" "]}, r"row 601: the text in column 'text' is only white space"),
        ({"text": ["a"], "label": [0.5]}, r"row 1: column 'label' holds 0\.5"),
        ({"text": ["a", "b"], "id": ["x", "x"]}, r"row 2: the id 'x' occurs twice, first at \S* row 1"),
        ({"txt": ["a"]}, r"^a\.parquet: no text column .*'txt'"),
        ({"text": pa.array([], pa.string())}, r"^a\.parquet: no passage in it"),
        ({"text": utf8_array(b"a", b"b\xff")}, r"^a\.parquet row 2: not UTF-8: byte 2"),
    ],
)
def test_parquet(tmp_path: Path, columns: dict[str, Any], expected: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert re.search(expected, refusal(tmp_path / "a.parquet"))


def test_parquet_columns_twice_or_truncated(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["text", "text"]), path)
    assert "two columns are named 'text'" in refusal(path)
    path.write_bytes(path.read_bytes()[:-20])
    assert "not a readable Parquet file" in refusal(path)


@pytest.mark.parametrize("role", ["text", "id", "label", "document"])
def test_a_misnamed_column(tmp_path: Path, role: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(row(text=SECRET, my_column="x"))
    message = refusal(path, **{f"{role}_column": "MyColumn"})
    assert message == (
        f"a.jsonl line 1: no column 'MyColumn'; the columns are 'text', 'my_column'; "
        f"did you mean `{role}_column` 'my_column'?"
    )


@pytest.mark.parametrize(("given", "in_row", "kind"), [(1, False, "members"), (0, "1", "non-members")])
def test_a_label_that_contradicts_the_input(tmp_path: Path, given: int, in_row: object, kind: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(GOOD + row(text="b", label=in_row))
    expected = f"a.jsonl line 2: its label is {1 - given} but the whole input was given as {kind}: "
    assert refusal(path, label=given).startswith(expected)


def test_what_is_not_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.jsonl") == "a.jsonl: no such file or folder"
    assert refusal(tmp_path / "a.jsonl" / "b") == "b: no such file or folder"
    assert refusal(tmp_path / ("x" * 300)).endswith("cannot be read: File name too long")
    assert "line\\nbreak.jsonl: no such" in refusal(tmp_path / "line\nbreak.jsonl")
    path = tmp_path / "gone.jsonl"
    path.write_text(GOOD)
    passages = read_passages(path)
    path.unlink()
    with pytest.raises(PassageError, match=r"gone\.jsonl: cannot be read: No such file or directory"):
        list(passages)


def test_a_folder_without_passages(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("x")
    (tmp_path / ".b.txt").write_text("x")
    assert "a folder without passages: no file in it ends in .jsonl" in refusal(tmp_path)


def test_a_folder_names_the_file_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("fine")
    (tmp_path / "sub/b.jsonl").write_text(GOOD + "{")
    assert "/sub/b.jsonl line 2: malformed JSON" in refusal(tmp_path)
    (tmp_path / "sub/b.jsonl").write_text("")
    assert "/sub/b.jsonl: the file is empty" in refusal(tmp_path)


def test_ids_twice_in_two_files_of_a_folder(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text(row(text=name, id="same"))
    assert re.search(r"/b\.jsonl line 1: the id 'same' occurs twice, first at \S*/a\.jsonl line 1", refusal(tmp_path))


def test_a_folder_and_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jsonl").write_text(GOOD)

    def deny(path: object, *_: object) -> None:  # root, as in a container, is never denied
        raise PermissionError(13, "Permission denied", str(path))

    passages = read_passages(tmp_path / "a.jsonl")
    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(PassageError, match=r"a\.jsonl: cannot be read: Permission denied$"):
        list(passages)
    monkeypatch.setattr(os, "scandir", deny)
    assert refusal(tmp_path).endswith(f"{tmp_path.name}: cannot be read: Permission denied")


def test_a_file_name_that_is_not_unicode_still_gives_an_id(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    try:
        Path(os.fsdecode(path)).write_text("text")
    except OSError:
        pytest.skip("this file system holds Unicode names only")
    assert [p.id for p in read_passages(tmp_path)] == ["caf\\xe9.txt#1"]


@pytest.mark.parametrize("tokens", [0, -1])
def test_passages_of_no_tokens(tmp_path: Path, tokens: int) -> None:
    with pytest.raises(UsageError, match=r"`passage_tokens` is .*: it must be at least 1"):
        read_passages(tmp_path, passage_tokens=tokens)


def test_a_label_is_one_or_zero(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`label` is 1, 0 or None, not 2"):
        read_passages(tmp_path, label=2)
