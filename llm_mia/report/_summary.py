"""Results for machines: plain dictionaries that go to ``--json``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..auditing import Audit
from ..calibration import fpr_bound
from ..decision import NOT_VALIDATED, AtThreshold, Calibration, CollectionResult, Comparison, Evaluation, Finding, Flags
from ..history import Entry
from ..metrics import ConfidenceGap
from ..records import SCHEMA_VERSION, Interval
from ..validity import Check
from .words import answer_of, collection_finding, columns_used, finding, guarantee_words, notes_words, selection_words

__all__ = [
    "audit_summary",
    "calibration_summary",
    "collection_summary",
    "comparison_summary",
    "decisions_summary",
    "evaluation_summary",
    "flags_summary",
    "threshold_summary",
]


def audit_summary(audit: Audit) -> dict[str, Any]:
    """Everything of an audit but the rows, which are in ``flags.csv``, ``audit.json`` and ``scores.parquet``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "answer": asdict(answer_of(audit)),
        "passes": {name: asdict(record) for name, record in audit.passes.items()},
        "inputs": [asdict(source) for source in audit.inputs],
        "standing": audit.standing,
        "not_sound": [_check(check) for check in audit.validity.checks if check.is_fault],
        "finding": finding(audit.flags),
        "decider": audit.decider,
        "calibration": calibration_summary(audit.calibration),
        "flags": flags_summary(audit.flags),
        "control": None if audit.control is None else {**asdict(audit.control), "exceeds": audit.control.exceeds},
        "shadows": None if audit.shadows is None else asdict(audit.shadows),
        "protocol_sha256": audit.protocol or None,
        "power": None if audit.power is None else asdict(audit.power),
        "evaluation": evaluation_summary(audit.evaluations, audit.confidence_gap),
        "notes": notes_words(audit.notes),
    }


def calibration_summary(calibration: Calibration) -> dict[str, Any]:
    """The calibration without its n scores, its stack and the origin of the scores."""
    plain = calibration.confidence is None and not calibration.categories and not calibration.documents
    return {
        "attack": calibration.attack,
        "fpr": calibration.fpr,
        "threshold": calibration.threshold,
        "guarantee": {**asdict(calibration.guarantee), "sentence": guarantee_words(calibration.guarantee)},
        "confidence": calibration.confidence,
        # Of a threshold that holds on average and for all passages alike, which share no documents.
        "realised_fpr_at_most_with_95_confidence": fpr_bound(calibration.n, calibration.fpr) if plain else None,
        "n": calibration.n,
        "n_documents": calibration.n_documents,
        "categories": {
            name: {"threshold": category.threshold, "n": category.n, "pooled": list(category.pooled)}
            for name, category in calibration.categories.items()
        },
        "selection": {**asdict(calibration.selection), "sentence": selection_words(calibration)},
        "columns_used": columns_used(calibration),
        "standing": calibration.standing or NOT_VALIDATED,
        "notes": notes_words(calibration.notes),
        "stack_columns": [column.name for column in calibration.stack.columns] if calibration.stack else None,
    }


def flags_summary(flags: Flags) -> dict[str, Any]:
    """How many candidates were flagged, at which error rate."""
    return {
        "rule": asdict(flags.rule),
        "candidates": len(flags.rows),
        "flagged": flags.flagged,
        "expected_by_chance": flags.by_chance,
        "unscored": flags.rows_by_column.unscored,
        "unit": flags.unit,
        "q_values": flags.q_values,
        "standing": flags.standing or NOT_VALIDATED,
        "withheld": flags.withheld,
        "finding": None if flags.finding is None or flags.withheld else _finding(flags.finding),
        "trained_on_at_least": None if flags.members is None or flags.withheld else _bound(flags),
        "categories": {
            name: {
                "candidates": category.candidates,
                "flagged": category.flagged,
                "nonmembers": category.n,
                "threshold": category.threshold,
                "trained_on_at_least": None if not category.members or flags.withheld else category.members.members,
            }
            for name, category in flags.categories.items()
        },
    }


def _finding(finding: Finding) -> dict[str, Any]:
    decided = {"p_value": finding.p_value, "allowed": finding.allowed}
    return {**decided, "significant": finding.significant, "resists": finding.resists, **asdict(finding)}


def _bound(flags: Flags) -> dict[str, Any]:
    assert flags.members is not None
    return {
        "number": flags.members.members,
        "candidates": flags.members.candidates,
        "confidence": flags.members.confidence,
        "share": None if flags.share is None else asdict(flags.share),
    }


def evaluation_summary(evaluations: Sequence[Evaluation], gap: ConfidenceGap | None) -> dict[str, Any]:
    """Each figure with its interval, by attack."""
    return {
        "attacks": {
            evaluation.attack: {
                "n_members": evaluation.n_members,
                "n_nonmembers": evaluation.n_nonmembers,
                "unscored": evaluation.unscored,
                "by_shadows": evaluation.by_shadows,
                "auroc": asdict(evaluation.auroc),
                "tpr_at_fpr": {str(fpr): asdict(figure) for fpr, figure in evaluation.tpr_at_fpr.items()},
                "fpr_at_95_tpr": asdict(evaluation.fpr_at_95_tpr),
            }
            for evaluation in evaluations
        },
        "confidence_gap": None if gap is None else asdict(gap),
    }


def comparison_summary(comparison: Comparison) -> dict[str, Any]:
    """Two attacks on the same passages."""
    paired = comparison.paired
    return {
        "first": comparison.first,
        "second": comparison.second,
        "auroc_difference": asdict(paired.difference),
        "p_value": paired.p_value,
        "n": comparison.n,
    }


def threshold_summary(rates: AtThreshold) -> dict[str, Any]:
    """The rates of a calibration's threshold on another known set."""
    return {**asdict(rates), "notes": notes_words(rates.notes)}


def _finite(figures: Mapping[str, Any]) -> dict[str, Any]:
    """*figures* with null for a number that JSON cannot hold."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in figures.items()
    }


def collection_summary(result: CollectionResult) -> dict[str, Any]:
    """The test of the candidates as a whole; a figure that could not be computed is null."""
    test, power = result.test, result.power
    placebo = {name: None if math.isnan(p) else p for name, p in asdict(test.placebo).items()}
    return {
        "finding": collection_finding(result),
        "attacks": list(result.attacks),
        "p_value": result.p_value,
        "p_value_of_target": test.p_value,
        "others": [
            {"role": other.role, "attacks": list(other.attacks), **_finite(asdict(other.test))}
            for other in result.others
        ],
        "vanishing_auroc": result.vanishing,
        "resists": result.resists,
        "level": result.level,
        "allowed": result.allowed,
        "number": result.number,
        "smallest_p": test.smallest_p,
        "effect": asdict(test.effect),
        "statistic": test.statistic,
        "statistics": list(test.statistics),
        "placebo": placebo,
        "documents": {"candidates": test.n_documents[0], "nonmembers": test.n_documents[1]},
        "documents_needed": None if power is None else [asdict(row) for row in power.rows],
        "standing": result.standing or NOT_VALIDATED,
        "notes": notes_words(result.notes),
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


def decisions_summary(entries: Sequence[Entry]) -> dict[str, Any]:
    """The decisions of a record, without the sketches of their candidates."""
    decisions = []
    for entry in entries:
        fields = {name: value for name, value in asdict(entry).items() if name != "subject"}
        allowed = entry.finding_level * entry.level_share
        decisions.append({**fields, "allowed": allowed, "candidates_sha256": entry.subject.sha256})
    return {"schema_version": SCHEMA_VERSION, "decisions": decisions}
