"""What a detector is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._table import Table

__all__ = ["Detector", "Scored", "blind_reason"]


@dataclass(frozen=True, slots=True)
class Scored:
    """What a detector measures of each group of a table."""

    values: NDArray[np.float64]
    """Shape (groups,): more is more like an attack; 0 is nothing."""
    rows: NDArray[np.bool_]
    """Shape (rows,): the requests that count."""


@dataclass(frozen=True, slots=True)
class Detector:
    """A detector: what it measures, and what a log must record for it to see anything."""

    name: str
    needs: Sequence[Sequence[str]]
    """Fields of `Query`, of each group at least one."""
    weakened_without: Sequence[str]
    """Fields without which it cannot set benign traffic apart."""
    score: Callable[[Table], Scored]
    pooled: bool = True
    """Whether it also measures families of requests of many clients."""


def blind_reason(detector: Detector, fields: frozenset[str]) -> str:
    """Why *detector* is blind to logs that record *fields*; empty where it is not."""
    missing = [" or ".join(f"`{name}`" for name in group) for group in detector.needs if not set(group) & fields]
    return f"the log has no {', and no '.join(missing)}" if missing else ""
