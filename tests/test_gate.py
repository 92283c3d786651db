"""A gate on small models: one that was trained on the members, and one that was not."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from llm_mia.cli import main
from llm_mia.errors import ModelError, RunDirectoryError
from llm_mia.gate import GateResult, Limits, Quantity, RowVerdict, gate, read_gate
from llm_mia.training import Method, Recipe, train

from .conftest import sentences
from .junit import faults_of_junit

DOCUMENTS = 60
LIMITS = Limits(max_epsilon=2.0)


@dataclass(frozen=True)
class Scene:
    """A folder with ``members.jsonl`` and ``heldout.jsonl``, and a model that was trained on the members."""

    folder: Path
    model: str
    base: str

    @property
    def inputs(self) -> dict[str, Any]:
        return {"members": self.folder / "members.jsonl", "nonmembers": self.folder / "heldout.jsonl"}

    def command(self, model: str, out: Path, *options: str) -> list[str]:
        known = [str(self.folder / name) for name in ("members.jsonl", "heldout.jsonl")]
        names = ["--members", known[0], "--nonmembers", known[1], "-r", self.base, "-q"]
        return ["gate", "-m", model, *names, "-a", "loss", "-a", "min_k", "-a", "reference", "-o", str(out), *options]


@pytest.fixture(scope="module")
def scene(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("gate")
    texts = list(dict.fromkeys(sentences(2 * DOCUMENTS + 20, seed=31, longest=20)))[: 2 * DOCUMENTS]
    for name, of_set in (("members", texts[:DOCUMENTS]), ("heldout", texts[DOCUMENTS:])):
        rows = [{"id": f"{name}-{at}", "text": text} for at, text in enumerate(of_set)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    train(tiny, texts[:DOCUMENTS], folder / "model", Recipe(Method.FULL, 15, 4, 3e-3))
    return Scene(folder, str(folder / "model"), tiny)


@pytest.fixture(scope="module")
def leaking(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> GateResult:
    out = tmp_path_factory.mktemp("leaking") / "run"
    attacks = ["loss", "min_k", "reference"]
    return gate(scene.model, reference=scene.base, **scene.inputs, attacks=attacks, out=out)


def rendered(renderable: Any) -> str:
    console = Console(record=True, width=80, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def row(result: GateResult, quantity: Quantity) -> Any:
    return next(each for each in result.rows if each.quantity is quantity)


def test_a_model_that_was_trained_on_its_members_fails(leaking: GateResult) -> None:
    assert not leaking.passed
    auroc = row(leaking, Quantity.AUROC)
    assert auroc.verdict is RowVerdict.FAILED
    assert auroc.interval.low > 0.6
    assert auroc.attack in ("loss", "min_k", "reference")
    assert (auroc.members, auroc.nonmembers) == (30, 30), "half of the documents measure the attack"
    assert set(leaking.aurocs) == {"loss", "min_k", "reference"}, "confidence only measures the gap"
    gap = row(leaking, Quantity.GAP)
    assert (gap.members, gap.nonmembers) == (60, 60)
    assert gap.interval.low > 0
    assert leaking.members_flagged > 15
    assert leaking.leaked_passages[0].id.startswith("members-")
    assert leaking.leaked_passages[0].p_value <= 0.05


def test_the_result_is_read_again_as_it_was(leaking: GateResult) -> None:
    assert read_gate(leaking.path) == leaking
    with pytest.raises(RunDirectoryError, match=r"gate\.json: no such file"):
        read_gate(leaking.path / "signals")


def test_a_gate_that_is_repeated_loads_no_model(
    scene: Scene, leaking: GateResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ModelError("a model was loaded")

    monkeypatch.setattr("llm_mia.backends.load_model", refuse)
    attacks = ["loss", "min_k", "reference"]
    again = gate(scene.model, reference=scene.base, **scene.inputs, attacks=attacks, out=leaking.path)
    assert again == leaking
    looser = gate(
        scene.model,
        reference=scene.base,
        **scene.inputs,
        attacks=attacks,
        limits=Limits(max_auroc=1.0),
        out=leaking.path,
    )
    assert row(looser, Quantity.AUROC).verdict is RowVerdict.PASSED
    assert gate(scene.model, reference=scene.base, **scene.inputs, attacks=attacks, out=leaking.path) == leaking


def test_the_command_fails_with_3_and_passes_with_0(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    junit = tmp_path / "gate.xml"
    assert main(scene.command(scene.model, tmp_path / "a", "--junit", str(junit))) == 3
    out = capsys.readouterr().out
    assert "The gate fails: AUROC" in out
    assert "leaked most" in out
    assert faults_of_junit(junit.read_text()) == []
    assert main(["show", str(tmp_path / "a")]) == 3 - 3
    assert capsys.readouterr().out == out
    same = scene.command(scene.base, tmp_path / "b")
    same[same.index("-r") : same.index("-r") + 2] = []
    assert main([part for part in same if part not in ("reference",)][:-4] + same[-2:]) == 0


def test_a_limit_without_enough_data_ends_with_1_before_a_model_is_loaded(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_mia.backends.load_model", lambda *_, **__: pytest.fail("a model was loaded"))
    assert main(scene.command(scene.model, tmp_path / "run", "--max-tpr", "0.02@0.01")) == 1
    assert "--max-tpr 0.02@0.01 needs at least 918 documents of non-members" in capsys.readouterr().err
    assert main(scene.command(scene.model, tmp_path / "run", "--max-tpr", "0.005@0.01")) == 2
    assert not (tmp_path / "run").exists()
