"""Tables of other programs: what nobody checked is in every result, and scores of another model can be given."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llm_mia import ScoreTable
from llm_mia.decision import NoteKind, calibrate, flag, flag_documents
from llm_mia.errors import UsageError
from llm_mia.records import RunRecord, Standing

from .test_cli import Cli, cli
from .test_cli_bad_input import Fails, fails

__all__ = ["cli", "fails"]


def known_and_candidates(**others: float) -> ScoreTable:
    """Nineteen non-members and three candidates above them; the columns of *others* hold a number times the score."""
    scores = np.array([*range(19), 25.0, 26.0, 27.0])
    columns = {"loss": scores, **{name: factor * scores for name, factor in others.items()}}
    return replace(ScoreTable.of(columns, [0] * 19 + [-1] * 3), standing=None)


def test_what_was_not_checked_is_in_every_result() -> None:
    """A finding on a table looked like the finding of an audit, whose texts and other models were checked."""
    bare = known_and_candidates()
    checked = replace(bare, standing=Standing.SOUND)
    for decide in (flag, flag_documents):
        flags = decide(bare, calibrate(checked, "loss", fpr=0.05))
        assert flags.standing is None, "the candidates of this table were never compared with a known set that is sound"
        notes = [note for note in flags.notes if note.kind == NoteKind.NOT_VALIDATED]
        assert [note.figures for note in notes] == [{"foreign": True, "others": [], "evaluated": False}]
        assert {row.split(",")[-1] for row in flags.to_csv().splitlines()[1:]} == {"not_validated"}
    both = known_and_candidates(theirs=0.0)
    flags = flag(both.with_others("loss", ["theirs"]), calibrate(both, "loss", fpr=0.05))
    (note,) = (note for note in flags.notes if note.kind == NoteKind.NOT_VALIDATED)
    assert note.figures["others"] == ["reference"]
    assert flag(replace(bare, standing=Standing.VOID), calibrate(checked, "loss", fpr=0.05)).withheld
    assert flag(bare, calibrate(replace(checked, standing=Standing.VOID), "loss", fpr=0.05)).withheld


def test_columns_of_other_models_are_no_attacks_of_the_target() -> None:
    table = known_and_candidates(a=1.0, b=0.0)
    other = table.with_others("loss", ["-a", "b"])
    assert list(other.columns) == ["loss"]
    assert {role: {name: x[-1] for name, x in scores.items()} for role, scores in other.others.items()} == {
        "reference": {"loss": -27.0},
        "reference-2": {"loss": 0.0},
    }
    with pytest.raises(UsageError, match="`others` names '-loss', the score of the target"):
        table.with_others("-loss", ["loss"])
    with pytest.raises(UsageError, match="a run directory holds the scores of its other models"):
        replace(table, record=RunRecord()).with_others("loss", ["a"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A table of a target and of another model: among the candidates some are members, which only the target knows."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["0", "1", ""], [200, 40, 60])
    members = (labels == "1") | ((labels == "") & (rng.random(300) < 0.5))
    with (tmp_path / "t.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "label", "gain", "theirs"])
        for i in range(300):
            writer.writerow([f"p{i}", labels[i], rng.normal(4.0 * members[i]), rng.normal()])
    return tmp_path / "t.csv"


def test_a_table_says_what_nobody_checked_and_takes_the_scores_of_another_model(
    cli: Cli, fails: Fails, path: Path, tmp_path: Path
) -> None:
    rule, flags = tmp_path / "c.json", tmp_path / "f.csv"
    assert cli("calibrate", path, "-a", "gain", "-o", rule).code == 0
    ran = cli("flag", "--details", path, "-c", rule, "-o", flags)
    assert re.search(r"consistent with training on them \(p = \S+\), not validated", ran.out)
    assert "note: not validated: a table holds no texts, so it is unknown whether a classifier that never" in ran.err
    assert ran.err.rstrip().endswith("separates them, too: give its scores as --other")
    assert {row["known_set"] for row in csv.DictReader(flags.read_text().splitlines())} == {"not_validated"}
    assert cli("flag", "--details", path, "-c", rule, "-o", flags, "--json").json["standing"] == "not_validated"
    ran = cli("flag", "--details", path, "-c", rule, "-o", flags, "--other", "theirs")
    assert ran.code == 0
    assert "not validated: a table holds no texts" in ran.err
    assert "another model" not in ran.err
    ran = cli("collection", "--details", path, "-a", "gain", "--other", "theirs", "--json")
    assert ran.json["standing"] in ("not_validated", "not_checked", "doubtful")
    assert "`others`" not in fails(
        "collection", "--details", path, "-a", "gain", "-a", "theirs", "--other", "theirs", code=2
    )
    assert "no column 'nowhere'" in fails("flag", "--details", path, "-c", rule, "-o", flags, "--other", "nowhere")
