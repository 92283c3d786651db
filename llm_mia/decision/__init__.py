"""Scores → threshold → flags, and how well each attack separates what is known. Reads tables, needs no model.

wanted                                      function
a threshold with a guarantee                `calibrate`, and `read_calibration` for one on disk
decisions on candidates                     `flag` by passage, `flag_documents` by document
one decision on all candidates together     `judge_collection`
how well attacks separate the known set     `evaluate`, `compare`, `rates_at`, `exposure`
"""

from ._calibrating import AUTO, calibrate, held_out, read_calibration
from ._collections import CollectionResult, judge_collection
from ._documents import flag_documents
from ._evaluating import AtThreshold, Comparison, Evaluation, compare, evaluate, exposure, rates_at
from ._flags import ACCEPTED, VOID, Flag, Flags
from ._origin import first_ids
from ._passages import flag

__all__ = [
    "ACCEPTED",
    "AUTO",
    "VOID",
    "AtThreshold",
    "CollectionResult",
    "Comparison",
    "Evaluation",
    "Flag",
    "Flags",
    "calibrate",
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
]
