"""After the signals are gone: decisions, pages and comparisons work from the scores; nothing is silently missing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from llm_mia import read_audit, score
from llm_mia.auditing import compare_runs
from llm_mia.backends.fake import FakeBackend
from llm_mia.decision import calibrate, flag
from llm_mia.defenses.outputs import replay
from llm_mia.errors import RunDirectoryError
from llm_mia.passages import Passages
from llm_mia.report import read_results
from llm_mia.report.html import documents_section, passages_section
from llm_mia.scores import read_scores
from llm_mia.store import read_run

from .conftest import sentences
from .pages import audited_run
from .test_store import Counting

TEXTS = {f"c{at}": text for at, text in enumerate(sentences(40, seed=51))}
KNOWN = sentences(90, seed=50)
NOT_KEPT = "the signals of target were not kept (`keep_signals`: none)"


def sources() -> list[Passages]:
    """Those of the audit."""
    rows = [{"id": name, "document": name, "text": text} for name, text in TEXTS.items()]
    return [
        Passages.of(KNOWN[:30], label=1, name="members"),
        Passages.of(KNOWN[30:], label=0, name="non-members"),
        Passages.of(rows, name="candidates"),
    ]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audited_run(tmp_path_factory.mktemp("audits") / "full", TEXTS)


@pytest.fixture(scope="module")
def emptied(full: Path) -> Path:
    """The same audit, whose signals were removed afterwards."""
    folder, model = full.parent / "emptied", Counting(0)
    shutil.copytree(full, folder)
    attacks: Any = {"attacks": ["reference", "min_k"], "out": folder}
    score(sources(), model, FakeBackend(1), **attacks, keep_signals="none")
    assert model.windows == 0
    assert {made_by.kept_fields for made_by in read_run(folder).passes.values()} == {()}
    return folder


def test_what_was_decided_stays_and_can_be_decided_again(full: Path, emptied: Path) -> None:
    assert (full / "scores.parquet").read_bytes() == (emptied / "scores.parquet").read_bytes()
    before, after = (read_audit(folder) for folder in (full, emptied))
    assert before.flags == after.flags
    assert before.validity == after.validity
    decided = [
        flag(table, calibrate(table, "min_k", fpr=0.05), accept_void=True)
        for table in map(read_scores, (full, emptied))
    ]
    assert decided[0].rows == decided[1].rows
    assert decided[0].calibration.threshold == decided[1].calibration.threshold


def test_an_audit_of_the_folder_reads_no_signals(full: Path, emptied: Path, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    shutil.copytree(emptied, folder)
    audited_run(folder, TEXTS)  # with the model in memory, and without the option
    first, again = read_audit(full), read_audit(folder)
    assert again.evaluations == first.evaluations
    assert again.flags.rows == first.flags.rows
    assert [note.kind for note in again.notes] == [note.kind for note in first.notes]
    assert "The signals were not kept (--keep-signals none of" in passages_section(read_results(folder))
    with pytest.raises(RunDirectoryError, match=f"{re.escape(NOT_KEPT)}, which .*min_k.* needs"):
        score(sources(), Counting(0), FakeBackend(1), out=folder)  # all attacks that run by default


def test_the_page_says_in_a_line_what_it_cannot_show(full: Path, emptied: Path) -> None:
    assert "signals were not kept" not in passages_section(read_results(full)) + documents_section(read_results(full))
    results = read_results(emptied)
    page = passages_section(results)
    assert page.count("The signals were not kept (--keep-signals none of &#39;llm-mia score&#39;)") == 1
    assert "no token is coloured" in page
    assert "Runs of at least" not in page
    assert "The sign – means that the signals were not kept." in documents_section(results)
    assert results.texts
    with pytest.raises(RunDirectoryError, match="the signals of target were not kept"):
        list(results.signals("target"))


def test_two_runs_are_compared_by_their_texts(full: Path, emptied: Path) -> None:
    both = compare_runs(full, emptied)
    assert both.texts_compared
    assert both.matched["candidates"].compared == len(TEXTS)


def test_a_replay_of_a_defence_is_refused(emptied: Path) -> None:
    with pytest.raises(RunDirectoryError, match=re.escape(NOT_KEPT)):
        replay(sources(), emptied, "rounding")
