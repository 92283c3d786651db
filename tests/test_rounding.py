"""How far a precision changes the signals: measured against float32, kept in the record, and told where it decides."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm_mia import Audit, audit, load_model, score
from llm_mia.backends import Backend, Comparable, Report
from llm_mia.backends.fake import FakeBackend
from llm_mia.backends.local import float32
from llm_mia.cli import main
from llm_mia.decision import NoteKind
from llm_mia.errors import ModelError
from llm_mia.passages import Passages
from llm_mia.records import IntArray, Note, RoundingRecord, TokenSignals, Window
from llm_mia.report.exhibit import write_exhibit
from llm_mia.report.words import answer_of, note_words, notes_words
from llm_mia.report.words.method import model_rows
from llm_mia.signals import Inputs, rounding
from llm_mia.store import read_run

from .conftest import sentences
from .rounding import rounding_of

TEXTS = sentences(160, seed=40)


class Rounded(FakeBackend):
    """A model whose bfloat16 adds *error* to every log-likelihood."""

    def __init__(self, error: float, problem: type[Exception] | None = None) -> None:
        super().__init__(0)
        self.info = replace(self.info, dtype="bfloat16")
        self.error, self.problem, self.compared = error, problem, 0

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        scored = super().score(windows, report, prefix=prefix)
        return [replace(signals, logprob=signals.logprob + np.float32(self.error)) for signals in scored]

    def in_float32(self) -> Backend:
        self.compared += 1
        if self.problem is not None:
            raise self.problem("no")
        return FakeBackend(0)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison is made however slow the machine is at the moment."""
    monkeypatch.setattr(rounding, "LEAST_SECONDS", 600.0)


def recorded(run: Path) -> RoundingRecord:
    of_target = read_run(run).passes["target"].model.rounding
    assert of_target is not None
    return of_target


def test_a_planted_error_is_in_the_record_and_a_run_that_continues_measures_nothing(tmp_path: Path) -> None:
    backend = Rounded(0.1)
    assert isinstance(backend, Comparable)
    score(TEXTS, backend, attacks=["loss"], out=tmp_path)
    measured = recorded(tmp_path)
    figures = (measured.token_median, measured.token_largest, measured.passage_median, measured.passage_largest)
    # logprob is a float32 of at most some 20 nats: 0.1 is exact to 20 · 2⁻²⁴, below the three digits that are kept.
    assert figures == (0.1, 0.1, 0.1, 0.1)
    assert measured.scores["loss"] == 0.1
    assert measured.scores["min_k"] == 0.1
    assert 512 <= measured.tokens < 512 + 64
    assert measured.passages >= 8
    assert backend.compared == 1
    score(TEXTS, backend, attacks=["loss", "min_k"], out=tmp_path)
    assert backend.compared == 1, "it is in run.json"
    score(TEXTS, backend, attacks=["loss"], out=tmp_path / "again")
    assert recorded(tmp_path / "again") == measured


def test_every_input_is_among_the_texts_that_are_compared() -> None:
    inputs = Inputs.of([_passages(side) for side in ("a" * 300, "b" * 300, "c" * 300)])
    passages, windows, tokens = rounding.beginnings(Rounded(0.0), inputs)
    assert tokens == sum(len(passage.text) for passage in passages), "by the whole passages the run is estimated"
    assert [passage.text[0] for passage in passages[:4]] == ["a", "b", "c", "a"]
    assert {len(window.tokens) for window in windows[:4]} == {64}


def _passages(text: str) -> Any:
    return Passages.of([text + str(number) for number in range(9)])


@pytest.mark.parametrize(("problem", "skipped"), [(MemoryError, "memory"), (ModelError, "refused")])
def test_what_cannot_be_compared_is_named(problem: type[Exception], skipped: str, tmp_path: Path) -> None:
    score(TEXTS, Rounded(0.1, problem), attacks=["loss"], out=tmp_path)
    assert recorded(tmp_path) == RoundingRecord(skipped=skipped)  # type: ignore[arg-type]


