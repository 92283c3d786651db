"""Scores → threshold → flags, and how well each attack separates what is known. Reads tables, needs no model."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import calibration as _calibration, metrics
from .attacks import parse_attack
from .calibration import Calibration, benjamini_hochberg, conformal_p_values, fdr_floor
from .errors import AttackError, CalibrationError, ScoresError
from .metrics import ConfidenceGap
from .records import Interval
from .scores import ScoreTable
from .store import differences

__all__ = ["Evaluation", "Flag", "Flags", "calibrate", "evaluate", "exposure", "flag", "read_calibration"]

FALSE_POSITIVE_RATES = (0.1, 0.05, 0.01, 0.001)


@dataclass(frozen=True, slots=True)
class Flag:
    """The decision on one passage, a row of ``flags.csv``."""

    id: str
    document: str
    attack: str
    score: float | None
    """None where the passage has none."""
    p_value: float | None
    q_value: float | None
    flagged: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Flags:
    """The decisions on all candidates, and what they rest on."""

    rows: Sequence[Flag]
    calibration: Calibration
    rule: str
    """What was controlled: ``FPR ≤ 5 %`` or ``FDR ≤ 10 %``."""
    notes: Sequence[str]

    @property
    def flagged(self) -> int:
        """How many candidates are flagged."""
        return sum(row.flagged for row in self.rows)

    @property
    def by_chance(self) -> float | None:
        """At most this many flags are expected were no candidate a member; None where an FDR was controlled."""
        return self.calibration.fpr * len(self.rows) if self.rule.startswith("FPR") else None

    def to_csv(self) -> str:
        """The text of ``flags.csv``."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Flag.__slots__)
        for row in self.rows:
            writer.writerow(_cell(getattr(row, name)) for name in Flag.__slots__)
        return text.getvalue()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well one attack separates known members from known non-members."""

    attack: str
    n_members: int
    n_nonmembers: int
    unscored: int
    """Known passages without a score, which no figure here counts."""
    auroc: Interval
    tpr_at_fpr: Mapping[float, Interval]
    fpr_at_95_tpr: Interval


def calibrate(table: ScoreTable, attack: str, *, fpr: float) -> Calibration:
    """A non-member exchangeable with the table's non-members is flagged with probability at most *fpr*.

    Non-members without a score cannot be flagged and are not calibrated on.

    Raises:
        ScoresError: the table has no such column or no non-members.
        CalibrationError: the non-members are too few for *fpr*, or their scores are infinite or all equal.
    """
    known = table.rows(0)
    if not len(known):
        raise ScoresError(f"{table.name}: no row is labelled as a non-member (0), so there is nothing to calibrate on")
    scores = table.column(attack)[known]
    known = known[~np.isnan(scores)]
    return _calibration.calibrate(
        table.column(attack)[known],
        attack=attack,
        fpr=fpr,
        n_documents=len({table.documents[row] for row in known}),
        calibrated_on=_made_by(table, attack),
    )


def read_calibration(path: str | Path) -> Calibration:
    """The calibration in the file *path*.

    Raises:
        CalibrationError: no such file, or not what `calibrate` wrote.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise CalibrationError(f"{path}: {reason}") from None
    try:
        return Calibration.from_json(text)
    except CalibrationError as error:
        raise CalibrationError(f"{path}: {error}") from None


def flag(table: ScoreTable, calibration: Calibration, *, fdr: float | None = None, labelled: bool = False) -> Flags:
    """Flag the candidates of *table*, at the calibration's FPR, or at a false discovery rate over all of them.

    Args:
        table: its unlabelled rows are the candidates.
        calibration: what `calibrate` made, of the same models and window rule.
        fdr: control the expected share of non-members among the flagged instead (Benjamini–Hochberg).
        labelled: take labelled rows for candidates too.

    Raises:
        ScoresError: no candidates, or no column of the calibration's attack.
        CalibrationError: made by another model or window rule, or too small for *fdr*.
    """
    rows = np.arange(len(table)) if labelled else table.rows(None)
    if not len(rows):
        raise ScoresError(f"{table.name}: every row has a label, so there are no candidates; --labelled flags them all")
    notes = _check_origin(table, calibration)
    scores = table.column(calibration.attack)[rows]
    p_values = conformal_p_values(scores, calibration.scores)
    q_values = benjamini_hochberg(p_values)
    if fdr is None:
        chosen, rule = scores > calibration.threshold, f"FPR ≤ {100 * calibration.fpr:g} %"
        reason = f"score above the threshold {calibration.threshold:.6g}"
    else:
        least = fdr_floor(calibration.n, max(1, int(np.isfinite(p_values).sum())), fdr)
        if least > 1:
            notes.append(f"{calibration.n} non-members can't support fewer than {least} discoveries at this FDR")
        chosen, rule = q_values <= fdr, f"FDR ≤ {100 * fdr:g} %"
        reason = f"q-value at most {fdr:g}"
    if labelled and len(table.rows(0)) and not len(table.rows(None)):
        notes.append("labelled rows are flagged too; for those that set the threshold this says nothing")
    infinite = int(np.isinf(scores).sum())
    if infinite:
        notes.append(f"{infinite} candidates have an infinite score, ordered beyond every other; see what made it")
    unscored = int(np.isnan(scores).sum())
    if unscored:
        notes.append(f"{unscored} candidates have no score and cannot be flagged; flags.csv gives the reason")
    flags = [
        Flag(
            id=table.ids[row],
            document=table.documents[row],
            attack=calibration.attack,
            score=_or_none(scores[i]),
            p_value=_or_none(p_values[i]),
            q_value=_or_none(q_values[i]),
            flagged=bool(chosen[i]),
            reason=reason if chosen[i] else _why_not(scores[i], table),
        )
        for i, row in enumerate(rows)
    ]
    return Flags(flags, calibration, rule, notes)


