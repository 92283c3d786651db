"""Columns that are added to a run: nothing is computed twice, nothing is lost, and every column has its record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from llm_mia import Supplies, calibrate, flag, read_scores, score
from llm_mia.attacks import ATTACKS, Likelihoods, LoadedSupplies, attack
from llm_mia.backends.fake import FakeBackend
from llm_mia.errors import CalibrationError, RunDirectoryError, ScoresError
from llm_mia.passages import Passages, read_passages
from llm_mia.records import TokenFrequencies
from llm_mia.scoring import attacks_for, score_to_disk
from llm_mia.store import RunDirectory

from .conftest import sentences

TEXTS = sentences(1200, seed=70)
Source = Callable[[Sequence[str]], Passages]


@pytest.fixture
def source(write_jsonl: Callable[..., str]) -> Source:
    def make(texts: Sequence[str]) -> Passages:
        rows = [{"id": f"p{i}", "text": text, "label": 0} for i, text in enumerate(texts)]
        return read_passages(write_jsonl("in.jsonl", rows))

    return make


@pytest.fixture
def counted() -> Iterator[list[int]]:
    """An attack that counts its calls."""
    calls: list[int] = []

    @attack("counted", paper="nobody", revision=1)
    def length(text: str, *, times: float = 1.0) -> float:
        calls.append(1)
        return times * len(text)

    yield calls
    del ATTACKS["counted"]


def recorded(run: Path) -> list[str]:
    return [record["name"] for record in json.loads((run / "run.json").read_text("utf-8"))["attacks"]]


def columns(run: Path) -> list[str]:
    facts = {"id", "document", "label", "n_tokens", "n_bytes", "target_perplexity", "reference_perplexity"}
    return [name for name in pq.read_schema(run / "scores.parquet").names if name not in facts]


def test_a_second_call_adds_its_column_and_copies_the_first(source: Source, counted: list[int], tmp_path: Path) -> None:
    passages, run = source(TEXTS), tmp_path / "run"
    before = score(passages, FakeBackend(0), attacks=["counted"], out=run)
    assert len(counted) == len(TEXTS)
    done = score_to_disk(passages, FakeBackend(0), FakeBackend(1), attacks=["loss", "reference"], out=run)
    table = read_scores(run)
    assert len(counted) == len(TEXTS), "not computed again"
    assert list(table.columns) == recorded(run) == ["counted", "loss", "reference"]
    assert (done.attacks, done.unscored) == (("loss", "reference"), 0)
    np.testing.assert_array_equal(table.column("counted"), before.column("counted"))
    alone = score(passages, FakeBackend(0), FakeBackend(1), attacks=["loss", "reference"], out=tmp_path / "alone")
    for name in ("loss", "reference"):
        np.testing.assert_array_equal(table.column(name), alone.column(name))
    facts = pq.read_table(run / "scores.parquet").drop_columns(["counted", "loss", "reference"])
    assert facts.equals(pq.read_table(tmp_path / "alone/scores.parquet").drop_columns(["loss", "reference"]))
    again = score(passages, FakeBackend(0), attacks=["counted"], out=run)
    assert list(again.columns) == ["counted", "loss", "reference"]
    assert len(counted) == len(TEXTS)


def test_the_same_call_leaves_the_same_bytes(source: Source, tmp_path: Path) -> None:
    passages, run = source(TEXTS[:50]), tmp_path / "run"
    score(passages, FakeBackend(0), attacks=["loss", "zlib"], out=run)
    before = {path.name: path.read_bytes() for path in run.glob("*.*")}
    score(passages, FakeBackend(0), attacks=["zlib", "loss"], out=run)
    assert {path.name: path.read_bytes() for path in run.glob("*.*")} == before


def test_another_formula_or_setting_is_computed_again(source: Source, counted: list[int], tmp_path: Path) -> None:
    passages, run = source(TEXTS[:20]), tmp_path / "run"
    score(passages, FakeBackend(0), attacks=["counted", "loss"], out=run)
    ATTACKS["counted"] = replace(ATTACKS["counted"], revision=2, settings={"times": 2.0})
    table = score(passages, FakeBackend(0), attacks=["counted"], out=run)
    assert list(table.columns) == ["loss", "counted"]
    assert table.column("counted").tolist() == [2.0 * len(text) for text in TEXTS[:20]]
    [record] = [
        record for record in json.loads((run / "run.json").read_text("utf-8"))["attacks"] if record["name"] == "counted"
    ]
    assert (record["revision"], record["settings"], record["evidence"]) == (2, {"times": 2.0}, ["text"])


@pytest.fixture
def unregister() -> Iterator[None]:
    """Attacks that a test registers do not outlive it."""
    before = dict(ATTACKS)
    yield
    ATTACKS.clear()
    ATTACKS.update(before)


@pytest.mark.usefixtures("unregister")
def test_the_attack_of_a_notebook_cell_is_computed_again_without_a_new_revision(tmp_path: Path) -> None:
    cell = (
        "@attack('edited', paper='none')\ndef edited(target: Likelihoods) -> float:\n    'A constant.'\n    return {}\n"
    )
    for value in (1.0, 2.0):
        exec(cell.format(value), {"__name__": "__main__", "attack": attack, "Likelihoods": Likelihoods})
        table = score(TEXTS[:3], FakeBackend(0), attacks=["edited"], out=tmp_path / "run")
        assert table.column("edited").tolist() == [value] * 3
    table = score(TEXTS[:3], FakeBackend(0), attacks=["loss"], out=tmp_path / "run")
    assert table.column("edited").tolist() == [2.0] * 3


def test_a_calibration_of_another_formula_is_refused(source: Source, counted: list[int], tmp_path: Path) -> None:
    passages = source(TEXTS[:30])
    rule = calibrate(score(passages, FakeBackend(0), attacks=["counted"], out=tmp_path / "a"), "counted", fpr=0.1)
    assert rule.origin is not None
    assert [(attack.name, attack.revision, attack.settings) for attack in rule.origin.attacks] == [
        ("counted", 1, {"times": 1.0})
    ]
    ATTACKS["counted"] = replace(ATTACKS["counted"], revision=2)
    newer = score(passages, FakeBackend(0), attacks=["counted"], out=tmp_path / "b")
    with pytest.raises(CalibrationError, match="attack counted formula 1 there, 2 here"):
        flag(newer, rule, labelled=True)
    older = read_scores(tmp_path / "a")
    flag(older, rule, labelled=True)  # its record says which formula made it, whatever is registered now


@pytest.mark.parametrize("stop", ["before the table", "after the table"])
def test_a_stop_loses_no_column_and_leaves_none_without_its_record(
    stop: str, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passages, run = source(TEXTS[:40]), tmp_path / "run"
    score(passages, FakeBackend(0), attacks=["loss"], out=run)
    update = RunDirectory.update

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    def interrupt_new_columns(run: RunDirectory, **changes: Any) -> None:
        if "zlib" in [attack.name for attack in changes.get("attacks", ())]:
            raise KeyboardInterrupt
        update(run, **changes)

    with monkeypatch.context() as patch:
        if stop == "before the table":
            patch.setattr(pq.ParquetWriter, "write_table", interrupt)
        else:
            patch.setattr(RunDirectory, "update", interrupt_new_columns)
        with pytest.raises(KeyboardInterrupt):
            score(passages, FakeBackend(0), attacks=["zlib"], out=run)
    assert columns(run) == (["loss"] if stop == "before the table" else ["loss", "zlib"])
    assert recorded(run) == list(read_scores(run).columns) == ["loss"], "a column without a record is not read"
    table = score(passages, FakeBackend(0), attacks=["zlib"], out=run)
    assert list(table.columns) == recorded(run) == columns(run) == ["loss", "zlib"]


def test_a_stop_before_any_column_is_recorded_leaves_a_run_that_is_not_finished(source: Source, tmp_path: Path) -> None:
    passages, run = source(TEXTS[:10]), tmp_path / "run"
    score(passages, FakeBackend(0), attacks=["loss"], out=run)
    record = json.loads((run / "run.json").read_text("utf-8"))
    (run / "run.json").write_text(json.dumps({**record, "attacks": []}), "utf-8")
    with pytest.raises(ScoresError, match="the run is not finished"):
        read_scores(run)


def test_columns_of_fewer_passages_leave_the_table_and_are_named(source: Source, tmp_path: Path) -> None:
    run = tmp_path / "run"
    score(source(TEXTS[:30]), FakeBackend(0), attacks=["loss", "zlib"], out=run)
    done = score_to_disk(source(TEXTS[:40]), FakeBackend(0), attacks=["zlib"], out=run)
    assert columns(run) == recorded(run) == ["zlib"]
    assert done.notes == ("the table no longer holds the scores of loss, which were of other passages or are damaged",)


def test_a_lost_or_damaged_table_is_made_again(source: Source, tmp_path: Path) -> None:
    passages, run = source(TEXTS[:30]), tmp_path / "run"
    score(passages, FakeBackend(0), attacks=["loss", "zlib"], out=run)
    for damaged in (None, b"PAR1"):
        (run / "scores.parquet").unlink()
        if damaged:
            (run / "scores.parquet").write_bytes(damaged)
        assert list(score(passages, FakeBackend(0), attacks=["zlib"], out=run).columns) == recorded(run) == ["zlib"]


def test_evidence_that_differs_is_not_mixed_in_one_table(source: Source, tmp_path: Path) -> None:
    passages, run, model = source(TEXTS[:20]), tmp_path / "run", FakeBackend(0)
    first, other = (
        Supplies(frequencies=TokenFrequencies(np.full(257, count), model.info.tokenizer)) for count in (1, 2)
    )
    score(passages, model, attacks=["dc_pdd"], supplies=first, out=run)
    with pytest.raises(
        RunDirectoryError, match=r"scores of 'dc_pdd' with other evidence \(counts_sha256 .*computed again"
    ):
        score(passages, model, attacks=["dc_pdd:a=0.5"], supplies=other, out=run)
    assert recorded(run) == ["dc_pdd"]
    score(passages, model, attacks=["dc_pdd:a=0.5", "dc_pdd"], supplies=other, out=run)
    assert recorded(run) == ["dc_pdd:a=0.5", "dc_pdd"]


# Which attacks run


def test_the_default_leaves_out_what_costs_much_and_all_runs_it() -> None:
    both = LoadedSupplies(("target", "reference"))
    default, everything = (attacks_for(specs, both) for specs in ((), ["all"]))
    left_out = {chosen.name for chosen in everything.attacks} - {chosen.name for chosen in default.attacks}
    assert left_out == {"lowercase", "neighbour", "pac"}
    assert everything.named == frozenset(), "left out with a note, and not refused, where they do not fit"
    [min_k, *others] = attacks_for(["min_k", "all"], both).attacks
    assert [min_k.name, *sorted(chosen.name for chosen in others)] == [
        "min_k", *sorted(chosen.name for chosen in everything.attacks if chosen.name != "min_k")
    ]  # fmt: skip
