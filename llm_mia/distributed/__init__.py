"""Passes on more than a process or a machine, by engines that others keep.

* accelerate starts the processes, and lets them wait for each other
* `datatrove`: a step of its pipelines, for Slurm or Ray
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._accelerate import launched_rank, started_alone

if TYPE_CHECKING:
    from ._sharing import shared_by_accelerate

__all__ = ["launched_rank", "shared_by_accelerate", "started_alone"]


def __getattr__(name: str) -> Any:
    """What imports more than the standard library, when it is needed."""
    if name == "shared_by_accelerate":
        from ._sharing import shared_by_accelerate

        return shared_by_accelerate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
