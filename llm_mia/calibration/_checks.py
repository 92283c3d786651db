"""What every function of this room asks of what it is given, and how it compares ratios that were decimals."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import CalibrationError

Floats: TypeAlias = NDArray[np.float64]

NAMED = 5


def sorted_finite(calibration: ArrayLike) -> Floats:
    """Calibration scores ascending, shape (n,), n ≥ 1; `CalibrationError` otherwise."""
    known = finite(calibration, "calibration scores")
    if len(known) == 0:
        raise CalibrationError("there are no calibration scores: known non-members are needed")
    return np.sort(known)


def finite(values: ArrayLike, what: str) -> Floats:
    """*values* as one list of finite numbers; `CalibrationError` names *what* they are and where it fails."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise CalibrationError(f"{what} must be one list, not an array of shape {array.shape}")
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise CalibrationError(f"{len(bad)} of {len(array)} {what} are NaN or infinite (index {listed(bad)})")
    return array


def listed(positions: NDArray[np.intp]) -> str:
    """The first few positions, for a message of one line.

    >>> listed(np.arange(9))
    '0, 1, 2, 3, 4 …'
    """
    return ", ".join(map(str, positions[:NAMED].tolist())) + (" …" if len(positions) > NAMED else "")


def check_rate(name: str, rate: float) -> None:
    """`CalibrationError` unless *rate* lies strictly between 0 and 1."""
    if not 0 < rate < 1:
        raise CalibrationError(f"{name} must lie between 0 and 1, both excluded: got {rate:g}")


def twelve_digits(x: float) -> float:
    """*x* to twelve significant digits, so that equal ratios compare equal."""
    return float(f"{x:.12g}")


def risk(confidence: float) -> float:
    """What *confidence* leaves: 0.05 for 0.95, where plain subtraction gives 0.050000000000000044."""
    check_rate("confidence", confidence)
    return twelve_digits(1 - confidence)
