"""A training that is killed at any instant continues with the same call, and ends with the same weights."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from llm_mia.errors import RunDirectoryError
from llm_mia.signals import Step
from llm_mia.training import EarlyStopping, Method, Recipe, TrainingRecord, read_training, train

from .conftest import sentences
from .test_training import differing

TEXTS = sentences(14, seed=3)
STEPS = 3
"""Of an epoch."""
RECIPES = {
    "full": Recipe(Method.FULL, 3, 4, 3e-3, dropout=0.2, early_stopping=EarlyStopping(0.2, 3)),
    "lora": Recipe(Method.LORA, 3, 4, 1e-2, dropout=0.2, early_stopping=EarlyStopping(0.2, 3)),
}
Training = Callable[..., TrainingRecord]


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(number: int) -> Callable[[Step], None]:
    """A progress callback that kills its process in its call *number* after a step, counted from 1."""
    seen = []

    def progress(step: Step) -> None:
        if step.name == "training":
            seen.append(step)
            if len(seen) == number:
                kill()

    return progress


def while_storing(base: str, folder: Path, recipe: Recipe) -> None:
    """Killed when half of the second checkpoint is written."""
    calls, whole = [], torch.save

    def save_half(contents: Any, file: Any) -> None:
        calls.append(file)
        if len(calls) == 2:
            file.write(b"half of a checkpoint")
            file.flush()
            kill()
        whole(contents, file)

    torch.save = save_half  # type: ignore[assignment]
    train(base, TEXTS, folder, recipe, checkpoint_seconds=0)


def while_saving(base: str, folder: Path, recipe: Recipe) -> None:
    """Killed when the model is trained and not yet in its folder."""

    def progress(step: Step) -> None:
        if step.name == "saving the model":
            (folder.with_name(f".training-{folder.name}") / "model").mkdir()
            kill()

    train(base, TEXTS, folder, recipe, progress=progress)


def while_cleaning(base: str, folder: Path, recipe: Recipe) -> None:
    """Killed when the model is in its folder, and the checkpoint not yet removed."""
    remove = shutil.rmtree

    def kill_or_remove(path: Any, **settings: Any) -> None:
        if folder.exists():
            kill()
        remove(path, **settings)

    shutil.rmtree = kill_or_remove  # type: ignore[assignment]
    train(base, TEXTS, folder, recipe)


def at_step(number: int, seconds: float) -> Callable[[str, Path, Recipe], None]:
    def stopped(base: str, folder: Path, recipe: Recipe) -> None:
        train(base, TEXTS, folder, recipe, checkpoint_seconds=seconds, progress=kill_at(number))

    return stopped


INSTANTS: dict[str, Callable[[str, Path, Recipe], None]] = {
    "before a checkpoint": at_step(1, 60),
    "within an epoch": at_step(STEPS + 1, 0),
    "after an epoch": at_step(2 * STEPS, 60),
    "while storing": while_storing,
    "while saving": while_saving,
    "while cleaning": while_cleaning,
}


@pytest.fixture(scope="module")
def whole(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a training of each recipe that was not interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    for name, recipe in RECIPES.items():
        train(tiny, TEXTS, folder / name, recipe)
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="a process with torch is forked")
@pytest.mark.parametrize(
    ("name", "instant"), [*(("full", instant) for instant in INSTANTS), ("lora", "within an epoch")]
)
def test_a_killed_training_ends_with_the_same_weights(
    name: str, instant: str, tiny: str, whole: Path, tmp_path: Path
) -> None:
    recipe = RECIPES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: torch has threads, which wait
        child = multiprocessing.get_context("fork").Process(
            target=INSTANTS[instant], args=(tiny, tmp_path / "model", recipe)
        )
        child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert (tmp_path / "model").exists() == (instant == "while cleaning")
    seen: list[Step] = []
    record = train(tiny, TEXTS, tmp_path / "model", recipe, progress=seen.append)
    assert differing(tmp_path / "model", whole / name) == []
    assert replace(record, seconds=0.0) == replace(read_training(whole / name), seconds=0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    steps = sum(step.name == "training" for step in seen)
    left = {"before a checkpoint": 9, "within an epoch": 6, "after an epoch": 4, "while storing": 9, "while saving": 4}
    assert steps == left.get(instant, 0) + 1, (
        "of nine steps those after the last checkpoint, a report of where it continues, and a report of the end"
    )
    last = [step for step in seen if step.name == "training"][-1]
    assert last.kept == last.total_passages


def test_another_process_that_trains_the_same_model_is_refused(tiny: str, tmp_path: Path) -> None:
    seen: list[str] = []

    def progress(step: Step) -> None:
        if step.name == "training" and not seen:
            with pytest.raises(RunDirectoryError) as caught:
                train(tiny, TEXTS, tmp_path / "model", RECIPES["full"])
            seen.append(str(caught.value))

    train(tiny, TEXTS, tmp_path / "model", RECIPES["full"], progress=progress)
    assert seen == [
        f"{tmp_path / 'model'}: another process trains this model; wait until it has finished, or name another folder"
    ]


def test_a_damaged_checkpoint_is_no_checkpoint(tiny: str, whole: Path, tmp_path: Path) -> None:
    def stop(step: Step) -> None:
        if step.name == "training" and step.kept:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny, TEXTS, tmp_path / "model", RECIPES["full"], checkpoint_seconds=0, progress=stop)
    checkpoint = tmp_path / ".training-model" / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-900])
    train(tiny, TEXTS, tmp_path / "model", RECIPES["full"])
    assert differing(tmp_path / "model", whole / "full") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": replace(RECIPES["full"], epochs=4)}, "recipe epochs 3 there, 4 here"),
        ({"texts": TEXTS[1:]}, "the texts differ"),
        ({"validation": TEXTS[:2]}, "the texts for validation differ"),
        ({"base": "tiny_reference"}, "the files of the base model differ"),
    ],
)
def test_the_folder_of_another_training_is_refused(
    change: dict[str, Any], message: str, whole: Path, tiny: str, request: pytest.FixtureRequest
) -> None:
    asked = {"base": "tiny", "texts": TEXTS, "recipe": RECIPES["full"], **change}
    asked["base"] = request.getfixturevalue(asked["base"])
    with pytest.raises(
        RunDirectoryError, match=rf"full: holds a model of another training \({message}\); name another folder$"
    ):
        train(out=whole / "full", **asked)


def test_a_folder_of_something_else_is_refused(tiny: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(
        RunDirectoryError, match=r"holds no training\.json, so no model was trained there; name another"
    ):
        train(tiny, TEXTS, tmp_path, RECIPES["full"])
    with pytest.raises(RunDirectoryError, match=r"holds no training\.json"):
        train(tiny, TEXTS, tmp_path / "notes.txt", RECIPES["full"])


def test_a_base_that_was_moved_is_the_same_base(tiny: str, tmp_path: Path, whole: Path) -> None:
    shutil.copytree(tiny, tmp_path / "moved")
    record = train(tmp_path / "moved", TEXTS, whole / "full", RECIPES["full"])
    assert record.base == tiny
