"""What is not what it seems: tables that would be read as texts, and pipes that would be waited for."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from llm_mia import read_passages
from llm_mia.errors import PassageError

ROWS = [{"text": "The river bends.", "label": 1}, {"text": "A stone bridge.", "label": 0}]
LINES = "\n".join(map(json.dumps, ROWS))
CSV = "text,label\nThe river bends.,1\nA stone bridge.,0\n"


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (LINES, ".jsonl"),
        ("\n" + LINES, ".jsonl"),
        (json.dumps(ROWS, indent=2), ".json"),
        (CSV, ".csv"),
        (CSV.replace(",", ";"), ".csv"),
        (CSV.replace(",", "\t"), ".tsv"),
    ],
)
@pytest.mark.parametrize("name", ["in.txt", "in.md"])
def test_a_table_is_no_text(content: str, suffix: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PassageError) as refused:
        list(read_passages(path))
    expected = f"{name}: a table (columns 'text', 'label') in a file that is read as a text: end its name in {suffix}"
    assert str(refused.value).endswith(expected)
    renamed = path.rename(tmp_path / f"in{suffix}")
    delimiter = ";" if ";" in content else None
    labels = [passage.label for passage in read_passages(renamed, delimiter=delimiter)]
    assert labels == [1, 0], "the advice helps"


@pytest.mark.parametrize(
    "content",
    [
        '{"name": "a program", "version": 3}',
        "Text, title, and label\nare three words, and no table, of course.",
        "[Chapter 1] {text} and label\nof a book",
        "text,label",
        "{text, label}\nis no object",
    ],
)
def test_a_text_is_no_table(content: str, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text(content, encoding="utf-8")
    [passage] = read_passages(tmp_path / "in.txt")
    assert passage.text == content


@pytest.mark.parametrize(("content", "suffix"), [(CSV, ".csv"), (json.dumps(ROWS), ".json")])
def test_standard_input_is_no_table_but_json_lines(content: str, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    with pytest.raises(PassageError, match=rf"read as a text: save it as a file that ends in \{suffix}$"):
        list(read_passages("-"))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in.jsonl")
    for pipe in (tmp_path / "in.jsonl", Path("/dev/null")):
        with pytest.raises(PassageError, match="a pipe or a device, which cannot be read twice: give - and send it"):
            read_passages(pipe)
