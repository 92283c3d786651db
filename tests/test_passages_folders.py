"""The rule for folders: which files are read, which are left out and noted, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_mia.auditing import read_audit
from llm_mia.cli import main
from llm_mia.errors import PassageError
from llm_mia.passages import check_inputs, read_passages

from .conftest import pretend


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue().to_pybytes())


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd,
}


def row(text: str, **more: object) -> str:
    return json.dumps({"text": text, **more}) + "\n"


def files(folder: Path, contents: Mapping[str, str]) -> Path:
    """The *folder*, with files by name."""
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def texts(source: Path, **options: Any) -> list[str]:
    return [passage.text for passage in read_passages(source, **options)]


def refusal(source: Path) -> str:
    with pytest.raises(PassageError) as caught:
        check_inputs([read_passages(source)])
    return str(caught.value).replace(f"{source}/", "").replace(str(source), source.name)


def note(source: Path) -> str:
    (line,) = read_passages(source).notes
    return line.replace(str(source), source.name)


def test_a_card_beside_tables_is_no_passage(tmp_path: Path) -> None:
    names = (
        "README.md",
        "LICENSE",
        "notes.txt",
        ".hidden.jsonl",
        "_SUCCESS",
        "picture.png",
        "dataset_info.json",
        "a.jsonl.crc",
    )
    folder = files(tmp_path / "card", dict.fromkeys(names, "# a card"))
    (folder / "data").mkdir()
    pq.write_table(pa.table({"text": ["a", "b"]}), folder / "data" / "train-00000-of-00001.parquet")
    passages = read_passages(folder)
    assert [passage.text for passage in passages] == ["a", "b"]
    assert passages.notes == (
        f"{folder}: 1 file is read (data/train-00000-of-00001.parquet); left out: "
        "notes.txt (a loose text beside tables), LICENSE, README.md, dataset_info.json (describes the data), "
        "_SUCCESS, a.jsonl.crc, picture.png (not data), 1 hidden",
    )
    assert check_inputs([passages]).notes == passages.notes


def test_loose_texts_are_read_without_what_describes_them(tmp_path: Path) -> None:
    files(tmp_path, {"README.md": "x", "License.txt": "x", "a.txt": "A.", "deep/b.md": "B."})
    assert texts(tmp_path) == ["A.", "B."]
    only = files(tmp_path / "only", {"README.md": "x"})
    assert refusal(only).endswith("only texts that describe data (README.md): name the file itself")
    assert texts(only / "README.md") == ["x"]


def test_every_compressed_part_is_read(tmp_path: Path) -> None:
    for number, (suffix, pack) in enumerate(PACKERS.items()):
        (tmp_path / f"part-{number}.jsonl.{suffix}").write_bytes(pack(row(f"text {number}").encode()))
    assert texts(tmp_path) == ["text 0", "text 1", "text 2", "text 3"]


@pytest.mark.parametrize("suffix", PACKERS)
def test_compressed_files_are_read_whole_or_refused(suffix: str, tmp_path: Path) -> None:
    expected = [f"text {number} {os.urandom(99).hex()}" for number in range(1000)]
    packed = PACKERS[suffix]("".join(map(row, expected)).encode())
    path = tmp_path / f"a.jsonl.{suffix}"
    broken = "a broken or truncated .* file: copy it again, or unpack it$"
    path.write_bytes(packed)
    assert texts(path) == expected
    path.write_bytes(packed + PACKERS[suffix](row("second").encode()))
    assert texts(path) == [*expected, "second"]
    for damaged in (packed[:-5], packed[: len(packed) // 2], packed + b"bytes that are no stream", b"no stream at all"):
        path.write_bytes(damaged)
        assert re.search(broken, refusal(path)), damaged[-20:]
    if suffix != "zst":  # whose frames need not have a checksum
        changed = bytearray(packed)
        changed[len(packed) // 2] ^= 0xFF
        path.write_bytes(bytes(changed))
        assert re.search(broken, refusal(path))


@pytest.mark.parametrize(
    ("kind", "text"), [("csv", "text\na\n"), ("tsv", "text\na\n"), ("json", '[{"text": "a"}]'), ("txt", "a")]
)
@pytest.mark.parametrize("suffix", PACKERS)
def test_other_formats_compressed(suffix: str, kind: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}.{suffix}"
    path.write_bytes(PACKERS[suffix](text.encode()))
    assert texts(path) == ["a"]


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "a part that is not read": (
        {"b.jsonl.lz4": ""},
        r"^b\.jsonl\.lz4: a table in a format that is not read, .*: unpack",
    ),
    "an archive": ({"b.zip": ""}, r"^b\.zip: a table in a format .*: unpack it, and read the folder"),
    "a tar": ({"b.tar.gz": ""}, r"^b\.tar\.gz: a table in a format .*: unpack it"),
    "a numbered part": ({"b.csv.001": ""}, r"^b\.csv\.001: a table in a format"),
    "parts without suffix": ({"part-00001": ""}, r"^part-00001: .*: add the format to its name"),
    "a sheet": ({"b.xlsx": ""}, r"^b\.xlsx: .*: save the sheet as csv"),
    "a download": ({"b.jsonl.crdownload": ""}, r"^b\.jsonl\.crdownload: an unfinished copy, .*: complete it"),
    "an empty part": ({"b.jsonl": ""}, r"^b\.jsonl: the file is empty; `skip_empty` leaves out"),
    "the same data in another format": ({"a.csv": "text\na"}, r"^a\.jsonl: differs from a\.csv only in its suffix"),
    "the same data compressed": ({"a.jsonl.gz": ""}, r"^a\.jsonl\.gz: differs from a\.jsonl only in its suffix"),
    "a missing shard": (
        {"x-00000-of-00003.jsonl": row("x"), "x-00002-of-00003.jsonl": row("y")},
        r"^x-00000-of-00003\.jsonl: 1 of the 3 shards are missing \(number 1\)",
    ),
    "shards of two sets": (
        {"x-00000-of-00001.jsonl": row("x"), "x-00000-of-00002.jsonl": row("y"), "x-00001-of-00002.jsonl": row("z")},
        r"shards of different sets \(1, 2 shards\) with the same name",
    ),
    "a copy under another name": ({"b.jsonl": row("a")}, r"^b\.jsonl: a copy of a\.jsonl, so its passages would count"),
    "a Delta table": ({"_delta_log/0.json": "{}"}, r": a Delta Lake table, whose files may hold deleted rows"),
}


@pytest.mark.parametrize(("more", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_missing_or_count_twice_is_refused(more: dict[str, str], expected: str, tmp_path: Path) -> None:
    assert re.search(expected, refusal(files(tmp_path, {"a.jsonl": row("a"), **more})))


def test_texts_in_a_format_that_is_not_read(tmp_path: Path) -> None:
    files(tmp_path, {"a.txt": "a", "b.pdf": "%PDF"})
    assert re.search(r"^b\.pdf: a text in a format that is not read, .*: convert it to txt", refusal(tmp_path))
    files(tmp_path, {"c.csv": "text\nc"})
    assert texts(tmp_path) == ["c"]
    assert "a.txt, b.pdf (a loose text beside tables)" in note(tmp_path)


def test_links(tmp_path: Path) -> None:
    folder = files(tmp_path / "f", {"a.jsonl": row("a")})
    (folder / "loop").symlink_to("..")
    assert texts(folder) == ["a"]
    assert "loop/ (a link to a folder)" in note(folder)
    (folder / "b.jsonl").symlink_to("a.jsonl")
    assert refusal(folder).startswith("b.jsonl: the same file as a.jsonl, so its passages would count twice")
    (folder / "b.jsonl").unlink()
    (folder / "c.jsonl").symlink_to("gone.jsonl")
    assert refusal(folder).startswith("c.jsonl: a link to a file that does not exist")


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_compressed_file_whose_name_does_not_say_so(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(PACKERS[suffix](row("a").encode()))
    assert re.search(rf"^\S*a\.jsonl: its bytes are an? \w+ file, .*: add \.{suffix} to its name$", refusal(path))
    path.rename(tmp_path / f"a.jsonl.{suffix}")
    assert texts(tmp_path / f"a.jsonl.{suffix}") == ["a"]


def test_a_parquet_file_whose_name_does_not_say_so(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.csv")
    assert refusal(tmp_path / "a.csv").endswith(
        ": its bytes are a Parquet file, which cannot be read as a text: add .parquet to its name"
    )
    (tmp_path / "a.csv").rename(tmp_path / "a.csv.parquet")
    assert texts(tmp_path / "a.csv.parquet") == ["a"]


def test_a_single_shard_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "x-00000-of-00003.jsonl"
    path.write_text(row("a"))
    assert read_passages(path).notes == (f"{path}: a shard of 3, and the others are not read",)


def test_a_saved_dataset(tmp_path: Path) -> None:
    data = datasets.Dataset.from_dict({"text": [f"t{i}" for i in range(1200)], "label": [i % 2 for i in range(1200)]})
    data.save_to_disk(tmp_path / "saved", num_shards=2)
    loaded = datasets.load_from_disk(str(tmp_path / "saved"))
    loaded.map(lambda batch: batch, batched=True, load_from_cache_file=False)  # leaves a cache file in the folder
    passages = list(read_passages(tmp_path / "saved"))
    assert [(p.text, p.label) for p in passages] == [(f"t{i}", i % 2) for i in range(1200)]
    (tmp_path / "saved" / "data-00001-of-00002.arrow").unlink()
    assert refusal(tmp_path / "saved").startswith("data-00001-of-00002.arrow: a file of the saved dataset is missing")
    with pytest.raises(PassageError, match="a saved dataset: name its folder without hf://, "):
        list(read_passages(f"hf://{tmp_path / 'saved'}"))
    datasets.DatasetDict({"train": data, "test": data}).save_to_disk(tmp_path / "both")
    assert re.search(r"the splits train, test: name the folder of a split, as in .*train$", refusal(tmp_path / "both"))
    assert len(texts(tmp_path / "both" / "test")) == 1200
    datasets.DatasetDict({"train": data}).save_to_disk(tmp_path / "single")
    assert len(texts(tmp_path / "single")) == 1200


def test_an_arrow_file_in_either_form(tmp_path: Path) -> None:
    table = pa.table({"text": [f"t{i}" for i in range(1100)], "n": list(range(1100))})
    for name, new in (("a.arrow", pa.ipc.new_file), ("b.arrow", pa.ipc.new_stream)):
        with new(str(tmp_path / name), table.schema) as writer:
            writer.write_table(table)
        assert texts(tmp_path / name) == [f"t{i}" for i in range(1100)]
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:900])
        assert "not a readable Arrow file" in refusal(tmp_path / name)


def test_folders_named_by_a_value_give_a_column(tmp_path: Path) -> None:
    for label in (0, 1):
        folder = tmp_path / f"label={label}"
        folder.mkdir()
        pq.write_table(pa.table({"text": [f"t{label}"]}), folder / "part.parquet")
    assert [(p.text, p.label) for p in read_passages(tmp_path)] == [("t0", 0), ("t1", 1)]
    named = files(
        tmp_path / "named", {"a=b/truth=1/a.csv": "text\na\n", "truth=__HIVE_DEFAULT_PARTITION__/b.tsv": "text\nb"}
    )
    assert [p.label for p in read_passages(named, label_column="truth")] == [1, None]
    loose = files(tmp_path / "loose", {"label=1/book=one/a.txt": "A.", "label=0/b.txt": "B."})
    assert [(p.text, p.label, p.document) for p in read_passages(loose)] == [
        ("B.", 0, "label=0/b.txt"),
        ("A.", 1, "one"),
    ]
    wrong = files(tmp_path / "wrong", {"label=1/a.jsonl": row("a", label=0)})
    assert re.search(r"a\.jsonl line 1: column 'label' holds 0, but its folder is named label=1", refusal(wrong))


def test_what_was_read_is_shown_and_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch)
    folder = files(tmp_path / "known", {"a.jsonl": "".join(row(f"text {i}") for i in range(30)), "README.md": "x"})
    candidates = files(tmp_path / "c", {"c.jsonl": row("a candidate text")}) / "c.jsonl"
    expected = f"{folder}: 1 file is read (a.jsonl); left out: README.md (describes the data)"
    run = tmp_path / "score"
    assert main(["score", str(folder), "-m", "m", "-a", "loss", "-q", "-o", str(run)]) == 0
    assert capsys.readouterr().err == f"note: {expected}\n"
    assert json.loads((run / "run.json").read_text())["inputs"][0]["notes"] == [expected]
    run = tmp_path / "audit"
    known = ["--nonmembers", str(folder), "--accept-void"]
    assert main(["audit", str(candidates), *known, "-m", "m", "-a", "loss", "-q", "-o", str(run)]) == 0
    assert capsys.readouterr().err.count(expected) == 1
    assert read_audit(run).inputs[0].notes == (expected,)
