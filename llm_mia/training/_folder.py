"""The folder of a trained model: it appears when the training is complete, and until then the work lies next to it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import save_file

from ..backends import ModelSpec
from ..backends.local import first_line, silence_libraries
from ..errors import RunDirectoryError
from ..records import SCHEMA_VERSION
from ..store import differences, to_json, write_text
from ._model import Trainee
from ._recipe import Recipe
from ._record import FILE, TrainingRecord, read_training

__all__ = [
    "CHECKPOINT",
    "MODEL",
    "Task",
    "begin",
    "epoch_folder",
    "finished_training",
    "publish",
    "save_model",
    "unfinished_folder",
]

IDENTITY, CHECKPOINT, MODEL = "task.json", "checkpoint.pt", "model"
DIGESTS = {
    "base_sha256": "the files of the base model differ",
    "texts_sha256": "the texts differ",
    "validation_sha256": "the texts for validation differ",
}
# Raise it whenever the same task would give other weights: trainings that were begun before start again.
REVISION = 1


@dataclass(frozen=True, slots=True)
class Task:
    """What decides the weights of a trained model."""

    recipe: Recipe
    base: str
    base_sha256: str | None
    texts_sha256: str
    validation_sha256: str | None
    revision: int = REVISION
    schema_version: int = SCHEMA_VERSION


def finished_training(folder: Path, task: Task, keep_epochs: Sequence[int]) -> TrainingRecord | None:
    """The record of the model in *folder*; None where the folder is empty or absent.

    Raises:
        RunDirectoryError: the folder holds another model, or something else.
    """
    if not (folder / FILE).exists():
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise RunDirectoryError(f"{folder}: holds no {FILE}, so no model was trained there; name another folder")
        return None
    record = read_training(folder)
    there = Task(record.recipe, record.base, record.base_sha256, record.texts_sha256, record.validation_sha256)
    if None in (there.base_sha256, task.base_sha256):
        there = replace(there, base_sha256=task.base_sha256)
    else:  # the digests decide, wherever the files lie
        there = replace(there, base=task.base)
    if there != task:
        what = "; ".join(_phrase(difference) for difference in differences(there, task))
        raise RunDirectoryError(f"{folder}: holds a model of another training ({what}); name another folder")
    missing = [n for n in keep_epochs if n < len(record.losses) and not epoch_folder(folder, n).is_dir()]
    if missing:
        raise RunDirectoryError(f"{folder}: holds no model of epoch {missing[0]}; name another folder")
    _remove(_work_folder(folder))  # a process that was killed at the very end has left it
    return record


def _phrase(difference: str) -> str:
    """The *difference* in words, where it is that of two digests, which nobody can compare."""
    return next((words for name, words in DIGESTS.items() if difference.startswith(name)), difference)


@contextlib.contextmanager
def unfinished_folder(folder: Path) -> Iterator[Path]:
    """The folder next to *folder* where the work on it lies; no other process uses it at the same time.

    An error before the first checkpoint leaves nothing behind.

    Raises:
        RunDirectoryError: another process trains there, or the folder cannot be written.
    """
    unfinished = _work_folder(folder)
    with explain_writing(folder):
        unfinished.mkdir(parents=True, exist_ok=True)
        lock = FileLock(unfinished / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunDirectoryError(
                f"{folder}: another process trains this model; wait until it has finished, or name another folder"
            ) from None
    try:
        yield unfinished
    finally:
        if not (unfinished / CHECKPOINT).exists():
            _remove(unfinished)
        lock.release()


def begin(unfinished: Path, task: Task) -> None:
    """Keep what lies in the folder *unfinished* if it belongs to *task*; remove it otherwise."""
    identity = unfinished / IDENTITY
    if identity.exists() and identity.read_text(encoding="utf-8") == to_json(task):
        return
    for path in unfinished.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != ".lock":
            path.unlink()
    write_text(identity, to_json(task))


def publish(unfinished: Path, folder: Path, record: TrainingRecord) -> None:
    """Give the saved model its record and its name, at once; then remove what was needed to train it.

    Raises:
        RunDirectoryError: the disk is full, or *folder* cannot be written.
    """
    model = unfinished / MODEL
    with explain_writing(folder):
        for kept in unfinished.glob("epoch-*"):
            kept.rename(model / kept.name)
        write_text(model / FILE, to_json(record))
        for path in model.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        model.rename(folder)
    _remove(unfinished)


def epoch_folder(folder: Path, epoch: int) -> Path:
    """Where the model after *epoch* lies, if it was to be kept."""
    return folder / f"epoch-{epoch}"


def save_model(trainee: Trainee, spec: ModelSpec, folder: Path) -> None:
    """Write the model and its tokenizer to *folder*; of LoRA the adapter alone, which names its base as *spec* does.

    Raises:
        RunDirectoryError: the disk is full.
    """
    shutil.rmtree(folder, ignore_errors=True)  # a process that was killed may have left a part of it
    base = trainee.base
    with explain_writing(folder), silence_libraries():
        folder.mkdir(parents=True)
        if trainee.adapter is None:
            base.model.save_pretrained(folder)
            base.tokenizer.save_pretrained(folder)
        elif _is_adapter(spec.name):  # an adapter on an adapter is not loaded
            merged = deepcopy(trainee.adapter).merge_and_unload()
            merged.save_pretrained(folder)
            base.tokenizer.save_pretrained(folder)
        else:
            _save_adapter(trainee.adapter, str(spec.name), base.info.revision, folder)


def _save_adapter(adapter: Any, base: str, revision: str | None, folder: Path) -> None:
    """Write an adapter by itself: peft would ask the hub about its base, and add a page that describes it."""
    from peft import get_peft_model_state_dict

    config = copy(adapter.peft_config["default"])
    config.base_model_name_or_path, config.revision = base, revision
    config.inference_mode = True
    config.target_modules = sorted(config.target_modules)  # a set has another order in each process
    config.save_pretrained(folder)
    weights = get_peft_model_state_dict(adapter, save_embedding_layers=False)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})


def _is_adapter(name: str | Path) -> bool:
    return (Path(name).expanduser() / "adapter_config.json").is_file()


def _work_folder(folder: Path) -> Path:
    return folder.with_name(f".training-{folder.name}")


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def explain_writing(folder: Path) -> Iterator[None]:
    """Turn an error of the file system into a `RunDirectoryError` of a single line."""
    try:
        yield
    except (OSError, SafetensorError) as error:  # safetensors has an error of its kind for a disk that is full
        reason = getattr(error, "strerror", None) or first_line(error)
        raise RunDirectoryError(
            f"{folder}: cannot be written ({reason}); free space or fix the folder and run the same command: it "
            "continues from the last checkpoint"
        ) from None
