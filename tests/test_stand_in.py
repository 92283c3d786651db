"""The stand-in of an audit without a reference: which model it is, what it is trained on, and that a run repeats it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_mia import Audit, ScoreTable, audit, read_scores, score
from llm_mia.auditing import FEWEST_OTHERS, KnownTexts, TrainingHalf, choose_stand_in
from llm_mia.backends import ModelSpec, embedded
from llm_mia.backends.fake import FakeBackend
from llm_mia.backends.ngram import NgramBackend
from llm_mia.cli import main
from llm_mia.decision import NoteKind
from llm_mia.errors import RunDirectoryError, UsageError
from llm_mia.passages import Passages
from llm_mia.records import Note, Passage
from llm_mia.report import note_words
from llm_mia.scoring import STAND_IN_WORDS, plan_scoring
from llm_mia.signals import Step

from .conftest import pretend, sentences

TEXTS = sentences(140, seed=60)
NONMEMBERS = [{"text": text, "document": f"d{at}"} for at, text in enumerate(TEXTS[:80])]
CANDIDATES = [{"text": text} for text in TEXTS[80:]]


def run(out: Path, **options: Any) -> Audit:
    more = {"nonmembers": NONMEMBERS, "target": FakeBackend(0), "attacks": ["min_k"], **options}
    return audit(more.pop("candidates", CANDIDATES), out=out, **more)


def note(audited: Audit, kind: NoteKind) -> Note | None:
    return next((note for note in audited.notes if note.kind == kind), None)


def trained_on(table: ScoreTable) -> list[int]:
    """Rows whose texts the stand-in was trained on: those without a score by it."""
    return np.flatnonzero(np.isnan(table.others["stand-in"]["loss"])).tolist()


def test_half_of_the_documents_train_the_model_and_have_no_score_by_it(tmp_path: Path) -> None:
    steps: list[Step] = []
    audited = run(tmp_path, progress=steps.append)
    table = audited.scores
    assert {name: [*columns] for name, columns in table.others.items()} == {"stand-in": ["loss", "min_k"]}
    rows = trained_on(table)
    assert len(rows) == 40
    assert set(rows) <= set(table.rows(0).tolist())
    np.testing.assert_array_equal(np.isnan(table.others["stand-in"]["min_k"]), np.isin(np.arange(140), rows))
    assert np.isfinite(table.column("min_k")).all(), "the target's scores are untouched"
    model = NgramBackend([TEXTS[row] for row in sorted(rows, key=lambda row: half_order(f"d{row}"))])
    assert audited.passes["stand-in"].model == model.info
    alone = score([Passage("p", TEXTS[-1], "p").text], model, attacks=["min_k"], out=tmp_path / "alone")
    assert table.others["stand-in"]["min_k"][-1] == alone.column("min_k")[0]
    assert note(audited, NoteKind.STAND_IN) == Note(
        NoteKind.STAND_IN, {"model": "ngram", "trained_on": 40, "documents": 80}
    )
    assert {"target", "stand-in"} <= {step.name for step in steps}


def half_order(document: str) -> bytes:
    return hashlib.sha256(f"stand-in {document}".encode()).digest()


def test_a_document_is_in_one_half_and_a_text_that_is_repeated_anywhere_has_no_score(tmp_path: Path) -> None:
    shared = [{"text": text, "document": f"d{at // 2}"} for at, text in enumerate(TEXTS[:80])]
    half = TrainingHalf.of([Passage(f"p{at}", row["text"], row["document"]) for at, row in enumerate(shared)])
    assert (half.documents, half.others, len(half.texts)) == (20, 20, 40)
    assert {row["document"] for row in shared if row["text"] in half.texts}.isdisjoint(
        row["document"] for row in shared if row["text"] not in half.texts
    )
    repeated = [{"text": half.texts[0]}, *CANDIDATES]
    table = run(tmp_path, nonmembers=shared, candidates=repeated).scores
    assert len(trained_on(table)) == 41
    assert int(table.rows(None)[0]) in trained_on(table)


def test_a_run_that_was_stopped_makes_the_same_model_again(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", progress=stop_at("stand-in"))
    again = run(tmp_path / "run")
    assert again.passes["stand-in"].model == whole.passes["stand-in"].model
    files = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("scores.parquet")}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "whole").glob("scores.parquet")}
    with pytest.raises(RunDirectoryError, match=r"belongs to another run \(stand-in: .*weights_sha256"):
        run(tmp_path / "run", stand_in=FakeBackend(5))
    run(tmp_path / "run", stand_in="none", attacks=["zlib"])
    assert [*read_scores(tmp_path / "run").others["stand-in"]] == ["loss", "min_k"], "an audit without it keeps them"
    run(tmp_path / "run", attacks=["zlib"])
    assert [*read_scores(tmp_path / "run").others["stand-in"]] == ["loss", "min_k", "zlib"]


def stop_at(name: str) -> Any:
    def progress(step: Step) -> None:
        if step.name == name and step.tokens:
            raise KeyboardInterrupt

    return progress


def test_a_reference_needs_no_stand_in(tmp_path: Path) -> None:
    audited = run(tmp_path / "a", reference=FakeBackend(1))
    assert [*audited.scores.others] == ["reference"]
    assert not [note for note in audited.notes if note.kind in (NoteKind.STAND_IN, NoteKind.STAND_IN_MISSING)]
    both = run(tmp_path / "b", reference=FakeBackend(1), stand_in=FakeBackend(2))
    assert [*both.scores.others] == ["reference", "stand-in"]


def test_too_few_documents_leave_the_audit_without_another_model(tmp_path: Path) -> None:
    few = [{**row, "document": f"d{at % 36}"} for at, row in enumerate(NONMEMBERS)]
    audited = run(tmp_path / "a", nonmembers=few)
    assert "stand-in" not in audited.passes
    missing = note(audited, NoteKind.STAND_IN_MISSING)
    assert missing is not None
    assert missing.figures == {"documents": 36, "needed": 37}
    assert "takes 37 documents of non-members, of which there are 36; give a model" in note_words(missing)
    with pytest.raises(UsageError, match="that takes 37 documents, and there are 36"):
        run(tmp_path / "b", nonmembers=few, stand_in="ngram")
    documents = [Passage(f"p{at}", "text", f"d{at}") for at in range(37)]
    assert TrainingHalf.of(documents).others == FEWEST_OTHERS == 1 + TrainingHalf.of(documents[1:]).others


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The embedded model counts as installed; the seeded bigram model is loaded in its place, and its name noted."""
    loaded: list[str] = []
    pretend(monkeypatch)
    monkeypatch.setattr(embedded, "is_installed", lambda: True)

    def load(name: object, **_: object) -> FakeBackend:
        loaded.append(str(name))
        return FakeBackend(8)

    monkeypatch.setattr("llm_mia.backends.loading.load_model", load)
    return loaded