def test_a_comparison_that_takes_long_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounding, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(rounding, "SHARE", 0.0)
    backend = Rounded(0.1)
    score(TEXTS, backend, attacks=["loss"], out=tmp_path)
    assert recorded(tmp_path).skipped == "seconds"
    assert backend.compared == 0


def test_seconds_are_bounded_by_the_share_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounding, "LEAST_SECONDS", 5.0)
    assert not rounding.takes_too_long(4.9, 1.0), "a few seconds are allowed in any case"
    assert rounding.takes_too_long(5.1, 100.0), "5 % of 100 s are 5 s"
    assert not rounding.takes_too_long(5.9, 120.0)


def test_a_model_in_float32_has_nothing_to_compare(tiny: str, tmp_path: Path) -> None:
    score(TEXTS[:9], load_model(tiny, dtype="float32", compiled=False), attacks=["loss"], out=tmp_path)
    assert read_run(tmp_path).passes["target"].model.rounding is None


def test_the_float32_model_is_that_of_the_files(tiny: str, tmp_path: Path) -> None:
    loaded: Any = load_model(tiny, dtype="bfloat16", compiled=False)
    exact: Any = load_model(tiny, dtype="float32", compiled=False)
    windows = [Window(ids, 1) for ids in exact.encode(TEXTS[:4])]
    for ours, expected in zip(loaded.in_float32().score(windows), exact.score(windows), strict=True):
        np.testing.assert_array_equal(ours.logprob, expected.logprob)
    in_memory: Any = load_model(loaded.model, tokenizer=loaded.tokenizer, compiled=False)
    assert in_memory.in_float32().model.dtype == exact.model.dtype
    assert loaded.model.dtype != exact.model.dtype, "the copy leaves the model as it is"

    score(TEXTS[:9], loaded, attacks=["loss"], out=tmp_path)
    measured = recorded(tmp_path)
    assert 0 < measured.token_median <= measured.token_largest
    assert measured.passage_largest < measured.token_largest
    # Half of what two computations in this precision may differ by (`rounding_of`) is that of a single one; twice that
    # where the texts are more sensitive than those from which it was derived.
    assert measured.token_largest <= 2 * rounding_of(loaded).token


