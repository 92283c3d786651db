"""Membership inference for language models: decisions with a stated error rate.

    from llm_mia import audit
    found = audit("candidates.jsonl", nonmembers="heldout.jsonl", members="known.jsonl",
                  target="./model", reference="./base", fpr=0.05, out="run/")
    found.flags.flagged, found.calibration.threshold

Importing this package imports neither torch nor transformers; a model does, when it is loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attacks import ATTACKS, Attack, all_attacks, attack, parse_attack
    from .auditing import Audit, audit, validate_files
    from .backends import Backend, ModelSpec, load_model
    from .calibration import benjamini_hochberg, conformal_p_values, fpr_threshold
    from .decision import (
        Calibration,
        CollectionResult,
        Evaluation,
        Flag,
        Flags,
        calibrate,
        compare,
        evaluate,
        exposure,
        flag,
        flag_documents,
        judge_collection,
        read_calibration,
    )
    from .errors import (
        AttackError,
        CalibrationError,
        InputError,
        LlmMiaError,
        MissingExtraError,
        ModelError,
        PassageError,
        RunDirectoryError,
        ScoresError,
        UsageError,
    )
    from .extraction import Extraction, Sampling, extract
    from .metrics import ConfidenceGap, auroc, confidence_gap, fpr_at_tpr, roc, tpr_at_fpr
    from .passages import Passages, check_inputs, read_passages
    from .records import Interval, ModelRecord, Passage, TokenSignals, Window, WindowRule
    from .scores import ScoreTable, read_scores
    from .scoring import score
    from .signals import Step, Supplies
    from .validity import Validity, validate

__version__ = "0.1.0"

__all__ = [
    "ATTACKS",
    "Attack",
    "AttackError",
    "Audit",
    "Backend",
    "Calibration",
    "CalibrationError",
    "CollectionResult",
    "ConfidenceGap",
    "Evaluation",
    "Extraction",
    "Flag",
    "Flags",
    "InputError",
    "Interval",
    "LlmMiaError",
    "MissingExtraError",
    "ModelError",
    "ModelRecord",
    "ModelSpec",
    "Passage",
    "PassageError",
    "Passages",
    "RunDirectoryError",
    "Sampling",
    "ScoreTable",
    "ScoresError",
    "Step",
    "Supplies",
    "TokenSignals",
    "UsageError",
    "Validity",
    "Window",
    "WindowRule",
    "__version__",
    "all_attacks",
    "attack",
    "audit",
    "auroc",
    "benjamini_hochberg",
    "calibrate",
    "check_inputs",
    "compare",
    "confidence_gap",
    "conformal_p_values",
    "evaluate",
    "exposure",
    "extract",
    "flag",
    "flag_documents",
    "fpr_at_tpr",
    "fpr_threshold",
    "judge_collection",
    "load_model",
    "parse_attack",
    "read_calibration",
    "read_passages",
    "read_scores",
    "roc",
    "score",
    "tpr_at_fpr",
    "validate",
    "validate_files",
]

# Where each name lives. Names are fetched when they are first used, so that a command which needs no arrays
# ('llm-mia --help') does not wait for numpy.
_HOMES = {
    "attacks": ("ATTACKS", "Attack", "all_attacks", "attack", "parse_attack"),
    "auditing": ("Audit", "audit", "validate_files"),
    "backends": ("Backend", "ModelSpec", "load_model"),
    "calibration": ("benjamini_hochberg", "conformal_p_values", "fpr_threshold"),
    "decision": (
        "Calibration",
        "CollectionResult",
        "Evaluation",
        "Flag",
        "Flags",
        "InputError",
        "calibrate",
        "compare",
        "evaluate",
        "exposure",
        "flag",
        "flag_documents",
        "judge_collection",
        "read_calibration",
    ),
    "extraction": ("Extraction", "Sampling", "extract"),
    "errors": (
        "AttackError",
        "CalibrationError",
        "InputError",
        "LlmMiaError",
        "MissingExtraError",
        "ModelError",
        "PassageError",
        "RunDirectoryError",
        "ScoresError",
        "UsageError",
    ),
    "metrics": ("ConfidenceGap", "auroc", "confidence_gap", "fpr_at_tpr", "roc", "tpr_at_fpr"),
    "passages": ("Passages", "check_inputs", "read_passages"),
    "records": ("Interval", "ModelRecord", "Passage", "TokenSignals", "Window", "WindowRule"),
    "scores": ("ScoreTable", "read_scores"),
    "scoring": ("score",),
    "signals": ("Step", "Supplies"),
    "validity": ("Validity", "validate"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
