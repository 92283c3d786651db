"""Files of scores in the shapes in which other programs write them: read rightly, or refused with what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from llm_mia import Passages, calibrate, read_passages, read_scores
from llm_mia.errors import CalibrationError, PassageError, ScoresError
from llm_mia.report import note_words

from .test_cli import Cli, cli
from .test_cli_bad_input import Fails, fails

__all__ = ["cli", "fails"]

ROWS = [("a", 0, 0.5), ("b", 0, 0.25), ("c", 1, 1.5), ("d", "", 2.5)]


def divided(by: str) -> str:
    return "\n".join(by.join(map(str, row)) for row in [("id", "label", "loss"), *ROWS]) + "\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", divided(",")),
        ("t.csv", divided(";")),
        ("t.csv", divided("|")),
        ("t.csv", divided("\t")),
        ("t.tsv", divided("\t")),
        ("T.CSV", divided(",")),
        ("t.csv", "\ufeff" + divided(";")),
    ],
)
def test_what_divides_the_columns_is_seen_in_the_header(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    table = read_scores(tmp_path / name, scores=["loss"])
    assert (list(table.ids), table.labels.tolist()) == (["a", "b", "c", "d"], [0, 0, 1, -1])
    assert table.column("loss").tolist() == [0.5, 0.25, 1.5, 2.5]


TWICE = '{"id": "a", "label": 0, "loss": 1}\n{"id": "b", "label": 0, "loss": 1, "loss": 2}\n'


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t.jsonl", json.dumps([{"loss": 1.0}]).encode(), "t.jsonl: holds a JSON list: write an object on each line"),
        ("t.csv", divided(",").encode("utf-16"), "t.csv: is UTF-16 text: write the file again as UTF-8"),
        ("t.jsonl", TWICE.encode(), "t.jsonl: cannot be read: row 2 has the key 'loss' twice: keep the right value"),
        ("t.csv", b'id,label,loss\na,0,"0,5"\n', "column 'loss' holds '0,5' in row 1, which is no number: correct it"),
        ("t.csv", b"id,label,loss\na,0,5%\n", "column 'loss' holds '5%' in row 1, which is no number: correct it"),
        (
            "t.jsonl",
            b'{"label": 0, "scores": {"loss": 1}}\n',
            "column 'scores' holds {'loss': 1} in row 1, which is no",
        ),
        ("t.csv", b"label,is_member,loss\n0,1,1\n", "the columns 'label' and 'is_member' may both hold the labels"),
        ("t.csv", b"Label,label,loss\n0,1,1\n", "the columns 'label' and 'Label' may both hold the labels: name the "),
    ],
)
def test_what_cannot_be_read_is_named(
    name: str, content: bytes, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    with pytest.raises(ScoresError) as refused:
        read_scores(name)
    assert expected in str(refused.value)


def test_a_missing_score_of_another_program_is_not_called_a_short_passage(tmp_path: Path) -> None:
    scores = ["NA" if row == 3 else row * 7 % 25 / 3 for row in range(25)]
    (tmp_path / "t.csv").write_text("label,loss\n" + "".join(f"0,{score}\n" for score in scores))
    notes = calibrate(
        read_scores(tmp_path / "t.csv", scores=["loss"]),
        "loss",
        fpr=0.05,
    ).notes
    assert "1 non-member has no score (the table has none), and no part in the threshold" in map(note_words, notes)


# -- which column holds the labels ------------------------------------------------------------------------------------


def test_of_two_columns_of_labels_none_is_chosen(
    write_jsonl: Callable[..., str], fails: Fails, cli: Cli, tmp_path: Path
) -> None:
    rows = [{"text": f"text {i}", "label": i % 2, "is_member": 0} for i in range(4)]
    path = write_jsonl("in.jsonl", rows)
    expected = "line 1: the columns 'label' and 'is_member' may both hold the labels: name the right column with "
    with pytest.raises(PassageError, match=expected + "`label_column`"):
        list(read_passages(path))
    with pytest.raises(PassageError, match="may both hold the labels"):
        list(Passages.of(rows))
    assert [passage.label for passage in read_passages(path, label_column="is_member")] == [0, 0, 0, 0]
    # An input that has a role needs no labels, and candidates have none.
    assert [passage.label for passage in Passages.of(rows, label_column="")] == [None] * 4
    table = tmp_path / "t.csv"
    table.write_text("label,member,loss\n" + "".join(f"{i % 2},0,{i * 7 % 40 / 3}\n" for i in range(40)))
    message = fails("calibrate", table, "-a", "loss", "-o", tmp_path / "c.json")
    assert message.endswith(
        "the columns 'label' and 'member' may both hold the labels: name the right column as --label-column"
    )
    ran = cli("calibrate", table, "-a", "loss", "-o", tmp_path / "c.json", "--label-column", "member")
    assert "(40 non-members, FPR" in ran.out, "the advice helps"


# -- options ----------------------------------------------------------------------------------------------------------


def test_hundreds_of_small_categories_make_a_message_of_a_line(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kinds = [*(f"c{i % 400}" for i in range(4000)), *["large"] * 50]
    rows = "".join(f"0,{rng.random()},{kind}\n" for kind in kinds)
    (tmp_path / "t.csv").write_text("label,loss,kind\n" + rows)
    table = read_scores(tmp_path / "t.csv", scores=["loss"], by="kind")
    with pytest.raises(CalibrationError) as refused:
        calibrate(table, "loss", fpr=0.05)
    message = str(refused.value)
    assert message.startswith("10 of category 'c0' (9 more needed), ")
    assert message.count(" of category ") == 12
    assert " and 388 more categories below 19 cannot certify FPR ≤ 0.05: each category needs at least 19" in message
    assert message.endswith("add non-members, or name as `by` a column of fewer and larger categories")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["--by", "kind", "--pool", "-o", "c.json"], "--pool has no value, because the option -o follows"),
        (["--by", "--json"], "--by has no value, because the option --json follows"),
    ],
)
def test_an_option_is_no_value_of_another(typed: list[str], expected: str, fails: Fails, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("label,loss,kind\n0,1,a\n")
    assert expected in fails("calibrate", tmp_path / "t.csv", "-a", "loss", *typed, code=2)


def test_an_attack_is_not_compared_with_itself(fails: Fails, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("label,loss\n" + "".join(f"{i % 2},{i * 7 % 40 / 3}\n" for i in range(40)))
    message = fails("evaluate", table, "--compare", "loss", "loss", code=2)
    assert message == "'loss' is compared with itself: name two different attacks"