def test_a_small_memory_is_noticed_before_anything_is_loaded(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: Any = load_model(tiny, dtype="bfloat16", compiled=False)
    for free in (1_000, None):
        monkeypatch.setattr(float32, "free_bytes", lambda _, free=free: free)
        with pytest.raises(MemoryError, match="in float32, and the free memory is"):
            loaded.in_float32()


@pytest.mark.parametrize(("failure", "error"), [("CUDA error: out of memory", MemoryError), ("no", ModelError)])
def test_a_load_that_fails_is_told_apart_from_a_small_memory(failure: str, error: type[Exception], tiny: str) -> None:
    loaded: Any = load_model(tiny, dtype="bfloat16", compiled=False)

    def load() -> None:
        raise RuntimeError(failure)

    with pytest.raises(error, match="model 'm': "):
        float32.load_in_float32(load, loaded.model, loaded.device, "m")


def test_the_free_memory_is_that_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   8 kB\n")
    monkeypatch.setattr(float32, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(float32, "CGROUP", tmp_path)
    cpu = torch.device("cpu")
    assert float32.free_bytes(cpu) == 8 * 1024
    (tmp_path / "memory.current").write_text("1000\n")
    for limit, free in (("max", 8192), ("3000", 2000), ("99999", 8192)):
        (tmp_path / "memory.max").write_text(limit + "\n")
        assert float32.free_bytes(cpu) == free
    (tmp_path / "meminfo").unlink()
    assert float32.free_bytes(cpu) is None


def audited(path: Path, error: float, attack: str = "loss", **options: Any) -> Audit:
    rows = [{"id": str(number), "text": text} for number, text in enumerate(TEXTS)]
    for name, part in (("nonmembers", rows[:80]), ("candidates", rows[80:120])):
        (path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    return audit(
        path / "candidates.jsonl",
        nonmembers=path / "nonmembers.jsonl",
        target=Rounded(error),
        stand_in="none",
        attacks=[attack],
        accept_void=True,
        report=False,
        **{"out": path / "run", **options},
    )


def note_of(result: Audit) -> Note:
    (note,) = [note for note in result.notes if note.kind == NoteKind.PRECISION]
    return note


@pytest.mark.parametrize("rate", [{"fpr": 0.05}, {"fdr": 0.1}])
def test_a_finding_that_hangs_on_the_error_advises_float32(rate: dict[str, Any], tmp_path: Path) -> None:
    note = note_of(audited(tmp_path, 3.0, **rate))  # a mean varies by less than 3 nats: all are flagged, or none
    assert note.figures["finding_depends"] is True
    assert (note.figures["least"], note.figures["most"]) == (0, 40)
    assert "differs from float32 by 3 nats (median; at most 3)" in note_words(note)
    assert note_words(note).endswith("the finding depends on this rounding; to decide without this rounding, run "
                                     "'llm-mia audit --dtype float32' with another folder")  # fmt: skip


def test_the_first_screen_names_a_finding_that_depends_on_rounding(tmp_path: Path) -> None:
    assert ("rounding", "the finding depends on the rounding of bfloat16; audit in float32") in answer_of(
        audited(tmp_path, 3.0)
    ).facts


def test_a_decision_on_the_scores_alone_names_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = str(audited(tmp_path, 3.0).path), ["--accept-void", "-o", str(tmp_path / "flags.csv")]
    assert main(["flag", run, *out]) == 0
    assert "the finding depends on the rounding of bfloat16" in capsys.readouterr().out
    assert main(["flag", run, *out, "--json"]) == 0
    assert "differs from float32 by 3 nats (median; at most 3)" in capsys.readouterr().err
    audited(tmp_path, 1e-5, out=tmp_path / "exact")
    assert main(["flag", str(tmp_path / "exact"), *out]) == 0
    assert "rounding" not in capsys.readouterr().out


def test_a_planted_error_is_seen_by_the_line_wherever_limits_are_named(tmp_path: Path) -> None:
    result = audited(tmp_path, 0.1)
    line = note_words(note_of(result))
    assert "the log-likelihood of a token differs from float32 by 0.1 nats (median; at most 0.1)" in line
    assert line in notes_words(result.notes)
    assert "differs from float32 by 0.1" in dict(model_rows("target", result.passes["target"]))["Precision"]
    write_exhibit(result.path, tmp_path / "exhibit")
    pages = "".join(page.read_text("utf-8") for page in (tmp_path / "exhibit").glob("*.html"))
    assert "differs from float32 by 0.1" in pages


@pytest.mark.parametrize("attack", ["min_k:k=0.2", "min_k:k=0.05"])
def test_the_change_of_other_settings_is_not_that_of_the_default(attack: str, tmp_path: Path) -> None:
    change = note_of(audited(tmp_path, 0.1, attack=attack)).figures["change"]
    assert change == (pytest.approx(0.1, rel=0.01) if attack == "min_k:k=0.2" else None)


def test_an_error_below_every_distance_changes_no_flag(tmp_path: Path) -> None:
    result = audited(tmp_path, 1e-5)
    note = note_of(result)
    assert note.figures["least"] == note.figures["most"] == result.flags.flagged
    assert note_words(note).endswith("no flag depends on this")


def test_the_words_of_what_was_not_measured() -> None:
    nothing = {"dtype": "bfloat16", "attack": "stack", "change": None, "flagged": 3}
    assert "the memory is too small" in note_words(Note(NoteKind.PRECISION, {**nothing, "skipped": "memory"}))
    measured = {"skipped": "", "passages": 4, "tokens": 512, "token_median": 0.01, "token_largest": 0.2}
    figures = {**nothing, **measured, "passage_median": 0.001, "passage_largest": 0.004}
    assert "scores of the attack stack, which decides, was not measured; to decide" in note_words(
        Note(NoteKind.PRECISION, figures)
    )
