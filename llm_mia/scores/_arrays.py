"""Arrays, lists and DataFrames as the columns of a table of scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["by_attack", "floats", "names_of", "plain_objects", "refuse_other_length"]


def by_attack(scores: Mapping[str, ArrayLike] | ArrayLike | pd.DataFrame) -> Mapping[str, ArrayLike]:
    if isinstance(scores, Mapping):
        return scores
    if hasattr(scores, "columns") and hasattr(scores, "__arrow_c_stream__"):  # a DataFrame of pandas or polars
        frame: Any = scores
        return {str(column): frame[column] for column in frame.columns}
    return {"score": scores}


def floats(what: str, values: ArrayLike, name: str) -> NDArray[np.float64]:
    if isinstance(values, np.ma.MaskedArray):
        masked: Any = values if values.dtype.kind == "f" else values.astype(np.float64)
        values = masked.filled(np.nan)
    if np.iscomplexobj(values):
        raise UsageError(f"{name}: `{what}` holds complex numbers: give real ones")
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):  # the last by torch, of a tensor with a gradient
        raise UsageError(f"{name}: `{what}` holds something that is not a number") from None
    if column.ndim != 1:
        raise UsageError(
            f"{name}: `{what}` has {column.ndim} dimensions, not 1: give a score for each passage, "
            "and several attacks as a mapping"
        )
    return column


def names_of(
    what: str, values: Sequence[object] | NDArray[Any] | None, n: int, name: str, *, instead: Sequence[str] = ()
) -> list[str]:
    """The values as strings; where a value is missing, that of *instead*, as it is read from a file."""
    if values is None:
        return []
    refuse_other_length(what, values, n, name)
    plain = plain_objects(values)
    instead = instead or ["unknown"] * n
    return [other if value in (None, "") else str(value) for value, other in zip(plain, instead, strict=True)]


def refuse_other_length(what: str, values: object, n: int, name: str) -> None:
    if not isinstance(values, Sized) or isinstance(values, str | bytes):
        raise UsageError(f"{name}: `{what}` is of the type {type(values).__name__}: give a list, one value a passage")
    if len(values) != n:
        raise UsageError(f"{name}: {n} scores, but `{what}` has {len(values)} values: give a value for each passage")


def plain_objects(values: Sequence[object] | NDArray[Any]) -> list[object]:
    """The values as Python objects: a numpy or pandas scalar is not a key of the dictionary of labels.

    What a library marks as missing is None: NaN, and pandas.NA, which equals nothing.
    """
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    return [None if _is_missing(value) else value for value in listed]


def _is_missing(value: object) -> bool:
    return type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and math.isnan(value))
