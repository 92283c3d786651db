"""Perplexity and per-token log-probabilities: against a plain loop, from names and memory, and as files."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from llm_mia.backends import load_model
from llm_mia.backends.fake import FakeBackend
from llm_mia.cli import main
from llm_mia.errors import RunDirectoryError, UsageError
from llm_mia.passages import Passages
from llm_mia.perplexities import perplexity, token_log_probabilities, write_perplexities
from llm_mia.signals import signals_of

from .conftest import build_model, build_tokenizer, pretend, sentences

TEXTS = [*sentences(9, seed=3, longest=14), "naïve 🙂 façade", "a", ""]
LONG = " ".join(sentences(30, seed=8))
# float32, two layers of width 32: an error of some ten units in the last place of logits of about 10 is 1e-5, and the
# mean over the tokens has less.
TOLERANCE = 1e-4


def plain_log_probabilities(model: Any, ids: list[int]) -> list[float]:
    """A single text in a forward pass, without a batch."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    return [float(logits[at - 1, ids[at]]) for at in range(1, len(ids))]


@pytest.mark.parametrize("bos", [False, True])
def test_perplexity_is_that_of_a_plain_loop(bos: bool) -> None:
    tokenizer = build_tokenizer(400, bos=bos, seed=3)
    model = build_model(tokenizer, seed=3, context=128)
    found = perplexity(TEXTS, model, tokenizer=tokenizer)
    for text, value, tokens in zip(
        TEXTS, found, token_log_probabilities(TEXTS, model, tokenizer=tokenizer), strict=True
    ):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        expected = plain_log_probabilities(model, [*([0] if bos else []), *ids]) if ids else []
        np.testing.assert_allclose(tokens.log_probabilities, expected, atol=TOLERANCE)
        if expected:
            assert value == pytest.approx(math.exp(-np.mean(expected)), rel=TOLERANCE)
        else:
            assert math.isnan(value)
        assert tokens.token_ids.tolist() == ids[len(ids) - len(expected) :]
        whole = "".join(tokens.tokens)
        assert (whole == text) if bos else text.endswith(whole)
        assert len(tokens) == len(expected)


def test_a_long_text_counts_each_token_once() -> None:
    tokenizer = build_tokenizer(400, bos=True, seed=3)
    model = build_model(tokenizer, seed=3, context=64)
    ids = tokenizer(LONG, add_special_tokens=False).input_ids
    assert len(ids) > 4 * 64
    (tokens,) = token_log_probabilities([LONG], model, tokenizer=tokenizer)
    assert tokens.token_ids.tolist() == ids
    assert "".join(tokens.tokens) == LONG
    (value,) = perplexity([LONG], model, tokenizer=tokenizer)
    assert value == pytest.approx(math.exp(-tokens.log_probabilities.mean(dtype=np.float64)), rel=1e-6)


def test_names_backends_and_models_in_memory_give_the_same(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MIA_DTYPE", "float32")
    backend: Any = load_model(tiny, compiled=False)
    named = perplexity(TEXTS, tiny)
    np.testing.assert_allclose(perplexity(TEXTS, backend), named, rtol=TOLERANCE)
    np.testing.assert_allclose(perplexity(TEXTS, backend.model, tokenizer=backend.tokenizer), named, rtol=TOLERANCE)
    np.testing.assert_allclose(perplexity([TEXTS[3]], backend), named[3:4], rtol=TOLERANCE)
    assert token_log_probabilities(TEXTS[:1], tiny)[0].tokens == token_log_probabilities(TEXTS[:1], backend)[0].tokens


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="`texts` is a single string: give a list of texts"):
        perplexity("one text", FakeBackend(0))
    with pytest.raises(UsageError, match="`model` is 'fake-0', and its tokenizer does not report the position"):
        token_log_probabilities(["one text"], FakeBackend(0))
    with pytest.raises(UsageError, match=r"`out` must be the name of a \.csv file"):
        write_perplexities(["one text"], FakeBackend(0), out="p.parquet")
    with pytest.raises(UsageError, match=r"`per_token` must be the name of a \.parquet file"):
        write_perplexities(["one text"], FakeBackend(0), out="p.csv", per_token="tokens.csv")


