"""What notes and refusals advise is followed here, on the same input, and does not lead to the next refusal."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from llm_mia import Audit, ScoreTable, audit, score, validate
from llm_mia.backends.fake import FakeBackend
from llm_mia.decision import NoteKind, calibrate, flag, flag_documents, judge_collection
from llm_mia.documents import documents_needed, smallest_p_value
from llm_mia.errors import CalibrationError, LlmMiaError, PassageError
from llm_mia.records import Note
from llm_mia.report import note_words

from .conftest import sentences
from .test_cli import Cli, cli
from .test_cli_bad_input import Fails, fails

__all__ = ["cli", "fails"]

TEXTS = sentences(260, seed=60, longest=40)


def rows(path: Path, texts: Sequence[str], documents: int = 0, prefix: str = "") -> Path:
    """A file of passages; with *documents* they are dealt to so many documents."""
    named = [{"id": f"{path.stem}{i}", "text": text} for i, text in enumerate(texts)]
    named = [{**row, "document": f"{prefix}{i % documents}"} if documents else row for i, row in enumerate(named)]
    path.write_text("".join(json.dumps(row) + "\n" for row in named))
    return path


def scores_file(path: Path, known: Mapping[str, int], candidates: Mapping[str, int], lift: float = 0.0) -> Path:
    """A table of scores, with so many passages of each document."""
    rng = np.random.default_rng(0)
    sides = [(known, 0), (candidates, None)]
    names = [(name, label) for side, label in sides for name, count in side.items() for _ in range(count)]
    gains = rng.normal(size=len(names)) + [lift * (label is None) for _, label in names]
    columns = {"document": [name for name, _ in names], "label": [label for _, label in names], "gain": gains}
    pyarrow.csv.write_csv(pa.table({"id": [f"p{i}" for i in range(len(names))], **columns}), path)
    return path


# -- a note that recommends decisions on documents ---------------------------------------------------------------------


def layout(rng: np.random.Generator) -> tuple[list[str], list[int | None], np.ndarray[Any, Any]]:
    """Documents of any number and size, some of them perhaps on both sides, some scores missing."""
    known, candidates = int(rng.integers(2, 40)), int(rng.integers(1, 12))
    names = [f"n{i}" for i in range(known) for _ in range(int(rng.integers(1, 6)))]
    labels: list[int | None] = [0] * len(names)
    shared = known if rng.random() < 0.3 else 0
    for i in range(candidates):
        count = int(rng.integers(1, 6))
        names += [f"n{i % known}" if shared and i < 2 else f"c{i}"] * count
        labels += [None] * count
    scores = rng.normal(size=len(names))
    scores[rng.random(len(names)) < 0.05] = math.nan
    return names, labels, scores


def test_flag_documents_is_recommended_where_it_decides_and_nowhere_else() -> None:
    rng, seen = np.random.default_rng(0), list[bool]()
    for _ in range(120):
        names, labels, scores = layout(rng)
        table = ScoreTable.of(scores, labels, documents=names, name="t.csv")
        try:
            calibration = calibrate(table, "score", fpr=0.1)
        except CalibrationError:
            continue
        notes = [note for note in flag(table, calibration).notes if note.kind == NoteKind.MEMBERS_UNBOUNDED_DOCUMENTS]
        if not notes:
            continue
        recommended = "'llm-mia flag TABLE --documents'" in note_words(notes[0])
        seen.append(recommended)
        if not recommended:
            assert "would need" in note_words(notes[0])
            with pytest.raises(LlmMiaError):
                flag_documents(table, calibration)
        elif np.isfinite(scores[[label is None for label in labels]]).any():
            assert flag_documents(table, calibration).members is not None, "it bounds their number"
    assert 15 < sum(seen) < len(seen) - 15


def test_nineteen_documents_of_any_sizes_are_enough_for_five_percent(tmp_path: Path, cli: Cli) -> None:
    """The comparison leaves no document of non-members out where the rate needs all of them."""
    path = scores_file(tmp_path / "t.csv", {f"n{i}": 2 + i for i in range(19)}, {"c": 40}, lift=9.0)
    assert cli("calibrate", path, "-a", "gain", "-o", tmp_path / "c.json").code == 0
    ran = cli("flag", path, "-c", tmp_path / "c.json", "--documents", "-o", tmp_path / "f.csv")
    assert ran.code == 0, ran.err
    assert "1 of 1 document looks as if" in ran.out


def test_what_documents_lack_is_named_and_when_it_is_there_they_are_decided_on(
    cli: Cli, fails: Fails, tmp_path: Path
) -> None:
    rule, flags = tmp_path / "c.json", ("-o", tmp_path / "f.csv")
    path = scores_file(tmp_path / "t.csv", {f"n{i}": 8 for i in range(7)}, {f"c{i}": 5 for i in range(4)})
    message = fails("calibrate", path, "-a", "gain", "-o", rule)
    assert "at least 19 documents are needed" in message
    assert "add documents, divide large ones" in message
    path = scores_file(tmp_path / "t.csv", {f"c{i}": 8 for i in range(20)}, {f"c{i}": 5 for i in range(4)})
    assert cli("calibrate", path, "-a", "gain", "-o", rule).code == 0
    shown = cli("flag", path, "-c", rule, *flags, "--details").err
    assert "would need each document on one side only, among the candidates or among" in shown
    assert "--documents" not in shown
    fails("flag", path, "-c", rule, *flags, "--documents")
    path = scores_file(tmp_path / "t.csv", {f"n{i}": 3 for i in range(19)}, {f"c{i}": 5 for i in range(4)})
    assert cli("calibrate", path, "-a", "gain", "-o", rule).code == 0
    shown = cli("flag", path, "-c", rule, *flags, "--details").err
    assert "'llm-mia flag TABLE --documents' counts documents instead" in shown
    assert cli("flag", path, "-c", rule, *flags, "--documents").code == 0


# -- what an input allows, before anything is scored -------------------------------------------------------------------


class Stop(Exception):  # noqa: N818 - no error
    """Ends an audit at its first note."""


def test_documents_that_select_the_attack_do_not_count_among_those_that_decide(tmp_path: Path) -> None:
    def stop(note: Note) -> None:
        raise Stop(note_words(note))

    others = "after 15 others have selected what decides"
    expected = f"on documents need 19 documents of non-members for FPR ≤ 5 %, and there are 15 {others}"
    with pytest.raises(Stop, match=expected):
        audit(
            rows(tmp_path / "c.jsonl", TEXTS[100:160], 60, "c"),
            nonmembers=rows(tmp_path / "n.jsonl", TEXTS[:100], 30, "n"),
            members=rows(tmp_path / "m.jsonl", TEXTS[160:], 30, "m"),
            target=FakeBackend(0),
            attacks=["stack"],
            out=tmp_path / "run",
            report_possible=stop,
        )


@pytest.mark.parametrize(
    ("known", "candidates", "prefix", "says"),
    [
        (0, 0, "c", ["on passages (60 candidates, 100 non-members), on documents (60 documents of candidates, 100 of "
                     "non-members), on all candidates together ('llm-mia collection')"]),
        (7, 7, "c", ["decisions on passages or on documents need 19 documents of non-members for FPR ≤ 5 %, and there",
                     "allows decisions on all candidates together ('llm-mia", "such as a book into its chapters"]),
        (2, 2, "c", ["this input allows no decision; ", "a decision on all candidates together needs 4 documents on "
                     "each side, and there are 2 documents of candidates, 2 of non-members"]),
        (20, 1, "c", ["on documents (1 document of candidates, 20 of non-members); a decision on all candidates",
                     "needs 4 documents on each side"]),
        (20, 7, "n", ["decisions on passages (60 candidates, 100 non-members); decisions on documents or on all ",
                      "each document on one side only, and 7 documents hold both candidates and"]),
        (7, 7, "n", ["this input allows no decision; decisions on passages or on documents need 19 documents"]),
    ],
)  # fmt: skip
def test_a_line_says_what_the_input_allows_and_that_is_what_it_allows(
    known: int, candidates: int, prefix: str, says: list[str], tmp_path: Path
) -> None:
    files = (
        rows(tmp_path / "c.jsonl", TEXTS[100:160], candidates, prefix),
        rows(tmp_path / "n.jsonl", TEXTS[:100], known, "n"),
    )
    notes, steps = list[Note](), list[str]()

    def report_possible(note: Note) -> None:
        notes.append(note)
        steps.append("possible")

    def audited() -> Audit:
        return audit(
            files[0], nonmembers=files[1], target=FakeBackend(0), attacks=["loss"], out=tmp_path / "run",
            accept_void=True, report_possible=report_possible, progress=lambda step: steps.append(step.name),
        )  # fmt: skip

    scored = [{**json.loads(line), "label": label} for label, file in zip((None, 0), files, strict=True)
              for line in file.read_text().splitlines()]  # fmt: skip
    scores = score(scored, FakeBackend(0), attacks=["loss"], out=tmp_path / "scored")
    if "decisions on passages (" in says[0] or says[0].startswith("on "):
        audited()
        assert steps.index("possible") < steps.index("target"), "before anything is scored"
    else:
        with pytest.raises(CalibrationError, match=r"n.jsonl: \d documents of non-members, with 100 passages, cannot"):
            audited()
        with pytest.raises(CalibrationError):
            calibrate(scores, "loss", fpr=0.05)
    sentence = note_words(notes[0])
    for part in says:
        assert part in sentence
    by_document = re.search(r"on documents \(", sentence) is not None
    together = "on all candidates together ('llm-mia collection')" in sentence
    for allowed, decide in (
        (by_document, lambda: flag_documents(scores, calibrate(scores, "loss", fpr=0.05), accept_void=True)),
        (together, lambda: judge_collection(scores, ["loss"], accept_void=True)),
    ):
        if allowed:
            decide()
        else:
            try:
                decide()
            except LlmMiaError:
                continue
            assert smallest_p_value((candidates, known), 9999) > 0.045, "it runs, and cannot reach the level"
    seen: list[Note] = []
    validate(None, files[1], files[0], report_possible=seen.append)
    assert seen == notes


def test_a_collection_of_as_many_documents_as_the_note_names_can_be_significant(tmp_path: Path, cli: Cli) -> None:
    few = scores_file(tmp_path / "few.csv", {"a": 20, "b": 20}, {"c": 20, "d": 20}, lift=5.0)
    shown = " ".join(cli("collection", few, "-a", "gain", "--details").out.split())
    assert f"p ≤ 0.045 needs {documents_needed(0.045)} documents of each" in shown
    enough = scores_file(tmp_path / "more.csv", dict.fromkeys("abcd", 20), dict.fromkeys("efgh", 20), lift=5.0)
    shown = " ".join(cli("collection", enough, "-a", "gain", "--details").out.split())
    assert "consistent with training on the collection" in shown


def test_a_book_in_a_single_document_is_advised_to_be_divided_and_then_passes(tmp_path: Path) -> None:
    book, candidates = rows(tmp_path / "b.jsonl", TEXTS[:100], 1, "book"), rows(tmp_path / "c.jsonl", TEXTS[100:160])
    with pytest.raises(PassageError, match="such as the chapters of a book, each as a document"):
        validate(None, book, candidates)
    chapters = rows(tmp_path / "b.jsonl", TEXTS[:100], 2, "chapter")
    assert validate(None, chapters, candidates).standing is not None


def test_members_that_are_added_as_advised_let_an_attack_be_selected(tmp_path: Path) -> None:
    def shortage(members: int) -> str | None:
        result = audit(
            rows(tmp_path / "c.jsonl", TEXTS[200:240]), members=rows(tmp_path / "m.jsonl", TEXTS[:members]),
            nonmembers=rows(tmp_path / "n.jsonl", TEXTS[40:140]), target=FakeBackend(0),
            attacks=["auto", "min_k", "zlib"], out=tmp_path / f"run{members}",
        )  # fmt: skip
        sentences = [note_words(note) for note in result.notes if note.kind == NoteKind.DECIDER_BY_DEFAULT]
        return sentences[0] if sentences else None

    sentence = shortage(12)
    assert sentence is not None
    (more,) = re.findall(r"add (\d+) passages of members", sentence)
    assert shortage(12 + int(more)) is None


def test_longer_passages_as_advised_hold_a_stretch(tmp_path: Path, tiny: str, cli: Cli) -> None:
    text = tmp_path / "book.txt"
    text.write_text(" ".join(TEXTS[:20]))
    typed = ["extract", text, "-m", tiny, "-q", "-o"]
    ran = cli(*typed, tmp_path / "a", "--passage-tokens", "8", "--stretch", "30")
    assert ran.code == 1
    assert ran.err.endswith("lower --stretch, or give longer passages (for txt files by a larger --passage-tokens)\n")
    assert cli(*typed, tmp_path / "b", "--passage-tokens", "128", "--stretch", "30").code == 0
    assert cli(*typed, tmp_path / "c", "--passage-tokens", "8", "--stretch", "3").code == 0
