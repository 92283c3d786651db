"""Passages → validity, scores, threshold and flags, in a single call; and the audit read again from its directory.

`audit` writes ``audit.json``, ``flags.parquet``, ``validity.json``, ``calibration.json`` and ``flags.csv`` into the run
directory, and adds the decision to ``decisions.jsonl``, whoever calls it; `read_audit` gives the audit back without a
model.
`compare_runs` sets two audits side by side. `validate` checks a known set alone, and `KnownTexts` holds the passages
that an audit checks.
"""

from ._audit import audit, refuse_rates
from ._command import without_secrets
from ._control import Control, control_of, sealed_rate
from ._precision import precision_note
from ._record import Audit, read_audit, standing_of
from ._redacting import without_tokens
from ._settings import Setting
from ._shadow_check import LIKENESS, Likeness, ShadowCheck, likeness_of, shadow_check
from ._shadows import ShadowModels
from ._stand_in import FEWEST_OTHERS, StandIn, TrainingHalf, choose_stand_in
from ._texts import KnownTexts, read, validate
from ._two_runs import Difference, Matched, Quantity, TwoRuns, compare_runs

__all__ = [
    "FEWEST_OTHERS",
    "LIKENESS",
    "Audit",
    "Control",
    "Difference",
    "KnownTexts",
    "Likeness",
    "Matched",
    "Quantity",
    "Setting",
    "ShadowCheck",
    "ShadowModels",
    "StandIn",
    "TrainingHalf",
    "TwoRuns",
    "audit",
    "choose_stand_in",
    "compare_runs",
    "control_of",
    "likeness_of",
    "precision_note",
    "read",
    "read_audit",
    "refuse_rates",
    "sealed_rate",
    "shadow_check",
    "standing_of",
    "validate",
    "without_secrets",
    "without_tokens",
]
