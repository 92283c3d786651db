"""Training: it makes models with known members, because the caller chooses the texts.

A `Recipe` says how, `train` does it, and `TrainingRecord` says what was done. Only `train` needs torch, which is
imported when a model is trained.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._accounting import check_privacy
from ._recipe import EarlyStopping, Method, Privacy, Recipe
from ._record import TrainingRecord, explained_damage, read_training, refuse_damaged

if TYPE_CHECKING:
    from ._train import train
    from ._updates import Guarantee, Updates, next_token_loss

__all__ = [
    "EarlyStopping",
    "Guarantee",
    "Method",
    "Privacy",
    "Recipe",
    "TrainingRecord",
    "Updates",
    "check_privacy",
    "explained_damage",
    "next_token_loss",
    "read_training",
    "refuse_damaged",
    "train",
]

_MODULES = {"Guarantee": "_updates", "Updates": "_updates", "next_token_loss": "_updates", "train": "_train"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
