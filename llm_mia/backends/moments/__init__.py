"""Hidden states × head → per-token statistics, without holding tokens × vocabulary."""

from ._compiled import compiled_sweep
from ._eager import eager_sweep
from ._head import Head
from ._reducer import Moments, Reducer

__all__ = ["Head", "Moments", "Reducer", "compiled_sweep", "eager_sweep"]
