"""How long trainings will take is known before they run: what is left to train and to read, and nothing is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_mia.cli import main
from llm_mia.defenses import defend
from llm_mia.errors import RunDirectoryError
from llm_mia.shadow import Shadows, train_shadows
from llm_mia.signals import Estimate, estimate
from llm_mia.store import read_signals
from llm_mia.training import Method, Recipe, read_training

from .conftest import sentences

RECIPE = Recipe(Method.FULL, epochs=2, batch_size=4, learning_rate=1e-2)
POOL = [{"id": f"p{at}", "text": text} for at, text in enumerate(dict.fromkeys(sentences(60, seed=50)))][:48]
ROLES = ["shadow-00", "shadow-01", "shadow-02", "shadow-03"]


def arguments(base: str, out: Path, **changes: Any) -> dict[str, Any]:
    return {"base": base, "out": out, "shadows": 4, "recipe": RECIPE, **changes}


@pytest.fixture(scope="module")
def trained(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Estimate, Shadows]:
    """The estimate, and what was estimated."""
    out = tmp_path_factory.mktemp("estimated") / "shadows"
    expected = estimate(train_shadows, POOL, **arguments(tiny, out))
    assert not out.exists(), "nothing is written"
    return expected, train_shadows(POOL, **arguments(tiny, out))


def test_the_estimate_counts_what_is_trained_and_read(trained: tuple[Estimate, Shadows]) -> None:
    expected, shadows = trained
    assert [each.name for each in expected.trainings] == ROLES
    assert [each.name for each in expected.passes] == [*ROLES, "reference"]
    for each in expected.trainings:
        record = read_training(shadows.path / "models" / each.name)
        assert each.texts == record.texts
        # A text has at most a token that opens it; another shadow's texts have other tokens for a byte.
        assert each.tokens == pytest.approx(RECIPE.epochs * record.tokens, rel=0.1)
        weights = sum(path.stat().st_size for path in (shadows.path / "models" / each.name).glob("*.safetensors"))
        assert each.bytes_on_disk == pytest.approx(weights, rel=0.1)  # the file has names, too
    for of_pass in expected.passes:
        stored = sum(len(row.signals) for row in read_signals(shadows.path, of_pass.name))
        assert (of_pass.passages, of_pass.tokens) == (48, stored)
    whole = sum(each.seconds for each in expected.trainings) + sum(each.seconds for each in expected.passes)
    assert expected.seconds > whole > 0
    assert expected.bytes_on_disk > sum(each.bytes_on_disk for each in expected.trainings)


def test_only_what_is_left_is_estimated(trained: tuple[Estimate, Shadows], tiny: str, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(trained[1].path, tmp_path / "copy"))
    done = estimate(train_shadows, POOL, **arguments(tiny, copy))
    assert (done.trainings, done.passes) == ((), ())
    shutil.rmtree(copy / "models" / "shadow-03")
    shutil.rmtree(copy / "signals" / "reference")
    left = estimate(train_shadows, POOL, **arguments(tiny, copy))
    assert [each.name for each in left.trainings] == ["shadow-03"]
    assert [each.name for each in left.passes] == ["reference"]
    assert not (copy / "models" / "shadow-03").exists()
    with pytest.raises(RunDirectoryError, match="holds other shadow models"):
        estimate(train_shadows, POOL, **arguments(tiny, copy, seed=1))


def test_defences_are_estimated_by_model_and_temperature(tiny: str, tmp_path: Path) -> None:
    named = ("epochs", "epochs:n=1+top_k:k=5", "temperature:t=2", "temperature:t=2+logprobs_only", "rounding:d=1")
    expected = estimate(defend, POOL, tiny, with_=named, out=tmp_path / "out", recipe=RECIPE, canaries=8)
    assert not (tmp_path / "out").exists()
    baseline, fewer = expected.trainings
    assert (baseline.name, fewer.name) == ("baseline", "epochs-n-1")
    assert baseline.tokens == pytest.approx(2 * fewer.tokens, abs=2)
    names = ["reference", "baseline", "epochs-n-1", "baseline-temperature-2", "base-temperature-2"]
    assert [each.name for each in expected.passes] == names
    assert all(each.passages == 48 + 8 for each in expected.passes), "the canaries are read, too"
    assert (expected.passages, expected.canaries) == (48, 8)


def test_dry_run_prints_what_would_be_trained(
    tiny: str, write_jsonl: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool, out = write_jsonl("pool.jsonl", POOL), tmp_path / "out"
    recipe = ["-m", tiny, "--method", "full", "--epochs", "2", "-o", str(out), "--dry-run", "-q"]
    assert main(["shadow", pool, "--shadows", "6", *recipe]) == 0
    first, trainings, passes, last = capsys.readouterr().out.splitlines()
    assert first.startswith("6 trainings and 7 passes over 48 passages: about ")
    assert trainings.startswith("  6 trainings (shadow-00 … shadow-05), ")
    assert passes.startswith("  7 passes (shadow-00 … reference), ")
    assert last == "Measured on the first steps and batches; nothing was written."
    assert main(["defend", pool, "--with", "dropout", "--canaries", "0", *recipe, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in printed["trainings"]] == ["baseline", "dropout-p-0-2"]
    assert main(["defend", pool, "--canaries", "8", *recipe]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("1 training and 2 passes over 48 passages and 8 canaries: about ")
    assert any(line.startswith("  reference  56 texts, ") for line in lines), lines
    assert not out.exists()
