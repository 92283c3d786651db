"""Models that are trained at the same time, in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from llm_mia.backends import ModelSpec
from llm_mia.errors import ModelError, UsageError
from llm_mia.signals import Step
from llm_mia.training import Method, Recipe, Training, compute_side_by_side, train
from tests.conftest import sentences

RECIPE = Recipe(Method.FULL, epochs=2, batch_size=4, learning_rate=1e-2)


def trainings(tiny: str, folder: Path, recipe: Recipe = RECIPE, number: int = 2) -> list[Training]:
    return [
        Training(ModelSpec(tiny), tuple(sentences(6 + at, seed=at)), folder / f"model-{at}", recipe, f"shadow-{at:02d}")
        for at in range(number)
    ]


def test_each_equals_a_model_that_is_trained_alone_and_the_steps_add_up(tiny: str, tmp_path: Path) -> None:
    steps: list[Step] = []
    there = trainings(tiny, tmp_path)
    compute_side_by_side(there, 2, name="both", progress=steps.append)
    assert {step.name for step in steps} == {"both"}
    assert (steps[-1].passages, steps[-1].total_passages) == (13, 13)
    assert steps[-1].bytes == steps[-1].total_bytes
    train(tiny, there[1].texts, tmp_path / "alone", RECIPE)
    first, second = (load_file(folder / "model.safetensors") for folder in (tmp_path / "alone", there[1].out))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_a_failure_names_the_model_and_keeps_its_kind(tiny: str, tmp_path: Path) -> None:
    diverging = replace(RECIPE, learning_rate=1e9, epochs=50)
    with pytest.raises(ModelError, match=r"^shadow-0[01]: .* step "):
        compute_side_by_side(trainings(tiny, tmp_path, diverging), 2, name="both")
    assert not list(tmp_path.glob("model-*"))


def test_a_killed_process_is_no_silence(tiny: str, tmp_path: Path) -> None:
    def kill() -> None:
        while not (running := multiprocessing.active_children()):
            time.sleep(0.01)
        os.kill(running[0].pid or 0, signal.SIGKILL)

    killing = threading.Thread(target=kill)
    killing.start()
    with pytest.raises(ModelError, match=r"^shadow-00: the process that trained it was killed by signal 9"):
        compute_side_by_side(trainings(tiny, tmp_path, number=1), 1, name="alone")
    killing.join()
    assert not multiprocessing.active_children()


def test_less_than_a_process_is_refused(tiny: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`processes` is 0"):
        compute_side_by_side(trainings(tiny, tmp_path), 0, name="none")