def test_the_embedded_model_is_chosen_where_it_is_not_the_target(tmp_path: Path, installed: list[str]) -> None:
    audited = run(tmp_path / "a")
    assert installed == ["embedded"]
    assert note(audited, NoteKind.STAND_IN) == Note(NoteKind.STAND_IN, {"model": "embedded"})
    assert not trained_on(audited.scores)
    model = tmp_path / "copy.gguf"
    shutil.copy(embedded.gguf_file(), model)
    other = run(tmp_path / "b", target=ModelSpec(model))
    assert other.passes["stand-in"].model.id == "ngram", "the target has the weights of the embedded model"


def test_a_run_that_began_with_an_n_gram_model_goes_on_with_it(tmp_path: Path, installed: list[str]) -> None:
    first = run(tmp_path, stand_in="ngram")
    assert run(tmp_path).passes["stand-in"] == first.passes["stand-in"]
    assert not installed


def test_a_window_for_the_target_may_exceed_the_context_of_the_stand_in(tmp_path: Path) -> None:
    models = {"target": FakeBackend(0, context=4096), "stand_in": FakeBackend(1, context=64)}
    audited = run(tmp_path / "a", **models, window_tokens=2048)
    assert (audited.passes["target"].window.tokens, audited.passes["stand-in"].window.tokens) == (2048, 64)
    with pytest.raises(UsageError, match="it must be 8 to 64, the model's context"):
        run(tmp_path / "b", target=models["target"], reference=models["stand_in"], window_tokens=2048)


def test_a_score_takes_a_model_as_stand_in_and_no_word(tmp_path: Path) -> None:
    table = score(TEXTS[:5], FakeBackend(0), stand_in=FakeBackend(1), attacks=["min_k"], out=tmp_path / "a")
    assert [*table.others["stand-in"]] == ["loss", "min_k"]
    assert not score(TEXTS[:5], FakeBackend(0), stand_in="none", attacks=["min_k"], out=tmp_path / "b").others
    with pytest.raises(UsageError, match="`stand_in` is 'auto': only an audit makes that choice"):
        score(TEXTS[:5], FakeBackend(0), stand_in="auto", attacks=["min_k"], out=tmp_path / "c")


def test_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], write_jsonl: Any
) -> None:
    pretend(monkeypatch)
    files = [write_jsonl("c.jsonl", CANDIDATES), "--nonmembers", write_jsonl("n.jsonl", NONMEMBERS)]
    typed = ["audit", *files, "-m", "m", "-a", "loss", "-q", "--details", "-o", str(tmp_path / "run")]
    assert main(typed) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        "there is no reference model, so an n-gram model is the stand-in, and the target is compared with it." in shown
    )
    assert "stand-in ngram" in shown
    several = ["-r", "other", "-r", "another", "--stand-in", "third"]
    assert main([*typed[:-1], str(tmp_path / "more"), *several]) == 0
    assert [*read_scores(tmp_path / "more").others] == ["reference", "reference-2", "stand-in"]
    capsys.readouterr()
    scoring = ["score", *files[:1], "-m", "m", "-a", "loss", "-q", "-o", str(tmp_path / "s"), "--stand-in"]
    assert [main([*scoring, word]) for word in STAND_IN_WORDS] == [2, 2, 0]
    assert "--stand-in is 'ngram': only an audit makes that choice" in capsys.readouterr().err
    assert main([*typed, "-r", "x", "-r", "y", "--reference-revision", "main"]) == 2
    assert "--reference-revision is given 1 times, and --reference 2 times" in capsys.readouterr().err


def test_the_half_depends_on_the_documents_and_not_on_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Passage(f"p{at}", text, f"d{at // 2}", 0) for at, text in enumerate(TEXTS)]
    half = TrainingHalf.of(rows)
    assert half == TrainingHalf.of(rows[::-1])
    assert (half.documents, half.others) == (35, 35)
    monkeypatch.setattr("llm_mia.backends.ngram.MOST_BYTES", len(half.texts[0].encode()) + 1)
    less = TrainingHalf.of(rows)
    assert (less.documents, less.others, less.texts) == (1, 69, half.texts[:2]), "whole documents, up to that size"


def test_all_non_members_are_read_where_only_a_sample_is_checked(tmp_path: Path) -> None:
    sources = [Passages.of(TEXTS[:80], label=0), Passages.of(TEXTS[80:])]
    plan, texts = plan_scoring(FakeBackend(0), attacks=["loss"]), KnownTexts.read(sources, most=50)
    [chosen] = choose_stand_in("ngram", plan, texts, tmp_path).notes
    assert chosen.figures == {"model": "ngram", "trained_on": 40, "documents": 80}