def test_what_is_no_text_and_what_is_no_model_is_refused() -> None:
    for texts, message in (
        ({"text": ["one text"]}, "`texts` is of the type dict: give a list of texts, or a column"),
        (["one text", None], "text 2 of `texts` is of the type NoneType: give strings"),
        ([float("nan")], "text 1 of `texts` is of the type float: give strings"),
        (["\ud800"], "text 1 of `texts` holds a lone surrogate"),
        (Passages.of(["one text"]), "text 1 of `texts` is of the type Passage: give strings"),
    ):
        with pytest.raises(UsageError, match=message):
            perplexity(texts, FakeBackend(0))  # type: ignore[arg-type]
    for model in (None, object()):
        with pytest.raises(UsageError, match="the model is of the type"):
            signals_of(model, ["one text"])  # type: ignore[arg-type]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_file_has_a_row_a_passage_and_nothing_else_stays(tmp_path: Path) -> None:
    data = [{"id": f'p{i},"', "text": text or " x", "label": 1, "book": "b"} for i, text in enumerate(TEXTS)]
    out = tmp_path / "perplexity.csv"
    written = write_perplexities(data, FakeBackend(0), FakeBackend(1), out=out)
    rows = rows_of(out)
    expected = [perplexity([str(row["text"]) for row in data], FakeBackend(seed)) for seed in (0, 1)]
    assert [row["id"] for row in rows] == [row["id"] for row in data]
    assert {(row["label"], row["document"]) for row in rows} == {("1", "b")}
    for role, values in zip(("target", "reference"), expected, strict=True):
        shown = [float(row[f"{role}_perplexity"] or "nan") for row in rows]
        np.testing.assert_array_equal(shown, values, "floats are written so that they are read back exactly")
        assert sum(int(row[f"{role}_tokens"]) for row in rows) == written.tokens[role]
    assert (written.passages, written.unscored) == (len(TEXTS), 1), "one byte without BOS has no scored token"
    assert [path.name for path in tmp_path.iterdir()] == ["perplexity.csv"]


def test_a_run_that_was_stopped_continues(tmp_path: Path) -> None:
    class Stops(FakeBackend):
        scored = 0

        def score(self, windows: Any, *arguments: Any, **options: Any) -> Any:
            if self.scored:
                raise KeyboardInterrupt
            type(self).scored += len(windows)
            return super().score(windows, *arguments, **options)

    out, texts = tmp_path / "p.csv", Passages.of(sentences(5000, seed=1, longest=20))
    with pytest.raises(KeyboardInterrupt):
        write_perplexities(texts, Stops(0), out=out)
    assert not out.exists()
    with pytest.raises(RunDirectoryError, match=r"p\.csv\.signals: .*has left this folder: repeat that call, or"):
        write_perplexities(texts, FakeBackend(1), out=out)
    write_perplexities(texts, FakeBackend(0), out=out)
    assert len(rows_of(out)) == 5000
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]


def test_neither_the_input_nor_a_folder_of_somebody_else_is_lost(tmp_path: Path) -> None:
    source, folder = tmp_path / "texts.csv", tmp_path / "perplexity.csv.signals"
    source.write_text("text\nThe river bends.\n", encoding="utf-8")
    with pytest.raises(UsageError, match="`out` is the file that is read"):
        write_perplexities(source, FakeBackend(0), out=source)
    folder.mkdir()
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(RunDirectoryError, match="holds files that are not of a stopped call"):
        write_perplexities(source, FakeBackend(0), out=tmp_path / "perplexity.csv")
    assert source.read_text(encoding="utf-8") == "text\nThe river bends.\n"
    assert (folder / "notes.txt").exists()
    (folder / "notes.txt").rename(folder / ".lock")  # what a call leaves that was killed at its start
    write_perplexities(source, FakeBackend(0), out=tmp_path / "perplexity.csv")
    assert not folder.exists()


def test_the_command_writes_what_the_function_gives(
    tmp_path: Path, tiny: str, tiny_reference: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_MIA_DTYPE", "float32")
    passages, out, tokens = tmp_path / "p.csv", tmp_path / "perplexity.csv", tmp_path / "tokens.parquet"
    with passages.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "text"], *([i, text] for i, text in enumerate(TEXTS[:-1]))])
    command = ["perplexity", str(passages), "-m", tiny, "-r", tiny_reference, "-q", "-o", str(out)]
    assert main([*command, "--per-token", str(tokens)]) == 0
    printed = capsys.readouterr()
    assert str(out) in printed.out
    assert "1 passage is too short to have a perplexity" in printed.err
    expected = perplexity(TEXTS[:-1], tiny)
    shown = [float(row["target_perplexity"] or "nan") for row in rows_of(out)]
    np.testing.assert_allclose(shown, expected, rtol=TOLERANCE)
    table = pq.read_table(tokens).to_pylist()
    of_third = [row for row in table if row["id"] == "3" and row["model"] == "target"]
    (from_python,) = token_log_probabilities(TEXTS[3:4], tiny)
    assert tuple(row["token"] for row in of_third) == from_python.tokens
    assert [row["position"] for row in of_third] == list(range(1, len(of_third) + 1)), (
        "the first token has no probability"
    )
    np.testing.assert_allclose([row["logprob"] for row in of_third], from_python.log_probabilities, atol=TOLERANCE)
    assert {row["model"] for row in table} == {"target", "reference"}


def test_the_command_names_its_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    path = tmp_path / "p.jsonl"
    path.write_text('{"text": "a river"}\n')
    assert main(["perplexity", str(path), "-m", "m", "-q", "-o", str(tmp_path / "p.parquet")]) == 2
    assert "--out must be the name of a .csv file" in capsys.readouterr().err
    assert main(["perplexity", str(path), "-m", "m", "-q", "--json", "-o", str(tmp_path / "p.csv")]) == 0
    assert '"passages": 1' in capsys.readouterr().out
