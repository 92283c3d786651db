"""Passages × models → signals on disk: the only stage that runs a model.

    read · encode · cut ─► a block ahead ─► the model ─► a part written behind ─► … ─► signals/PASS/part-*.parquet
         one thread                        this thread          one thread

Each model is loaded once, makes every pass that is planned for it, and is released; where the run directory holds its
signals already it is not loaded. A text that occurs more than once is scored once, as far as `Held` reaches.
"""

from ._frequencies import count_frequencies
from ._inputs import Inputs, in_step
from ._passes import refuse_other_tokenizer, run_passes
from ._plan import Planned, evidence_depends, plan
from ._progress import Progress, Step, Tally
from ._supplies import Supplies
from ._windows import cut, edges, join, window_rule

__all__ = [
    "Inputs",
    "Planned",
    "Progress",
    "Step",
    "Supplies",
    "Tally",
    "count_frequencies",
    "cut",
    "edges",
    "evidence_depends",
    "in_step",
    "join",
    "plan",
    "refuse_other_tokenizer",
    "run_passes",
    "window_rule",
]