def evaluate(table: ScoreTable, attacks: Sequence[str] = ()) -> list[Evaluation]:
    """AUROC, TPR at 10, 5, 1 and 0.1 % FPR, and FPR at 95 % TPR of each attack, each with a 95 % interval.

    Raises:
        ScoresError: the table lacks a column, or members, or non-members.
    """
    known = np.flatnonzero(table.labels >= 0)
    missing = [name for name, label in (("members (1)", 1), ("non-members (0)", 0)) if not len(table.rows(label))]
    if missing:
        raise ScoresError(f"{table.name}: no row is labelled as {' or '.join(missing)}; both are needed")
    return [_evaluate(table, attack, known) for attack in attacks or table.columns]


def exposure(table: ScoreTable) -> ConfidenceGap | None:
    """The gap in mean token probability between members and non-members.

    None where ``confidence`` wasn't scored, or where somebody else's table may mean another thing by it.
    """
    if table.provenance is None or "confidence" not in table.columns:
        return None
    members, nonmembers = (_scored(table, "confidence", table.rows(label)) for label in (1, 0))
    scores = table.column("confidence")
    return metrics.confidence_gap(
        scores[members],
        scores[nonmembers],
        documents=[table.documents[row] for row in (*members, *nonmembers)],
    )


def _evaluate(table: ScoreTable, attack: str, known: NDArray[np.intp]) -> Evaluation:
    scored = _scored(table, attack, known)
    scores, labels = table.column(attack)[scored], table.labels[scored]
    documents = [table.documents[row] for row in scored]
    if len(np.unique(labels)) < 2:
        raise ScoresError(f"{table.name}: {attack} has no score for any known member, or for any known non-member")
    return Evaluation(
        attack=attack,
        n_members=int((labels == 1).sum()),
        n_nonmembers=int((labels == 0).sum()),
        unscored=len(known) - len(scored),
        auroc=metrics.auroc(scores, labels, documents=documents),
        tpr_at_fpr={f: metrics.tpr_at_fpr(scores, labels, f, documents=documents) for f in FALSE_POSITIVE_RATES},
        fpr_at_95_tpr=metrics.fpr_at_tpr(scores, labels, 0.95, documents=documents),
    )


def _scored(table: ScoreTable, attack: str, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    return rows[~np.isnan(table.column(attack)[rows])]


def _made_by(table: ScoreTable, attack: str) -> dict[str, Any]:
    """The passes behind one column, of those that the table's run directory records."""
    if table.provenance is None:
        return {}
    try:
        parsed = parse_attack(attack)
    except AttackError:  # somebody else's column beside ours
        return {}
    passes = {name: table.provenance[name] for name in parsed.passes if name in table.provenance}
    return {"hyper_parameters": dict(parsed.hyper_parameters), **passes}


def _check_origin(table: ScoreTable, calibration: Calibration) -> list[str]:
    here = _made_by(table, calibration.attack)
    if not here or not calibration.calibrated_on:
        return ["one of scores and calibration does not say which model made it, so that they match is taken on trust"]
    what = "; ".join(differences(calibration.calibrated_on, here))
    if what:
        raise CalibrationError(
            f"calibrated on other scores than {table.name} ({what}): calibrate on the same model and rule"
        )
    return []


def _why_not(score: float, table: ScoreTable) -> str:
    if not np.isnan(score):
        return ""
    return "no score: too short to have a scored token" if table.provenance is not None else "no score in the table"


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else value
