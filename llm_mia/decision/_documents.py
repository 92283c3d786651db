"""Flags of documents, with a threshold set by documents."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..calibration import CountBound, confident_threshold, member_count_bound, member_share, nonmembers_needed
from ..documents import DocumentPValues, document_p_values
from ..errors import CalibrationError, ScoresError
from ..records import Interval, Note
from ..scores import ScoreTable
from ._calibrating import add_decider_column, calibration_rows
from ._calibration import Calibration
from ._flags import Flag, Flags, Reason, joint_standing, limit_discoveries, q_values_of
from ._notes import NoteKind, first_ids
from ._origin import check_origin
from ._passages import CONFIDENCE
from ._rules import ErrorRate, Rule, Unit

__all__ = ["flag_documents"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def flag_documents(
    table: ScoreTable, calibration: Calibration, *, fdr: float | None = None, accept_void: bool = False
) -> Flags:
    """The decision on each candidate document, at the calibration's FPR or at a false discovery rate over them all.

    A candidate document that was not trained on is flagged with probability at most the FPR, provided that it is
    exchangeable with the documents of the known non-members, whose passages are in *table*. The attack, the rate and
    its confidence come from *calibration*; p-values and threshold compare with documents of known non-members
    (`llm_mia.documents.document_p_values`). With *fdr* the false discovery rate over documents is held instead: by
    Benjamini and Hochberg where all documents are compared with the same passages of others, else by Benjamini and
    Yekutieli.

    Raises:
        ScoresError: no candidates, infinite scores, a document among candidates and non-members.
        CalibrationError: scores of another model, other non-members, or too few documents for the rate.
    """
    rows = table.rows(None)
    if not len(rows):
        raise ScoresError(
            f"{table.name}: every row has a label, so there are no candidates: remove the labels of the rows to decide "
            "on"
        )
    notes = check_origin(table, calibration)
    table = add_decider_column(table, calibration)
    if calibration.categories:
        raise CalibrationError(
            f"the calibration has categories by {calibration.by!r}, and documents have none: calibrate again without "
            "`by`"
        )
    judged = _p_values(table, calibration, rows)
    n = int(judged.n_calibration.max())
    _refuse_few(n, calibration)
    same_size = len(np.unique(judged.n_used[judged.n_used > 0])) <= 1
    q_values, method = q_values_of(judged.p_values, any_dependence=not same_size)
    if fdr is None:
        rule, chosen = (
            Rule(ErrorRate.FALSE_POSITIVES, calibration.fpr, calibration.confidence),
            _at_fpr(judged, calibration),
        )
    else:
        rule, chosen = Rule(ErrorRate.FALSE_DISCOVERIES, fdr), np.asarray(q_values <= fdr)
        notes += limit_discoveries(n, judged.p_values, fdr, method, Unit.DOCUMENTS)
    members, share, notes_of_bounds = _bounds(judged, calibration)
    return Flags(
        rows=list(_flags(judged, q_values, chosen, calibration.attack, rule)),
        calibration=calibration,
        rule=rule,
        notes=[*notes, *judged.notes, *notes_of_bounds],
        unit=Unit.DOCUMENTS,
        q_values=method,
        n=n,
        members=members,
        share=share,
        standing=joint_standing(calibration.standing, table.standing, accept_void=accept_void),
    )


def _p_values(table: ScoreTable, calibration: Calibration, rows: NDArray[np.intp]) -> DocumentPValues:
    known, groups, scores = calibration_rows(table, calibration), table.groups(), table.column(calibration.attack)
    infinite = first_ids(table.ids[row] for row in rows if np.isinf(scores[row]))
    if infinite:
        raise ScoresError(
            f"{table.name}: infinite scores ({infinite}), and the mean of a document needs finite scores: search for "
            "the cause, and score again"
        )
    return document_p_values(scores[rows], [groups[row] for row in rows], scores[known], [groups[row] for row in known])


def _refuse_few(n: int, calibration: Calibration) -> None:
    needed = nonmembers_needed(calibration.fpr, calibration.confidence)
    if n < needed:
        held = "" if calibration.confidence is None else f" at {100 * calibration.confidence:g} % confidence"
        raise CalibrationError(
            f"{n} documents of known non-members cannot certify FPR ≤ {calibration.fpr:g}{held} for documents: at "
            f"least {needed} are needed"
        )


def _at_fpr(judged: DocumentPValues, calibration: Calibration) -> Bools:
    """Whether each document is flagged at the FPR; a confidence holds among documents with as many passages."""
    if calibration.confidence is None:
        return np.asarray(judged.p_values <= calibration.fpr)
    flagged = np.zeros(len(judged.p_values), dtype=bool)
    for n in np.unique(judged.n_calibration).tolist():
        if n >= nonmembers_needed(calibration.fpr, calibration.confidence):
            # The threshold on the ranks 0 … n − 1 shows how many of the n may lie at or above a flagged score.
            most = n - 1 - confident_threshold(range(n), calibration.fpr, calibration.confidence)
            flagged |= (judged.n_calibration == n) & (np.rint(judged.p_values * (n + 1)) <= most + 1)
    return flagged


def _bounds(judged: DocumentPValues, calibration: Calibration) -> tuple[CountBound | None, Interval | None, list[Note]]:
    """Members at least among the documents of the most frequent size: they share a calibration set, fixed by sizes."""
    sizes, counts = np.unique(judged.n_used[judged.n_used > 0], return_counts=True)
    if not len(sizes):
        return None, None, []
    used = int(sizes[::-1][np.argmax(counts[::-1])])
    p_values = judged.p_values[judged.n_used == used]
    n = int(judged.n_calibration[judged.n_used == used][0])
    if n < nonmembers_needed(calibration.fpr):
        return None, None, [Note(NoteKind.MEMBERS_UNBOUNDED_FEW, {"documents": n})]
    confidence, level = calibration.confidence or CONFIDENCE, calibration.fpr
    # Scores that lie among n others where the p-values put them.
    equivalent = n + 1.5 - np.rint(p_values * (n + 1))
    members = member_count_bound(equivalent, range(1, n + 1), confidence, level=level)
    share = member_share(p_values, n, confidence=confidence, level=level)
    in_part = Note(NoteKind.MEMBERS_BOUNDED_IN_PART, {"documents": len(p_values), "passages": used})
    return members, share, [in_part] if len(judged.names) > len(p_values) else []


def _flags(judged: DocumentPValues, q_values: Floats, chosen: Bools, attack: str, rule: Rule) -> Iterator[Flag]:
    why = Reason.P_VALUE if rule.rate is ErrorRate.FALSE_POSITIVES else Reason.Q_VALUE
    for i, name in enumerate(judged.names):
        scored = not np.isnan(judged.p_values[i])
        yield Flag(
            id=name,
            document=name,
            attack=attack,
            score=float(judged.values[i]) if scored else None,
            p_value=float(judged.p_values[i]) if scored else None,
            q_value=float(q_values[i]) if scored else None,
            flagged=bool(chosen[i]),
            reason=why if chosen[i] else None if scored else Reason.NO_SCORE,
            limit=rule.level,
        )
