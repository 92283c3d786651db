"""Flags of documents, with a threshold set by documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..calibration import CountBound, chance_of_flags, flag_rank, nonmembers_needed
from ..documents import DocumentPValues, document_p_values
from ..errors import CalibrationError, ScoresError
from ..records import Interval, Note, Plain, count_distinct, number_names
from ..scores import UNKNOWN, ScoreTable, taken
from ._calibrating import add_decider_column, calibration_rows
from ._calibration import Calibration
from ._concluding import doubt, settle
from ._equal_scores import join_equal_scores
from ._finding import check_finding_level, find_single
from ._finding_record import FINDING_LEVEL, Finding, FindingTest, Obstacle
from ._flag_rows import REASONS, FlagRows, Reason
from ._flags import Flags, bounds_of, joint_standing, limit_discoveries, limited, q_values_of
from ._notes import NoteKind, first_ids
from ._origin import check_origin
from ._other_documents import other_models_by_document
from ._rules import ErrorRate, Rule, Unit
from ._score_checks import notes_on_candidates, refuse_non_scores
from ._sensitivity import excess_of_discoveries, excess_of_flags, least_flags, sensitivity
from ._unscored import count_unscored

__all__ = ["DocumentObstacle", "document_obstacle", "flag_documents"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
KEEP = 0.9
"""Least share of the documents of known non-members in each comparison, where they are enough."""


class DocumentObstacle(StrEnum):
    """Why `flag_documents` refuses what `flag` takes; the figure ``obstacle`` of a note."""

    OTHER_NONMEMBERS = "other_nonmembers"
    """The table does not hold the non-members that set the threshold."""
    ON_BOTH_SIDES = "on_both_sides"
    """Documents hold both candidates and non-members: ``documents`` of them, the ``first`` by name."""
    INFINITE = "infinite"
    """Candidates have infinite scores."""
    SHADOWS = "shadows"
    """Shadow models set the threshold: passages under the same model are not independent, nor are documents."""


def document_obstacle(table: ScoreTable, calibration: Calibration) -> dict[str, object]:
    """The figures of a note: what `flag_documents` refuses, or ``obstacle`` None where it decides on these candidates.

    *table* has the column that *calibration* decides by, and candidates.
    """
    if table.places:
        return {"obstacle": DocumentObstacle.SHADOWS.value}
    rows, groups, scores = table.rows(None), table.groups(), table.column(calibration.attack)
    try:
        known = calibration_rows(table, calibration)
    except CalibrationError:
        return {"obstacle": DocumentObstacle.OTHER_NONMEMBERS.value}
    if np.isinf(scores)[rows].any():
        return {"obstacle": DocumentObstacle.INFINITE.value}
    both = groups.take(rows[groups.take(known).used()[groups.codes[rows]]])
    if len(both):
        figures = {"documents": count_distinct(both), "first": both[0]}
        return {"obstacle": DocumentObstacle.ON_BOTH_SIDES.value, **figures}
    return {"obstacle": None}


def flag_documents(
    table: ScoreTable,
    calibration: Calibration,
    *,
    fdr: float | None = None,
    accept_void: bool = False,
    finding_level: float = FINDING_LEVEL,
) -> Flags:
    """The decision on each candidate document, at the calibration's FPR or at a false discovery rate over them all.

    A candidate document that was not trained on is flagged with probability at most the FPR, provided that it is
    exchangeable with the documents of the known non-members, whose passages are in *table*. The attack, the rate and
    its confidence come from *calibration*; p-values and threshold compare with documents of known non-members
    (`llm_mia.documents.document_p_values`). With *fdr* the false discovery rate over documents is held instead: by
    Benjamini and Hochberg where all documents are compared with the same passages of others, else by Benjamini and
    Yekutieli. The finding and the bound on the number of members count the documents of which the most frequent number
    of passages is compared: they share a calibration set. *finding_level* is the largest probability of a finding
    where no candidate was trained on, and 1 minus the confidence of the bound.

    Raises:
        UsageError: *finding_level* is below 1e-9, or is not below 1.
        ScoresError: no candidates, infinite scores, a document among candidates and non-members.
        CalibrationError: scores of another model, or other non-members.
    """
    check_finding_level(finding_level)
    if table.places:
        raise ScoresError(
            f"{table.name}: shadow models set the threshold, and documents under the same model are not independent: "
            "decide on passages, or audit again with known non-members"
        )
    rows = table.rows(None)
    if not len(rows):
        raise ScoresError(
            f"{table.name}: every row has a label, so there are no candidates: remove the labels of the rows to decide "
            "on"
        )
    notes = check_origin(table, calibration)
    table, equal = join_equal_scores(add_decider_column(table, calibration), calibration.attack)
    refuse_non_scores(table, [] if calibration.stack else [calibration.attack], order=False)
    notes += [
        *(note for note in equal if note.figures["role"] == "candidate"),
        *notes_on_candidates(table, calibration),
    ]
    if calibration.categories:
        raise CalibrationError(
            f"the calibration has categories by {calibration.by!r}, and documents have none: calibrate again without "
            "`by`"
        )
    judged = judged_documents(table, calibration, table.labels == UNKNOWN)
    n = int(judged.n_calibration.max())
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
    alike = _Alike.of(judged)
    finding, members, share, notes_of_bounds = _conclusions(judged, alike, chosen, calibration, rule, finding_level)
    if finding is not None:
        known = calibration_rows(table, calibration)
        others = other_models_by_document(table, calibration, known, rule, finding_level)
        finding = settle(replace(finding, others=others), [])
    members, share = limited(members, share, finding)
    flags = Flags(
        rows=_flags(judged, q_values, chosen, calibration.attack, rule, _shared_columns(table, rows, judged.names)),
        calibration=calibration,
        rule=rule,
        notes=[*notes, *judged.notes, *notes_of_bounds],
        unit=Unit.DOCUMENTS,
        q_values=method,
        n=n,
        members=members,
        share=share,
        standing=doubt(joint_standing(calibration.standing, table.standing, accept_void=accept_void), finding),
        finding=finding,
    )
    return count_unscored(flags, table, calibration, partial(flag_documents, fdr=fdr, finding_level=finding_level))


def judged_documents(table: ScoreTable, calibration: Calibration, judged: Bools) -> DocumentPValues:
    """The p-values of the documents of the *judged* passages, a mask of shape (passages,).

    They are compared with the non-members that *calibration* was computed from.
    """
    known, groups, scores = calibration_rows(table, calibration), table.groups(), table.column(calibration.attack)
    infinite = np.flatnonzero(judged & np.isinf(scores))
    if len(infinite):
        named = first_ids(taken(table.ids, infinite))
        raise ScoresError(
            f"{table.name}: infinite scores ({named}), and the mean of a document needs finite scores: search for "
            "the cause, and score again"
        )
    needed = nonmembers_needed(calibration.fpr, calibration.confidence)
    # Of few documents none may be lost to a comparison of larger documents: as many as the rate needs would not do.
    keep = max(KEEP, needed / calibration.n_documents)
    candidates, nonmembers = groups.take(judged), groups.take(known)
    return document_p_values(scores[judged], candidates, scores[known], nonmembers, keep=keep)


def _at_fpr(judged: DocumentPValues, calibration: Calibration) -> Bools:
    """Whether each document is flagged at the FPR; a confidence holds among documents with as many passages."""
    if calibration.confidence is None:
        return np.asarray(judged.p_values <= calibration.fpr)
    flagged = np.zeros(len(judged.p_values), dtype=bool)
    for n in np.unique(judged.n_calibration).tolist():
        if n >= nonmembers_needed(calibration.fpr, calibration.confidence):
            k = flag_rank(n, calibration.fpr, calibration.confidence)
            flagged |= (judged.n_calibration == n) & (np.rint(judged.p_values * (n + 1)) <= k)
    return flagged


@dataclass(frozen=True, slots=True, eq=False)
class _Alike:
    """The documents of which the most frequent number of passages is compared: they share a calibration set."""

    positions: NDArray[np.intp]
    passages: int
    """Compared of each."""
    n: int
    """Documents in their calibration set, which is fixed by sizes."""

    @classmethod
    def of(cls, judged: DocumentPValues) -> _Alike:
        sizes, counts = np.unique(judged.n_used[judged.n_used > 0], return_counts=True)
        if not len(sizes):
            return cls(np.empty(0, dtype=np.intp), 0, 0)
        used = int(sizes[::-1][np.argmax(counts[::-1])])
        positions = np.flatnonzero(judged.n_used == used)
        return cls(positions, used, int(judged.n_calibration[positions[0]]))


def _conclusions(
    judged: DocumentPValues, alike: _Alike, chosen: Bools, calibration: Calibration, rule: Rule, level: float
) -> tuple[Finding | None, CountBound | None, Interval | None, list[Note]]:
    """The finding, and members at least, among documents of the most frequent size; and notes about both."""
    m, n = len(alike.positions), alike.n
    if not m:
        return None, None, None, [Note(NoteKind.FINDING_IMPOSSIBLE, {"why": Obstacle.UNSCORED.value})]
    if n < nonmembers_needed(calibration.fpr, calibration.confidence):
        few = {"why": Obstacle.FEW_DOCUMENTS.value}
        notes = [Note(NoteKind.FINDING_IMPOSSIBLE, few), Note(NoteKind.MEMBERS_UNBOUNDED_FEW, {"documents": n})]
        return None, None, None, notes
    p_values, flagged = judged.p_values[alike.positions], int(chosen[alike.positions].sum())
    counts = [(flagged, m, flag_rank(n, calibration.fpr, calibration.confidence), n)]
    if rule.rate is ErrorRate.FALSE_POSITIVES:
        chance, test = chance_of_flags(counts), FindingTest.COUNT
        excess, least = excess_of_flags(counts, chance, level), least_flags(counts, level)
    else:
        chance, test = float(q_values_of(p_values, any_dependence=False)[0].min()), FindingTest.SMALLEST_Q
        excess, least = excess_of_discoveries(p_values, chance, level), None
    # Scores that lie among n others where the p-values put them.
    equivalent = n + 1.5 - np.rint(p_values * (n + 1))
    members, share = bounds_of(equivalent, range(1, n + 1), p_values, calibration, rule, level)
    in_part = Note(NoteKind.MEMBERS_BOUNDED_IN_PART, {"documents": m, "passages": alike.passages})
    withstood = sensitivity(excess, m, rule, level)
    finding = Finding(chance, level, test, flagged, m, n, sensitivity=withstood, least=least)
    if m == 1 and rule.rate is ErrorRate.FALSE_POSITIVES:
        finding = find_single(float(p_values[0]), bool(flagged), n, rule, level)
    return finding, members, share, [in_part] if len(judged.names) > m else []


def _shared_columns(table: ScoreTable, rows: NDArray[np.intp], names: Sequence[str]) -> dict[str, list[Plain]]:
    """The carried columns of the documents *names*; None where the passages of a document among *rows* differ."""
    shared = dict[str, list[Plain]]()
    _, numbers = number_names(table.groups().take(rows))  # in the order of *names*
    for name, values in table.carried.items():
        of_documents: list[Plain] = [None] * len(names)
        seen = np.zeros(len(names), dtype=bool)
        for number, value in zip(numbers.tolist(), taken(values, rows), strict=True):
            if not seen[number]:
                seen[number], of_documents[number] = True, value
            elif of_documents[number] != value:
                of_documents[number] = None
        shared[name] = of_documents
    return shared


def _flags(
    judged: DocumentPValues,
    q_values: Floats,
    chosen: Bools,
    attack: str,
    rule: Rule,
    columns: Mapping[str, Sequence[Plain]],
) -> FlagRows:
    why = Reason.P_VALUE if rule.rate is ErrorRate.FALSE_POSITIVES else Reason.Q_VALUE
    unscored = np.isnan(judged.p_values)
    reasons = np.where(chosen, REASONS.index(why), np.where(unscored, REASONS.index(Reason.NO_SCORE), 0))
    return FlagRows(
        attack=attack,
        ids=judged.names,
        documents=judged.names,
        figures={
            "score": np.where(unscored, np.nan, judged.values),
            "p_value": judged.p_values,
            "q_value": np.where(unscored, np.nan, q_values),
            "limit": np.broadcast_to(rule.level, len(judged.names)),
        },
        flagged=chosen,
        reasons=reasons.astype(np.int8),
        columns=columns,
    )
