"""Attacks and kinds of evidence of other packages, found by their entry points."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llm_mia import ModelSpec, audit, calibrate, flag, score
from llm_mia.attacks import ATTACKS, EVIDENCE, EvidenceKind, attack, register_evidence
from llm_mia.backends import Backend
from llm_mia.backends.fake import FakeBackend
from llm_mia.errors import AttackError, CalibrationError, UsageError
from llm_mia.passages import Passages, read_passages
from llm_mia.records import TokenSignals, Window
from llm_mia.scoring import score_to_disk

from .conftest import sentences

TEXTS = sentences(12, seed=80)
PLUGIN = Path(__file__).parent / "plugin"
RUN = "import sys; from llm_mia.cli import main; sys.exit(main(sys.argv[1:]))"


def install(folder: Path, **modules: str) -> None:
    """Lay the plugin into *folder* as pip would: its modules, or *modules* in their place, and its entry points."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text("utf-8"))["project"]
    for module in PLUGIN.glob("*.py"):
        (folder / module.name).write_text(modules.get(module.stem, module.read_text("utf-8")), "utf-8")
    about = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", "utf-8"
    )
    points = project["entry-points"]["llm_mia.attacks"]
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (about / "entry_points.txt").write_text(f"[llm_mia.attacks]\n{lines}", "utf-8")


def llm_mia(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_installed_package_adds_its_attack(tmp_path: Path) -> None:
    install(tmp_path)
    listed = llm_mia(tmp_path, "attacks", "--json")
    assert listed.returncode == 0, listed.stderr
    about = json.loads(listed.stdout)
    assert about["median"]["formula"] == "median_t max(log p(x_t | x_<t), floor)"
    assert "loss" in about
    assert about["shadow_gain"]["evidence"] == ["target", "shadow_signals"]
    assert about["shadow_gain"]["passes"] == ["target", "shadow-*"]
    assert "1 + n" in llm_mia(tmp_path, "attacks").stdout
    shown = llm_mia(tmp_path, "attacks", "median:floor=-10", "--json")
    assert json.loads(shown.stdout)["median:floor=-10"]["settings"] == {"floor": -10.0}
    assert "median" not in json.loads(llm_mia(tmp_path / "elsewhere", "attacks", "--json").stdout)


def test_a_package_that_cannot_be_loaded_is_named_in_one_line(tmp_path: Path) -> None:
    install(tmp_path, llm_mia_median="raise OSError('its data is gone')\n")
    listed = llm_mia(tmp_path, "attacks")
    assert listed.returncode == 2
    assert listed.stderr.splitlines() == [
        "llm-mia: the attacks of package 'llm-mia-median' cannot be loaded (OSError: its data is gone): repair it, or "
        "pip uninstall llm-mia-median"
    ]


def test_an_attack_that_needs_no_search_is_found_without_one(tmp_path: Path) -> None:
    install(tmp_path, llm_mia_median="raise OSError('its data is gone')\n")
    assert llm_mia(tmp_path, "attacks", "loss").returncode == 0


# Evidence from another package, end to end


@pytest.fixture
def shadow_gain(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., float]]:
    """The attack of the plugin, registered for one test."""
    monkeypatch.syspath_prepend(PLUGIN)
    yield importlib.import_module("llm_mia_shadows").shadow_gain
    del sys.modules["llm_mia_shadows"], ATTACKS["shadow_gain"], EVIDENCE["shadow_signals"]


@pytest.fixture
def passages(write_jsonl: Callable[..., str]) -> Passages:
    return read_passages(write_jsonl("in.jsonl", [{"id": f"p{i}", "text": text} for i, text in enumerate(TEXTS)]))


def signals_of(model: Backend, text: str) -> TokenSignals:
    return model.score([Window(model.encode([text])[0], 1)])[0]


def test_its_evidence_is_put_together_from_the_models_that_its_roles_name(
    shadow_gain: Callable[..., float], passages: Passages, tmp_path: Path
) -> None:
    target, shadows = FakeBackend(0), {f"shadow-{i:02d}": FakeBackend(i + 1) for i in range(3)}
    models = {**shadows, "teacher": FakeBackend(8)}
    table = score(passages, target, FakeBackend(9), models=models, attacks=["shadow_gain"], out=tmp_path / "run")
    expected = [
        shadow_gain(signals_of(target, text), tuple(signals_of(model, text) for model in shadows.values()))
        for text in TEXTS
    ]
    np.testing.assert_array_equal(table.column("shadow_gain"), expected)
    folders = sorted(path.name for path in (tmp_path / "run" / "signals").iterdir())
    assert folders == ["reference", *shadows, "target"], "no pass of a teacher, whom no attack needs"


