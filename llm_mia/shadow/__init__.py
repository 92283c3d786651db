"""Shadow models: models of the same base and recipe, each trained on a random half of the documents of a pool.

Each document is in exactly half of the shadows, so a passage has models that know it and models that do not. The folder
of a set of shadows is a run directory: ``shadows.json``, ``models/shadow-00`` …, ``signals/shadow-00`` ….
"""

from ._plan import plan_shadows
from ._pool import FEWEST_DOCUMENTS
from ._record import ShadowRecord, ShadowsPlan, ShadowsRecord
from ._shadows import Shadows, read_shadows
from ._split import FEWEST_SHADOWS, draw_halves
from ._table import shadow_table
from ._train_shadows import train_shadows

__all__ = [
    "FEWEST_DOCUMENTS",
    "FEWEST_SHADOWS",
    "ShadowRecord",
    "Shadows",
    "ShadowsPlan",
    "ShadowsRecord",
    "draw_halves",
    "plan_shadows",
    "read_shadows",
    "shadow_table",
    "train_shadows",
]
