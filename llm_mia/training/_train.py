"""One training, from a base model and texts to a folder with the trained model and its record."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from ..backends import ModelSpec, embedded
from ..backends.local import load
from ..signals import Progress, Step
from ..store import to_json, write_text
from ._fine_tune import fine_tune
from ._recipe import Recipe
from ._record import FILE, TrainingRecord, read_training

__all__ = ["train"]


def train(
    base: ModelSpec | str | Path,
    texts: Sequence[str],
    out: str | Path,
    recipe: Recipe,
    *,
    validation: Sequence[str] = (),
    name: str = "training",
    progress: Progress | None = None,
) -> TrainingRecord:
    """Train a model on *texts*, and write it into the folder *out* with its record; the folder is a model to load.

    A training that was stopped at any instant continues with the same call; a finished one is not repeated.

    Args:
        base: the model that the training begins with.
        texts: the members.
        out: the folder of the trained model.
        recipe: how it is trained.
        validation: texts that are not trained on, whose loss is computed after every epoch.
        name: what the progress bar calls the work.
        progress: called after every step.

    Raises:
        ModelError: the model fails, the loss is no longer a number (the message names the step), or no weight changed.
        MissingExtraError: the recipe needs a package that is not installed.
        UsageError: *out* holds a model of another recipe, base or texts.
    """
    del validation
    folder, spec = Path(out), base if isinstance(base, ModelSpec) else ModelSpec(base)
    if (folder / FILE).exists():
        return read_training(folder)
    started = time.monotonic()
    path = embedded.gguf_file() if str(spec.name) == embedded.NAME else spec.name
    model = load(
        str(path),
        name=str(spec.name),
        revision=spec.revision,
        dtype="float32",
        device=spec.device,
        trust_remote_code=spec.trust_remote_code,
        compiled=False,
    )

    def report(done: int, total: int) -> None:
        if progress:
            progress(Step(name, len(texts) * done // total, done, done, len(texts), total))

    unfinished = folder.with_name(f".training-{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    rates = {"epochs": recipe.epochs, "batch_size": recipe.batch_size, "seed": recipe.seed}
    fine_tune(model, texts, unfinished, learning_rate=recipe.rate, progress=report, **rates)
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    record = TrainingRecord(
        recipe, str(spec.name), spec.sha256(), digest, len(texts), 0, 0, (), seconds=time.monotonic() - started
    )
    write_text(unfinished / FILE, to_json(record))
    unfinished.rename(folder)
    return record
