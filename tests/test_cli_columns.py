"""Columns for each input of a command, and label columns of inputs whose role gives the label."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from llm_mia.cli import main
from llm_mia.errors import PassageError
from llm_mia.passages import Passages, check_inputs

from .conftest import pretend, sentences

TEXTS = sentences(60, seed=40)
Write = Callable[..., str]


def rows(name: str, count: int = 25, **columns: Callable[[int], object]) -> list[dict[str, object]]:
    first = 0 if name == "m" else 30
    return [
        {"id": f"{name}{i}", "text": TEXTS[first + i], **{column: value(i) for column, value in columns.items()}}
        for i in range(count)
    ]


@pytest.fixture
def validate(write_jsonl: Write, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run validate on members with more columns; gives the exit code, stdout and stderr."""

    def run(members: list[dict[str, object]], *more: str) -> tuple[int, str, str]:
        known = ["--members", write_jsonl("m.jsonl", members), "--nonmembers", write_jsonl("n.jsonl", rows("n"))]
        code = main(["validate", *known, *more, "--json"])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_topics_in_a_label_column_are_not_labels(validate: Any) -> None:
    code, out, err = validate(rows("m", label=lambda i: i % 5))
    assert (code, out) == validate(rows("m"))[:2]
    note = err.splitlines()[-1]
    path = note.split()[1].rstrip(":")
    assert note == (
        f"note: {path}: its label column is not read, because it holds other values than labels (the first at {path} "
        "line 3); all passages count as members, because the input was given as these"
    )


@pytest.mark.parametrize("topic", [lambda i: i % 3, lambda i: "sports", lambda i: None if i % 4 else "news"])
def test_other_topics(topic: Callable[[int], object]) -> None:
    members = Passages.of(rows("m", label=topic), label=1)
    assert [passage.label for passage in members] == [1] * 25
    assert "its label column is not read" in members.label_note


def test_labels_that_contradict_the_role_are_refused_with_a_way_out(validate: Any) -> None:
    members = rows("m", label=lambda i: i % 2)
    code, out, err = validate(members)
    assert (code, out) == (1, "")
    assert "m.jsonl: 13 rows cannot be passages (lines 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, …): " in err
    assert err.endswith(
        ": its label is 0 but the whole input was given as members: move the row, or, if the column "
        "does not mean membership, read no labels with --label-column 'members='\n"
    )
    plain = validate(rows("m"))
    assert validate(members, "--label-column", "members=") == plain
    assert validate(members, "--label-column", "") == plain
    # A few misspelt labels do not make a column of topics: the others may contradict the role.
    code, _, err = validate(rows("m", label=lambda i: "l" if i == 20 else 1))
    assert code == 1
    assert "m.jsonl line 21: its label is not 1 or true, 0 or false, or empty: correct it, " in err
    assert "give its meaning with --labels, or, " in err
    # A column that the user names is read strictly.
    code, _, err = validate(rows("m", topic=lambda i: i % 5), "--label-column", "members=topic")
    assert code == 1
    assert re.search(r"m\.jsonl: \d+ rows cannot be passages: .* \(lines 3, 8, .*\): column 'topic' holds 2, ", err)


def test_a_column_of_a_single_input(validate: Any, capsys: pytest.CaptureFixture[str]) -> None:
    members = [{"id": row["id"], "body": row["text"]} for row in rows("m")]
    plain = validate(rows("m"))
    assert validate(members, "--text-column", "members=body") == plain
    assert validate(members, "--text-column", "text", "--text-column", "members=body") == plain
    code, _, err = validate(members)
    assert (code, err.rstrip().endswith("name a column with --text-column 'members=NAME'")) == (1, True)
    code, _, err = validate(members, "--text-column", "members=bodi")
    assert (code, err.rstrip().endswith("did you mean --text-column 'members=body'?")) == (1, True)
    code, _, err = validate(members, "--text-column", "body")
    assert (code, "n.jsonl line 1: no column 'body'" in err) == (1, True)
    assert err.rstrip().endswith("--text-column 'nonmembers=NAME'")
    # A column of another input: this input is not expected to have it.
    code, _, err = validate(rows("m", label=lambda i: 1), "--label-column", "label")
    assert code == 1
    assert err.rstrip().endswith(
        "name a column with --label-column 'nonmembers=NAME', or none with --label-column 'nonmembers='"
    )
    with_label = validate(rows("m", label=lambda i: 1), "--label-column", "label", "--label-column", "nonmembers=")
    assert with_label == validate(rows("m"))


def test_an_input_in_memory_follows_the_same_rule() -> None:
    texts = [{"text": text, "label": i % 5} for i, text in enumerate(TEXTS[:20])]
    members = Passages.of(texts, label=1, name="topics")
    assert [passage.label for passage in members] == [1] * 20
    assert check_inputs([members]).notes == (
        "topics: its label column is not read, because it holds other values than labels (the first at topics row 3); "
        "all passages count as members, because the input was given as these",
    )
    with pytest.raises(PassageError, match=r"^topics: 16 rows .* 4 \(rows 3, 8, 13, 18\): column 'label' holds 2"):
        list(Passages.of(texts, label=1, label_column="label", name="topics"))
    with pytest.raises(PassageError, match=r"^row 1: its label is 0 but the whole input was given as members: move "):
        list(Passages.of([{"text": "a", "label": 0}], label=1))


def test_a_single_input_needs_no_name(write_jsonl: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_jsonl("a.jsonl", [{"body": text} for text in TEXTS[:3]])
    assert main(["score", path, "-m", "embedded", "-o", path + "-run"]) == 1
    assert capsys.readouterr().err.endswith("the columns are 'body'; name a column with --text-column\n")


def test_an_audit_notes_it(
    write_jsonl: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    topics = write_jsonl("m.jsonl", rows("m", label=lambda i: i % 5))
    others = write_jsonl("n.jsonl", rows("n"))
    candidates = write_jsonl("c.jsonl", [{"id": f"c{i}", "text": text} for i, text in enumerate(TEXTS[55:])])
    known = ["--members", topics, "--nonmembers", others]
    assert main(["audit", candidates, *known, "-m", "m", "-a", "loss", "-q", "-o", topics + "-run", "--json"]) in (
        0,
        1,
        4,
    )
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert [note for note in notes if "its label column is not read" in note] != []
