"""Scores → threshold → flags, and how well each attack separates what is known. Reads tables, needs no model.

wanted                                      function
a threshold with a guarantee                `calibrate`, and `read_calibration` for one on disk
decisions on candidates                     `flag` by passage, `flag_documents` by document
the column that a calibration decides by    `with_decider`; `unseen` leaves out what it was chosen or fitted on
one decision on all candidates together     `judge_collection`
how well attacks separate the known set     `evaluate`, `compare`, `rates_at`, `exposure`
"""

from ._calibrating import calibrate, held_out, read_calibration, with_decider
from ._calibration import Calibration, Category
from ._categories import calibrate_scores
from ._choosing import AUTO, BY_DEFAULT, refuse_small
from ._collections import CollectionResult, judge_collection
from ._documents import flag_documents
from ._evaluating import AtThreshold, Comparison, Evaluation, compare, evaluate, exposure, rates_at, unseen
from ._flags import ACCEPTED, VOID, Flag, Flags
from ._guarantee import MARGINAL
from ._origin import first_ids
from ._passages import flag
from ._stack import STACK, Stack

__all__ = [
    "ACCEPTED",
    "AUTO",
    "BY_DEFAULT",
    "MARGINAL",
    "STACK",
    "VOID",
    "AtThreshold",
    "Calibration",
    "Category",
    "CollectionResult",
    "Comparison",
    "Evaluation",
    "Flag",
    "Flags",
    "Stack",
    "calibrate",
    "calibrate_scores",
    "compare",
    "evaluate",
    "exposure",
    "first_ids",
    "flag",
    "flag_documents",
    "held_out",
    "judge_collection",
    "rates_at",
    "read_calibration",
    "refuse_small",
    "unseen",
    "with_decider",
]
