"""Hugging Face datasets, from local folders: no hub is asked."""

from __future__ import annotations

import gc
import json
import os
import re
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from llm_mia.errors import PassageError
from llm_mia.passages import check_inputs, read_passages

SECRET = "the secret words of a passage, which no message may repeat"
GOOD = json.dumps({"text": SECRET}) + "\n"


def refusal(uri: str) -> str:
    with pytest.raises(PassageError) as caught:
        list(read_passages(uri))
    message = str(caught.value)
    assert "\n" not in message
    assert SECRET[:12] not in message
    return message


def test_a_dataset_comes_over_the_network_once_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    (tmp_path / "data").mkdir()
    (tmp_path / "spool").mkdir()
    data = tmp_path / "data" / "train.jsonl"
    data.write_text("".join(json.dumps({"text": f"text {i}", "id": i, "label": i % 2}) + "\n" for i in range(2000)))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spool"))
    load = datasets.load_dataset
    opened: list[object] = []

    def counted(name: str, *arguments: Any, **options: Any) -> Any:
        opened.append(name)
        return load(name, *arguments, **options)

    monkeypatch.setattr(datasets, "load_dataset", counted)
    passages = read_passages(f"hf://{tmp_path / 'data'}?split=train")
    assert not opened, "not before it is wanted"
    first = list(islice(passages, 3))
    assert [(p.id, p.text, p.label) for p in first] == [("0", "text 0", 0), ("1", "text 1", 1), ("2", "text 2", 0)]
    both = zip(passages, passages, strict=True)  # two readers at once do not disturb each other
    assert all(left == right and left.text == f"text {at}" for at, (left, right) in enumerate(both))
    assert check_inputs([passages]).sources[0].passages == 2000
    digest = passages.sha256()
    assert len(opened) == 1
    assert not list((tmp_path / "spool").iterdir()), "a file without a name, which nobody else can open"
    reader: Any = passages.reader
    descriptor = reader.file.fileno()
    assert os.fstat(descriptor).st_mode & 0o077 == 0, "and of the owner alone"
    del passages, reader
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    again = read_passages(f"hf://{tmp_path / 'data'}?split=train")
    assert again.sha256() == digest
    data.write_text(data.read_text().replace("text 7", "text x"))
    assert read_passages(f"hf://{tmp_path / 'data'}?split=train").sha256() != digest, "of what it holds"


def test_a_full_disk_is_reported_and_the_next_reading_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.jsonl").write_text(GOOD)
    passages = read_passages(f"hf://{tmp_path}?split=train")
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.TemporaryFile", lambda: Path("/dev/full").open("wb"))  # noqa: SIM115
        with pytest.raises(
            PassageError, match=r"cannot be kept in .* \(No space left on device\): free space, or name"
        ):
            list(passages)
    assert [p.text for p in passages] == [SECRET]


def test_a_dataset_is_streamed(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(json.dumps({"text": " two\r\nlines ", "n": 1}))
    passages = read_passages(f"hf://{tmp_path}")  # its only split
    assert [p.text for p in passages] == [p.text for p in passages] == [" two\r\nlines "]
    (tmp_path / "test.jsonl").write_text(json.dumps({"text": "t", "n": 1}))
    (passage,) = read_passages(f"hf://{tmp_path}?split=test")
    assert (passage.text, passage.where) == ("t", f"hf://{tmp_path}?split=test row 1")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", r": the dataset has the splits train, test: name a split, as in hf://\S+\?split=train$"),
        ("?split=valid", r"the dataset cannot be opened \(Bad split: valid"),
        ("?spilt=train", r"the option 'spilt' is unknown; write hf://NAME\?config="),
        ("?config=zz&split=train", r"the dataset cannot be opened \(BuilderConfig 'zz' not found"),
        ("/nowhere?split=train", r"the dataset cannot be opened \(.+\): check name, config, split and network$"),
        ("?split=train", r"split=train row 2: column 'text' holds null"),
    ],
)
def test_datasets(tmp_path: Path, options: str, expected: str) -> None:
    (tmp_path / "train.jsonl").write_text(GOOD + json.dumps({"text": None}))
    (tmp_path / "test.jsonl").write_text(GOOD)
    assert re.search(expected, refusal(f"hf://{tmp_path}{options}"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (json.dumps({"txt": SECRET}), r"split=train: no text column .*'txt'; did you mean `text_column` 'txt'\?$"),
        (
            GOOD + '{"text": ',
            r"split=train row 1: the dataset cannot be read from here on \(\w+\): check it and the network$",
        ),
    ],
)
def test_rows_of_datasets(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "train.jsonl").write_text(content)
    assert re.search(expected, refusal(f"hf://{tmp_path}?split=train"))


def test_a_dataset_that_the_hub_lacks_or_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = refusal("hf://nobody/nothing?split=train")
    assert message.startswith("hf://nobody/nothing?split=train: the dataset cannot be opened (")
    assert refusal("hf://?split=train").startswith("hf://?split=train: not a dataset; write hf://NAME")
