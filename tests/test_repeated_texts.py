"""Texts that occur more than once are not independent: without documents of their names, they share one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llm_mia import Flags, ScoreTable, calibrate, flag, read_passages, read_scores, score
from llm_mia.backends import Backend
from llm_mia.decision import FindingTest, flag_documents
from llm_mia.passages import check_inputs

from .conftest import sentences

TEXTS = [f"{i} {text}" for i, text in enumerate(sentences(67, seed=12))]
COPIES = 3


@pytest.fixture
def repeated(write_jsonl: Callable[..., str], fake: Backend, tmp_path: Path) -> ScoreTable:
    """Scores of 20 non-members, and of 47 texts that are candidates three times each."""
    known = [{"id": f"n{i}", "text": text, "label": 0} for i, text in enumerate(TEXTS[:20])]
    candidates = [{"id": f"c{i}", "text": TEXTS[20 + i // COPIES]} for i in range(47 * COPIES)]
    source = read_passages(write_jsonl("in.jsonl", [*known, *candidates]))
    assert check_inputs([source]).notes == (
        "47 texts occur more than once among the candidates (ids 'c0' = 'c1', 'c3' = 'c4', 'c6' = 'c7', …): all are "
        "kept and scored; equal texts without a document count as a single document",
    )
    score(source, fake, attacks=["loss"], out=tmp_path / "run")
    return read_scores(tmp_path / "run")


def test_equal_texts_share_a_document(repeated: ScoreTable) -> None:
    assert list(repeated.documents[:20]) == [f"n{i}" for i in range(20)]
    assert list(repeated.documents[20:]) == [f"c{i - i % COPIES}" for i in range(47 * COPIES)]


def decided(table: ScoreTable, decide: Callable[..., Flags]) -> Flags:
    return decide(table, calibrate(table, "loss", fpr=0.05))


def test_the_finding_counts_each_text_once(repeated: ScoreTable) -> None:
    passages, documents = decided(repeated, flag), decided(repeated, flag_documents)
    assert len(passages.rows) == 47 * COPIES
    assert passages.finding is not None
    assert passages.finding.test is FindingTest.EXCHANGE
    assert (passages.finding.candidates, passages.finding.documents, passages.members) == (47, 67, None)
    assert len(documents.rows) == 47
    assert documents.members is not None


def test_a_text_keeps_the_document_that_the_input_names_and_each_role_has_documents_of_its_own(
    write_jsonl: Callable[..., str], fake: Backend, tmp_path: Path
) -> None:
    rows = [
        {"id": "a", "text": TEXTS[0], "label": 0},
        {"id": "b", "text": TEXTS[0], "label": 0, "document": "book"},
        {"id": "c", "text": TEXTS[0]},
        {"id": "d", "text": TEXTS[0], "label": 0},
        {"id": "e", "text": TEXTS[0]},
    ]
    source = read_passages(write_jsonl("in.jsonl", rows))
    notes = check_inputs([source]).notes
    assert [note.split(" (")[0] for note in notes] == [
        "1 text occurs more than once among the candidates",
        "1 text occurs more than once among the non-members",
        "1 text occurs both among the candidates and in the known set",
    ]
    table = score(source, fake, attacks=["loss"], out=tmp_path / "run")
    assert list(table.documents) == ["a", "book", "c", "a", "c"]
