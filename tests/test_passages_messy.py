"""Messy tables: what is refused counts every fault, and what could be read in two ways is never read in one of them."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_mia.auditing import read_audit
from llm_mia.cli import main
from llm_mia.errors import PassageError, UsageError
from llm_mia.passages import Passages, check_inputs, read_passages
from llm_mia.report import audit_summary

from .conftest import pretend, sentences


def refusal(source: Path, **options: Any) -> str:
    with pytest.raises(PassageError) as caught:
        check_inputs([read_passages(source, **options)])
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{source.parent}/", "")


def write(path: Path, content: str) -> Path:
    path.write_text(content, newline="")
    return path


def read(path: Path, **options: Any) -> list[tuple[str, int | None]]:
    return [(passage.text, passage.label) for passage in read_passages(path, **options)]


# Twice the same name


@pytest.mark.parametrize("key", ["text", "label", "id", "note"])
def test_a_key_twice_in_an_object(key: str, tmp_path: Path) -> None:
    twice = f'{{"text": "a", "{key}": "0", "{key}": "1"}}'
    expected = f" line 2: the key '{key}' occurs twice in the object: keep one of them"
    assert refusal(write(tmp_path / "a.jsonl", f'{{"text": "b"}}\n{twice}\n')) == f"a.jsonl{expected}"
    assert refusal(write(tmp_path / "a.json", f'[{{"text": "b"}},\n{twice}]')) == f"a.json{expected}"
    assert read(write(tmp_path / "a.jsonl", f'{{"text": "b", "other": {twice}}}')) == [("b", None)]


ALIKE = "differ only in capitals, blanks or hyphens: name the right column with "


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("text,Text", rf"'text' and 'Text' {ALIKE}`text_column`"),
        ("text,label,Label ", rf"'label' and 'Label ' {ALIKE}`label_column`"),
        ("text,is_member,Is-Member", rf"'is_member' and 'Is-Member' {ALIKE}`label_column`"),
        ("ID,text,id", rf"'id' and 'ID' {ALIKE}`id_column`"),
    ],
)
def test_columns_with_almost_the_same_name(header: str, expected: str, tmp_path: Path) -> None:
    row = ",".join("1" for _ in header.split(","))
    assert re.search(
        rf"a\.csv line 1: the columns {expected}", refusal(write(tmp_path / "a.csv", f"{header}\n{row}\n"))
    )
    names = header.split(",")
    pq.write_table(pa.table({name: ["1"] for name in names}), tmp_path / "a.parquet")
    assert re.search(rf"a\.parquet: the columns {expected}", refusal(tmp_path / "a.parquet"))
    (tmp_path / "a.jsonl").write_text(json.dumps(dict.fromkeys(names, "1")))
    assert re.search(rf"a\.jsonl line 1: the columns {expected}", refusal(tmp_path / "a.jsonl"))


def test_the_right_column_of_two_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label,Label\na,0,1\n")
    assert read(path, label_column="Label") == [("a", 1)]
    assert read(path, label_column="label") == [("a", 0)]


# Delimiters


@pytest.mark.parametrize(("character", "name"), [(";", "';'"), ("|", "'|'"), ("\t", "tab"), (",", "','")])
def test_another_delimiter_is_named_and_read(character: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / ("a.tsv" if character == "," else "a.csv")
    write(path, f'id{character}text{character}label\n1{character}"a{character} b"{character}1\n')
    usual = "tab" if character == "," else "','"
    expected = (
        f"{path.name} line 1: the header has a single column if divided by {usual}, and 3 if divided by {name}: "
        f"give `delimiter` {name}"
    )
    assert refusal(path) == expected
    assert refusal(path, text_column=f"id{character}text{character}label") == expected
    assert read(path, delimiter=name.strip("'")) == [(f"a{character} b", 1)]
    quoted = write(path, f'"text"{character}"label"\n"a{character}"{character}0\n')
    assert "and 2 if divided by" in refusal(quoted)
    assert read(quoted, delimiter=character) == [(f"a{character}", 0)]


def test_the_line_for_excel_and_a_single_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "sep=;\r\ntext;label\r\na, b;1\r\n")
    assert [(p.text, p.label, p.where) for p in read_passages(path)] == [("a, b", 1, f"{path} line 3")]
    assert read(write(tmp_path / "a.csv", "text\na; b\n")) == [("a; b", None)]
    assert read(write(tmp_path / "a.csv", "a;b\nx\n"), text_column="a;b", delimiter=",") == [("x", None)]


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n"])
def test_what_cannot_divide_fields(delimiter: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"`delimiter` is .*: it must be a single character, such as ';', or tab"):
        read_passages(write(tmp_path / "a.csv", "text\na\n"), delimiter=delimiter)


# JSON in other shapes


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_json_over_several_lines(suffix: str, tmp_path: Path) -> None:
    rows = [{"text": "a", "label": 1}, {"text": "b\n", "label": 0}]
    expected = [("a", 1), ("b\n", 0)]
    path = tmp_path / f"a.{suffix}"
    for shape in (
        json.dumps(rows),
        json.dumps(rows, indent=2),
        "\n".join(json.dumps(row, indent=2) for row in rows),
        "\n" + "\n".join(json.dumps(row) for row in rows),
    ):
        assert read(write(path, shape)) == expected
    write(path, json.dumps(rows[0], indent=2) + "\n\n" + json.dumps(rows[1], indent=2)[:-4])
    assert refusal(path).startswith(f"a.{suffix} line 8: malformed JSON at column 11 (Expecting value): ")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"version": 1, "data": [{"text": "a"}]}, "whose 'data' holds a list of objects"),
        ({"0": {"text": "a"}, "1": {"text": "b"}}, "that holds objects by key"),
        ({"text": ["a", "b"], "label": [0, 1]}, r"that holds columns \('text', …\)"),
        ({"member": ["a"], "nonmember": ["b"]}, r"that holds columns \('member', …\)"),
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_an_object_that_holds_the_passages(value: object, expected: str, indent: int | None, tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", json.dumps(value, indent=indent))
    pattern = rf"^a\.json line 1: a single object,? {expected}: write each passage as an object on a separate line$"
    assert re.search(pattern, refusal(path))


@pytest.mark.parametrize(
    "names", [("member", "nonmember"), ("member_text", "nonmember_text"), ("Members", "Non-members")]
)
def test_a_column_of_members_and_a_column_of_others(names: tuple[str, str], tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", json.dumps(dict(zip(names, "ab", strict=True))))
    assert refusal(path) == (
        f"a.jsonl line 1: column '{names[0]}' holds texts of members, and column '{names[1]}' texts of non-members: "
        "read the file twice, and name one of them with `text_column` each time"
    )
    assert read(path, text_column=names[0], label=1) == [("a", 1)]
    assert read(path, text_column=names[1], label=0) == [("b", 0)]
    passages = read_passages(path, text_column=names[1])
    assert [(passage.label, passage.columns) for passage in passages] == [(None, {})], "no text is read as a label"
    passages = read_passages(path, text_column=names[1], label=0)
    assert check_inputs([passages]).notes == ()
    path = write(tmp_path / "b.jsonl", '{"text": "a", "member": 0, "nonmember": 1}')
    assert read(path) == [("a", 0)]


# Labels


@pytest.mark.parametrize(
    "labels",
    [
        [Decimal("1"), Decimal("0.0"), None],
        [1.0, 0.0, float("nan")],
        pa.array(["member", "non-member", ""]).dictionary_encode(),
        pa.array(["1", "0", None], pa.large_string()),
        pa.array([True, False, None]),
    ],
)
def test_labels_of_every_type(labels: Any, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b", "c"], "label": labels}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == [("a", 1), ("b", 0), ("c", None)]


def test_the_names_of_classes_decide_and_not_their_numbers(tmp_path: Path) -> None:
    for names, labels in ((["member", "nonmember"], [1, 0]), (["nonmember", "member"], [0, 1])):
        kinds = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)})
        data = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}, features=kinds)
        data.to_parquet(tmp_path / "a.parquet")
        data.save_to_disk(tmp_path / "saved")
        for passages in (Passages.of(data), read_passages(tmp_path / "a.parquet"), read_passages(tmp_path / "saved")):
            assert [passage.label for passage in passages] == labels


def test_words_of_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\na,held-out\nb, Known-Train\nc,held-out\nd,?\ne,1\n")
    message = refusal(path)
    assert message.startswith(
        "a.csv: 4 rows cannot be passages: 2 (lines 2, 4): column 'label' holds 'held-out', 1 (line 3): column 'label' "
        "holds ' Known-Train', 1 (line 5): column 'label' holds '?'; a label is 1 or true (member), 0 or false "
        "(non-member), or empty (unknown): correct it, give the meaning of such words with `labels`"
    )
    words = {"held-out": 0, "known-train": 1, "?": None}
    expected = [("a", 0), ("b", 1), ("c", 0), ("d", None), ("e", 1)]
    assert read(path, labels=words) == expected
    frame = pd.DataFrame({"text": ["a", "b"], "label": [3.0, 4.0]})
    assert [passage.label for passage in Passages.of(frame, labels={"3": 1, "4": 0})] == [1, 0]
    with pytest.raises(UsageError, match=r"`labels` gives 'held-out' the meaning 2: it must be 1, 0 or None"):
        read_passages(path, labels={"held-out": 2})


def test_words_of_labels_without_a_column_of_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,split\na,held-out\nb, Known-Train\n")
    assert refusal(path, labels={"held-out": 0}) == (
        "a.csv line 2: column 'split' holds 'held-out', a word of `labels`, and is not read as labels: name it with "
        "`label_column`, or read no labels with `label_column` ''"
    )
    words = {"held-out": 0, "known-train": 1}
    assert read(path, labels=words, label_column="split") == [("a", 0), ("b", 1)]
    assert read(path, labels=words, label_column="") == [("a", None), ("b", None)]
    passages = read_passages(write(tmp_path / "a.csv", "text,split\na,dev\n"), labels={"held-out": 0})
    reason = "no column has a usual name of labels: name it with `label_column`"
    expected = f"no label is read, because {reason}; the columns are 'text', 'split'"
    assert check_inputs([passages]).notes == (f"{passages.name}: {expected}",)


def test_the_faults_of_a_folder_name_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write(tmp_path / "in" / f"{name}.csv", f"text,source\n,x\nriver {name},x\n,y\n")
    message = refusal(tmp_path / "in")
    assert message.startswith("in: 4 rows cannot be passages (in/a.csv lines 2, 4; in/b.csv lines 2, 4): the text in ")


def test_an_id_that_is_no_number_is_no_id(tmp_path: Path) -> None:
    for values in ([1.5, float("nan"), float("nan")], [Decimal("1.5"), Decimal("NaN"), Decimal("NaN")]):
        passages = list(Passages.of([{"text": text, "id": value} for text, value in zip("abc", values, strict=True)]))
        assert passages[0].id == "1.5"
        assert "nan" not in {passage.id.lower() for passage in passages}


# All faults at once


def test_every_fault_is_counted_and_the_first_are_named(tmp_path: Path) -> None:
    rows = [{"id": i, "text": "" if i % 3 == 0 else f"text {i}", "label": i % 2} for i in range(1, 1201)]
    path = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert refusal(path) == (
        "a.jsonl: 400 rows cannot be passages (lines 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, …): the text in column "
        "'text' is empty: remove it, or name another column with `text_column`; `skip_empty` leaves out "
        "whatever has no text"
    )
    passages = read_passages(path, skip_empty=True)
    check = check_inputs([passages])
    assert (check.sources[0].passages, check.sources[0].empty_texts) == (800, 400)
    assert check.notes == (f"{path}: 400 rows or files without text are left out",)
    assert len(list(Passages.of(rows, skip_empty=True))) == 800


def test_faults_of_several_kinds(tmp_path: Path) -> None:
    lines = [
        '{"text": "a", "id": 1}',
        '{"text": ""}',
        "{",
        '{"text": "b", "id": 1}',
        '{"text": 5}',
        "[]",
        '{"text": " "}',
    ]
    lines += ['{"text": "c", "id": 1}', '{"text": "d", "text": "e"}']
    message = refusal(write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert message.startswith("a.jsonl: 8 rows cannot be passages: ")
    for part in (
        "1 (line 2): the text in column 'text' is empty",
        "1 (line 3): malformed JSON at column 2",
        "1 (line 4): the id '1' occurs twice, first at a.jsonl line 1",
        "1 (line 5): column 'text' holds a number, not text",
        "3 more with other faults",
    ):
        assert part in message
    ragged = refusal(write(tmp_path / "a.csv", "text,n\na,1\nb\nc,1,2\n\nd,2\ne\n"))
    assert ragged.startswith(
        "a.csv: 3 rows cannot be passages: 2 (lines 3, 7): 1 fields, but the header has 2, 1 (line 4"
    )


def test_faults_in_the_files_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    write(folder / "a.txt", "A text.")
    write(folder / "b.txt", " \n")
    write(folder / "c.txt", "\n")
    message = refusal(folder)
    assert message.startswith("f: 2 rows cannot be passages (f/b.txt, f/c.txt): no text in it, or only white space")
    write(folder / "d.txt", "")
    assert read(folder, skip_empty=True) == [("A text.", None)]
    assert check_inputs([read_passages(folder, skip_empty=True)]).sources[0].empty_texts == 3
    (folder / "a.txt").unlink()
    assert refusal(folder, skip_empty=True) == "f: no passage in it: all rows or files (3) are without text"


def test_a_streamed_dataset_and_a_column_of_a_folder(tmp_path: Path) -> None:
    rows = [{"text": "a"}, {"text": ""}, {"text": None}, {"text": "b"}]
    streamed = datasets.Dataset.from_list(rows).to_iterable_dataset()
    with pytest.raises(PassageError, match=r"2 rows cannot be passages: 1 \(row 2\): the text .* is empty"):
        list(Passages.of(streamed))
    passages = Passages.of(streamed, skip_empty=True)
    assert [passage.text for passage in passages] == ["a", "b"]
    assert [check_inputs([passages]).sources[0].empty_texts for _ in "12"] == [2, 2]


def test_the_command_line_reads_a_messy_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch)
    texts = sentences(60, seed=4)
    rows = [f"{text};{'held-out' if i % 2 else 'known-train'}" for i, text in enumerate(texts[:40])]
    path = write(tmp_path / "a.csv", "text;label\n" + "\n".join([*rows, ";held-out"]) + "\n")
    arguments = ["score", str(path), "-m", "m", "-a", "loss", "-q", "-o", str(tmp_path / "run")]
    typed: list[str] = []
    for advice, option in (
        ("give --delimiter ';'", ["--delimiter", ";"]),
        ("--skip-empty leaves out whatever has no text", ["--skip-empty"]),
        ("give the meaning of such words with --labels", ["--labels", "held-out=0,known-train=1"]),
    ):
        assert main([*arguments, *typed]) == 1
        assert advice in capsys.readouterr().err
        typed += option
    assert main([*arguments, *typed, "--json"]) == 0
    out, err = capsys.readouterr()
    assert (json.loads(out)["members"], json.loads(out)["nonmembers"]) == (20, 20)
    skipped = f"{path}: 1 row or file without text is left out"
    assert err == f"note: {skipped}\n"
    assert json.loads((tmp_path / "run" / "run.json").read_text())["inputs"][0]["notes"] == [skipped]
    candidates = write(tmp_path / "c.csv", "text\n" + "\n".join(texts[40:]) + '\n""\n')
    known = write(tmp_path / "n.csv", "text;label\n" + "\n".join([*rows[1::2], ";held-out"]) + "\n")
    arguments = ["audit", str(candidates), "--nonmembers", str(known), *arguments[2:-1], str(tmp_path / "b")]
    assert main([*arguments, *typed]) == 0
    audit = read_audit(tmp_path / "b")
    assert [source.empty_texts for source in audit.inputs] == [1, 1]
    assert f"{candidates}: 1 row or file without text is left out" in audit_summary(audit)["notes"]
    capsys.readouterr()
    assert main([*arguments, "--labels", "held-out"]) == 2
    assert "--labels: 'held-out' is not WORD=1, WORD=0 or WORD= (unknown)" in capsys.readouterr().err