def test_it_runs_with_real_models(
    shadow_gain: Callable[..., float], tiny: str, tiny_reference: str, passages: Passages, tmp_path: Path
) -> None:
    specs = {"shadow-a": ModelSpec(tiny_reference, dtype="float32")}
    table = score(
        passages, ModelSpec(tiny, dtype="float32"), specs["shadow-a"], models=specs,
        attacks=["shadow_gain", "reference"], out=tmp_path / "run",
    )  # fmt: skip
    # The mean over one shadow model is the signal of the reference, which is the same model.
    np.testing.assert_array_equal(table.column("shadow_gain"), table.column("reference"))


@pytest.mark.usefixtures("shadow_gain")
def test_an_audit_hands_the_models_of_further_roles_on(tmp_path: Path) -> None:
    texts, shadows = sentences(60, seed=12), {"shadow-00": FakeBackend(1), "shadow-01": FakeBackend(2)}
    done = audit(
        texts[:20], nonmembers=texts[20:], target=FakeBackend(0), models=shadows, attacks=["shadow_gain"],
        out=tmp_path / "run",
    )  # fmt: skip
    assert done.decider == "shadow_gain"
    assert sorted(done.passes) == [*shadows, "stand-in", "target"]


@pytest.mark.usefixtures("shadow_gain")
def test_it_is_part_of_the_default_where_its_models_are_given(passages: Passages, tmp_path: Path) -> None:
    shadows = {"shadow-00": FakeBackend(1), "shadow-01": FakeBackend(2)}
    assert "shadow_gain" in score_to_disk(passages, FakeBackend(0), models=shadows, out=tmp_path / "with").attacks
    assert "shadow_gain" not in score_to_disk(passages, FakeBackend(0), out=tmp_path / "without").attacks
    other = {**shadows, "shadow-01": FakeBackend(2, bos=True)}
    done = score_to_disk(passages, FakeBackend(0), models=other, out=tmp_path / "other")
    assert "shadow_gain" not in done.attacks
    assert done.notes == ("target and shadow-01 have different tokenizers, so there is no shadow_gain",)


@pytest.mark.usefixtures("shadow_gain")
def test_what_it_lacks_is_named(passages: Passages, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(
        AttackError, match=r"'shadow_gain' needs a model with the role 'shadow-\*': give it in `models`"
    ):
        score(passages, FakeBackend(0), FakeBackend(1), attacks=["shadow_gain"], out=run)
    models = {"shadow-00": FakeBackend(1, bos=True)}
    with pytest.raises(AttackError, match="'shadow_gain' compares token with token"):
        score(passages, FakeBackend(0), models=models, attacks=["shadow_gain"], out=run)
    for role in ("reference", "Shadow 1", "../shadow", ""):
        with pytest.raises(UsageError, match="`models` has the role"):
            score(passages, FakeBackend(0), models={role: FakeBackend(1)}, attacks=["loss"], out=run)
    assert not run.exists()


@pytest.mark.usefixtures("shadow_gain")
def test_a_calibration_on_other_shadow_models_does_not_fit(passages: Passages, tmp_path: Path) -> None:
    tables = [
        score(passages, FakeBackend(0), models=shadows, attacks=["shadow_gain"], out=tmp_path / name)
        for name, shadows in {
            "first": {"shadow-00": FakeBackend(1), "shadow-01": FakeBackend(2)},
            "same": {"shadow-00": FakeBackend(1), "shadow-01": FakeBackend(2)},
            "other": {"shadow-00": FakeBackend(1), "shadow-01": FakeBackend(3)},
            "fewer": {"shadow-00": FakeBackend(1)},
        }.items()
    ]
    known = replace(tables[0], labels=np.zeros(len(TEXTS), np.int8))
    rule = calibrate(known, "shadow_gain", fpr=0.2)
    flag(tables[1], rule)
    with pytest.raises(
        CalibrationError, match="shadow_signals models shadow-01 weights_sha256 seed 2 there, seed 3 here"
    ):
        flag(tables[2], rule)
    with pytest.raises(CalibrationError, match="shadow_signals passes 2 there, 1 here"):
        flag(tables[3], rule)


# Registering again, as when a cell of a notebook is run again


def test_a_name_is_replaced_by_its_module_and_refused_to_others() -> None:
    def kind(what: str) -> EvidenceKind:
        return EvidenceKind("length", what, lambda row, _: len(row.passage.text))

    try:
        for number in (1.0, 2.0):
            register_evidence(kind(f"version {number}"))

            @attack("mine", paper="nobody")
            def mine(length: int, *, times: float = number) -> float:
                return times * length

            assert EVIDENCE["length"].description == f"version {number}"
            assert ATTACKS["mine"].score({"length": 3}) == 3 * number
        with pytest.raises(AttackError, match=r"'target' is registered by llm_mia\.attacks\._evidence already"):
            register_evidence(EvidenceKind("target", "another", lambda row, _: row.passage))
        with pytest.raises(AttackError, match="give either `value` or `shared`"):
            register_evidence(EvidenceKind("nothing", "without a value"))
    finally:
        ATTACKS.pop("mine", None)
        EVIDENCE.pop("length", None)
