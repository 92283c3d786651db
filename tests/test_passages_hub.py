"""Hugging Face datasets, from local folders: no hub is asked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from llm_mia.errors import PassageError
from llm_mia.passages import read_passages

SECRET = "the secret words of a passage, which no message may repeat"
GOOD = json.dumps({"text": SECRET}) + "\n"


def refusal(uri: str) -> str:
    with pytest.raises(PassageError) as caught:
        list(read_passages(uri))
    message = str(caught.value)
    assert "\n" not in message
    assert SECRET[:12] not in message
    return message


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
        ("", r": splits train, test: name one, as in hf://\S+\?split=train$"),
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
        (json.dumps({"txt": SECRET}), r"split=train: no text column .*'txt'; did you mean --text-column 'txt'\?$"),
        (GOOD + '{"text": ', r"split=train row 1: the dataset cannot be read from here on \(\w+\)$"),
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
