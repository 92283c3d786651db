"""Hidden states × head → per-token statistics, without ever holding tokens × vocabulary."""

from ._head import Head
from ._reducer import Moments, Reducer

__all__ = ["Head", "Moments", "Reducer"]
