"""Passes on more than a process or a machine, by engines that others keep.

* accelerate starts the processes, and lets them wait for each other
* Ray: `score_dataset`, or any call within `shared_by_ray`; the workers of a cluster compute ranges of passages
* `datatrove`: a step of its pipelines, for Slurm or Ray
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._accelerate import launched_rank, started_alone
from ._urls import check_address, is_url

if TYPE_CHECKING:
    from ._ray_passages import read_url
    from ._ray_sharing import shared_by_ray
    from ._score_dataset import score_dataset
    from ._sharing import shared_by_accelerate

__all__ = [
    "check_address",
    "is_url",
    "launched_rank",
    "read_url",
    "score_dataset",
    "shared_by_accelerate",
    "shared_by_ray",
    "started_alone",
]

_HEAVY = {
    "read_url": "_ray_passages",
    "score_dataset": "_score_dataset",
    "shared_by_accelerate": "_sharing",
    "shared_by_ray": "_ray_sharing",
}
"""What imports more than the standard library, with its module: it is imported when it is needed."""


def __getattr__(name: str) -> Any:
    """What `_HEAVY` names."""
    if name in _HEAVY:
        return getattr(import_module(f".{_HEAVY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
