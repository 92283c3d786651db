"""Pairs with a control set: pairs that were edited in the same way, and of which neither version was published."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_mia.backends.fake import FakeBackend
from llm_mia.canary import read_paired, run_paired_test, split_test
from llm_mia.cli import main
from llm_mia.errors import InputError, UsageError
from llm_mia.report import write_exhibit
from llm_mia.report.figures import write_paired_figure
from llm_mia.scores import read_scores
from llm_mia.training import Method, Recipe, train

from .canary_folders import rephrased

TEXTS = [text for texts in rephrased(40, 2).values() for text in texts]
Row = dict[str, str]


def edited(originals: Sequence[str], name: str) -> list[Row]:
    """Pairs by a rule: the published version has two words more; two pairs are a document."""
    return [
        {"document": f"{name}-{at // 2}", "published": f"In truth {text.lower()}", "withheld": text}
        for at, text in enumerate(originals)
    ]


PUBLISHED, CONTROL = edited(TEXTS[:24], "book"), edited(TEXTS[24:44], "drawer")


def write_rows(file: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def screen(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([*map(str, arguments)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 15 or "--details" in arguments, "\n".join(lines)
    return " ".join(" ".join(lines).split())


def test_training_shows_without_any_placebo(tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = tmp_path / "model"
    recipe = Recipe(Method.FULL, epochs=4, batch_size=12, learning_rate=3e-3)
    train(tiny, [row["published"] for row in PUBLISHED], trained, recipe)
    files = (write_rows(tmp_path / "pairs.jsonl", PUBLISHED), write_rows(tmp_path / "control.jsonl", CONTROL))
    out = tmp_path / "run"
    text = screen(capsys, "paired", files[0], "-m", trained, "--unpublished", files[1], "-o", out, "-q")
    assert "consistent with training" in text
    assert "edited alike and not published" in text
    assert "placebo" not in text
    result = read_paired(out)
    assert result.control is not None
    assert (result.placebos, result.per, len(result.rows), len(result.control.rows)) == ((), "token", 12, 10)
    assert result.test.p_value <= 0.01
    # The means of documents, from the column of scores.
    table = read_scores(out)
    at = {name: row for row, name in enumerate(table.ids)}
    scores = table.columns["loss"]
    for rows, prefix, size in ((result.rows, "", 24), (result.control.rows, "control-", 20)):
        differences = [
            scores[at[f"{n}#{prefix}published"]] - scores[at[f"{n}#{prefix}withheld"]] for n in range(1, size + 1)
        ]
        np.testing.assert_allclose(
            [row.difference for row in rows], np.reshape(differences, (-1, 2)).mean(1), atol=1e-6
        )
    groups = [[row.difference for row in rows] for rows in (result.rows, result.control.rows)]
    assert result.test == split_test(*groups)
    details = screen(capsys, "show", out, "--details")
    assert "drawer-9 (control)" in details
    assert "random splits" in write_paired_figure(result)[0].read_text()


def test_a_model_that_read_nothing_has_no_finding_with_or_without_a_placebo(
    tiny: str, tiny_reference: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_paired_test(PUBLISHED, tiny, tiny_reference, unpublished=CONTROL, out=tmp_path / "run", redact=True)
    assert result.control is not None
    assert result.control.role == "reference"
    assert result.test.p_value > 0.01  # everything is fixed, so the p-value is, too
    assert read_paired(tmp_path / "run") == result
    written = (tmp_path / "run" / "paired.json").read_text()
    assert "book-" not in written
    assert "drawer-" not in written
    text = screen(capsys, "show", tmp_path / "run")
    assert "No finding" in text
    assert "less placebo" in text


def test_the_page_and_the_exhibit_state_which_test_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_paired_test(
        [*PUBLISHED, {"published": "a", "withheld": "c"}],
        FakeBackend(0),
        unpublished=[*CONTROL, {"published": "d", "withheld": "e"}],
        out=tmp_path / "run",
    )
    text = screen(capsys, "show", tmp_path / "run", "--details")
    assert "1 pair (25): a text has no score" in text
    assert "1 control pair (21): a text has no score" in text
    assert main(["report", str(tmp_path / "run")]) == 0
    page = (tmp_path / "run" / "report.html").read_text()
    for each in (
        "by the control set",
        "edited as the published ones were",
        "splits of the documents into published and control",
        "--unpublished CONTROL",
        "drawer-9",
    ):
        assert each in page, each
    assert "It rests on the placebo" not in page
    exhibit = write_exhibit(tmp_path / "run", tmp_path / "exhibit")
    rows = list(csv.DictReader(io.StringIO((exhibit / "paired.csv").read_text("utf-8-sig"))))
    assert [row["Group"] for row in rows] == ["published"] * 12 + ["control"] * 10 + ["", ""]
    assert [row["Document"] for row in rows[-2:]] == ["25", "21"]
    assert "by the control set" in (exhibit / "finding.html").read_text()


@pytest.mark.parametrize(
    ("control", "why"),
    [
        ([], "holds no pair"),
        (
            [{"published": "New.", "withheld": PUBLISHED[3]["withheld"]}],
            "pair '1' is in the published set, .* pair '4'",
        ),
        (
            [{"published": PUBLISHED[3]["published"].upper(), "withheld": "Old."}],
            "'published' of pair '1' is in the published",
        ),
        ([{**CONTROL[0], "document": "book-3"}], "document 'book-3', which is in the published set"),
        (CONTROL[:2], "12 published and 1 control documents .*0.01: .* at least 3 control documents are needed"),
        ([{"published": "New."}], "has no text 'withheld'"),
    ],
)
def test_a_control_set_that_is_none_is_refused(
    control: list[Row], why: str, tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=why):
        run_paired_test(PUBLISHED, FakeBackend(0), unpublished=control, out=tmp_path / "run")
    files = (write_rows(tmp_path / "pairs.jsonl", PUBLISHED), write_rows(tmp_path / "control.jsonl", control))
    command = ["paired", files[0], "-m", tiny, "--unpublished", files[1], "-o", tmp_path / "run"]
    assert main([*map(str, command)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(why, line)
    assert not (tmp_path / "run").exists()


def test_with_a_control_set_a_placebo_is_optional_and_a_second_refused(tmp_path: Path) -> None:
    models: tuple[Any, ...] = (FakeBackend(0), FakeBackend(1))
    with pytest.raises(UsageError, match=r"`unpublished`.*`reference`.*`placebo`"):
        run_paired_test(PUBLISHED, FakeBackend(2), out=tmp_path / "run")
    with pytest.raises(UsageError, match="a second placebo decides nothing"):
        run_paired_test(PUBLISHED, *models, placebo=FakeBackend(2), unpublished=CONTROL, out=tmp_path / "run")
    few = run_paired_test(PUBLISHED[:6], FakeBackend(0), unpublished=CONTROL, out=tmp_path / "few")
    assert len(few.rows) == 3  # too few for signs, and enough for splits
