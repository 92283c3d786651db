"""Checks that the functions of this package share, and rounding that makes equal ratios compare equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import CalibrationError, InputError, UsageError

Floats: TypeAlias = NDArray[np.float64]

POSITIONS_SHOWN = 5
BLOCK = 1 << 16
"""Values that a function takes at once."""


def sorted_finite(calibration: ArrayLike) -> Floats:
    """The calibration scores in ascending order, shape (n,).

    Raises `CalibrationError` where there are none, and `InputError` where a score is NaN or infinite.
    """
    known = finite(calibration, "calibration scores")
    if len(known) == 0:
        raise CalibrationError("there are no calibration scores: known non-members are needed")
    return np.sort(known)


def finite(values: ArrayLike, what: str) -> Floats:
    """*values* as an array of finite numbers, shape (n,).

    Raises `UsageError` for another shape, and `InputError` for a value that is NaN or infinite; the message calls the
    values *what* and gives the positions.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise UsageError(f"{what} must be a flat list, not an array of shape {array.shape}")
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise InputError(f"{len(bad)} of {len(array)} {what} are NaN or infinite (index {listed(bad)})")
    return array


def listed(positions: NDArray[np.intp]) -> str:
    """The first five positions as text, for a message.

    >>> listed(np.arange(9))
    '0, 1, 2, 3, 4 …'
    """
    shown = ", ".join(map(str, positions[:POSITIONS_SHOWN].tolist()))
    return shown + (" …" if len(positions) > POSITIONS_SHOWN else "")


def in_blocks(function: Callable[[Floats], Floats], values: Floats) -> Floats:
    """What *function* gives for each of *values*; of millions of them, what it computes with is small beside them."""
    results = np.empty(values.shape)
    flat, given = results.ravel(), values.ravel()
    for start in range(0, len(flat), BLOCK):
        flat[start : start + BLOCK] = function(given[start : start + BLOCK])
    return results


def check_rate(name: str, rate: float) -> None:
    """Raise `UsageError` unless *rate*, the parameter *name*, lies strictly between 0 and 1."""
    if not 0 < rate < 1:
        percent = f"; for {rate:g} % give {rate / 100:g}" if 1 <= rate < 100 else ""
        raise UsageError(f"`{name}` must lie between 0 and 1, both excluded: got {rate:g}{percent}")


def twelve_digits(x: float) -> float:
    """*x* rounded to twelve significant digits, so that equal ratios compare equal."""
    return float(f"{x:.12g}")


def error_probability(confidence: float) -> float:
    """1 − *confidence*, rounded: 0.05 for 0.95, where plain subtraction gives 0.050000000000000044."""
    check_rate("confidence", confidence)
    return twelve_digits(1 - confidence)
