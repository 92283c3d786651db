"""Numbers for machines: plain dictionaries that go to ``report.json`` and to ``--json``."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..auditing import Audit
from ..calibration import fpr_bound
from ..decision import AtThreshold, Calibration, CollectionResult, Comparison, Evaluation, Flags
from ..metrics import ConfidenceGap
from ..records import SCHEMA_VERSION, Interval
from ..store import write_text
from ..validity import Check
from ._decisions import WITHHELD, finding

__all__ = [
    "audit_summary",
    "calibration_summary",
    "collection_summary",
    "comparison_summary",
    "evaluation_summary",
    "flags_summary",
    "threshold_summary",
    "write_report",
]


def audit_summary(audit: Audit) -> dict[str, Any]:
    """Everything of an audit but the rows: those lie in ``flags.csv`` and ``scores.parquet``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "passes": {} if audit.scores.record is None else asdict(audit.scores.record)["passes"],
        "inputs": [asdict(source) for source in audit.inputs.sources],
        "validity": audit.verdict,
        "not_sound": [_check(check) for check in audit.validity.checks if check.verdict in ("doubtful", "void")],
        "finding": finding(audit.flags),
        "decider": audit.decider,
        "calibration": calibration_summary(audit.calibration),
        "flags": flags_summary(audit.flags),
        "power": None if audit.power is None else asdict(audit.power),
        "evaluation": evaluation_summary(audit.evaluations, audit.confidence_gap),
        "notes": list(audit.notes),
    }


def calibration_summary(calibration: Calibration) -> dict[str, Any]:
    """The calibration without its n scores and its provenance."""
    plain = calibration.confidence is None and not calibration.categories
    return {
        "attack": calibration.attack,
        "fpr": calibration.fpr,
        "threshold": calibration.threshold,
        "guarantee": calibration.guarantee,
        "confidence": calibration.confidence,
        # Of the threshold that holds on average, and is one for all.
        "realised_fpr_at_most_with_95_confidence": fpr_bound(calibration.n, calibration.fpr) if plain else None,
        "n": calibration.n,
        "n_documents": calibration.n_documents,
        "categories": {
            name: {"threshold": own.threshold, "n": own.n, "pooled": list(own.pooled)}
            for name, own in calibration.categories.items()
        },
        "chosen": dict(calibration.chosen),
    }


def flags_summary(flags: Flags) -> dict[str, Any]:
    """How many were flagged under which rule."""
    return {
        "rule": flags.rule,
        "candidates": len(flags.rows),
        "flagged": flags.flagged,
        "expected_by_chance": flags.by_chance,
        "unscored": sum(row.score is None for row in flags.rows),
        "unit": flags.unit,
        "q_values": flags.q_values,
        "withheld": flags.withheld,
        "members_at_least": None if flags.members is None or flags.withheld else _bound(flags),
    }


def _bound(flags: Flags) -> dict[str, Any]:
    assert flags.members is not None
    return {
        "members": flags.members.members,
        "candidates": flags.members.candidates,
        "confidence": flags.members.confidence,
        "share": None if flags.share is None else asdict(flags.share),
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


def comparison_summary(found: Comparison) -> dict[str, Any]:
    """Two attacks on the same passages."""
    paired = found.paired
    return {
        "first": found.first,
        "second": found.second,
        "auroc_difference": asdict(paired.difference),
        "p_value": paired.p_value,
        "n": found.n,
    }


def threshold_summary(found: AtThreshold) -> dict[str, Any]:
    """What the threshold of a calibration does on another known set."""
    return {**asdict(found), "notes": list(found.notes)}


def collection_summary(found: CollectionResult) -> dict[str, Any]:
    """The test of the candidates as a whole; NaN, of a placebo that couldn't be run, is null."""
    test, power = found.test, found.power
    placebo = {name: None if math.isnan(p) else p for name, p in asdict(test.placebo).items()}
    consistent = "consistent with training on the collection" if found.found else "nothing found"
    return {
        "finding": WITHHELD if found.withheld else consistent,
        "attacks": list(found.attacks),
        "p_value": test.p_value,
        "level": found.level,
        "smallest_p": test.smallest_p,
        "effect": asdict(test.effect),
        "statistic": test.statistic,
        "placebo": placebo,
        "documents": {"candidates": test.n_documents[0], "nonmembers": test.n_documents[1]},
        "weights": list(test.weights),
        "documents_needed": None if power is None else [asdict(row) for row in power.rows],
        "validity": found.validity,
        "notes": list(found.notes),
    }


def _check(check: Check) -> dict[str, Any]:
    figure = asdict(check.figure) if isinstance(check.figure, Interval) else check.figure
    return {
        "name": check.name,
        "figure": figure,
        "verdict": check.verdict,
        "details": check.details,
        "remedy": check.remedy,
    }


def write_report(audit: Audit) -> None:
    """Write ``report.json`` into the audit's run directory."""
    text = json.dumps(audit_summary(audit), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(audit.path / "report.json", text + "\n")
