"""The limit on what a model writes word for word: when it fails, and when it is not applicable."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llm_mia.errors import CalibrationError
from llm_mia.extraction import Extraction, extract
from llm_mia.gate import GateRow, Obstacle, Planned, Quantity, RowVerdict, judge, select_attack
from llm_mia.records import Note
from llm_mia.report.words import row_words
from llm_mia.scores import ScoreTable

from .conftest import sentences
from .test_schemas import Reader


@pytest.fixture(scope="module")
def extraction(tmp_path_factory: pytest.TempPathFactory) -> Extraction:
    """Of 30 members and 30 non-members; the model writes none of them."""
    texts = [text for text in dict.fromkeys(sentences(200, seed=5, longest=20)) if len(text.encode()) > 60][:60]
    rows = [{"id": f"p{at}", "text": text, "label": int(at < 30)} for at, text in enumerate(texts)]
    return extract(rows, Reader(0), out=tmp_path_factory.mktemp("extraction") / "run")


def with_spans(extraction: Extraction, members: int, nonmembers: int) -> Extraction:
    """The *extraction*, as if the model had written so many of its documents, by its reference-free counts."""
    changed, left = [], {1: members, 0: nonmembers}
    for document in extraction.documents:
        assert document.label is not None
        left[document.label] -= 1
        changed.append(replace(document, spans_counted=int(left[document.label] >= 0)))
    known = extraction.nonmembers
    assert known is not None
    assert known.like is not None
    like = replace(known.like, nonmembers=30, nonmembers_with_spans=nonmembers, beyond_chance=members > nonmembers)
    return replace(extraction, documents=changed, nonmembers=replace(known, like=like))


def extractable(extraction: Extraction | Note, *, given: bool = False, strict: bool = False) -> GateRow:
    planned = Planned(Quantity.EXTRACTABLE, 0.05, given)
    table = ScoreTable.of(range(40), [0, 1] * 20)
    return judge(planned, table, select_attack(table), extraction, None, confidence=0.95, strict=strict)


def test_documents_that_are_written_word_for_word_fail(extraction: Extraction) -> None:
    none = extractable(extraction)
    assert (none.verdict, none.value, none.members, none.nonmembers) == (RowVerdict.PASSED, 0.0, 30, 30)
    many = extractable(with_spans(extraction, 10, 0))
    assert (many.verdict, many.value) == (RowVerdict.FAILED, 10 / 30)
    assert extractable(with_spans(extraction, 4, 0)).verdict is RowVerdict.PASSED, "the interval reaches below 0.05"
    assert extractable(with_spans(extraction, 4, 0), strict=True).verdict is RowVerdict.FAILED


def test_spans_that_non_members_have_too_are_no_extraction(extraction: Extraction) -> None:
    both = extractable(with_spans(extraction, 10, 10))
    assert both.verdict is RowVerdict.NOT_APPLICABLE
    assert both.obstacle == Note(Obstacle.AS_NONMEMBERS, {"with_spans": 10, "nonmembers": 30})
    assert extractable(with_spans(extraction, 10, 10), strict=True).verdict is RowVerdict.FAILED


def test_too_few_documents_with_a_stretch_pass_nothing(extraction: Extraction) -> None:
    few = replace(extraction, documents=extraction.documents[12:])
    row = extractable(few)
    assert row.verdict is RowVerdict.NOT_APPLICABLE
    assert "18 of 18 documents of members hold a stretch of 50 tokens, and at least 20 must" in row_words(row)
    with pytest.raises(CalibrationError, match="`max_extractable` cannot be judged: 18 of 18 documents"):
        extractable(few, given=True)
