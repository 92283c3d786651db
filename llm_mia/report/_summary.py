"""Numbers for machines: plain dictionaries that go to ``report.json`` and to ``--json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..auditing import Audit
from ..calibration import Calibration, fpr_bound
from ..decision import Evaluation, Flags
from ..demo import Demo
from ..metrics import ConfidenceGap
from ..records import SCHEMA_VERSION
from ..store import write_text

__all__ = [
    "audit_summary",
    "calibration_summary",
    "demo_summary",
    "evaluation_summary",
    "flags_summary",
    "write_report",
]


def audit_summary(audit: Audit) -> dict[str, Any]:
    """Everything of an audit but the rows: those lie in ``flags.csv`` and ``scores.parquet``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "passes": audit.scores.provenance,
        "inputs": [asdict(source) for source in audit.inputs.sources],
        "decider": audit.decider,
        "calibration": calibration_summary(audit.calibration),
        "flags": flags_summary(audit.flags),
        "power": None if audit.power is None else asdict(audit.power),
        "evaluation": evaluation_summary(audit.evaluations, audit.confidence_gap),
        "notes": list(audit.notes),
    }


def calibration_summary(calibration: Calibration) -> dict[str, Any]:
    """The calibration without its n scores and its provenance."""
    return {
        "attack": calibration.attack,
        "fpr": calibration.fpr,
        "threshold": calibration.threshold,
        "guarantee": calibration.guarantee,
        "realised_fpr_at_most_with_95_confidence": fpr_bound(calibration.n, calibration.fpr),
        "n": calibration.n,
        "n_documents": calibration.n_documents,
    }


def flags_summary(flags: Flags) -> dict[str, Any]:
    """How many were flagged under which rule."""
    return {
        "rule": flags.rule,
        "candidates": len(flags.rows),
        "flagged": flags.flagged,
        "expected_by_chance": flags.by_chance,
        "unscored": sum(row.score is None for row in flags.rows),
    }


def evaluation_summary(evaluations: Sequence[Evaluation], gap: ConfidenceGap | None) -> dict[str, Any]:
    """Each figure with its interval, by attack."""
    return {
        "attacks": {
            one.attack: {
                "n_members": one.n_members,
                "n_nonmembers": one.n_nonmembers,
                "unscored": one.unscored,
                "auroc": asdict(one.auroc),
                "tpr_at_fpr": {str(fpr): asdict(figure) for fpr, figure in one.tpr_at_fpr.items()},
                "fpr_at_95_tpr": asdict(one.fpr_at_95_tpr),
            }
            for one in evaluations
        },
        "confidence_gap": None if gap is None else asdict(gap),
    }


def demo_summary(demo: Demo) -> dict[str, Any]:
    """The audit's summary, and the truth that the audit did not know."""
    return {
        **audit_summary(demo.audit),
        "truth": {
            "candidates_trained_on": sum(demo.truth.values()),
            "false_positive_rate": asdict(demo.false_positive_rate),
            "power": asdict(demo.power),
        },
        "seconds": round(demo.seconds, 1),
        "peak_bytes": demo.peak_bytes,
    }


def write_report(audit: Audit) -> None:
    """Write ``report.json`` into the audit's run directory."""
    text = json.dumps(audit_summary(audit), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(audit.path / "report.json", text + "\n")
