"""One training, from a base model and texts to a folder with the trained model and its record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import torch

from ..backends import ModelSpec
from ..errors import UsageError
from ..signals import Progress, Step, report_activity
from ._change import Weights
from ._checkpoint import Checkpoints
from ._folder import (
    CHECKPOINT,
    MODEL,
    Task,
    begin,
    epoch_folder,
    finished_training,
    publish,
    save_model,
    unfinished_folder,
)
from ._loop import Loop
from ._model import Trainee, build_model, cuda_devices, dropping
from ._private import PrivateUpdates
from ._recipe import Method, Recipe
from ._record import TrainingRecord
from ._texts import TrainingTexts, prepare_texts, texts_sha256
from ._updates import OrdinaryUpdates, Updates

__all__ = ["train", "updates_of"]


def train(
    base: ModelSpec | str | Path,
    texts: Sequence[str],
    out: str | Path,
    recipe: Recipe,
    *,
    validation: Sequence[str] = (),
    keep_epochs: Sequence[int] = (),
    checkpoint_seconds: float = 60.0,
    name: str = "training",
    progress: Progress | None = None,
) -> TrainingRecord:
    """Train a model on *texts*, and write it into the folder *out* with its record; the folder is a model to load.

    A training that was stopped at any instant continues with the same call, and gives the same weights as one that was
    not stopped; a finished one is not repeated. Texts are not packed together, and padding is in no loss. Weights are
    trained in float32. With LoRA the folder holds the adapter alone, which is merged into its base when it is loaded.

    Args:
        base: the model that the training begins with.
        texts: the members; a text longer than the model's context is cut there.
        out: the folder of the trained model.
        recipe: how it is trained.
        validation: texts that are not trained on, whose loss is computed after every epoch.
        keep_epochs: the model after these epochs, the last excepted, is written, too: to the folders ``epoch-1`` … in
            *out*.
        checkpoint_seconds: how often the state of the training is stored within an epoch; it is stored after every
            epoch but the last, too. A state that takes more than a second to store is stored less often. 0: after every
            step.
        name: what the progress bar calls the work.
        progress: called after every step.

    Raises:
        ModelError: the model fails, the loss is no longer a number (the message names the step), or no weight changed.
        MissingExtraError: the recipe needs a package that is not installed.
        UsageError: there are too few texts.
        RunDirectoryError: *out* holds a model of another recipe, base or texts, or cannot be written.
    """
    if not texts:
        raise UsageError("`texts` is empty: give the texts to train on")
    folder, spec = Path(out), base if isinstance(base, ModelSpec) else ModelSpec(base)
    validated = texts_sha256(validation) if validation else None
    task = Task(recipe, str(spec.name), spec.sha256(), texts_sha256(texts), validated)
    record = finished_training(folder, task, keep_epochs)
    if record is not None:
        if progress:
            progress(Step(name, len(texts), record.tokens, 1, len(texts), 1, kept=len(texts)))
        return record
    with unfinished_folder(folder) as work:
        report_activity(progress, "loading the model")
        trainee = build_model(spec, recipe)
        task = replace(task, base_sha256=spec.sha256())  # a model of the hub is here only now
        begin(work, task)
        prepared = prepare_texts(trainee.base, texts, recipe, validation)
        loop = Loop(trainee.base, updates_of(trainee, prepared, recipe), prepared, recipe)
        before = Weights(trainee)
        checkpoints = Checkpoints(work / CHECKPOINT, checkpoint_seconds)
        with torch.random.fork_rng(devices=cuda_devices()), dropping(trainee, recipe.dropout):
            torch.manual_seed(recipe.seed)
            for ended in _steps(loop, checkpoints):
                if ended in keep_epochs and not loop.finished:
                    save_model(trainee, spec, epoch_folder(work, ended))
                checkpoints.store_if_due(loop, epoch_ended=ended > 0)
                _report(progress, name, loop, checkpoints.tokens)
        record = _record(task, loop, before.change())
        report_activity(progress, "saving the model")
        save_model(trainee, spec, work / MODEL)
        publish(work, folder, record)
        _report(progress, name, loop, None)
    return record


def _steps(loop: Loop, checkpoints: Checkpoints) -> Iterator[int]:
    """Train from the last checkpoint to the end; yields the number of the epoch that a step has ended, or 0."""
    checkpoints.restore(loop)
    if loop.state.steps:
        yield 0  # the progress that was restored
    for epoch_ended in loop.run():
        yield loop.state.epoch if epoch_ended else 0


def updates_of(trainee: Trainee, texts: TrainingTexts, recipe: Recipe) -> Updates:
    """How the weights of *trainee* change."""
    if recipe.privacy is not None:
        return PrivateUpdates(trainee, texts, recipe)
    return OrdinaryUpdates(trainee.base, recipe)


def _report(progress: Progress | None, name: str, loop: Loop, checkpoint: int | None) -> None:
    """Report to *progress*; *checkpoint*: the tokens until the last checkpoint, or None where the model is written."""
    if progress is None:
        return
    texts = len(loop.texts.trained)
    whole = sum(map(len, loop.texts.trained)) * loop.recipe.epochs
    done = whole if loop.finished else min(loop.state.tokens, whole)  # it may stop early
    kept = whole if checkpoint is None else min(checkpoint, done)
    progress(Step(name, texts * done // whole, done, done, texts, whole, kept=texts * kept // whole))


def _record(task: Task, loop: Loop, change: float) -> TrainingRecord:
    state, guarantee = loop.state, loop.updates.guarantee()
    private = {} if guarantee is None else asdict(guarantee)
    return TrainingRecord(
        recipe=task.recipe,
        base=task.base,
        base_sha256=task.base_sha256,
        texts_sha256=task.texts_sha256,
        validation_sha256=task.validation_sha256,
        texts=len(loop.texts.trained),
        tokens=loop.texts.tokens,
        steps=state.steps,
        losses=tuple(state.losses),
        set_aside=loop.texts.set_aside,
        cut=loop.texts.cut,
        validation_losses=tuple(state.validation_losses),
        best_epoch=state.best_epoch,
        change=change,
        seconds=state.seconds,
        versions=tuple(f"{package} {version(package)}" for package in _packages(task.recipe)),
        **private,
    )


def _packages(recipe: Recipe) -> list[str]:
    """The packages that compute a training."""
    adapter = ["peft"] if recipe.method is Method.LORA else []
    return ["torch", "transformers", "accelerate", *adapter, *(["opacus"] if recipe.privacy else [])]
