"""Flags by document, calibrated on documents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..calibration import CountBound, confident_threshold, member_count_bound, member_share, nonmembers_needed
from ..documents import DocumentPValues, describe_note, document_p_values
from ..errors import CalibrationError, ScoresError
from ..records import Interval
from ..scores import ScoreTable
from ._calibrating import calibrating_rows, with_decider
from ._calibration import Calibration
from ._flags import VOID, Flag, Flags, discoveries, false_discovery_rule, standing_words, verdict
from ._origin import check_origin, first_ids
from ._passages import CONFIDENCE

__all__ = ["flag_documents"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def flag_documents(
    table: ScoreTable, calibration: Calibration, *, fdr: float | None = None, accept_void: bool = False
) -> Flags:
    """A candidate document that was not trained on is flagged with probability at most the calibration's FPR.

    Provided that it is exchangeable with the documents of the known non-members, whose passages stand in *table*: from
    *calibration* come the attack, the rate and its confidence; p-values and threshold are calibrated on documents
    (`llm_mia.documents.document_p_values`). With *fdr* the false discovery rate over documents is held instead: by
    Benjamini and Hochberg where all documents are compared with the same passages of others, else by Benjamini and
    Yekutieli.

    Raises:
        ScoresError: no candidates, infinite scores, a document among candidates and non-members.
        CalibrationError: of another model, on other non-members, or with too few documents for the rate.
    """
    rows = table.rows(None)
    if not len(rows):
        raise ScoresError(f"{table.name}: every row has a label, so there are no candidates")
    notes = check_origin(table, calibration)
    table = with_decider(table, calibration)
    if calibration.categories:
        raise CalibrationError(
            f"calibrated by {calibration.by!r}: documents have no categories; calibrate again without them"
        )
    known, groups, scores = calibrating_rows(table, calibration), table.groups(), table.column(calibration.attack)
    infinite = first_ids(table.ids[row] for row in rows if np.isinf(scores[row]))
    if infinite:
        raise ScoresError(f"{table.name}: infinite scores ({infinite}): a document's mean needs finite ones")
    found = document_p_values(
        scores[rows], [groups[row] for row in rows], scores[known], [groups[row] for row in known]
    )
    _check_enough(int(found.n_calibration.max()), calibration)
    alike = len(np.unique(found.n_used[found.n_used > 0])) <= 1
    q_values, how = false_discovery_rule(found.p_values, any_dependence=not alike)
    n = int(found.n_calibration.max())
    chosen, rule, reason = _chosen(found, q_values, calibration, fdr)
    if fdr is not None:
        notes += discoveries(n, found.p_values, fdr, how, "documents of non-members")
    validity = verdict(calibration.validity, standing_words(table.standing), accept_void=accept_void)
    members, share, of = _bounds(found, calibration)
    return Flags(
        rows=_rows(found, (q_values, chosen), calibration.attack, reason, validity),
        calibration=calibration,
        rule=rule,
        notes=[*notes, *map(describe_note, found.notes), *of],
        unit="documents",
        q_values=how,
        n=n,
        members=members,
        share=share,
        validity=validity,
    )


def _check_enough(n: int, calibration: Calibration) -> None:
    needed = nonmembers_needed(calibration.fpr, calibration.confidence)
    if n < needed:
        held = "" if calibration.confidence is None else f" at {100 * calibration.confidence:g} % confidence"
        raise CalibrationError(
            f"{n} documents of known non-members cannot certify FPR ≤ {calibration.fpr:g}{held} for a document: at "
            f"least {needed} are needed"
        )


def _chosen(
    found: DocumentPValues, q_values: Floats, calibration: Calibration, fdr: float | None
) -> tuple[Bools, str, str]:
    """Which documents are flagged, by which rule, and the reason that each is given."""
    if fdr is not None:
        return q_values <= fdr, f"FDR ≤ {100 * fdr:g} %", f"q-value at most {fdr:g}, by document"
    sure = "" if calibration.confidence is None else f", at {100 * calibration.confidence:g} % confidence"
    reason = f"p-value at most {calibration.fpr:g}, by document{sure}"
    return _above(found, calibration), f"FPR ≤ {100 * calibration.fpr:g} %", reason


def _above(found: DocumentPValues, calibration: Calibration) -> Bools:
    """Which documents the rule flags; with a confidence it holds among documents cut to the same number of passages."""
    if calibration.confidence is None:
        return np.asarray(found.p_values <= calibration.fpr)
    flagged = np.zeros(len(found.p_values), dtype=bool)
    for n in np.unique(found.n_calibration).tolist():
        if n >= nonmembers_needed(calibration.fpr, calibration.confidence):
            # The threshold on the ranks 0 … n − 1 says how many of the n may lie at or above a flagged score.
            most = n - 1 - confident_threshold(range(n), calibration.fpr, calibration.confidence)
            flagged |= (found.n_calibration == n) & (np.rint(found.p_values * (n + 1)) <= most + 1)
    return flagged


def _bounds(found: DocumentPValues, calibration: Calibration) -> tuple[CountBound | None, Interval | None, list[str]]:
    """Members at least among the documents that are most often cut alike: one calibration set, fixed by sizes alone."""
    sizes, counts = np.unique(found.n_used[found.n_used > 0], return_counts=True)
    if not len(sizes):
        return None, None, []
    used = int(sizes[::-1][np.argmax(counts[::-1])])
    p_values = found.p_values[found.n_used == used]
    n = int(found.n_calibration[found.n_used == used][0])
    if n < nonmembers_needed(calibration.fpr):
        return None, None, [f"{n} documents of non-members are too few to bound how many of the candidates are members"]
    confidence, level = calibration.confidence or CONFIDENCE, calibration.fpr
    # Scores that stand where the p-values say among n others.
    stand_ins = n + 1.5 - np.rint(p_values * (n + 1))
    members = member_count_bound(stand_ins, range(1, n + 1), confidence, level=level)
    share = member_share(p_values, n, confidence=confidence, level=level)
    rest = len(found.names) - len(p_values)
    note = f"how many are members at least is told of the {len(p_values)} documents judged on {used} passages alone"
    return members, share, [note] if rest else []


def _rows(found: DocumentPValues, decided: tuple[Floats, Bools], attack: str, reason: str, validity: str) -> list[Flag]:
    q_values, chosen = decided
    mark = f"known set {validity}" if validity.startswith(VOID) else ""
    rows = []
    for i, name in enumerate(found.names):
        scored = not np.isnan(found.p_values[i])
        said = reason if chosen[i] else "" if scored else "no passage has a score"
        rows.append(
            Flag(
                id=name,
                document=name,
                attack=attack,
                score=float(found.values[i]) if scored else None,
                p_value=float(found.p_values[i]) if scored else None,
                q_value=float(q_values[i]) if scored else None,
                flagged=bool(chosen[i]),
                reason="; ".join(part for part in (said, mark) if part),
            )
        )
    return rows
