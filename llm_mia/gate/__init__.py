"""The check before a release: whether a model leaks more of its training data than the limits allow.

`gate` scores members and non-members by every attack, selects the strongest on half of the documents, measures it on
the other half, and judges each of the `Limits` by its interval. `read_gate` gives the result back without a model;
`read_limits` reads limits from a TOML file. `llm_mia.report` phrases the result, and writes it as JUnit XML.
"""

from ._gate import gate
from ._limits import DEFAULTS, Limits, TprLimit, read_limits
from ._measuring import Measured, judge, select_attack
from ._planning import Known, Planned, confidence_of, plan_limits, shown_epsilon
from ._record import (
    GateResult,
    GateRow,
    LeakedDocument,
    LeakedPassage,
    Obstacle,
    Quantity,
    RowVerdict,
    read_gate,
)

__all__ = [
    "DEFAULTS",
    "GateResult",
    "GateRow",
    "Known",
    "LeakedDocument",
    "LeakedPassage",
    "Limits",
    "Measured",
    "Obstacle",
    "Planned",
    "Quantity",
    "RowVerdict",
    "TprLimit",
    "confidence_of",
    "gate",
    "judge",
    "plan_limits",
    "read_gate",
    "read_limits",
    "select_attack",
    "shown_epsilon",
]
