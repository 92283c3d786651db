"""Flags by passage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..calibration import CountBound, member_count_bound, member_share
from ..errors import ScoresError
from ..records import Interval
from ..scores import ScoreTable
from ._calibrating import with_decider
from ._calibration import Calibration
from ._flags import VOID, Flag, Flags, discoveries, false_discovery_rule, standing_words, verdict
from ._origin import categories_of, check_origin, first_ids
from ._stack import Stack

__all__ = ["flag"]

Floats = NDArray[np.float64]
CONFIDENCE = 0.95


def flag(
    table: ScoreTable,
    calibration: Calibration,
    *,
    fdr: float | None = None,
    labelled: bool = False,
    accept_void: bool = False,
) -> Flags:
    """Flag the candidates of *table*, at the calibration's FPR, or at a false discovery rate over all of them.

    A candidate without a finite score is never flagged. Beside the flags stands how many of the candidates are members
    at least, where passages can count as independent: one a document, among candidates and calibration set.

    Args:
        table: its unlabelled rows are the candidates.
        calibration: what `calibrate` made, of the same models and window rule.
        fdr: control the expected share of non-members among the flagged instead: by Benjamini and Hochberg, with
            categories by Benjamini and Yekutieli.
        labelled: take labelled rows for candidates too.
        accept_void: word findings although the known set was found to be void.

    Raises:
        ScoresError: no candidates, or no column of the calibration's attack.
        CalibrationError: made by another model or window rule, by other categories, or too small for *fdr*.
    """
    rows = np.arange(len(table)) if labelled else table.rows(None)
    if not len(rows):
        raise ScoresError(
            f"{table.name}: every row has a label, so there are no candidates; give `labelled` to flag all"
        )
    notes = check_origin(table, calibration)
    table = with_decider(table, calibration)
    given = table.column(calibration.attack)[rows]
    scores = np.where(np.isinf(given), np.nan, given)
    categories = categories_of(table, calibration, rows)
    p_values = calibration.p_values(scores, categories)
    q_values, how = false_discovery_rule(p_values, any_dependence=categories is not None)
    if fdr is None:
        chosen, rule = calibration.flagged(scores, categories), f"FPR ≤ {100 * calibration.fpr:g} %"
    else:
        n = max((own.n for own in calibration.categories.values()), default=calibration.n)
        notes += discoveries(n, p_values, fdr, how)
        chosen, rule = q_values <= fdr, f"FDR ≤ {100 * fdr:g} %"
    if labelled and len(table.rows(0)):
        seen = " and for those that the decider was fitted or chosen on it looks too good" if calibration.split else ""
        notes.append(f"labelled rows are flagged too; for those that set the threshold this says nothing{seen}")
    notes += _filled(table, calibration, rows)
    notes += _not_finite(given, [table.ids[row] for row in rows])
    why_not = "passages with a label stand among them" if labelled else _why_no_bound(table, calibration, rows)
    members, share = (None, None) if why_not else _bounds(scores, p_values, calibration)
    notes += [f"how many of the candidates are members at least is not bounded: {why_not}"] if why_not else []
    validity = verdict(calibration.validity, standing_words(table.standing), accept_void=accept_void)
    return Flags(
        rows=_rows(table, calibration, rows, (given, p_values, q_values), chosen, (fdr, validity)),
        calibration=calibration,
        rule=rule,
        notes=notes,
        q_values=how,
        n=calibration.n,
        members=members,
        share=share,
        validity=validity,
    )


def _filled(table: ScoreTable, calibration: Calibration, rows: NDArray[np.intp]) -> list[str]:
    """A note where the stack had to do without some of its columns."""
    if not calibration.stack:
        return []
    filled = rows[Stack.read(calibration.stack).filled(table)[rows]].tolist()
    named = first_ids(table.ids[row] for row in filled)
    said = (
        f"{len(filled)} candidates lack a score that the stack takes in ({named}); known non-members' median stands in"
    )
    return [said] if filled else []


def _not_finite(scores: Floats, ids: Sequence[str]) -> list[str]:
    notes = []
    for bad, what in (
        (np.isinf(scores), "candidates have an infinite score and cannot be flagged ({}); see what made it"),
        (np.isnan(scores), "candidates have no score and cannot be flagged ({}); flags.csv gives the reason"),
    ):
        if bad.any():
            notes.append(f"{int(bad.sum())} {what.format(first_ids(ids[i] for i in np.flatnonzero(bad).tolist()))}")
    return notes


def _why_no_bound(table: ScoreTable, calibration: Calibration, rows: NDArray[np.intp]) -> str:
    """Why candidates and calibration set can't count as independent passages of one kind; empty where they can."""
    if calibration.categories:
        return "each category has a calibration set of its own"
    if len({table.documents[row] for row in rows}) < len(rows) or calibration.n_documents < calibration.n:
        return "passages share documents, and are not independent; `flag_documents` bounds the rate by document"
    return ""


def _bounds(scores: Floats, p_values: Floats, calibration: Calibration) -> tuple[CountBound | None, Interval | None]:
    """Of those that have a score; who has none depends on no membership."""
    kept = np.isfinite(p_values)
    if not kept.any():
        return None, None
    confidence, level = calibration.confidence or CONFIDENCE, calibration.fpr
    members = member_count_bound(scores[kept], calibration.scores, confidence, level=level)
    return members, member_share(p_values[kept], calibration.n, confidence=confidence, level=level)


def _rows(
    table: ScoreTable,
    calibration: Calibration,
    rows: NDArray[np.intp],
    figures: tuple[Floats, Floats, Floats],
    chosen: NDArray[np.bool_],
    rule: tuple[float | None, str],
) -> list[Flag]:
    (fdr, validity), thresholds = rule, calibration.thresholds
    mark = f"known set {validity}" if validity.startswith(VOID) else ""
    found = []
    for i, row in enumerate(rows.tolist()):
        threshold = thresholds[table.categories[row]] if thresholds else calibration.threshold
        reason = f"score above the threshold {threshold:.6g}" if fdr is None else f"q-value at most {fdr:g}"
        score, p_value, q_value = (float(column[i]) for column in figures)
        said = reason if chosen[i] else _why_not(score, table)
        found.append(
            Flag(
                id=table.ids[row],
                document=table.documents[row],
                attack=calibration.attack,
                score=_or_none(score),
                p_value=_or_none(p_value),
                q_value=_or_none(q_value),
                flagged=bool(chosen[i]),
                reason="; ".join(part for part in (said, mark) if part),
            )
        )
    return found


def _why_not(score: float, table: ScoreTable) -> str:
    if np.isinf(score):
        return "infinite score"
    if not np.isnan(score):
        return ""
    return "no score: too short to have a scored token" if table.record is not None else "no score in the table"


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
