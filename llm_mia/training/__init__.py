"""Training: it makes models with known members, because the caller chooses the texts.

A `Recipe` says how, `train` does it, and `TrainingRecord` says what was done. Only the
functions that train need torch, which is imported when a model is trained.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._accounting import check_privacy
from ._recipe import EarlyStopping, Method, Privacy, Recipe
from ._record import TrainingRecord, explained_damage, read_training, refuse_damaged

if TYPE_CHECKING:
    from ._estimating import estimate_models
    from ._side_by_side import Ask, Job, compute_side_by_side
    from ._train import train
    from ._training import Training
    from ._updates import Guarantee, Updates, next_token_loss

__all__ = [
    "Ask",
    "EarlyStopping",
    "Guarantee",
    "Job",
    "Method",
    "Privacy",
    "Recipe",
    "Training",
    "TrainingRecord",
    "Updates",
    "check_privacy",
    "compute_side_by_side",
    "estimate_models",
    "explained_damage",
    "next_token_loss",
    "read_training",
    "refuse_damaged",
    "train",
]

_MODULES = {
    "Ask": "_side_by_side",
    "Guarantee": "_updates",
    "Job": "_side_by_side",
    "Training": "_training",
    "Updates": "_updates",
    "compute_side_by_side": "_side_by_side",
    "estimate_models": "_estimating",
    "next_token_loss": "_updates",
    "train": "_train",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
