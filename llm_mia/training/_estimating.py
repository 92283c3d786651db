"""How long trainings will take, and the passes of the models that they will make: measured, and nothing is written."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import torch

from ..backends import ModelSpec
from ..signals import (
    DryRun,
    Estimated,
    Inputs,
    PassEstimate,
    PlannedPass,
    Progress,
    TrainingEstimate,
    report_activity,
    run_passes,
)
from ..store import RunDirectory
from ._folder import Task, finished_training
from ._loop import Loop, trained_weights
from ._model import build_model, cuda_devices, dropping
from ._recipe import Method
from ._texts import prepare_texts, texts_sha256
from ._train import updates_of
from ._training import Training

__all__ = ["estimate_models"]

MEASURED_SECONDS = 2.0
"""Time after which no further step is measured; the first step, which may be slow, does not count."""
FEWEST_STEPS = 3
STAND_IN = "untrained"
"""The name of the pass that is measured in the place of those of models that are not trained yet."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a model is trained."""

    loading: float
    """Seconds until the first step begins."""
    seconds_per_token: float
    tokens_per_byte: float
    bytes_on_disk: int


def estimate_models(
    dry: DryRun,
    base: ModelSpec,
    trainings: Sequence[Training],
    passes: Sequence[str],
    inputs: Inputs,
    run: RunDirectory,
    *,
    canaries: int = 0,
    window_tokens: int | None = None,
    progress: Progress | None = None,
) -> Estimated:
    """Estimate a call that trains models and lets each read all passages; returns the exception that ends its dry run.

    The first training of each kind, with DP-SGD and without, is measured for some steps, and the others are as fast for
    each token; the seconds are those of trainings one after another. The passes of the trained models take as long as
    that of the base, which is measured.

    Args:
        dry: the dry run.
        base: the model that every training begins with.
        trainings: all trainings; finished ones are left out.
        passes: the names of all passes over *inputs*; those whose signals are stored are left out.
        inputs: what each model reads.
        run: the run directory.
        canaries: how many of *inputs* are no passages of the user, but random texts that the call adds.
        window_tokens: see `llm_mia.signals`.
        progress: called with what is measured.

    Raises:
        ModelError, UsageError, RunDirectoryError: as the call would.
    """
    paces: dict[bool, Pace] = {}
    for training in trainings:
        if _is_finished(training):
            continue
        private = training.recipe.privacy is not None
        if private not in paces:
            report_activity(progress, f"measuring the training of {training.name}")
            began = time.monotonic()
            paces[private] = _measure(training)
            dry.measuring += time.monotonic() - began
        dry.trainings.append(_estimate(training, paces[private]))
    missing = [name for name in passes if _lacks(run, name, inputs)]
    if missing:
        loading = min((pace.loading for pace in paces.values()), default=math.inf)
        dry.passes.extend(_passes(dry, base, missing, inputs, run, window_tokens, progress, loading))
    return Estimated(dry.estimate(inputs.passages - canaries, canaries))


def _is_finished(training: Training) -> bool:
    task = Task(training.recipe, str(training.base.name), training.base.sha256(), texts_sha256(training.texts), None)
    return finished_training(training.out, task, ()) is not None


def _bytes(training: Training) -> int:
    """Of all texts and epochs."""
    return training.recipe.epochs * sum(len(text.encode()) for text in training.texts)


def _measure(training: Training) -> Pace:
    """Train for some steps; what is trained is thrown away."""
    recipe = training.recipe
    build_model(training.base, recipe)  # imports packages, which the other trainings find imported
    began = time.monotonic()
    trainee = build_model(training.base, recipe)
    texts = prepare_texts(trainee.base, training.texts, recipe)
    loop = Loop(trainee.base, updates_of(trainee, texts, recipe), texts, recipe)
    loading, marks = time.monotonic() - began, list[tuple[float, int]]()
    with torch.random.fork_rng(devices=cuda_devices()), dropping(trainee, recipe.dropout):
        torch.manual_seed(recipe.seed)
        for _ in loop.run():
            marks.append((loop.state.seconds, loop.state.tokens))
            if len(marks) >= FEWEST_STEPS and marks[-1][0] - marks[0][0] >= MEASURED_SECONDS:
                break
    (first, fed), (last, all_fed) = marks[0] if len(marks) > 1 else (0.0, 0), marks[-1]
    model = trainee.base.model
    # Of LoRA the adapter alone is stored.
    saved = trained_weights(model).values() if recipe.method is Method.LORA else model.parameters()
    return Pace(
        loading=loading,
        seconds_per_token=(last - first) / max(1, all_fed - fed),
        tokens_per_byte=sum(map(len, texts.trained)) * recipe.epochs / max(1, _bytes(training)),
        bytes_on_disk=sum(weights.numel() * weights.element_size() for weights in saved),
    )


def _estimate(training: Training, pace: Pace) -> TrainingEstimate:
    tokens = round(_bytes(training) * pace.tokens_per_byte)
    seconds = pace.loading + tokens * pace.seconds_per_token
    return TrainingEstimate(training.name, len(training.texts), tokens, seconds, pace.bytes_on_disk)


def _lacks(run: RunDirectory, name: str, inputs: Inputs) -> bool:
    return name not in run.record.passes or bool(run.signals(name, ()).missing(inputs.passages))


def _passes(
    dry: DryRun,
    base: ModelSpec,
    missing: Sequence[str],
    inputs: Inputs,
    run: RunDirectory,
    window_tokens: int | None,
    progress: Progress | None,
    most_loading: float,
) -> list[PassEstimate]:
    """The passes that are *missing*, as long as the pass of the base, which is measured.

    The first model takes longest to load, because its precision is chosen and packages are imported: the loading of
    another takes at most *most_loading* seconds.
    """
    began, measured, before = time.monotonic(), dry.measuring, len(dry.passes)
    planned = [PlannedPass(STAND_IN, STAND_IN, STAND_IN, inputs)]
    with suppress(Estimated):  # what it measured is in *dry*
        run_passes(run, inputs, {STAND_IN: base}, planned, window_tokens=window_tokens, progress=progress)
    (of_base,) = dry.passes[before:]
    del dry.passes[before:]
    loading = min(most_loading, time.monotonic() - began - (dry.measuring - measured))
    first, *others = [replace(of_base, name=name, role=name) for name in missing]
    return [first, *(replace(each, seconds=each.seconds + loading) for each in others)]
