"""What a training did: the contents of ``training.json`` in the folder of the trained model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError, RunDirectoryError
from ..records import SCHEMA_VERSION
from ..store import read_record
from ._recipe import Recipe

__all__ = ["FILE", "TrainingRecord", "explained_damage", "read_training", "refuse_damaged"]

FILE = "training.json"
AGAIN = "remove this folder, and run the same command again, which trains the model again"


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """What a training did."""

    recipe: Recipe
    base: str
    """The base model, as the user named it."""
    base_sha256: str | None
    """Digest of the base model's files; None for a model in memory."""
    texts_sha256: str
    """Digest of the training texts, in order."""
    validation_sha256: str | None
    """Digest of the texts that were given for validation, in order; None where there were none."""
    texts: int
    """How many texts were trained on."""
    tokens: int
    """Tokens of these texts, each once."""
    steps: int
    """Steps of the optimizer."""
    losses: tuple[float, ...]
    """Mean loss of each epoch on the training texts, nats per token; label smoothing is not counted."""
    set_aside: tuple[int, ...] = ()
    """Positions of the given texts that early stopping set aside: the model was not trained on them."""
    cut: int = 0
    """How many of the texts that were trained on are longer than the model's context, where they were cut."""
    validation_losses: tuple[float, ...] = ()
    """Loss on the validation texts after each epoch, nats per token; empty where there are none."""
    best_epoch: int | None = None
    """The epoch, counted from 1, whose weights were kept by early stopping."""
    change: float = 0.0
    """L2 norm of the change of the trained weights, divided by the norm of the weights before (or of the weights after,
    where they were zero). Above zero, or `train` refuses."""
    epsilon: float | None = None
    """ε that the accountant of DP-SGD reports for these steps; None for ordinary training."""
    delta: float | None = None
    """δ of that ε."""
    noise_multiplier: float | None = None
    """Standard deviation of DP-SGD's noise, divided by the clipping norm."""
    seconds: float = 0.0
    """Time that the training took, resumed parts included."""
    versions: tuple[str, ...] = ()
    """Of the packages that computed, such as ``torch 2.13.0``."""
    schema_version: int = SCHEMA_VERSION


def read_training(folder: str | Path) -> TrainingRecord:
    """The record of the training in the folder of a trained model.

    Raises:
        ModelError: the folder holds no ``training.json``, so it is not a model that `train` finished.
    """
    return read_record(TrainingRecord, Path(folder) / FILE, ModelError, "train it again")


def refuse_damaged(folder: Path) -> None:
    """Refuse the *folder* of a trained model that lacks a part; it is for callers that choose the folder themselves.

    Raises:
        RunDirectoryError: the message says what is missing, and what trains the model again.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    try:
        read_training(folder)
        missing = "" if any(folder.glob("*.safetensors")) else "holds no weights"
    except ModelError:
        missing = f"holds no {FILE} that can be read"
    if missing:
        raise RunDirectoryError(f"{folder}: is damaged ({missing}); {AGAIN}")


@contextmanager
def explained_damage(folders: Iterable[Path]) -> Iterator[None]:
    """Adds to the error of a model in one of the *folders*, which `train` wrote, what trains it again."""
    try:
        yield
    except ModelError as error:
        if any(f"'{folder}'" in str(error) for folder in folders):
            raise ModelError(f"{error}; if its files are damaged, {AGAIN}") from error
        raise
