"""Scores by other models than the target: which columns there are, what they hold, and that none is lost or doubled."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from llm_mia import ScoreTable, Supplies, read_scores, score
from llm_mia.attacks import ATTACKS, Likelihoods, attack
from llm_mia.backends.fake import FakeBackend
from llm_mia.errors import UsageError
from llm_mia.passages import Passages
from llm_mia.scoring import score_to_disk

from .conftest import sentences

TEXTS = sentences(60, seed=7)


class Noting(FakeBackend):
    """Counts the texts that it encodes."""

    texts = 0

    def encode(self, texts: Sequence[str]) -> list[np.ndarray[tuple[int], np.dtype[np.int32]]]:
        self.texts += len(texts)
        return super().encode(texts)


@pytest.fixture
def counted() -> Iterator[list[int]]:
    """An attack that counts its calls."""
    calls: list[int] = []

    @attack("counted", paper="nobody")
    def length(target: Likelihoods) -> float:
        calls.append(1)
        return float(target.logprob[0])

    yield calls
    del ATTACKS["counted"]


def others(run: Path) -> list[str]:
    names = [record["name"] for record in json.loads((run / "run.json").read_text("utf-8"))["others"]]
    assert [name for name in pq.read_schema(run / "scores.parquet").names if "@" in name] == names
    return names


def test_a_reference_takes_the_place_of_the_target(tmp_path: Path) -> None:
    table = score(TEXTS, FakeBackend(0), FakeBackend(1), attacks=["min_k:k=0.1", "zlib", "reference"], out=tmp_path)
    assert others(tmp_path) == ["loss@reference", "min_k:k=0.1@reference", "zlib@reference"]
    assert list(table.columns) == ["min_k:k=0.1", "zlib", "reference"]
    as_target = score(TEXTS, FakeBackend(1), attacks=["loss", "min_k:k=0.1", "zlib"], out=tmp_path / "other")
    assert list(table.others) == ["reference"]
    for name, scores in as_target.columns.items():
        np.testing.assert_array_equal(table.others["reference"][name], scores)
    assert not table.carried
    perplexity = pq.read_table(tmp_path / "scores.parquet")["reference_perplexity"].to_numpy()
    np.testing.assert_allclose(np.log(perplexity), -table.others["reference"]["loss"], rtol=1e-12)


def test_a_reference_that_no_attack_takes_still_gives_its_likelihood(tmp_path: Path) -> None:
    table = score(TEXTS, FakeBackend(0), FakeBackend(1, offers=["logprob"]), attacks=["min_k++"], out=tmp_path)
    assert others(tmp_path) == ["loss@reference"], "min_k++ reads moments, which this reference does not give"
    assert np.isfinite(table.others["reference"]["loss"]).all()


def test_attacks_with_other_evidence_have_no_other_model(
    write_jsonl: Callable[..., str], tmp_path: Path, counted: list[int]
) -> None:
    shots = write_jsonl("shots.jsonl", [{"text": "a known text"}])
    score(TEXTS[:9], FakeBackend(0), FakeBackend(1), attacks=["recall", "counted"], supplies=Supplies(shots=shots),
          out=tmp_path)  # fmt: skip
    assert others(tmp_path) == ["loss@reference", "counted@reference"]
    assert len(counted) == 2 * 9


def test_added_attacks_and_added_models_fill_the_table_without_computing_twice(
    tmp_path: Path, counted: list[int]
) -> None:
    target, reference = Noting(0), Noting(1)
    score(TEXTS, target, attacks=["counted"], out=tmp_path)
    assert others(tmp_path) == []
    score(TEXTS, target, reference, attacks=["loss"], out=tmp_path)
    assert others(tmp_path) == ["loss@reference", "counted@reference"], "the old column, too"
    assert len(counted) == 2 * len(TEXTS)
    table = score(TEXTS, target, attacks=["zlib"], out=tmp_path)
    assert others(tmp_path) == ["loss@reference", "counted@reference"]
    assert {*table.others["reference"]} == {"loss", "counted"}
    table = score(TEXTS, target, reference, attacks=["zlib"], out=tmp_path)
    assert others(tmp_path) == ["loss@reference", "counted@reference", "zlib@reference"]
    assert len(counted) == 2 * len(TEXTS)
    assert (target.texts, reference.texts) == (len(TEXTS), len(TEXTS))
    whole = score(TEXTS, target, reference, attacks=["counted", "loss", "zlib"], out=tmp_path / "whole")
    for name, scores in whole.others["reference"].items():
        np.testing.assert_array_equal(table.others["reference"][name], scores)


def test_an_attack_with_another_formula_loses_its_columns_of_other_models(tmp_path: Path, counted: list[int]) -> None:
    score(TEXTS, FakeBackend(0), FakeBackend(1), attacks=["counted"], out=tmp_path)

    @attack("counted", paper="nobody", revision=2)
    def doubled(target: Likelihoods) -> float:
        return 2 * float(target.logprob[0])

    score(TEXTS, FakeBackend(0), attacks=["counted"], out=tmp_path)
    assert others(tmp_path) == ["loss@reference"]
    table = score(TEXTS, FakeBackend(0), FakeBackend(1), attacks=["counted"], out=tmp_path)
    first = score(TEXTS, FakeBackend(1), attacks=["counted"], out=tmp_path / "reference")
    np.testing.assert_array_equal(table.others["reference"]["counted"], first.column("counted"))


def test_further_references_take_the_place_of_the_first(tmp_path: Path) -> None:
    attacks = ["min_k", "reference", "wbc"]
    models = [FakeBackend(1), FakeBackend(2), FakeBackend(3, bos=True)]
    table = score(TEXTS, FakeBackend(0), models, attacks=attacks, out=tmp_path)
    assert {role: [*columns] for role, columns in table.others.items()} == {
        "reference": ["loss", "min_k"],
        "reference-2": ["loss", "min_k", "reference", "wbc"],
        "reference-3": ["loss", "min_k", "reference"],
    }, "wbc compares tokens, and the third reference has another tokenizer"
    for role, model in (("reference-2", models[1]), ("reference-3", models[2])):
        alone = score(TEXTS, FakeBackend(0), model, attacks=["reference"], out=tmp_path / role)
        np.testing.assert_array_equal(table.others[role]["reference"], alone.column("reference"))
        np.testing.assert_array_equal(table.others[role]["loss"], alone.others["reference"]["loss"])
    with pytest.raises(UsageError, match="'fake-1' is given both as reference and as reference-2"):
        score(TEXTS, FakeBackend(0), [models[0], models[0]], out=tmp_path / "twice")
    with pytest.raises(UsageError, match="the role 'reference-2'"):
        score(TEXTS, FakeBackend(0), models={"reference-2": models[1]}, out=tmp_path / "role")


def test_a_column_of_the_input_with_such_a_name_is_not_carried(tmp_path: Path) -> None:
    rows = [{"text": text, "min_k@reference": 1.0} for text in TEXTS]
    done = score_to_disk(Passages.of(rows), FakeBackend(0), FakeBackend(1), attacks=["min_k"], out=tmp_path)
    assert any("min_k@reference" in note for note in done.notes)
    assert (read_scores(tmp_path).others["reference"]["min_k"] < 0).all()


def test_the_table_of_another_program_may_hold_other_models(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("id,min_k,min_k@stand-in,precision@k\na,1,2,3\nb,4,,6\n")
    table = read_scores(path)
    assert list(table.columns) == ["min_k", "precision@k"]
    np.testing.assert_array_equal(table.others["stand-in"]["min_k"], [2, np.nan])


def test_scores_of_other_models_in_memory_are_checked() -> None:
    table = ScoreTable.of({"min_k": [1, 2]}, others={"stand-in": {"min_k": [0.5, np.nan]}})
    np.testing.assert_array_equal(table.others["stand-in"]["min_k"], [0.5, np.nan])
    with pytest.raises(UsageError, match="the role 'second'"):
        ScoreTable.of([1, 2], others={"second": {"score": [1, 2]}})
    with pytest.raises(UsageError, match=r"2 scores, but `others\['reference'\]\['score'\]` has 1 values"):
        ScoreTable.of([1, 2], others={"reference": {"score": [1]}})
    with pytest.raises(UsageError, match=r"`others\['reference'\]\['score'\]` holds something that is not a number"):
        ScoreTable.of([1, 2], others={"reference": {"score": np.array(["a", "b"])}})
