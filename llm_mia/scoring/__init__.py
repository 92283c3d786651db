"""Passages × models → signals on disk → one score a passage and attack.

    read · encode · cut ─► a block ahead ─► the model ─► a part written beside it ─► … ─► scores.parquet
         one thread                        this thread          one thread

Each model is loaded once, makes every pass that the attacks need of it, and leaves; where the run directory holds its
signals already it is not loaded at all. A text that stands more than once is scored once, as far as `Held` reaches.
"""

from ._aids import Aids, Material
from ._frequencies import count_frequencies
from ._progress import Progress, Step
from ._score import ModelSource, Scored, attacks_for, score, score_to_disk

__all__ = [
    "Aids",
    "Material",
    "ModelSource",
    "Progress",
    "Scored",
    "Step",
    "attacks_for",
    "count_frequencies",
    "score",
    "score_to_disk",
]
